"""What only a database that is a server can show: what becomes of its restart.

A ledger outside the database tells what really ran.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from windlass_testing.databases import emptied
from windlass_testing.live import LiveInstallation
from windlass_testing.stores import URL_FIXTURES

pytestmark = [pytest.mark.processes, pytest.mark.services, pytest.mark.timeout(180)]

SLOW = """
import os, time
from windlass import DAG, task

def note(word, task_id):
    with open(os.environ["LEDGER"], "a") as ledger:
        ledger.write(f"{word} {task_id}\\n")

with DAG("slow", schedule=None, is_paused_upon_creation=False):
    previous = None
    for number in range(4):
        @task(task_id=f"t{number}")
        def step(number=number):
            note("start", f"t{number}")
            time.sleep(1)
            note("end", f"t{number}")
        this = step()
        previous and previous >> this
        previous = this
"""
EVERYTHING_ONCE = [[word, f"t{number}"] for number in range(4) for word in ("start", "end")]


@pytest.fixture(params=URL_FIXTURES)
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of database."""
    return str(request.param)


def test_a_database_that_crashes_and_comes_back_costs_no_task_and_runs_none_twice(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    server = request.getfixturevalue({"postgresql": "postgres_server", "mariadb": "mysql_server"}[kind])
    installation = LiveInstallation(tmp_path, database=emptied(server.new_database()))
    try:
        installation.write("slow.py", SLOW)
        installation.start()
        installation.wait_for_dag("slow")
        run_id = installation.trigger("slow")
        installation.wait(lambda: ["start", "t1"] in installation.ledger(), "the start of t1")
        server.stop()
        installation.wait(lambda: ["end", "t1"] in installation.ledger(), "the end of t1 without a database")
        time.sleep(1.5)  # long enough for everybody to notice
        server.start()
        run = installation.wait_for_run("slow", run_id)
        assert run["state"] == "success"
        assert {task["try_number"] for task in run["tasks"]} == {1}
        assert installation.ledger() == EVERYTHING_ONCE
        assert "every promise holds" in installation.windlass("doctor", "--invariants")
    finally:
        installation.close()
