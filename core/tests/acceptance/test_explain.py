"""``windlass explain`` over a running installation: real processes hold what is waited for, and really die."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from windlass_testing.live import LiveInstallation

pytestmark = pytest.mark.processes

SOURCE = """
import os, time
from datetime import datetime, timedelta
from pathlib import Path
from windlass import DAG, task

def wait_for(name):
    while not Path(os.environ["LEDGER"] + "." + name).exists():
        time.sleep(0.02)

with DAG("held", max_active_runs=1, is_paused_upon_creation=False):
    @task(pool="small")
    def hold():
        wait_for("go")

    @task(pool="small", priority_weight=0, weight_rule="absolute")
    def want():
        pass

    @task
    def after(x):
        pass

    after(hold())
    want()

with DAG("retried", is_paused_upon_creation=False):
    @task(retries=1, retry_delay=timedelta(hours=1))
    def flaky():
        raise RuntimeError("not today")

    flaky()

with DAG("daily", schedule="@daily", start_date=datetime(2026, 1, 1)):
    @task
    def step():
        pass

    step()
"""


@pytest.fixture
def running(installation: LiveInstallation) -> Iterator[LiveInstallation]:
    installation.start()
    installation.windlass("pools", "set", "small", "1")
    installation.write("dags.py", SOURCE)
    installation.wait_for_dag("held")
    yield installation
    installation.ledger_file.with_name("ledger.go").touch()


def kinds(cause: dict[str, Any]) -> list[str]:
    """Return every kind of the tree, from the top."""
    return [cause["kind"], *(kind for inner in cause["causes"] for kind in kinds(inner))]


def find(cause: dict[str, Any], kind: str) -> dict[str, Any] | None:
    if cause["kind"] == kind:
        return cause
    return next((found for inner in cause["causes"] if (found := find(inner, kind)) is not None), None)


def until(installation: LiveInstallation, kind: str, *names: str) -> dict[str, Any]:
    """Wait until the explanation has a node of that kind, and return the node."""
    found: list[dict[str, Any]] = []

    def look() -> bool:
        node = find(installation.json("explain", *names), kind)
        found.extend([] if node is None else [node])
        return node is not None

    installation.wait(look, f"{kind} in the explanation of {' '.join(names)}")
    return found[0]


def test_what_holds_a_task_and_a_run_up(running: LiveInstallation) -> None:
    first, second = running.trigger("held"), running.trigger("held")

    held = until(running, "running", "held", first, "hold")
    assert held["remedy"] == f"windlass tasks logs held hold {first}"
    assert f"process {running.json('runs', 'show', 'held', first)['tasks'][0]['pid']} on" in held["fact"]

    pool = until(running, "pool", "held", first, "want")
    assert pool["fact"] == "pool `small` has 0 of 1 slots free"
    assert pool["remedy"] == "windlass pools set small 2"
    assert pool["causes"][0]["fact"].startswith(f"`hold` of run '{first}' of DAG 'held' is ")

    rule = running.json("explain", "held", first, "after")
    assert kinds(rule) == ["task", "trigger_rule", "task", "running"]

    limit = until(running, "max_active_runs", "held", second)
    assert f"run '{first}' is running" in [inner["fact"] for inner in limit["causes"]]

    running.windlass("pools", "set", "small", "2")  # as advised
    running.wait(lambda: "want" in ended(running, first), "the task that waited for the pool")


def ended(installation: LiveInstallation, run_id: str) -> list[str]:
    tasks = installation.json("runs", "show", "held", run_id)["tasks"]
    return [task["task_id"] for task in tasks if task["state"] == "success"]


def test_a_retry_that_waits_says_when_why_and_how_not_to_wait(running: LiveInstallation) -> None:
    run_id = running.trigger("retried")
    retry = until(running, "retry_delay", "retried", run_id, "flaky")
    assert retry["remedy"] == f"windlass tasks run retried flaky {run_id}"
    assert retry["causes"][0]["fact"] == "RuntimeError: not today"


def test_a_dag_that_is_paused_not_due_or_broken(running: LiveInstallation) -> None:
    assert "paused" in kinds(running.json("explain", "daily"))
    running.windlass("dags", "unpause", "daily")
    due = until(running, "not_due", "daily")
    assert due["fact"].startswith("its next run is due at ")
    running.write("dags.py", SOURCE + "\n1 / 0\n")
    broken = until(running, "import_error", "daily")
    assert broken["fact"] == "dags.py could not be read: ZeroDivisionError: division by zero"


def test_a_lease_of_the_dead_and_nobody_who_serves(running: LiveInstallation) -> None:
    run_id = running.trigger("held")
    until(running, "running", "held", run_id, "hold")
    [server] = running.servers
    supervisor = running.supervisor()
    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    os.kill(supervisor, signal.SIGKILL)
    running.wait(lambda: supervisor not in running.processes(), "the death of the supervisor")
    cause = running.json("explain", "held", run_id, "hold")
    assert kinds(cause) == ["task", "no_scheduler", "dead_lease"]
    assert cause["cheapest"] == "windlass standalone"
    running.ledger_file.with_name("ledger.go").touch()
    running.start()  # as advised
    assert running.wait_for_run("held", run_id)["state"] == "failed"
