"""Timetables of a plugin are asked in processes of their own: good ones schedule, a bad one is one visible error."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from core.tests.acceptance.conftest import Installation

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]

MANIFEST = """
from windlass.plugin import Provider, hookimpl

NAMES = ("Ticks", "Hours", "Slow", "Raising", "Nonsense", "Standing")

@hookimpl
def windlass_provider():
    return Provider(
        name="acme",
        timetables={f"acme.{name}": f"acme_timetables:{name}" for name in NAMES},
        priority_weight_strategies={"acme.longest": "acme_timetables:LongestName"},
        moment_factories={"acme": "acme_timetables:special"},
    )
"""
TIMETABLES = """
import os, time
from datetime import UTC, datetime, timedelta
from windlass.backends import PriorityWeightStrategy
from windlass.timetables import DagRunInfo, DataInterval, Timetable

class Ticks(Timetable):
    \"\"\"Every ``seconds`` since 2026, with the interval before; three runs, then no more.\"\"\"

    def __init__(self, seconds):
        self.seconds = seconds

    def serialize(self):
        return {"seconds": self.seconds}

    def validate(self):
        if self.seconds <= 0:
            raise ValueError("seconds must be positive")

    def infer_manual_data_interval(self, *, run_after):
        print("asked in process", os.getpid())
        return DataInterval(run_after - timedelta(seconds=self.seconds), run_after)

    def next_dagrun_info(self, *, last_automated_data_interval, restriction):
        step = timedelta(seconds=self.seconds)
        start = restriction.earliest
        if last_automated_data_interval is not None:
            start = last_automated_data_interval.end
        if start >= restriction.earliest + 3 * step:
            return None
        return DagRunInfo.interval(start, start + step)

class Hours(Ticks):
    \"\"\"Every hour of the day but the first, as long as it may.\"\"\"

    def next_dagrun_info(self, *, last_automated_data_interval, restriction):
        start = restriction.earliest
        if last_automated_data_interval is not None:
            start = last_automated_data_interval.end
        if start.hour == 0:
            start += timedelta(hours=1)
        return None if start > restriction.latest else DagRunInfo.interval(start, start + timedelta(hours=1))

class Standing(Ticks):
    def next_dagrun_info(self, *, last_automated_data_interval, restriction):
        return DagRunInfo.exact(datetime(2026, 1, 5, tzinfo=UTC))

class Slow(Ticks):
    def next_dagrun_info(self, **_):
        while True:
            time.sleep(0.05)

class Raising(Ticks):
    def next_dagrun_info(self, **_):
        raise RuntimeError("no moon tonight")

class Nonsense(Ticks):
    def next_dagrun_info(self, *, last_automated_data_interval, restriction):
        return DagRunInfo.exact(restriction.earliest - timedelta(days=400))

class Special(datetime):
    pass

def special(value):
    return Special.fromisoformat(value.isoformat())

class LongestName(PriorityWeightStrategy):
    def get_weight(self, task):
        return len(task.task_id)
"""
DAG = """
from datetime import UTC, datetime
from windlass import DAG, task
from acme_timetables import *

with DAG({dag_id!r}, schedule={kind}(3600), start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=True,
         is_paused_upon_creation=False):
    @task(weight_rule="acme.longest")
    def note(data_interval_start, data_interval_end):
        print(type(data_interval_start).__name__, "interval", data_interval_start, data_interval_end)
    note()
"""
#: Its class is in no manifest: it is the DAG folder's own.
OWN = """
from datetime import UTC, datetime, timedelta
from windlass import DAG, task
from windlass.timetables import DagRunInfo, DataInterval, Timetable

class Birthdays(Timetable):
    def infer_manual_data_interval(self, *, run_after):
        return DataInterval.exact(run_after)

    def next_dagrun_info(self, *, last_automated_data_interval, restriction):
        if last_automated_data_interval is not None:
            return None
        return DagRunInfo.exact(datetime(2026, 2, 2, tzinfo=UTC))

