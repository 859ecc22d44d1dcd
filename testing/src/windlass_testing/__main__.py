"""``python -m windlass_testing FAKE``: one of the fakes as a process of its own, for tests in other processes.

A fake is known by its name in :data:`FAKES`: a function of a host and a port, 0 for any free one, that serves until
SIGTERM or Ctrl-C, and prints where it listens and how to log in, as JSON on one line, once it is ready.
:func:`windlass_testing.fakes.running.run_until_stopped` is most of such a function.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Final

#: Name -> ``module:function``, imported when asked for.
FAKES: Final = {
    "kubernetes": "windlass_testing.fakes.kubernetes:serve",
    "s3": "windlass_testing.fakes.s3:serve",
    "vault": "windlass_testing.fakes.vault:serve",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the fake that the command line names until a signal ends it."""
    parser = argparse.ArgumentParser(prog="python -m windlass_testing", description="Run a fake server for tests.")
    parser.add_argument("fake", choices=sorted(FAKES), help="which one")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="the port to listen on (default: any free one)")
    chosen = parser.parse_args(arguments)
    module, _, function = FAKES[chosen.fake].partition(":")
    serve: Callable[[str, int], None] = getattr(import_module(module), function)
    serve(chosen.host, chosen.port)
    return 0


if __name__ == "__main__":
    sys.exit(main())
