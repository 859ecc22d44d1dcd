"""Callbacks are called at least once, in the run's own code, also for what could not call them itself."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from core.tests.acceptance.conftest import Installation

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]

HEAD = """
import json, os, signal, sys, time
from datetime import timedelta
from pathlib import Path
from windlass import DAG, Variable, task
from windlass.errors import TaskSkipped

def tell(word):
    def callback(context):
        fact = {
            "word": word, "run": context["run_id"], "state": context["dag_run"].state, "ds": context["ds"],
            "reason": context["reason"], "exception": str(context["exception"]),
            "task": context["ti"].task_id if "ti" in context else None,
            "try": context["ti"].try_number if "ti" in context else None,
            "ti_state": context["ti"].state if "ti" in context else None,
            "song": Variable.get("song"), "pid": os.getpid(),
        }
        print("called back:", word)
        with open(os.environ["LEDGER"], "a") as ledger:
            ledger.write(json.dumps(fact) + "\\n")
    return callback
"""
DAG = (
    HEAD
    + """
with DAG("calls", schedule=None, is_paused_upon_creation=False,
         on_failure_callback=tell("run failed"), on_success_callback=tell("run well")):
    @task(on_success_callback=[tell("well"), tell("very well")], on_failure_callback=tell("never"))
    def good():
        return 1

    @task(retries=1, retry_delay=0, on_retry_callback=tell("again"), on_failure_callback=tell("failed"))
    def bad():
        raise ValueError("no rain")

    @task(on_failure_callback=tell("killed"))
    def killed():
        os.kill(os.getpid(), signal.SIGKILL)

    @task(on_skipped_callback=tell("skipped"))
    def skip():
        raise TaskSkipped("nothing to do")

    good(), bad(), killed(), skip()
"""
)
#: Its first callback dies with its process, the second is refused what it asks for, the third goes well.
STUBBORN = (
    HEAD
    + """
def stubborn(context):
    with open(os.environ["LEDGER"], "a") as ledger:
        ledger.write(json.dumps({"word": "tried"}) + "\\n")
    if Path(os.environ["LEDGER"]).read_text().count("tried") == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    tell("at last")(context)

with DAG("stubborn", schedule=None, is_paused_upon_creation=False, on_success_callback=stubborn):
    @task
    def a():
        pass
    a()
"""
)


def told(installation: Installation) -> list[dict[str, Any]]:
    return [json.loads(line) for line in installation.ledger_file.read_text().splitlines()]


def words(installation: Installation) -> list[str]:
    return sorted(fact["word"] for fact in told(installation))


@pytest.fixture
def singing(installation: Installation) -> Installation:
    """Return an installation with a variable that callbacks ask for."""
    installation.windlass("db", "migrate")
    installation.windlass("variables", "set", "song", "tirili")
    return installation


def test_each_way_of_ending_calls_its_callbacks_once_with_what_happened(singing: Installation) -> None:
    singing.write("calls.py", DAG)
    singing.start()
    singing.wait_for_dag("calls")
    run_id = singing.trigger("calls")
    assert singing.wait_for_run("calls", run_id)["state"] == "failed"
    expected = sorted(["well", "very well", "again", "failed", "killed", "skipped", "run failed"])
    singing.wait(lambda: len(words(singing)) >= len(expected), "all callbacks")
    assert words(singing) == expected
    facts = {fact["word"]: fact for fact in told(singing)}
    assert {fact["run"] for fact in facts.values()} == {run_id}
    assert {fact["song"] for fact in facts.values()} == {"tirili"}
    assert (facts["well"]["task"], facts["well"]["ti_state"], facts["well"]["try"]) == ("good", "success", 1)
    assert (facts["again"]["try"], facts["again"]["ti_state"]) == (1, "up_for_retry")
    assert (facts["failed"]["try"], facts["failed"]["ti_state"]) == (2, "failed")
    assert "no rain" in facts["failed"]["reason"]
    assert "no rain" in facts["failed"]["exception"]
    assert "SIGKILL" in facts["killed"]["reason"]
    assert (facts["run failed"]["task"], facts["run failed"]["state"]) == (None, "failed")
    assert "called back: failed" in singing.windlass("tasks", "logs", "calls", "bad", run_id)
    assert list(singing.home.glob("logs/dag_id=calls/*/callbacks.log"))


def test_a_callback_whose_process_dies_is_called_again(singing: Installation) -> None:
    singing.write("stubborn.py", STUBBORN)
    singing.start()
    singing.wait_for_dag("stubborn")
    assert singing.wait_for_run("stubborn", singing.trigger("stubborn"))["state"] == "success"
    singing.wait(lambda: "at last" in words(singing), "the second call")
    assert words(singing) == ["at last", "tried", "tried"]


def test_what_ends_while_no_server_lives_is_called_back_by_the_next_one(singing: Installation) -> None:
    slow = HEAD + (
        "with DAG('slow', schedule=None, is_paused_upon_creation=False, on_success_callback=tell('run well')):\n"
        "    @task(on_success_callback=tell('well'))\n"
        "    def slow():\n"
        "        while not Path(os.environ['LEDGER'] + '.go').exists():\n"
        "            time.sleep(0.02)\n"
        "    slow()\n"
    )
    singing.write("slow.py", slow)
    server = singing.start("scheduler")
    singing.wait_for_dag("slow")
    run_id = singing.trigger("slow")
    singing.wait(lambda: [task.state for task in singing.tasks("slow", run_id)] == ["running"], "running")
    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    Path(f"{singing.ledger_file}.go").touch()
    singing.wait(lambda: [task.state for task in singing.tasks("slow", run_id)] == ["success"], "the end")
    assert words(singing) == []
    singing.start("scheduler")
    assert singing.wait_for_run("slow", run_id)["state"] == "success"
    singing.wait(lambda: len(words(singing)) == 2, "both callbacks")
    assert words(singing) == ["run well", "well"]