with DAG("own", schedule=Birthdays(), start_date=datetime(2026, 1, 1, tzinfo=UTC), is_paused_upon_creation=False):
    @task
    def a():
        pass
    a()
"""


@pytest.fixture
def acme(installation: Installation, tmp_path: Path) -> Installation:
    """Return an installation where the provider ``acme`` is installed, as pip would."""
    site = tmp_path / "site-packages"
    info = site / "acme-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[windlass.providers]\nacme = acme_plugin\n")
    (site / "acme_plugin.py").write_text(MANIFEST)
    (site / "acme_timetables.py").write_text(TIMETABLES)
    installation.environ["PYTHONPATH"] = f"{site}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    installation.environ["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    return installation


def write(installation: Installation, dag_id: str, kind: str) -> None:
    installation.write(f"{dag_id}.py", DAG.format(dag_id=dag_id, kind=kind))


def runs(installation: Installation, dag_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = installation.json("runs", "list", dag_id)
    return found


def test_a_good_timetable_makes_the_runs_that_it_wants_and_says_the_interval_of_manual_ones(acme: Installation) -> None:
    write(acme, "good", "Ticks")
    acme.write("own.py", OWN)
    acme.start()
    acme.wait_for_dag("good")
    acme.wait_for_dag("own")
    acme.wait(lambda: [run["state"] for run in runs(acme, "good")] == ["success"] * 3, "three runs")
    log = acme.windlass("tasks", "logs", "good", "note", "scheduled__2026-01-01T01:00:00+00:00")
    assert "Special interval 2026-01-01 01:00:00+00:00 2026-01-01 02:00:00+00:00" in log
    acme.wait(lambda: [run["run_id"][:21] for run in runs(acme, "own")] == ["scheduled__2026-02-02"], "the own run")
    shown = acme.run("good", "scheduled__2026-01-01T01:00:00+00:00")
    assert shown["data_interval_end"] == "2026-01-01T02:00:00.000000+00:00"
    acme.wait(
        lambda: acme.json("dags", "next-execution", "good")["reason"] == "the schedule (Ticks) wants no run", "the end"
    )
    run_id = acme.trigger("good")
    acme.wait_for_run("good", run_id)
    manual = acme.run("good", run_id)
    assert manual["data_interval_end"] == manual["logical_date"]
    assert manual["data_interval_start"] < manual["data_interval_end"]
    assert "interval" in acme.windlass("tasks", "logs", "good", "note", run_id)
    assert "asked in process" in next(acme.home.glob("logs/dag_id=good/timetable.log")).read_text()


def test_a_bad_timetable_is_one_error_that_says_what_to_do_and_the_others_go_on(acme: Installation) -> None:
    for kind in ("Slow", "Raising", "Nonsense", "Ticks"):
        write(acme, kind.lower(), kind)
    acme.start()
    wanted = {
        "slow.py": "timetable 'acme.Slow' of DAG 'slow' did not answer within 5 s",
        "raising.py": "timetable 'acme.Raising' of DAG 'raising' raised RuntimeError: no moon tonight (acme_t",
        "nonsense.py": "timetable 'acme.Nonsense' of DAG 'nonsense' answered with an interval that ends at 2024-11-27",
    }

    def reason(dag_id: str) -> str:
        return acme.json("dags", "next-execution", dag_id)["reason"] or ""

    for file in wanted:
        dag_id = file.removesuffix(".py")
        acme.wait_for_dag(dag_id)
        acme.wait(lambda dag_id=dag_id: "pending" not in reason(dag_id), f"an error for {dag_id}")  # type: ignore[misc]
    listed = json.loads(acme.windlass("dags", "list-import-errors", "-o", "json", code=1))
    errors = {row["file"]: row["error"] for row in listed}
    assert set(errors) == set(wanted)
    assert all(errors[file].startswith(sentence) for file, sentence in wanted.items()), errors
    assert reason("raising") == errors["raising.py"]
    assert "no moon tonight" in acme.windlass("explain", "raising")
    assert "no moon tonight" in (acme.home / "run" / "supervisor.log").read_text()
    acme.wait(lambda: [run["state"] for run in runs(acme, "ticks")] == ["success"] * 3, "the good one's runs")
    assert not runs(acme, "raising")
    acme.wait_for_run("raising", acme.trigger("raising"))  # its manual interval is no trouble


HOURS = """
from datetime import UTC, datetime
from windlass import DAG, Asset, task
from windlass.timetables import AssetOrTimeSchedule
from acme_timetables import *

