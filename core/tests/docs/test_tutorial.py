"""The tutorial, step by step, in an installation of its own with the processes that a reader has."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from windlass_testing.live import LiveInstallation

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the documentation is not part of a package's sources"),
]


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[LiveInstallation]:
    made = LiveInstallation(tmp_path)
    yield made
    made.close()


def test_the_first_dag_is_tried_unpaused_triggered_and_looked_at(installation: LiveInstallation) -> None:
    installation.write("first_dag.py", (EXAMPLES / "first_dag.py").read_text(encoding="utf-8"))
    tried = installation.json("dags", "test", "weather", "-e", "2026-11-22")
    assert "success" in str(tried)

    installation.start()
    installation.wait_for_dag("weather")
    assert "yes" in installation.windlass("dags", "list")  # paused
    assert "the DAG is paused" in installation.windlass("explain", "weather")

    assert "is unpaused" in installation.windlass("dags", "unpause", "weather")
    installation.wait(lambda: installation.json("runs", "list", "weather"), "the run of the latest complete day")
    (run,) = installation.json("runs", "list", "weather")
    assert run["run_id"].startswith("scheduled__")
    installation.wait_for_run("weather", run["run_id"])

    triggered = installation.json("dags", "trigger", "weather", "--wait")
    assert triggered["state"] == "success"
    assert "12.8 degrees" in installation.windlass("tasks", "logs", "weather", "report", triggered["run_id"])

    installation.write("first_dag.py", "# windlass dag\ndef broken(")

    def errors() -> str:
        command = installation.command("dags", "list-import-errors")
        return subprocess.run(command, env=installation.environ, capture_output=True, text=True, check=False).stdout

    installation.wait(lambda: "'(' was never closed" in errors(), "the import error")
