"""A run that is late calls its deadline's callback once, also over a restart; failures in a row pause their DAG."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from core.tests.acceptance.conftest import Installation

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]

LATE = """
import os, time
from datetime import timedelta
from pathlib import Path
from windlass import DAG, DeadlineAlert, DeadlineReference, task

def tell(context):
    with open(os.environ["LEDGER"], "a") as ledger:
        ledger.write(f"late {context['run_id']} {context['dag_run'].state} {context['reason']}\\n")

with DAG("late", schedule=None, is_paused_upon_creation=False, deadline=[
    DeadlineAlert(reference=DeadlineReference.DAGRUN_QUEUED_AT, interval=timedelta(seconds=1), callback=tell),
    DeadlineAlert(reference=DeadlineReference.DAGRUN_QUEUED_AT, interval=timedelta(hours=1), callback=tell),
]):
    @task
    def slow():
        while not Path(os.environ["LEDGER"] + ".go").exists():
            time.sleep(0.02)
    slow()
"""
FAILING = """
from windlass import DAG, task
with DAG("failing", schedule=None, is_paused_upon_creation=False, max_consecutive_failed_dag_runs=2):
    @task
    def bad():
        raise ValueError("always")
    bad()
"""


def test_a_missed_deadline_is_told_once_and_shown_while_the_run_goes_on(installation: Installation) -> None:
    installation.write("late.py", LATE)
    server = installation.start("scheduler")
    installation.wait_for_dag("late")
    run_id = installation.trigger("late")
    installation.wait(lambda: len(installation.ledger()) == 1, "the callback")
    [told] = installation.ledger()
    assert told[:3] == ["late", run_id, "running"]
    assert "0:00:01 after queued_at" in " ".join(told)
    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    installation.start("scheduler")
    assert [miss["deadline"] for miss in installation.run("late", run_id)["missed_deadlines"]] == [
        "0:00:01 after queued_at"
    ]
    assert "it has missed its deadline" in installation.windlass("explain", "late", run_id)
    installation.ledger_file.with_name("ledger.go").touch()
    assert installation.wait_for_run("late", run_id)["state"] == "success"
    assert len(installation.ledger()) == 1, "the next scheduler tells nobody again"


def test_a_deadline_that_passes_while_no_scheduler_lives_is_told_by_the_next_one(installation: Installation) -> None:
    installation.write("late.py", LATE)
    server = installation.start("scheduler")
    installation.wait_for_dag("late")
    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    run_id = installation.trigger("late")
    due = datetime.fromisoformat(installation.run("late", run_id)["queued_at"]) + timedelta(seconds=1)
    installation.wait(lambda: datetime.now(UTC) > due, "the deadline")
    installation.start("scheduler")
    installation.wait(lambda: len(installation.ledger()) == 1, "the callback")
    assert installation.ledger()[0][1] == run_id


def test_failures_in_a_row_pause_the_dag_and_say_so(installation: Installation) -> None:
    installation.write("failing.py", FAILING)
    installation.start()
    installation.wait_for_dag("failing")
    for _ in range(2):
        assert installation.wait_for_run("failing", installation.trigger("failing"))["state"] == "failed"
    details = installation.json("dags", "details", "failing")
    assert (details["paused"], details["paused_by"]) == (True, "scheduler")
    assert "its 2 newest runs have failed" in details["paused_reason"]
    third = installation.trigger("failing")
    assert "paused by scheduler: its 2 newest runs have failed" in installation.windlass("explain", "failing")
    installation.windlass("dags", "unpause", "failing")
    assert installation.wait_for_run("failing", third)["state"] == "failed"
