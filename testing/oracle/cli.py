"""The command line of the oracle, which ``nox -s airflow-oracle`` calls with an Airflow of its own.

``python testing/oracle [-k WORD] [--airflow PYTHON] [--record] [--live] [--page]``

Without ``--airflow`` the recorded answers are taken. With it Airflow is asked again, and what it says must be what is
recorded, unless ``--record`` keeps it, together with the values of the differences that have a reason. ``--live`` plays
what can be through real processes too.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from testing.oracle import page, recorded
from testing.oracle.differences import Difference, Verdict, accept, accepted, allowed, differences, judge
from testing.oracle.document import Document
from testing.oracle.live_side import LiveOracle, unfit
from testing.oracle.windlass_side import Dags, play

_ROOT = Path(__file__).resolve().parents[2]
#: Airflow runs in this many processes, each with its own home and its part of the scenarios.
_PARTS = 2
_LONGEST = 120


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python testing/oracle", description="Compare Windlass with Airflow.")
    parser.add_argument("-k", dest="word", default="", metavar="WORD", help="only DAGs with this in their id")
    parser.add_argument("--airflow", type=Path, metavar="PYTHON", help="an interpreter that has Airflow")
    parser.add_argument("--record", action="store_true", help="keep Airflow's answers, and the values that differ")
    parser.add_argument("--live", action="store_true", help="play what can be through real processes as well")
    parser.add_argument("--page", action="store_true", help=f"write {page.PAGE.name}")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Compare, print a table, and return 1 if anything is unexplained."""
    chosen = _arguments(arguments)
    dags = Dags()
    version, known = recorded.read()
    names = {scenario.dag_id for scenario in dags.scenarios if chosen.word in scenario.dag_id}
    theirs = {name: document for name, document in known.items() if name in names}
    complaints: list[str] = []
    if chosen.airflow is not None:
        version, fresh = ask_airflow(chosen.airflow, chosen.word)
        if chosen.record:
            recorded.write(version, {**known, **fresh}, dags.homes)
        else:
            complaints = [f"recorded otherwise: {_shown(one)}" for one in differences(theirs, fresh)]
        theirs = fresh
    print(f"Airflow {version}: {len(theirs)} scenarios")
    ours = {scenario.dag_id: play(dags, scenario) for scenario in dags.inproc if scenario.dag_id in names}
    if chosen.live:
        live = play_live(dags, names)
        together = {name: live[name] for name in live.keys() & ours.keys()}
        complaints += [
            f"processes do otherwise: {_shown(one)}" for one in differences(together, {n: ours[n] for n in together})
        ]
        ours |= live
        print(f"Windlass: {len(ours)} scenarios, {len(live)} of them through processes")
    unplayed = {scenario.dag_id for scenario in dags.scenarios if scenario.processes} - ours.keys()
    comparable = {name: document for name, document in theirs.items() if name not in unplayed}
    found = differences(comparable, ours)
    if chosen.record and not chosen.word:
        accept(one for reason in judge(found, allowed()).explained.values() for one in reason)
    verdict = judge(found, allowed(), accepted(), complete=not chosen.word)
    _print(verdict, len(comparable))
    for complaint in complaints:
        print(complaint)
    if chosen.page:
        page.PAGE.write_text(page.page(version, len(known), allowed()), encoding="utf-8")
    return 0 if verdict.is_good and not complaints else 1


def ask_airflow(python: Path, word: str = "") -> tuple[str, dict[str, Document]]:
    """Return Airflow's version and its answers.

    :raises SystemExit: if it ends without any; its own words stand above.
    """
    with tempfile.TemporaryDirectory(prefix="windlass-oracle-") as folder:
        files = [Path(folder) / f"{part}.json" for part in range(_PARTS)]
        processes = [
            subprocess.Popen(
                [python, "-m", "testing.oracle.airflow_side", str(file), word, str(part), str(_PARTS)], cwd=_ROOT
            )
            for part, file in enumerate(files)
        ]
        codes = [process.wait() for process in processes]
        if any(codes):
            sys.exit("Airflow did not answer; its own words stand above")
        answers = [json.loads(file.read_text("utf-8")) for file in files]
    documents = {name: document for answer in answers for name, document in answer["dags"].items()}
    return str(answers[0]["airflow"]), documents


def play_live(dags: Dags, names: set[str]) -> dict[str, Document]:
    """Return what real processes make of the scenarios that they can play."""
    chosen = [scenario for scenario in dags.scenarios if scenario.dag_id in names]
    fit = [scenario for scenario in chosen if unfit(scenario, dags.dags[scenario.dag_id]) is None]
    with tempfile.TemporaryDirectory(prefix="windlass-oracle-") as folder:
        oracle = LiveOracle(Path(folder))
        try:
            return dict(oracle.answers(fit))
        finally:
            oracle.close()


def _print(verdict: Verdict, count: int) -> None:
    titles = {reason.id: reason for reason in allowed()}
    for name, found in verdict.explained.items():
        kind = "known bug" if titles[name].bug else "on purpose"
        print(f"{len(found):5}  {kind}: {titles[name].title}")
    differing = {one.place.partition("[")[0].partition(":")[0] for one in verdict.unexplained}
    print(f"{count - len(differing):5}  scenarios agree, apart from these")
    for one in verdict.unexplained:
        print(f"unexplained: {_shown(one)}")
    for stale in verdict.stale:
        print(f"no longer so, remove it from differences.toml: {stale}")


def _shown(difference: Difference) -> str:
    left, right = (json.dumps(value)[:_LONGEST] for value in (difference.airflow, difference.windlass))
    return f"{difference.place}\n    airflow  {left}\n    windlass {right}"
