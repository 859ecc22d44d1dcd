"""``windlass tasks mark-success | mark-failed`` and the same of ``runs``; what ``tasks clear`` chooses around a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from windlass.protocol import Outcome
from windlass.spec import DagSpec, LiteralLength, MapSpec, TaskSpec, TriggerRule
from windlass_testing.installation import Installation
from windlass_testing.scripted import Result

Windlass = Callable[..., Any]

CHAIN = DagSpec(
    dag_id="chain",
    tasks=(
        TaskSpec(task_id="a"),
        TaskSpec(task_id="b", upstream=("a",)),
        TaskSpec(task_id="c", upstream=("b",)),
    ),
)
DAYS = ("2026-02-01", "2026-02-02", "2026-02-03")


def fails(here: Installation, *task_ids: str) -> None:
    here.executor.script = lambda work, _: Result(Outcome.FAIL if work.task_id in task_ids else Outcome.SUCCESS)


@pytest.fixture
def three(here: Installation, windlass: Windlass) -> Installation:
    """Three runs, r1 to r3, whose task b has failed."""
    here.add(CHAIN)
    fails(here, "b")
    for number, day in enumerate(DAYS, start=1):
        windlass("dags", "trigger", "chain", "-r", f"r{number}", "-e", day)
    here.settle()
    return here


def states(windlass: Windlass, run_id: str, dag_id: str = "chain") -> dict[str, str]:
    tasks = windlass("runs", "show", dag_id, run_id, "--json").data["tasks"]
    return {
        task["task_id"] if task["map_index"] < 0 else f"{task['task_id']}[{task['map_index']}]": task["state"]
        for task in tasks
    }


def run_state(windlass: Windlass, run_id: str, dag_id: str = "chain") -> str:
    state: str = windlass("dags", "state", dag_id, run_id).out.strip()
    return state


# -- tasks ------------------------------------------------------------------------------------------------------------


def test_a_task_marked_success_lets_what_failed_for_want_of_it_run(three: Installation, windlass: Windlass) -> None:
    result = windlass("tasks", "mark-success", "chain", "b", "r2", "-y", "--json")
    assert result.code == 0
    assert result.data == [{"dag_id": "chain", "run_id": "r2", "task_id": "b", "map_index": -1, "state": "failed"}]
    assert "marked 1 task instance(s) of 1 run(s) success" in result.err
    three.settle()
    assert states(windlass, "r2") == {"a": "success", "b": "success", "c": "success"}
    assert [run_state(windlass, run) for run in ("r1", "r2", "r3")] == ["failed", "success", "failed"]


def test_past_and_future_take_the_task_in_earlier_and_later_runs(three: Installation, windlass: Windlass) -> None:
    for flags, runs in (
        ((), ["r2"]),
        (("--past",), ["r1", "r2"]),
        (("--future",), ["r2", "r3"]),
        (("--past", "--future"), ["r1", "r2", "r3"]),
    ):
        shown = windlass("tasks", "mark-success", "chain", "b", "r2", *flags, "--dry-run", "--json")
        assert [task["run_id"] for task in shown.data] == runs
        assert f"would mark {len(runs)} task instance(s) success" in shown.err
    windlass("tasks", "mark-success", "chain", "b", "r2", "--future", "-y")
    three.settle()
    assert [run_state(windlass, run) for run in ("r1", "r2", "r3")] == ["failed", "success", "success"]


def test_upstream_and_downstream_take_the_tasks_around_it(three: Installation, windlass: Windlass) -> None:
    for flags, tasks in (
        (("-u",), ["a", "b"]),
        (("-d",), ["b", "c"]),
        (("--upstream", "--downstream"), ["a", "b", "c"]),
    ):
        shown = windlass("tasks", "mark-failed", "chain", "b", "r1", *flags, "--dry-run", "--json").data
        assert [task["task_id"] for task in shown] == [task for task in tasks if task != "b"]  # b has failed already
    windlass("tasks", "mark-success", "chain", "b", "r1", "-d", "-y")
    assert states(windlass, "r1") == {"a": "success", "b": "success", "c": "success"}


def test_a_task_marked_failed_fails_its_run(here: Installation, windlass: Windlass) -> None:
    here.add(CHAIN)
    windlass("dags", "trigger", "chain", "-r", "r")
    here.settle()
    assert run_state(windlass, "r") == "success"
    assert windlass("tasks", "mark-failed", "chain", "c", "r", "-y").code == 0
    here.settle()
    assert (states(windlass, "r")["c"], run_state(windlass, "r")) == ("failed", "failed")


def test_a_running_task_is_stopped_first(here: Installation, windlass: Windlass) -> None:
    here.add(CHAIN)
    windlass("dags", "trigger", "chain", "-r", "r")
    here.scheduler.step()
    here.scheduler.step()
    assert here.executor.claim() is not None
    result = windlass("tasks", "mark-success", "chain", "a", "r", "-y")
    assert "1 of them once their processes have stopped" in result.err
    assert states(windlass, "r")["a"] == "running"


def test_one_instance_of_a_mapped_task_or_all_of_them(here: Installation, windlass: Windlass) -> None:
    mapped = TaskSpec(task_id="m", map=MapSpec(factors=(("x", LiteralLength(3)),)))
    here.add(DagSpec(dag_id="m", tasks=(mapped,)))
    windlass("dags", "trigger", "m", "-r", "r")
    here.settle()
    one = windlass("tasks", "mark-failed", "m", "m", "r", "--map-index", "1", "--dry-run", "--json").data
    assert [task["map_index"] for task in one] == [1]
    every = windlass("tasks", "mark-failed", "m", "m", "r", "--dry-run", "--json").data
    assert [task["map_index"] for task in every] == [0, 1, 2]
    assert windlass("tasks", "mark-failed", "m", "m", "r", "--map-index", "7", "-y").code == 4


def test_marking_asks_first_and_says_when_there_is_nothing_to_do(three: Installation, windlass: Windlass) -> None:
    refused = windlass("tasks", "mark-success", "chain", "b", "r1")
    assert refused.code == 2
    assert "Mark 1 task instance(s) success? There is no terminal to answer on; pass -y to confirm" in refused.err
    idle = windlass("tasks", "mark-success", "chain", "a", "r1", "-y")
    assert idle.code == 5
    assert "nothing to mark: 1 task instance(s) are success already" in idle.err
    assert windlass("tasks", "mark-success", "chain", "bb", "r1", "-y").code == 4
    assert windlass("tasks", "mark-success", "chain", "b", "r9", "-y").code == 4


# -- runs -------------------------------------------------------------------------------------------------------------


def test_a_run_marked_success_takes_what_failed_along(three: Installation, windlass: Windlass) -> None:
    dry = windlass("runs", "mark-success", "chain", "r1", "--dry-run", "--json")
    assert [(task["task_id"], task["state"]) for task in dry.data] == [("b", "failed"), ("c", "upstream_failed")]
    assert run_state(windlass, "r1") == "failed"
    assert windlass("runs", "mark-success", "chain", "r1").code == 2  # it asks
    result = windlass("runs", "mark-success", "chain", "r1", "-y")
    assert "marked run 'r1', which is failed, success, with 2 task instance(s)" in result.err
    assert run_state(windlass, "r1") == "success"
    assert set(states(windlass, "r1").values()) == {"success"}
    again = windlass("runs", "mark-success", "chain", "r1", "-y")
    assert (again.code, "run 'r1' is success already" in again.err) == (5, True)


def test_a_run_marked_failed_skips_what_has_not_ended(here: Installation, windlass: Windlass) -> None:
    here.add(CHAIN)
    windlass("dags", "trigger", "chain", "-r", "r")
    assert windlass("runs", "mark-failed", "chain", "r", "-y").code == 0
    assert run_state(windlass, "r") == "failed"
    assert set(states(windlass, "r").values()) == {"skipped"}
    assert windlass("runs", "mark-failed", "chain", "nope", "-y").code == 4


# -- clear ------------------------------------------------------------------------------------------------------------


def test_clear_takes_earlier_and_later_runs_along(three: Installation, windlass: Windlass) -> None:
    for flags, runs in ((("--past",), {"r1", "r2"}), (("--future",), {"r2", "r3"})):
        cleared = windlass("tasks", "clear", "chain", "-r", "r2", "-t", "^b$", *flags, "--dry-run", "--json").data
        assert {task["run_id"] for task in cleared} == runs
    both = windlass(
        "tasks", "clear", "chain", "-r", "r2", "-f", "-d", "--past", "--future", "-s", DAYS[1], "--dry-run", "--json"
    )
    assert [(task["run_id"], task["task_id"]) for task in both.data] == [
        ("r2", "b"),
        ("r2", "c"),
        ("r3", "b"),
        ("r3", "c"),
    ]
    refused = windlass("tasks", "clear", "chain", "--future", "-y")
    assert (refused.code, "past and future are those of a run; name it" in refused.err) == (2, True)
    fails(three)
    assert windlass("tasks", "clear", "chain", "-r", "r2", "--future", "-f", "-y").code == 0
    three.settle()
    assert [run_state(windlass, run) for run in ("r1", "r2", "r3")] == ["failed", "success", "success"]


def test_a_regex_that_would_take_years_is_matched_at_once(three: Installation, windlass: Windlass) -> None:
    assert windlass("tasks", "clear", "chain", "-t", "^(([a-z])+)+!$", "-y").code == 5


def test_clearing_a_child_of_a_branch_skips_it_again(here: Installation, windlass: Windlass) -> None:
    join = TaskSpec(task_id="join", upstream=("left", "right"), trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
    pick = TaskSpec(task_id="pick", is_brancher=True)
    here.add(
        DagSpec(
            dag_id="branch",
            tasks=(
                pick,
                TaskSpec(task_id="left", upstream=("pick",)),
                TaskSpec(task_id="right", upstream=("pick",)),
                join,
            ),
        )
    )
    here.executor.script = lambda work, _: Result(skips=("right",) if work.task_id == "pick" else ())
    windlass("dags", "trigger", "branch", "-r", "r")
    here.settle()
    before = states(windlass, "r", "branch")
    assert before == {"pick": "success", "left": "success", "right": "skipped", "join": "success"}
    here.executor.started.clear()
    assert windlass("tasks", "clear", "branch", "-r", "r", "-t", "^right$", "-d", "-y").code == 0
    here.settle()
    assert states(windlass, "r", "branch") == before
    assert here.executor.started == ["join"]


def test_clearing_a_task_runs_its_setups_again(here: Installation, windlass: Windlass) -> None:
    here.add(
        DagSpec(
            dag_id="s",
            tasks=(
                TaskSpec(task_id="up", is_setup=True),
                TaskSpec(task_id="work", upstream=("up",)),
                TaskSpec(
                    task_id="down",
                    upstream=("up", "work"),
                    is_teardown=True,
                    setups=("up",),
                    trigger_rule=TriggerRule.ALL_DONE_SETUP_SUCCESS,
                ),
                TaskSpec(task_id="after", upstream=("work",)),
            ),
        )
    )
    windlass("dags", "trigger", "s", "-r", "r")
    here.settle()
    here.executor.started.clear()
    assert windlass("tasks", "clear", "s", "-r", "r", "-t", "^work$", "-y").code == 0
    here.settle()
    assert here.executor.started == ["up", "work", "down"]
    assert set(states(windlass, "r", "s").values()) == {"success"}
