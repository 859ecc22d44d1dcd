"""The same DAG file in this process and through real processes: states, results and callbacks are the same.

It crosses every border between processes once: spilled values, artifacts, a SIGKILL and its callbacks, retries, a
timeout, branches, mapping, sensors in each mode, templates from a file, connections and variables, runs of runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from windlass.authoring import scope
from windlass_testing.live import LiveInstallation
from windlass_testing.virtual import VirtualInstallation

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

SAMPLES = Path(__file__).parent / "samples"
#: DAG -> how its run and its task instances end.
OUTCOMES: dict[str, tuple[str, dict[str, str]]] = {
    "spill": ("success", {"large": "success", "measure": "success"}),
    "artifacts": ("success", {"put": "success", "get": "success"}),
    "killed": ("success", {"survivor": "success", "victim": "failed", "after": "success"}),
    "retries": ("success", {"flaky": "success"}),
    "timeout": ("failed", {"slow": "failed", "after": "upstream_failed"}),
    "branches": (
        "success",
        {
            "choose": "success", "left": "success", "right": "skipped", "both": "success", "stop": "success",
            "never": "skipped",
        },
    ),
    "mapping": (
        "success",
        {
            "numbers": "success", "tenfold[0]": "success", "tenfold[1]": "success", "tenfold[2]": "skipped",
            "total": "success", "pair.first[0]": "success", "pair.first[1]": "success", "pair.first[2]": "skipped",
            "pair.second[0]": "success", "pair.second[1]": "success", "pair.second[2]": "skipped",
        },
    ),
    "sensors": (
        "success",
        {"poking": "success", "rescheduled": "success", "late": "skipped", "deferred": "success", "file": "success"},
    ),
    "templates": ("success", {"show": "success"}),
    "connections": ("success", {"connect": "success"}),
    "scope": ("failed", {"begin": "success", "work": "failed", "end": "success"}),
    "parent": ("success", {"trigger": "success", "after": "success"}),
}  # fmt: skip
#: What tasks and callbacks note, each once.
LEDGER = [
    "spill 200000 (1, 2)",
    "artifacts a,b",
    "killed retry survivor",
    "killed failure victim",
    "killed success run",
    "retries 1 None",
    "retries 2 None",
    "retries 3 None",
    "timeout failure slow",
    "mapping [10, 20, None]",
    "templates {day} OSLO select 'Oslo'",
    "connections sample.example yes",
    "child 7",
]
CONNECTION = "http://me:tulip-word@sample.example"


def noted(ledger: Path, day: str) -> None:
    """Check what was noted; a callback may be called more than once, and never less."""
    lines = Counter(ledger.read_text(encoding="utf-8").splitlines())
    assert set(lines) == {line.format(day=day) for line in LEDGER}


def test_in_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = tmp_path / "ledger"
    ledger.touch()
    monkeypatch.setenv("LEDGER", str(ledger))
    (tmp_path / "home" / "dags").mkdir(parents=True)
    for path in SAMPLES.iterdir():
        (tmp_path / "home" / "dags" / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    with scope.detached():
        windlass = VirtualInstallation(tmp_path / "home")
        windlass.environ["WINDLASS_CONN_SAMPLE"] = CONNECTION
        windlass.add_source((SAMPLES / "sample.py").read_text(encoding="utf-8"), "sample.py")
    windlass.worker.kill("survivor")
    windlass.worker.kill("victim")
    windlass.worker.takes("slow", timedelta(minutes=1))
    found: dict[str, tuple[str, Mapping[str, str]]] = {}
    for dag_id in OUTCOMES:
        run = windlass.run(dag_id)
        found[dag_id] = (str(run.state), windlass.states(run))
    assert "logging in with ***" in windlass.log(windlass.runs("connections")[0], "connect")
    windlass.close()
    assert found == OUTCOMES
    noted(ledger, "2026-03-01")


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveInstallation]:
    installation = LiveInstallation(tmp_path)
    yield installation
    installation.close()


def test_through_real_processes(live: LiveInstallation) -> None:
    for path in SAMPLES.iterdir():
        live.write(path.name, path.read_text(encoding="utf-8"))
    live.start(WINDLASS_CONN_SAMPLE=CONNECTION)
    live.wait_for_dag("parent")
    runs = {dag_id: live.trigger(dag_id) for dag_id in OUTCOMES}
    found: dict[str, tuple[str, dict[str, str]]] = {}
    for dag_id, run_id in runs.items():
        run = live.wait_for_run(dag_id, run_id)
        found[dag_id] = (
            run["state"],
            {
                row["task_id"] if row["map_index"] < 0 else f"{row['task_id']}[{row['map_index']}]": row["state"]
                for row in run["tasks"]
            },
        )
    assert found == OUTCOMES
    live.wait(lambda: len(set(live.ledger_file.read_text().splitlines())) == len(LEDGER), "every callback")
    noted(live.ledger_file, runs["templates"].partition("__")[2][:10])
    log = live.windlass("tasks", "logs", "connections", "connect", runs["connections"])
    assert "logging in with ***" in log
    assert "tulip-word" not in live.logs()
