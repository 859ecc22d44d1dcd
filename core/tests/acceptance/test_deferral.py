"""Deferred tasks in real processes: whoever is killed, no wait is lost, and each goes on once."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from core.tests.acceptance.conftest import Installation

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]

#: Each attempt says in the ledger where it begins and where it goes on; a trigger waits for a file.
DAG = """
import asyncio, os, time
from datetime import timedelta
from pathlib import Path
from windlass import DAG, BaseOperator
from windlass.hooks import BaseHook
from windlass.triggers import BaseTrigger, TriggerEvent

LEDGER = Path(os.environ["LEDGER"])

def note(*words):
    with open(LEDGER, "a") as ledger:
        ledger.write(" ".join(words) + "\\n")

class Gate(BaseTrigger):
    def __init__(self, name, fault=""):
        self.name, self.fault = name, fault
    def serialize(self):
        return "gate.Gate", {"name": self.name, "fault": self.fault}
    async def run(self):
        print("waiting at", self.name)
        note("waits", self.name)
        while not LEDGER.with_name("go").exists():
            await asyncio.sleep(0.02)
        password = (await asyncio.to_thread(BaseHook.get_connection, "db")).password
        print("with password", password)
        if self.fault == "raises":
            raise ValueError("the gate is\\nbroken")
        if self.fault == "ends":
            return
        if self.fault == "blocks":
            time.sleep(600)
        if self.fault == "leaves":
            os._exit(9)
        yield TriggerEvent({"passed": self.name})

class Passes(BaseOperator):
    def __init__(self, fault="", timeout=None, **kwargs):
        super().__init__(**kwargs)
        self.fault, self.timeout = fault, timeout
    def execute(self, context):
        note("begins", context["ti"].task_id, str(context["ti"].map_index), str(os.getpid()))
        print("begins")
        context["ti"].xcom_push("before", "kept")
        self.defer(trigger=Gate(self.task_id, self.fault), method_name="go_on", timeout=self.timeout)
    def go_on(self, context, event):
        ti = context["ti"]
        note("goes-on", ti.task_id, str(ti.map_index), str(os.getpid()))
        print("goes on with", event, "and", list(ti.xcom_pull(task_ids=ti.task_id, key="before")))
        return event
"""


def many(count: int) -> str:
    return (
        DAG
        + f"""
with DAG("gate", schedule=None, is_paused_upon_creation=False, max_active_tasks=300):
    Passes.partial(task_id="p").expand(fault=[""] * {count})
"""
    )


def start(installation: Installation, source: str, kind: str = "standalone", **environ: str) -> str:
    """Start a server and a run, and return the run's id."""
    installation.home.chmod(0o700)
    installation.write("gate.py", source)
    installation.start(kind, WINDLASS_CONN_DB="http://u:swordfish-9@h", **environ)
    installation.wait_for_dag("gate")
    return installation.trigger("gate")


def restart(installation: Installation, kind: str = "standalone") -> None:
    installation.start(kind, WINDLASS_CONN_DB="http://u:swordfish-9@h")


def open_gate(installation: Installation) -> None:
    installation.ledger_file.with_name("go").touch()


def counts(installation: Installation) -> Counter[str]:
    return Counter(line[0] for line in installation.ledger())


def hosts(installation: Installation) -> list[int]:
    return [pid for pid, command in installation.processes().items() if "windlass.runtime triggers" in command]


def wait_for_waits(installation: Installation, count: int) -> None:
    installation.wait(lambda: counts(installation)["waits"] >= count, f"{count} waits; {counts(installation)}")


def check_each_once(installation: Installation, run_id: str, count: int) -> None:
    run = installation.wait_for_run("gate", run_id)
    assert run["state"] == "success"
    assert {task["try_number"] for task in run["tasks"]} == {1}
    resumed = Counter(line[2] for line in installation.ledger() if line[0] == "goes-on")
    assert resumed == Counter(map(str, range(count)))
    assert counts(installation)["begins"] == count
    assert "every promise holds" in installation.windlass("doctor", "--invariants")


def test_two_hundred_wait_at_once_in_one_process_and_each_goes_on_once(installation: Installation) -> None:
    run_id = start(installation, many(200))
    wait_for_waits(installation, 200)
    assert len(hosts(installation)) == 1
    installation.wait(
        lambda: {task.state for task in installation.tasks("gate", run_id)} == {"deferred"}, "200 deferred"
    )
    open_gate(installation)
    check_each_once(installation, run_id, 200)


def test_a_killed_host_is_started_again_with_every_wait(installation: Installation) -> None:
    run_id = start(installation, many(20))
    wait_for_waits(installation, 20)
    [first] = hosts(installation)
    os.kill(first, signal.SIGKILL)
    wait_for_waits(installation, 40)
    assert hosts(installation) != [first]
    open_gate(installation)
    check_each_once(installation, run_id, 20)


def test_a_killed_host_in_the_middle_of_events_delivers_each_once(installation: Installation) -> None:
    run_id = start(installation, many(60))
    wait_for_waits(installation, 60)
    [host] = hosts(installation)
    open_gate(installation)
    installation.wait(lambda: counts(installation)["goes-on"] >= 3, "the first to go on")
    os.kill(host, signal.SIGKILL)
    check_each_once(installation, run_id, 60)


def test_a_killed_supervisor_takes_its_hosts_along_and_its_successor_takes_up_the_waits(
    installation: Installation,
) -> None:
    run_id = start(installation, many(20))
    wait_for_waits(installation, 20)
    [host] = hosts(installation)
    os.kill(installation.supervisor(), signal.SIGKILL)
    wait_for_waits(installation, 40)
    assert host not in hosts(installation)
    open_gate(installation)
    check_each_once(installation, run_id, 20)


