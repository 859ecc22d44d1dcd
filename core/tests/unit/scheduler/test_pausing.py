"""Too many failed runs in a row pause their DAG."""

from __future__ import annotations

from datetime import timedelta

from windlass.ports import NewRun
from windlass.protocol import Outcome
from windlass.spec import DagSpec, TaskSpec
from windlass.states import RunState, RunType
from windlass_testing.scripted import Result, ScriptedEngine
from windlass_testing.scripted_sql import SqlScriptedEngine


def add(world: ScriptedEngine, limit: int) -> None:
    world.add(DagSpec(dag_id="d", tasks=(TaskSpec(task_id="a"),), max_consecutive_failed_dag_runs=limit))


def run(world: ScriptedEngine, outcome: Outcome) -> None:
    world.clock.advance(60)
    world.executor.script = lambda _work, _try: Result(outcome)
    world.trigger("d")
    world.settle()


def is_paused(world: ScriptedEngine) -> bool:
    dag = world.store.dag("d")
    assert dag is not None
    return dag.paused


def test_the_last_of_so_many_failures_in_a_row_pauses_the_dag(world: ScriptedEngine) -> None:
    add(world, 2)
    run(world, Outcome.FAIL)
    run(world, Outcome.SUCCESS)
    run(world, Outcome.FAIL)
    assert not is_paused(world)
    run(world, Outcome.FAIL)
    assert is_paused(world)
    waiting = world.trigger("d")
    world.settle()
    assert world.state(waiting) == "queued", "the scheduler knows at once"


def test_the_failures_of_a_backfill_do_not_count(world: ScriptedEngine) -> None:
    add(world, 2)
    run(world, Outcome.FAIL)
    past = world.clock.now() + timedelta(days=1)  # the newest by its logical date
    world.store.create_run(
        NewRun(
            dag_id="d",
            run_type=RunType.BACKFILL,
            logical_date=past,
            data_interval_start=past,
            data_interval_end=past,
            run_after=past,
        )
    )
    [backfill] = [found for found in world.store.runs() if found.run_type is RunType.BACKFILL]
    world.settle()
    assert world.state(backfill) == "failed"
    assert not is_paused(world)
    run(world, Outcome.FAIL)
    assert is_paused(world)


def test_without_a_limit_nothing_is_paused(world: ScriptedEngine) -> None:
    add(world, 0)
    for _ in range(3):
        run(world, Outcome.FAIL)
    assert not is_paused(world)


def test_who_paused_it_and_why_is_written_down_with_the_failure() -> None:
    world = SqlScriptedEngine()
    add(world, 2)
    run(world, Outcome.FAIL)
    run(world, Outcome.FAIL)
    dag = world.services.queries.dag("d")
    assert dag.paused_by == "scheduler"
    assert dag.paused_reason == "its 2 newest runs have failed (max_consecutive_failed_dag_runs=2)"
    world.services.dags.set_paused("d", False, who="ann")
    dag = world.services.queries.dag("d")
    assert (dag.paused_by, dag.paused_reason) == (None, None)
    world.services.dags.set_paused("d", True, who="ann")
    assert world.services.queries.dag("d").paused_by == "ann"
    world.close()


def test_a_run_that_a_person_marks_failed_counts_as_any_failure() -> None:
    world = SqlScriptedEngine()
    add(world, 2)
    run(world, Outcome.FAIL)
    run(world, Outcome.SUCCESS)
    newest = world.services.queries.runs("d").items[0]
    world.services.runs.mark_run("d", newest.run_id, RunState.FAILED, who="ann")
    assert is_paused(world)
    world.close()
