"""Replay one seed, with a trace to read: ``python -m windlass_testing.simulation --seed N [--bug B] [--trace]``."""

from __future__ import annotations

import argparse
import contextlib
import sys

from windlass_testing.simulation.bugs import BUGS
from windlass_testing.simulation.run import simulate


def main() -> int:
    """Run the seeds asked for; exit 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m windlass_testing.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--count", type=int, default=1, help="run this many seeds, starting with --seed")
    parser.add_argument("--bug", choices=sorted(BUGS), help="with this bug planted")
    parser.add_argument("--trace", action="store_true", help="print what happened, step by step")
    asked = parser.parse_args()
    broken = 0
    with BUGS[asked.bug].planted() if asked.bug else contextlib.nullcontext():
        for seed in range(asked.seed, asked.seed + asked.count):
            result = simulate(seed, keep_trace=asked.trace)
            if asked.trace:
                sys.stdout.write("".join(f"{line}\n" for line in result.trace))
            if result.broken or asked.trace or asked.count == 1:
                sys.stdout.write(f"{result.line}  [faults: {', '.join(result.faults) or 'none'}]\n")
            broken += result.broken is not None
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
