"""``windlass tasks`` and ``windlass explain`` over a real store and a real scheduler."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from windlass.ports import Workload
from windlass.protocol import Outcome
from windlass.spec import DagSpec, LiteralLength, MapSpec, MarkSpec, TaskSpec
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


def fails(*task_ids: str) -> Callable[[Workload, int], Result]:
    return lambda work, _try: Result(Outcome.FAIL if work.task_id in task_ids else Outcome.SUCCESS)


@pytest.fixture
def failed(here: Installation, windlass: Windlass) -> str:
    """A run whose task b has failed."""
    here.add(CHAIN)
    windlass("dags", "trigger", "chain", "-r", "r")
    here.executor.script = fails("b")
    here.settle()
    return "r"


def states(windlass: Windlass, run_id: str) -> dict[str, str]:
    tasks = windlass("runs", "show", "chain", run_id, "--json").data["tasks"]
    return {task["task_id"]: task["state"] for task in tasks}


def test_list_prints_the_ids_in_topological_order(here: Installation, windlass: Windlass) -> None:
    here.add(CHAIN)
    assert windlass("tasks", "list", "chain").out == "a\nb\nc\n"
    assert windlass("tasks", "list", "chain", "--json").data[1]["upstream"] == ["a"]


def test_state_is_one_word(windlass: Windlass, failed: str) -> None:
    assert windlass("tasks", "state", "chain", "b", failed).out == "failed\n"
    assert windlass("tasks", "state", "chain", "c", failed, "--json").data["state"] == "upstream_failed"


def test_an_unknown_task_exits_4_with_a_hint(here: Installation, windlass: Windlass) -> None:
    here.add(DagSpec(dag_id="d", tasks=(TaskSpec(task_id="extract"),)))
    windlass("dags", "trigger", "d", "-r", "r")
    unknown = windlass("tasks", "state", "d", "extarct", "r")
    assert unknown.code == 4
    assert "run 'r' has no task 'extarct'. Did you mean 'extract'?" in unknown.err
    index = windlass("tasks", "state", "d", "extract", "r", "--map-index", "3")
    assert index.code == 4
    assert "has no instance with map index 3" in index.err


# -- clear ------------------------------------------------------------------------------------------------------------


def test_a_cleared_task_runs_again_and_its_run_goes_on(here: Installation, windlass: Windlass, failed: str) -> None:
    here.executor.script = fails()
    result = windlass("tasks", "clear", "chain", "-r", failed, "--only-failed", "-y", "--json")
    assert result.code == 0
    assert [task["task_id"] for task in result.data] == ["b", "c"]
    assert "cleared 2 task instance(s) of 1 run(s)" in result.err
    here.settle()
    assert states(windlass, failed) == {"a": "success", "b": "success", "c": "success"}
    assert windlass("dags", "state", "chain", failed).out == "success\n"
    assert windlass("runs", "show", "chain", failed, "--json").data["tasks"][1]["try_number"] == 2


def test_a_regex_chooses_tasks_and_their_downstreams_come_when_asked(windlass: Windlass, failed: str) -> None:
    one = windlass("tasks", "clear", "chain", "-t", "^b$", "--dry-run", "--json")
    assert [task["task_id"] for task in one.data] == ["b"]
    down = windlass("tasks", "clear", "chain", "-t", "^b$", "-d", "--dry-run", "--json")
    assert [task["task_id"] for task in down.data] == ["b", "c"]
    up = windlass("tasks", "clear", "chain", "-t", "^b$", "-u", "--dry-run", "--json")
    assert [task["task_id"] for task in up.data] == ["a", "b"]
    assert states(windlass, failed)["b"] == "failed"


def test_what_matches_nothing_exits_5(windlass: Windlass, failed: str) -> None:
    assert windlass("tasks", "clear", "chain", "-t", "zzz", "-y").code == 5
    assert windlass("tasks", "clear", "chain", "-s", "2027-01-01", "-y").code == 5
    assert failed


def test_a_wrong_regex_is_a_usage_error(here: Installation, windlass: Windlass) -> None:
    here.add(CHAIN)
    result = windlass("tasks", "clear", "chain", "-t", "(", "-y")
    assert result.code == 2
    assert "'(' is not a regular expression" in result.err


def test_clearing_asks_first(windlass: Windlass, failed: str) -> None:
    refused = windlass("tasks", "clear", "chain", "-r", failed)
    assert refused.code == 2
    assert "Clear 3 task instance(s)? There is no terminal to answer on; pass -y to confirm" in refused.err


def test_clearing_a_task_clears_its_setups_and_their_teardowns(here: Installation, windlass: Windlass) -> None:
    here.add(
        DagSpec(
            dag_id="s",
            tasks=(
                TaskSpec(task_id="up", is_setup=True),
                TaskSpec(task_id="work", upstream=("up",)),
                TaskSpec(task_id="down", upstream=("up", "work"), is_teardown=True, setups=("up",)),
                TaskSpec(task_id="after", upstream=("work",)),
            ),
        )
    )
    windlass("dags", "trigger", "s", "-r", "r")
    here.settle()
    cleared = windlass("tasks", "clear", "s", "-t", "^work$", "--dry-run", "--json").data
    assert {task["task_id"] for task in cleared} == {"up", "work", "down"}
    assert {task["task_id"] for task in windlass("tasks", "clear", "s", "-t", "after", "--dry-run", "--json").data} == {
        "after"
    }


def test_run_ends_also_when_the_task_may_not_run(here: Installation, windlass: Windlass, failed: str) -> None:
    with here.serving():
        result = windlass("tasks", "run", "chain", "c", failed)
    assert (result.code, result.out) == (1, "upstream_failed\n")


def test_run_runs_one_task_again_through_the_scheduler_and_waits(
    here: Installation, windlass: Windlass, failed: str
) -> None:
    here.executor.script = fails()
    with here.serving():
        result = windlass("tasks", "run", "chain", "b", failed)
    assert (result.code, result.out) == (0, "success\n")


# -- logs -------------------------------------------------------------------------------------------------------------

LINE = {"ts": "2026-03-01T12:00:00.123456+00:00", "level": "INFO", "logger": "x", "msg": "hello", "stream": "log"}
PRINT = {"ts": "2026-03-01T12:00:01.000000+00:00", "level": "INFO", "logger": "task", "msg": "hi", "stream": "stdout"}


def write_log(here: Installation, path: str, *lines: dict[str, str]) -> Path:
    file = here.home / "logs" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return file


def test_logs_are_text_for_people_and_json_lines_for_programs(
    here: Installation, windlass: Windlass, failed: str
) -> None:
    write_log(here, "dag_id=chain/run_id=r/task_id=b/attempt=1.log", LINE, PRINT)
    assert windlass("tasks", "logs", "chain", "b", failed).out == (
        "2026-03-01 12:00:00.123 INFO     hello\n2026-03-01 12:00:01.000 stdout   hi\n"
    )
    out = windlass("tasks", "logs", "chain", "b", failed, "--try", "1", "-o", "json").out
    assert [json.loads(line) for line in out.splitlines()] == [LINE, PRINT]


def test_a_try_that_was_not_is_not_found(windlass: Windlass, failed: str) -> None:
    result = windlass("tasks", "logs", "chain", "b", failed, "--try", "2")
    assert result.code == 4
    assert "has had 1 tries; there is no try 2" in result.err


def test_an_empty_log_says_so(windlass: Windlass, failed: str) -> None:
    result = windlass("tasks", "logs", "chain", "b", failed)
    assert (result.code, result.out) == (0, "")
    assert "try 1 of task 'b' has written nothing yet" in result.err


def test_following_ends_with_the_task(here: Installation, windlass: Windlass, failed: str) -> None:
    write_log(here, "dag_id=chain/run_id=r/task_id=b/attempt=1.log", LINE)
    assert "hello" in windlass("tasks", "logs", "chain", "b", failed, "-f").out


def test_following_goes_on_through_the_retries(here: Installation, windlass: Windlass) -> None:
    here.add(DagSpec(dag_id="f", tasks=(TaskSpec(task_id="a", retries=1, retry_delay=1.0),)))
    windlass("dags", "trigger", "f", "-r", "r")
    here.executor.script = fails("a")
    here.settle()
    for number, message in ((1, "first"), (2, "second")):
        write_log(here, f"dag_id=f/run_id=r/task_id=a/attempt={number}.log", {**LINE, "msg": message})

    def pass_the_delay() -> None:
        here.pass_time(timedelta(seconds=5))
        here.settle()

    retry = threading.Timer(0.05, pass_the_delay)
    retry.start()
    result = windlass("tasks", "logs", "f", "a", "r", "-f")
    retry.join()
    assert [line.split()[-1] for line in result.out.splitlines()] == ["first", "second"]
    assert windlass("tasks", "logs", "f", "a", "r", "--try", "1", "-f").out.split()[-1] == "first"


def test_hostile_ids_stay_below_the_log_folder(here: Installation, windlass: Windlass) -> None:
    here.add(DagSpec(dag_id="d", tasks=(TaskSpec(task_id="t"),)))
    windlass("dags", "trigger", "d", "-r", "../../etc")
    here.settle()
    write_log(here, "dag_id=d/run_id=..%2F..%2Fetc/task_id=t/attempt=1.log", LINE)
    assert "hello" in windlass("tasks", "logs", "d", "t", "../../etc").out


# -- explain ----------------------------------------------------------------------------------------------------------


def test_explain_draws_a_tree_with_the_way_out_of_each_cause(here: Installation, windlass: Windlass) -> None:
    here.add(CHAIN, paused=True)
    assert windlass("explain", "chain").out == (
        "DAG 'chain'\n"
        "├─ no scheduler is running\n"
        "│  → windlass standalone\n"
        "├─ the DAG is paused\n"
        "│  → windlass dags unpause chain\n"
        "└─ the schedule (None) wants no run\n"
        "   → windlass dags trigger chain\n"
        "begin with: windlass standalone\n"
    )
    plain = windlass("explain", "chain", "-o", "plain").out.splitlines()
    assert plain[:2] == ["depth\tkind\tfact\tremedy", "0\tdag\tDAG 'chain'\t"]
    assert [line.split("\t")[1] for line in plain[2:]] == ["no_scheduler", "paused", "no_schedule"]


def test_failed_deps_are_the_causes_without_the_tree(here: Installation, windlass: Windlass) -> None:
    here.add(CHAIN)
    windlass("dags", "trigger", "chain", "-r", "r")
    result = windlass("tasks", "failed-deps", "chain", "b", "r", "-o", "plain")
    assert result.code == 1
    assert result.out.splitlines()[1] == "no scheduler is running\twindlass standalone"


def test_explain_a_deferral(here: Installation, windlass: Windlass) -> None:
    here.add(DagSpec(dag_id="w", tasks=(TaskSpec(task_id="a", pool="small", pool_slots=2),)))
    windlass("pools", "set", "small", "2")
    windlass("dags", "trigger", "w", "-r", "r")
    here.executor.script = lambda work, try_number: Result(defers=True, timeout=60.0)
    here.settle()
    _, waits = windlass("explain", "w", "r", "a", "--json").data["causes"]
    [nobody] = waits["causes"]
    assert waits["fact"] == (
        "it waits since 2026-03-01T12:00:00.000000+00:00 for the trigger t.T to fire, "
        "at the latest until 2026-03-01T12:01:00.000000+00:00"
    )
    assert (nobody["fact"], nobody["remedy"]) == ("no supervisor is running", "windlass standalone")
    pool = windlass("pools", "get", "small", "--json").data
    assert (pool["deferred"], pool["running"], pool["include_deferred"]) == (2, 0, False)


def test_what_is_deferred_holds_its_pool_and_no_other_limit(here: Installation, windlass: Windlass) -> None:
    here.add(DagSpec(dag_id="w", max_active_tasks=1, tasks=tuple(TaskSpec(task_id=t, pool="small") for t in "ab")))
    windlass("pools", "set", "small", "1", "--include-deferred")
    windlass("dags", "trigger", "w", "-r", "r")
    here.executor.script = lambda work, try_number: Result(defers=True)
    here.settle()
    _, cause, *_ = windlass("tasks", "failed-deps", "w", "b", "r", "--json").data
    assert cause["fact"] == "pool `small` has 0 of 1 slots free"


def test_a_mapped_instance_is_named_by_its_index(here: Installation, windlass: Windlass) -> None:
    mapped = TaskSpec(task_id="m", map=MapSpec(factors=(("x", LiteralLength(3)),)))
    here.add(DagSpec(dag_id="m", tasks=(mapped,)))
    windlass("dags", "trigger", "m", "-r", "r")
    here.settle()
    assert windlass("tasks", "state", "m", "m", "r", "--map-index", "2").out == "success\n"
    tasks = windlass("runs", "show", "m", "r", "--json").data["tasks"]
    assert [task["map_index"] for task in tasks] == [0, 1, 2]


def test_a_dry_run_shows_what_a_marker_takes_along_from_another_dag_and_says_which_lead_nowhere(
    here: Installation, windlass: Windlass
) -> None:
    mark = MarkSpec(external_dag_id="chain", external_task_id="b", same_date=True)
    astray = MarkSpec(external_dag_id="chian", external_task_id="b", same_date=True)
    tasks = (TaskSpec(task_id="marker", marks=mark), TaskSpec(task_id="astray", marks=astray))
    here.add(CHAIN, DagSpec(dag_id="marking", tasks=tasks))
    for dag_id in ("chain", "marking"):
        windlass("dags", "trigger", dag_id, "-e", "2026-02-01")
    here.settle()
    result = windlass("tasks", "clear", "marking", "--dry-run", "--json")
    assert sorted(f"{one['dag_id']}.{one['task_id']}" for one in result.data) == [
        "chain.b", "chain.c", "marking.astray", "marking.marker",
    ]  # fmt: skip
    assert "what marking.astray marks is not cleared: DAG 'chian' is not known" in result.err
    assert "would clear 4 task instance(s)" in result.err
