"""The first quarter of an hour: the quickstart as it is shipped, and what it does with data that is not complete."""

from __future__ import annotations

import gzip
import json
import re
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from windlass.app.quickstart import find_example

if TYPE_CHECKING:
    from core.tests.acceptance.conftest import Installation

pytestmark = pytest.mark.processes

DAG_ID = "seattle_weather"


def test_the_quickstart_runs_its_example_to_the_end_and_says_where_everything_is(installation: Installation) -> None:
    told = installation.windlass("quickstart")
    progress, _, table = told.partition("\nTASK ")
    assert "↻ extract: up_for_retry (try 1)" in progress
    assert "✓ extract: success (try 2)" in progress
    rows = [line.split() for line in table.partition("\n\n")[0].splitlines()[1:]]
    assert {name.partition("[")[0] for name, *_ in rows} == {
        "extract", "find_years", "summarise", "check_quality", "load", "quarantine", "report", "conclude",
    }  # fmt: skip
    assert [name for name, *_ in rows if name.startswith("summarise")] == [f"summarise[{i}]" for i in range(4)]
    states = {name: (state, tries) for name, state, tries, *_ in rows}
    assert states.pop("quarantine") == ("skipped", "0")
    assert states.pop("extract") == ("success", "2")
    assert set(states.values()) == {("success", "1")}
    starts = [row[3] for row in rows if row[1] == "success"]
    assert all(re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3}", start) for start in starts)

    output = installation.home / "quickstart"
    assert "The run ended in success." in told
    assert f"Result:  {output / 'report.html'} (open it in a browser), {output / 'weather.db'}" in told
    assert (output / "report.html").read_text(encoding="utf-8").count("<polyline") == 4
    with closing(sqlite3.connect(output / "weather.db")) as connection:
        assert connection.execute("SELECT COUNT(*), COUNT(DISTINCT year) FROM month").fetchone() == (48, 4)
    assert f"Logs:    {installation.home / 'logs'}" in told
    run_id = re.search(r"Run: +(\S+)", told)
    assert run_id is not None
    assert "broke off" in installation.windlass("tasks", "logs", DAG_ID, "extract", run_id[1], "--try", "1")
    assert "Next:" in told
    assert installation.processes() == {}, "its server ends with it"


def test_the_example_keeps_data_that_is_not_complete_out_and_writes_no_report(
    installation: Installation, tmp_path: Path
) -> None:
    example = find_example()
    installation.write(f"{DAG_ID}.py", (example / f"{DAG_ID}.py").read_text(encoding="utf-8"))
    days = gzip.decompress((example / f"{DAG_ID}.csv.gz").read_bytes()).splitlines(keepends=True)
    del days[40]
    (installation.dags / f"{DAG_ID}.csv.gz").write_bytes(gzip.compress(b"".join(days)))
    database, folder = tmp_path / "weather.db", tmp_path / "output"
    weather = json.dumps({"conn_type": "sqlite", "schema": str(database)})
    installation.start()
    installation.windlass("connections", "add", "weather_db", "--conn-json", weather)
    installation.wait_for_dag(DAG_ID)
    installation.windlass("dags", "unpause", DAG_ID)
    conf = json.dumps({"folder": str(folder)})
    run_id = json.loads(installation.windlass("dags", "trigger", DAG_ID, "--conf", conf, "-o", "json"))["run_id"]

    run = installation.wait_for_run(DAG_ID, run_id)
    assert run["state"] == "success"
    states = {task["task_id"]: task["state"] for task in run["tasks"]}
    assert [states[name] for name in ("load", "report", "quarantine", "conclude")] == [
        "skipped", "skipped", "success", "success",
    ]  # fmt: skip
    assert {path.name for path in folder.iterdir()} == {"weather.csv.incomplete"}
    assert not database.exists()
    assert "lacks days" in installation.windlass("tasks", "logs", DAG_ID, "conclude", run_id)


def test_standalone_says_ready_in_one_line_and_nothing_else(installation: Installation) -> None:
    with subprocess.Popen(
        installation.command("standalone"),
        env=installation.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stderr is not None
        assert server.stderr.readline() == "ready\n"
        server.send_signal(signal.SIGTERM)
        assert server.communicate(timeout=60) == ("", "")
    assert server.returncode == 0