def test_a_killed_scheduler_is_told_of_what_fired_meanwhile(installation: Installation) -> None:
    run_id = start(installation, many(5), "scheduler")
    wait_for_waits(installation, 5)
    supervisor = installation.supervisor()
    installation.servers[0].kill()
    installation.servers[0].wait()
    open_gate(installation)
    installation.wait(lambda: {task.state for task in installation.tasks("gate", run_id)} == {"scheduled"}, "5 events")
    restart(installation, "scheduler")
    check_each_once(installation, run_id, 5)
    assert counts(installation)["waits"] == 5, "the host went on under the same supervisor"
    os.kill(supervisor, signal.SIGTERM)


def test_everything_killed_at_once_is_recovered_by_a_restart(installation: Installation) -> None:
    run_id = start(installation, many(20))
    wait_for_waits(installation, 20)
    for pid in (installation.servers[0].pid, installation.supervisor(), *hosts(installation)):
        os.kill(pid, signal.SIGKILL)
    installation.servers[0].wait()
    restart(installation)
    wait_for_waits(installation, 40)
    open_gate(installation)
    check_each_once(installation, run_id, 20)


FAULTS = (
    DAG
    + """
with DAG("gate", schedule=None, is_paused_upon_creation=False):
    for fault in ("raises", "ends", "blocks", "leaves"):
        Passes(task_id=fault, fault=fault)
    Passes(task_id="fine")
    Passes(task_id="patient", timeout=timedelta(seconds=1), retries=1, retry_delay=0)
"""
)
#: Task -> what is said of it.
REASONS = {
    "raises": "its trigger gate.Gate failed: ValueError: the gate is",
    "ends": "its trigger gate.Gate ended without an event",
    "blocks": "its trigger gate.Gate has blocked all others at ",
    "leaves": "its trigger gate.Gate ended the trigger host 3 times (exited with status 9)",
    "patient": "TaskDeferralTimeout: its trigger did not fire within the timeout of the deferral",
}


def test_each_faulty_trigger_fails_its_own_task_with_the_true_reason(installation: Installation) -> None:
    run_id = start(installation, FAULTS, WINDLASS__SUPERVISOR__TRIGGER_BLOCK_LIMIT="2")
    installation.wait(
        lambda: any(
            task.task_id == "patient" and task.state == "failed" for task in installation.tasks("gate", run_id)
        ),
        "the timeout",
    )
    open_gate(installation)
    run = installation.wait_for_run("gate", run_id, patience=90)
    states = {task["task_id"]: task["state"] for task in run["tasks"]}
    assert states == dict.fromkeys(REASONS, "failed") | {"fine": "success"}
    assert next(task["try_number"] for task in run["tasks"] if task["task_id"] == "patient") == 2
    for task_id, reason in REASONS.items():
        assert reason in installation.windlass("explain", "gate", run_id, task_id)
        log = installation.windlass("tasks", "logs", "gate", task_id, run_id)
        assert reason in log
        assert "swordfish-9" not in log


def test_one_log_tells_the_whole_try_and_hides_what_the_trigger_was_told(installation: Installation) -> None:
    run_id = start(installation, many(1))
    wait_for_waits(installation, 1)
    assert "for the trigger gate.Gate to fire" in installation.windlass(
        "explain", "gate", run_id, "p", "--map-index", "0"
    )
    open_gate(installation)
    check_each_once(installation, run_id, 1)
    log = installation.windlass("tasks", "logs", "gate", "p", run_id, "--map-index", "0")
    words = ["begins", "deferred to Gate", "waiting at p", "with password ***", "its trigger fired", "goes on with"]
    assert [word for word in words if word in log] == words
    assert [log.index(word) for word in words] == sorted(log.index(word) for word in words)
    assert "{'passed': 'p'} and ['kept']" in log


def test_an_edited_file_changes_nothing_for_what_waits(installation: Installation, tmp_path: Path) -> None:
    run_id = start(installation, many(2))
    wait_for_waits(installation, 2)
    version = installation.json("dags", "details", "gate")["code_version"]
    installation.write("gate.py", many(2).replace('"passed": self.name', '"passed": "edited"'))
    installation.wait(
        lambda: installation.json("dags", "details", "gate")["code_version"] != version, "the edited version"
    )
    second = installation.trigger("gate")

    def both() -> bool:
        return len(hosts(installation)) == 2

    installation.wait(both, "a host for each version")
    open_gate(installation)
    installation.wait_for_run("gate", run_id)
    installation.wait_for_run("gate", second)
    first_log, second_log = (
        installation.windlass("tasks", "logs", "gate", "p", run, "--map-index", "0") for run in (run_id, second)
    )
    assert "'passed': 'p'" in first_log
    assert "'passed': 'edited'" in second_log


def test_a_clear_and_a_mark_end_the_waits(installation: Installation) -> None:
    run_id = start(installation, many(3))
    wait_for_waits(installation, 3)
    installation.windlass("tasks", "clear", "gate", "--run-id", run_id, "-y")
    installation.wait(lambda: counts(installation)["begins"] == 6, "the attempts after the clear")
    open_gate(installation)
    run = installation.wait_for_run("gate", run_id)
    assert run["state"] == "success"
    assert Counter(line[2] for line in installation.ledger() if line[0] == "goes-on") == Counter("012")


def test_an_idle_installation_has_no_host_and_a_stopped_one_leaves_none(installation: Installation) -> None:
    start(installation, many(1))
    wait_for_waits(installation, 1)
    assert len(hosts(installation)) == 1
    assert installation.stop(installation.servers[0]) == 0
    assert installation.processes() == {}
