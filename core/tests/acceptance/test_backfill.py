"""A backfill by real processes: killed in the middle, it goes on where it stopped and leaves nothing out."""

from __future__ import annotations

import os
import signal
from collections import Counter
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from core.tests.acceptance.conftest import Installation

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]

DAILY = """
import os
from datetime import UTC, datetime
from windlass import DAG, task

def note(word, ds, task_id):
    with open(os.environ["LEDGER"], "a") as ledger:
        ledger.write(f"{word} {ds} {task_id} {os.getpid()}\\n")

with DAG("daily", schedule="@daily", start_date=datetime(2026, 3, 1, tzinfo=UTC), default_args={"retries": 3}):
    previous = None
    for number in range(3):
        @task(task_id=f"t{number}")
        def step(number=number, ds=None):
            note("start", ds, f"t{number}")
            note("end", ds, f"t{number}")
        this = step()
        previous and previous >> this
        previous = this
"""
DAYS = [f"2026-01-{day:02}" for day in range(1, 25)]
CREATE = ("backfill", "create", "--dag-id", "daily", "--from-date", DAYS[0], "--to-date", DAYS[-1])


def ended(installation: Installation) -> Counter[tuple[str, str]]:
    return Counter((line[1], line[2]) for line in installation.ledger() if line[0] == "end")


def test_a_backfill_survives_the_death_of_everything_and_leaves_nothing_out(installation: Installation) -> None:
    installation.write("daily.py", DAILY)
    server = installation.start("scheduler")
    installation.wait_for_dag("daily")  # it is paused, and stays so
    made = installation.json(*CREATE, "--max-active-runs", "2")

    installation.wait(lambda: len(ended(installation)) >= 15, "the first runs")
    server.kill()  # the scheduler alone: what runs goes on
    server.wait()
    server = installation.start("scheduler")

    installation.wait(lambda: len(ended(installation)) >= 36, "more runs")
    for pid in (server.pid, installation.supervisor()):  # and now everything
        os.kill(pid, signal.SIGKILL)
    server.wait()
    installation.start("scheduler")

    def state() -> str:
        word: str = installation.json("backfill", "show", str(made["id"]))["state"]
        return word

    installation.wait(lambda: state() == "completed", "the end of the backfill")
    shown = installation.json("backfill", "show", str(made["id"]))
    assert shown["runs"] == {"queued": 0, "running": 0, "success": len(DAYS), "failed": 0}
    runs = installation.json("runs", "list", "daily", "--backfill", str(made["id"]))
    assert sorted(run["logical_date"][:10] for run in runs) == DAYS
    assert {run["run_id"].split("__")[0] for run in runs} == {"backfill"}
    # A task that was killed after its last line runs again; no other does, and none is left out.
    counts = ended(installation)
    assert set(counts) == {(day, f"t{number}") for day in DAYS for number in range(3)}
    assert sum(count - 1 for count in counts.values()) <= 2
    installation.home.chmod(0o700)  # else the doctor complains of that
    assert "every promise holds" in installation.windlass("doctor", "--invariants")
    os.kill(installation.supervisor(), signal.SIGTERM)


def test_a_backfill_is_cancelled_and_its_running_task_goes_on(installation: Installation) -> None:
    installation.write("daily.py", DAILY.replace('note("end"', 'import time; time.sleep(2); note("end"'))
    installation.start()
    installation.wait_for_dag("daily")
    made = installation.json(*CREATE, "--max-active-runs", "1", "--task-regex", "^t1$")
    installation.wait(installation.ledger, "the first task")
    cancelled = installation.json("backfill", "cancel", str(made["id"]))
    assert (cancelled["state"], cancelled["dealt"]) == ("cancelling", 2)
    installation.wait(
        lambda: installation.json("backfill", "show", str(made["id"]))["state"] == "cancelled", "the end of the run"
    )
    shown = installation.json("backfill", "show", str(made["id"]))
    assert (shown["runs"]["success"], shown["runs"]["failed"]) == (1, 1)
    assert [line[:3] for line in installation.ledger()] == [["start", DAYS[0], "t1"], ["end", DAYS[0], "t1"]]