with DAG({dag_id!r}, schedule={schedule}, start_date=datetime(2026, 1, 1, tzinfo=UTC)):
    @task
    def note(data_interval_start, data_interval_end):
        print("interval", data_interval_start, data_interval_end)
    note()
"""


def backfill(installation: Installation, dag_id: str, first: str, last: str, *more: str, code: int = 0) -> str:
    command = ("backfill", "create", "--dag-id", dag_id, "--from-date", first, "--to-date", last, "-o", "json", *more)
    return installation.windlass(*command, code=code)


def test_a_backfill_takes_its_intervals_from_the_timetable(acme: Installation) -> None:
    acme.write("hours.py", HOURS.format(dag_id="hours", schedule="Hours(3600)"))
    acme.write(
        "either.py",
        HOURS.format(dag_id="either", schedule="AssetOrTimeSchedule(timetable=Hours(3600), assets=[Asset('s3://a')])"),
    )
    server = acme.start()
    acme.wait_for_dag("hours")
    acme.wait_for_dag("either")
    done = json.loads(backfill(acme, "hours", "2026-02-01T20:00", "2026-02-02T03:00", "--wait"))
    assert (done["state"], done["intervals"], done["runs"]["success"], done["error"]) == ("completed", 7, 7, None)
    dates = sorted(run["logical_date"][8:13] for run in runs(acme, "hours"))
    assert dates == ["01T20", "01T21", "01T22", "01T23", "02T01", "02T02", "02T03"]
    again = json.loads(backfill(acme, "either", "2026-02-01", "2026-02-01T02:00", "--run-backwards", "--wait"))
    assert (again["intervals"], again["runs"]["success"]) == (2, 2)
    acme.stop(server)
    planned = json.loads(backfill(acme, "hours", "2026-02-01", "2026-03-15", "--dry-run"))  # nobody serves any more
    assert len(planned) == 42 * 23
    assert [run["action"] for run in planned[19:26]] == ["leave"] * 7


def test_a_timetable_that_fails_is_one_error_of_its_backfill_and_the_others_go_on(acme: Installation) -> None:
    wanted = {
        "raising": "timetable 'acme.Raising' of DAG 'raising' raised RuntimeError: no moon tonight",
        "standing": "timetable 'acme.Standing' of DAG 'standing' answered with a run for 2026-01-05",
        "slow": "timetable 'acme.Slow' of DAG 'slow' did not answer within 5 s",
    }
    for dag_id in (*wanted, "hours"):
        acme.write(f"{dag_id}.py", HOURS.format(dag_id=dag_id, schedule=f"{dag_id.title()}(3600)"))
    acme.start()
    dates = ("2026-01-01", "2026-01-09")
    for dag_id, sentence in wanted.items():
        acme.wait_for_dag(dag_id)
        assert sentence in backfill(acme, dag_id, *dates, "--dry-run", code=2)
        shown = json.loads(backfill(acme, dag_id, *dates, "--wait", code=1))
        assert shown["error"].startswith(sentence)
        assert (shown["state"], shown["intervals"], shown["dealt"]) == ("running", None, 0)
        assert sentence in acme.windlass("explain", dag_id)
        acme.windlass("backfill", "cancel", str(shown["id"]))
        assert acme.json("backfill", "show", str(shown["id"]))["state"] == "cancelled"
    acme.wait_for_dag("hours")
    good = json.loads(backfill(acme, "hours", "2026-01-01", "2026-01-01T03:00", "--wait"))
    assert good["runs"]["success"] == 3
