"""The command line of the benchmarks.

``python testing/benchmarks [workload ...] [--repeat N] [--peer dbos|luigi] [--json FILE] [--write-docs]``

Nothing is asserted: the benchmark is a tool and a record. What can be counted is asserted in the tests.
"""

from __future__ import annotations

import argparse
import compileall
import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from testing.benchmarks import (
    backfilling,
    breakdown,
    cold,
    history,
    large,
    machine,
    providers,
    report,
    s3_transfers,
    stores,
    waits,
)
from testing.benchmarks.engine import BenchmarkError
from testing.benchmarks.measures import Measure
from testing.benchmarks.mysql import MYSQL
from testing.benchmarks.peers import PEERS, Peer
from testing.benchmarks.postgres import POSTGRES
from testing.benchmarks.simulations import SIMULATIONS
from testing.benchmarks.workloads import OPT_IN, WORKLOADS, Session

_LARGE = {
    "flat": history.flat_cost,
    "large-file": large.large_file,
    "large-expansion": large.large_expansion,
    "many-runs": large.many_active_runs,
    "waits": waits.many_waits,
    "providers-50": providers.fifty_providers,
    "backfill": backfilling.backfill,
    "s3": s3_transfers.s3_transfers,
    "postgresql": stores.postgresql,
    "mariadb": stores.mariadb,
}
_ALL = {**WORKLOADS, "cold": cold.cold, "install": cold.install, **_LARGE, **SIMULATIONS, **POSTGRES, **MYSQL}
_OPT_IN = OPT_IN | {"install", *_LARGE, *SIMULATIONS, *POSTGRES, *MYSQL}
_SOURCES = Path(__file__).resolve().parents[2] / "core" / "src"


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python testing/benchmarks", description="Measure Windlass.")
    choices = [*_ALL, "profile"]
    parser.add_argument(
        "workloads",
        nargs="*",
        metavar="workload",
        help=f"{', '.join(choices)}; by default all but {', '.join(sorted(_OPT_IN))}",
    )
    parser.add_argument("--repeat", type=int, default=5, help="how often each is measured (default 5)")
    parser.add_argument("--peer", action="append", choices=PEERS, default=[], help="run this engine in turns with ours")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything, every sample included")
    parser.add_argument("--idle-seconds", type=float, default=60.0, help="how long W7 and waits watch (default 60)")
    parser.add_argument(
        "--patience", type=float, default=0.0, metavar="SECONDS", help="how long a repetition waits for a quiet machine"
    )
    parser.add_argument("--write-docs", action="store_true", help=f"write the tables into {report.PAGE.name}")
    chosen = parser.parse_args(arguments)
    unknown = [name for name in chosen.workloads if name not in choices]
    if unknown:
        parser.error(f"no workload {', '.join(unknown)}; choose from {', '.join(choices)}")
    return chosen


def main(arguments: Sequence[str]) -> int:
    """Measure what was asked for, print it, and write it where asked to."""
    chosen = _arguments(arguments)
    names = chosen.workloads or [*(name for name in _ALL if name not in _OPT_IN), "profile"]
    compileall.compile_dir(_SOURCES, quiet=1)
    description = machine.describe()
    print("  ".join(f"{key}: {value}" for key, value in description.items()), flush=True)
    before = machine.measure()
    measures: list[Measure] = []
    steps: list[breakdown.Step] = []
    failures: list[str] = []
    with contextlib.ExitStack() as stack:
        peers = [Peer(name) for name in dict.fromkeys(chosen.peer)]
        for peer in peers:
            stack.callback(peer.close)
        session = Session(chosen.repeat, peers, chosen.idle_seconds, chosen.patience)
        for name in names:
            try:
                if name == "profile":
                    steps = breakdown.measure(session)
                    print(report.text_table(breakdown.HEAD, breakdown.rows(steps)), flush=True)
                    continue
                new = _ALL[name](session)
            except BenchmarkError as error:
                failures.append(f"{name} was not measured: {error}")
                print(failures[-1], flush=True)
                continue
            measures += new
            print(report.text_table(report.HEAD, report.rows(new)), flush=True)
    after = machine.measure()
    notes = [report.limits_text(before, after), *failures]
    if session.disturbed:
        notes.append(f"{session.disturbed} repetitions began although others used the machine.")
    print("\n".join(["", *notes, ""]))
    print(report.text_table(report.HEAD, report.rows(measures)))
    if peers:
        print()
        print(report.text_table(report.PEER_HEAD, report.peer_rows(measures)))
    if chosen.json is not None:
        document = report.as_document(description, before, after, measures, [step.as_json() for step in steps])
        report.write_json(chosen.json, document)
    if chosen.write_docs:
        shown = [*chosen.workloads, f"--repeat {chosen.repeat}", *(f"--peer {peer.name}" for peer in peers)]
        _write_page(shown, description, notes, measures, peers, steps)
    return 1 if failures else 0


def _write_page(
    arguments: Sequence[str],
    description: Mapping[str, str],
    notes: Sequence[str],
    measures: Sequence[Measure],
    peers: Sequence[Peer],
    steps: Sequence[breakdown.Step],
) -> None:
    """Write the parts of the reference page that were measured; the others stay."""
    facts = [*description.items(), ("command", f"`python testing/benchmarks {' '.join(arguments)}`")]
    parts = {
        "machine": "\n".join([*(f"- {key}: {value}" for key, value in facts), "", *notes]),
        "measures": report.markdown_table(report.HEAD, report.rows(measures)),
    }
    if peers:
        versions = "\n".join(f"- `{peer.name}` {peer.version}: {peer.description}" for peer in peers)
        table = report.markdown_table(report.PEER_HEAD, report.peer_rows(measures))
        parts["peers"] = f"{versions}\n\n{table}"
    if steps:
        parts["breakdown"] = report.markdown_table(breakdown.HEAD, breakdown.rows(steps))
    report.write_page(parts)
