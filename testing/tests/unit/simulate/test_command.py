"""``windlass simulate`` over folders of real DAG files and over a real store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from windlass.protocol import Outcome
from windlass.spec import CronIntervalSpec, DagSpec, TaskSpec
from windlass_testing.databases import contents
from windlass_testing.installation import Installation
from windlass_testing.provider import windlass_provider
from windlass_testing.scripted import Result
from windlass_testing.simulate.command import simulate
from windlass_testing.stores import environ_of, url_of, use_home

Windlass = Callable[..., Any]

SOURCE = """
from datetime import datetime
from windlass import DAG
from windlass.operators import EmptyOperator

with DAG("{dag_id}", schedule="{schedule}", start_date=datetime(2026, 1, 1), max_active_runs={limit}):
    EmptyOperator(task_id="a", pool="p") >> EmptyOperator(task_id="b")
"""
PERIOD = ("simulate", "--from", "2026-03-01", "--to", "2026-03-01T03:00")


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    def make(name: str, *, dag_id: str = "etl", schedule: str = "@hourly", limit: int = 16, extra: str = "") -> Path:
        path = tmp_path / name
        path.mkdir(exist_ok=True)
        (path / f"{dag_id}.py").write_text(SOURCE.format(dag_id=dag_id, schedule=schedule, limit=limit) + extra)
        return path

    return make


def stored(dag_id: str = "etl", **fields: Any) -> DagSpec:
    return DagSpec(
        dag_id=dag_id,
        tasks=(TaskSpec(task_id="a"), TaskSpec(task_id="b", upstream=("a",))),
        schedule=CronIntervalSpec(expression="0 * * * *"),
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        **fields,
    )


@pytest.mark.processes
def test_a_folder_is_simulated_without_a_home(
    windlass: Windlass, folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "nobody"
    use_home(monkeypatch, home)
    result = windlass(*PERIOD, "--dags", str(folder("dags")), "--pool", "p=2", "-o", "json")
    assert result.code == 0
    assert [run["run_id"] for run in result.data["runs"]] == [
        "scheduled__2026-02-28T23:00:00+00:00",
        "scheduled__2026-03-01T00:00:00+00:00",
        "scheduled__2026-03-01T01:00:00+00:00",
    ]
    assert result.data["runs"][0]["end"] == "2026-03-01T00:02:00.000000+00:00"
    assert [pool["name"] for pool in result.data["pools"]] == ["default_pool", "p", "parallelism"]
    assert "3 run(s) of 1 DAG(s): 0 failed, 0 not ended; durations of tasks: 2 from default" in result.err
    assert not home.exists()


@pytest.mark.processes
def test_a_broken_file_is_told_and_the_others_are_simulated(windlass: Windlass, folder: Callable[..., Path]) -> None:
    path = folder("dags")
    (path / "broken.py").write_text("import windlass\ndag = 1 / 0\n")
    result = windlass(*PERIOD, "--dags", str(path), "-o", "plain")
    assert "note: broken.py could not be read: " in result.err
    assert "ZeroDivisionError" in result.err
    assert len(result.out.splitlines()) == 4


@pytest.mark.processes
def test_two_folders_are_compared(windlass: Windlass, folder: Callable[..., Path]) -> None:
    before, after = folder("before"), folder("after", schedule="30 * * * *")
    folder("after", dag_id="new")
    result = windlass(*PERIOD, "--dags", str(before), "--against", str(after), "--pool", "p=1", "-o", "json")
    changes = {(run["dag_id"], run["change"]) for run in result.data["runs"]}
    assert changes == {("etl", "added"), ("etl", "removed"), ("new", "added")}
    table = windlass(*PERIOD, "--dags", str(before), "--against", str(after), "--pool", "p=1", "--show", "dags").out
    assert "new     added" in table
    assert "- → 3" in table


@pytest.mark.processes
def test_two_configurations_and_two_sizes_of_a_pool_are_compared(
    windlass: Windlass, folder: Callable[..., Path], tmp_path: Path
) -> None:
    path = folder("dags")
    folder("dags", dag_id="other")
    config = tmp_path / "windlass.toml"
    config.write_text("[core]\nparallelism = 1\n")
    result = windlass(*PERIOD, "--dags", str(path), "--pool", "p=5", "--config", str(config), "-o", "json")
    assert {wait["reason"] for wait in result.data["waits"]} == {"parallelism"}
    result = windlass(*PERIOD, "--dags", str(path), "--pool", "p=5", "--against-pool", "p=1", "-o", "json")
    assert {(wait["reason"], wait["pool"]) for wait in result.data["waits"]} == {("pool", "p")}
    config.write_text("[core]\nparalelism = 1\n")
    result = windlass(*PERIOD, "--dags", str(path), "--config", str(config))
    assert result.code == 2
    assert "did you mean core.parallelism?" in result.err


def test_the_database_gives_dags_pools_and_the_past(here: Installation, windlass: Windlass) -> None:
    here.add(stored(), stored("paused"))
    here.store.dags.set_paused("paused", True, who="test")
    here.store.pools.set("p", 3)
    for number in range(3):
        here.control.runs.trigger("etl", run_id=f"r{number}", actor="test")
        here.settle()
    result = windlass(*PERIOD, "-o", "json")
    assert {run["dag_id"] for run in result.data["runs"]} == {"etl"}
    assert "1 paused DAG(s) are left out; name one with --dag-id to have it simulated: paused" in result.err
    assert result.data["durations"] == {"history": 2}
    assert result.data["runs"][0]["end"] < "2026-03-01T00:00:01"
    assert ("p", 3) in [(pool["name"], pool["slots"]) for pool in result.data["pools"]]
    named = windlass(*PERIOD, "--dag-id", "paused", "-o", "json")
    assert {run["dag_id"] for run in named.data["runs"]} == {"paused"}


def test_nothing_is_written(here: Installation, windlass: Windlass) -> None:
    here.add(stored())
    before = contents(url_of(here.home))
    assert windlass(*PERIOD).code == 0
    assert contents(url_of(here.home)) == before


def test_a_table_has_a_part_for_everything_and_plain_has_the_runs(here: Installation, windlass: Windlass) -> None:
    here.add(stored(max_active_runs=1))
    shown = windlass(*PERIOD).out
    assert [line for line in shown.splitlines() if line.isupper() or line.endswith(": none")] == [
        "RUNS",
        "WAITS: none",
        "POOLS",
    ]
    plain = windlass(*PERIOD, "-o", "plain").out.splitlines()
    assert plain[0].split("\t")[:2] == ["dag_id", "run_id"]
    assert len(plain) == 4
    tasks = windlass(*PERIOD, "-o", "plain", "--show", "tasks").out.splitlines()
    assert len(tasks) == 1 + 3 * 2


def test_runs_only_says_what_it_assumes(here: Installation, windlass: Windlass) -> None:
    here.add(stored())
    result = windlass(*PERIOD, "--runs-only", "-o", "json")
    assert result.data["tasks"] == []
    assert result.data["runs"][0]["end"] == "2026-03-01T00:02:00.000000+00:00"
    assert "a run takes as long as its longest path" in result.err


def test_the_durations_file_is_used_and_its_typos_are_told(
    here: Installation, windlass: Windlass, tmp_path: Path
) -> None:
    here.add(stored())
    file = tmp_path / "durations.toml"
    file.write_text("[dags.etl.tasks]\na = '10m'\nc = 4\n")
    result = windlass(*PERIOD, "--durations", str(file), "-o", "json")
    assert result.data["runs"][0]["end"] == "2026-03-01T00:11:00.000000+00:00"
    assert "note: the durations name task 'c' of DAG 'etl', which has no such task" in result.err


@pytest.mark.parametrize(
    ("args", "code", "told"),
    [
        (("--to", "2026-02-01"), 2, "--to must be later than --from"),
        (("--dag-id", "nope"), 4, "DAG 'nope' is not in the database; it has etl"),
        (("--pool", "p"), 2, "write NAME=SLOTS"),
        (("--dags", "/nowhere"), 2, "does not exist"),
    ],
)
def test_what_cannot_be_is_told(
    here: Installation, windlass: Windlass, args: tuple[str, ...], code: int, told: str
) -> None:
    here.add(stored())
    result = windlass(*PERIOD, *args)
    assert result.code == code
    assert told in result.err


def test_without_folder_and_database_the_way_out_is_named(
    windlass: Windlass, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_home(monkeypatch, tmp_path / "nobody")
    result = windlass(*PERIOD)
    assert result.code == 2
    assert "name a folder with --dags" in result.err


def test_a_task_that_has_never_succeeded_has_no_past_that_counts(here: Installation, windlass: Windlass) -> None:
    here.add(stored())
    here.executor.script = lambda work, try_number: Result(Outcome.FAIL)
    here.control.runs.trigger("etl", run_id="r", actor="test")
    here.settle()
    assert windlass(*PERIOD, "-o", "json").data["durations"] == {"default": 2}


SCRIPT = """
import json, sys
from windlass.cli import main
main(["providers", "list"])  # fills the cache of what is installed
main(["--help"])
main(json.loads(sys.argv[1]))
assert "windlass_testing.simulate.world" in sys.modules
assert "pytest" not in sys.modules
"""


@pytest.mark.budget
@pytest.mark.processes
def test_the_command_is_in_the_help_and_imports_no_pytest(folder: Callable[..., Path], tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    done = subprocess.run(
        [sys.executable, "-P", "-c", SCRIPT, json.dumps([*PERIOD, "--dags", str(folder("dags")), "--pool", "p=1"])],
        env={**os.environ, **environ_of(home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "  simulate           Show what the scheduler would do in a period of time.\n" in done.stdout
    assert "3 run(s) of 1 DAG(s)" in done.stderr


def test_its_line_in_the_help_of_all_commands_is_the_first_of_its_own() -> None:
    assert windlass_provider().cli_help == {"simulate": (simulate.help or "").splitlines()[0]}
