"""What only a database that several hosts reach can show: whose scheduler works on it, and what becomes of its restart.

A ledger outside the database tells what really ran.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from windlass_testing.databases import emptied
from windlass_testing.live import LiveInstallation
from windlass_testing.stores import URL_FIXTURES, emptied_url

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


@pytest.fixture
def homes(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> Iterator[tuple[LiveInstallation, LiveInstallation]]:
    """Two homes, as on two hosts that have the same DAG folder, over one database."""
    url = emptied_url(kind, request)
    first, second = (LiveInstallation(tmp_path, database=url, home=name) for name in ("one", "two"))
    second.environ["WINDLASS__CORE__DAGS_FOLDER"] = str(first.dags)
    yield first, second
    for home in (first, second):
        home.close()


def test_a_second_scheduler_of_a_database_refuses_and_names_the_first(
    homes: tuple[LiveInstallation, LiveInstallation],
) -> None:
    first, second = homes
    server = first.start("scheduler")
    message = second.windlass("scheduler", code=1)
    assert f"(pid {server.pid}) already works on this database" in message
    assert second.processes() == {}, "the refused one leaves no supervisor behind"


def test_the_seat_of_a_killed_scheduler_is_free_at_once(homes: tuple[LiveInstallation, LiveInstallation]) -> None:
    first, second = homes
    first.write("slow.py", SLOW)
    server = first.start("scheduler")
    first.wait_for_dag("slow")
    os.kill(server.pid, signal.SIGKILL)
    os.kill(first.supervisor(), signal.SIGKILL)
    server.wait()
    second.start("scheduler")
    run_id = second.trigger("slow")
    assert second.wait_for_run("slow", run_id)["state"] == "success"
    assert second.ledger() == EVERYTHING_ONCE


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
