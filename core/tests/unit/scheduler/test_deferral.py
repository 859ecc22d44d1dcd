"""Deferred tasks: they hold no slot, resume with their event, or when their timeout comes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from windlass.ports import PoolFacts, Workload
from windlass.spec import DagSpec, TaskSpec
from windlass_testing.scripted import Result, ScriptedEngine


def deferring(world: ScriptedEngine, *, timeout: float | None = None, times: int = 1) -> None:
    """Have each task named ``d…`` defer in its first attempts, and succeed then."""
    left: dict[tuple[int, int], int] = {}

    def script(work: Workload, try_number: int) -> Result:
        if not work.task_id.startswith("d"):
            return Result()
        count = left.setdefault((work.id, try_number), times)
        left[work.id, try_number] = count - 1
        return Result(defers=count > 0, timeout=timeout)

    world.executor.script = script


@pytest.fixture
def two(world: ScriptedEngine) -> ScriptedEngine:
    """Return an engine with a DAG of two tasks in a row, the first of which defers."""
    deferring(world)
    world.add(DagSpec(dag_id="d", tasks=(TaskSpec(task_id="d0"), TaskSpec(task_id="then", upstream=("d0",)))))
    return world


def test_an_event_resumes_the_same_try_and_the_run_goes_on(two: ScriptedEngine) -> None:
    run = two.trigger("d")
    two.settle()
    assert two.states(run) == {"d0": "deferred", "then": "none"}
    assert two.executor.fire(two.executor.deferred[0])
    two.settle()
    assert two.states(run) == {"d0": "success", "then": "success"}
    first, resumed, _ = two.executor.contexts
    assert (first.try_number, resumed.try_number) == (1, 1)
    assert (first.resume_method, resumed.resume_method) == (None, "resume")
    assert resumed.resume_event is not None
    assert two.state(run) == "success"


def test_a_run_waits_for_its_deferred_tasks_and_is_no_deadlock(two: ScriptedEngine) -> None:
    run = two.trigger("d")
    two.pass_time(timedelta(minutes=10))
    assert two.state(run) == "running"


def test_a_scheduler_that_takes_over_hears_of_the_event(two: ScriptedEngine) -> None:
    run = two.trigger("d")
    two.settle()
    two.executor.fire(two.executor.deferred[0])
    two.scheduler = two.new_scheduler()
    two.settle()
    assert two.state(run) == "success"


def test_the_timeout_of_a_deferral_resumes_the_task_to_tell_it(world: ScriptedEngine) -> None:
    deferring(world, timeout=90.0)
    world.add(DagSpec(dag_id="d", tasks=(TaskSpec(task_id="d0"),)))
    run = world.trigger("d")
    world.pass_time(timedelta(seconds=89))
    assert world.states(run) == {"d0": "deferred"}
    world.pass_time(timedelta(seconds=2))
    assert world.executor.contexts[-1].resume_timed_out
    assert world.executor.contexts[-1].try_number == 1
    assert not world.executor.fire(world.executor.deferred[0])
    assert world.state(run) == "success"


def test_a_scheduler_that_takes_over_keeps_the_timeout(world: ScriptedEngine) -> None:
    deferring(world, timeout=90.0)
    world.add(DagSpec(dag_id="d", tasks=(TaskSpec(task_id="d0"),)))
    run = world.trigger("d")
    world.settle()
    world.scheduler = world.new_scheduler()
    world.pass_time(timedelta(seconds=91))
    assert world.state(run) == "success"


def test_a_run_that_takes_too_long_ends_its_waits(world: ScriptedEngine) -> None:
    deferring(world)
    world.add(DagSpec(dag_id="d", tasks=(TaskSpec(task_id="d0"),), dagrun_timeout=30.0))
    run = world.trigger("d")
    world.pass_time(timedelta(seconds=31))
    assert (world.state(run), world.states(run)) == ("failed", {"d0": "skipped"})
    assert not world.executor.fire(world.executor.deferred[0])


def test_a_deferred_task_holds_no_slot(world: ScriptedEngine) -> None:
    world.store.set_pool(PoolFacts(name="p", slots=1))
    deferring(world)
    tasks = (TaskSpec(task_id="d0", pool="p", priority_weight=2), TaskSpec(task_id="other", pool="p"))
    world.add(DagSpec(dag_id="d", tasks=tasks, max_active_tasks=1))
    run = world.trigger("d")
    world.settle()
    assert world.states(run) == {"d0": "deferred", "other": "success"}


def test_a_deferred_task_holds_its_slot_where_the_pool_counts_it(world: ScriptedEngine) -> None:
    world.store.set_pool(PoolFacts(name="p", slots=1, include_deferred=True))
    deferring(world)
    tasks = (TaskSpec(task_id="d0", pool="p", priority_weight=2), TaskSpec(task_id="other", pool="p"))
    world.add(DagSpec(dag_id="d", tasks=tasks))
    run = world.trigger("d")
    world.pass_time(timedelta(seconds=30))
    assert world.states(run) == {"d0": "deferred", "other": "scheduled"}
    world.executor.fire(world.executor.deferred[0])
    world.settle()
    assert world.states(run) == {"d0": "success", "other": "success"}


def test_what_waits_for_such_a_pool_keeps_nobody_else_from_running(world: ScriptedEngine) -> None:
    world.store.set_pool(PoolFacts(name="p", slots=1, include_deferred=True))
    world.executor.parallelism = 1
    deferring(world)
    tasks = (
        TaskSpec(task_id="d0", pool="p", priority_weight=9),
        TaskSpec(task_id="blocked", pool="p", priority_weight=5),
        TaskSpec(task_id="free"),
    )
    world.add(DagSpec(dag_id="d", tasks=tasks))
    run = world.trigger("d")
    world.pass_time(timedelta(seconds=30))
    assert world.states(run) == {"d0": "deferred", "blocked": "scheduled", "free": "success"}


def test_a_pool_may_begin_and_cease_to_count_what_is_deferred(world: ScriptedEngine) -> None:
    world.store.set_pool(PoolFacts(name="p", slots=1, include_deferred=True))
    deferring(world)
    tasks = (TaskSpec(task_id="d0", pool="p", priority_weight=2), TaskSpec(task_id="other", pool="p"))
    world.add(DagSpec(dag_id="d", tasks=tasks))
    run = world.trigger("d")
    world.settle()
    world.store.set_pool(PoolFacts(name="p", slots=1))
    world.settle()
    assert world.states(run) == {"d0": "deferred", "other": "success"}


def test_execution_and_deferral_may_take_turns_within_a_try(world: ScriptedEngine) -> None:
    deferring(world, times=3)
    world.add(DagSpec(dag_id="d", tasks=(TaskSpec(task_id="d0"),)))
    run = world.trigger("d")
    for number in range(3):
        world.settle()
        assert world.executor.fire(world.executor.deferred[number])
    world.settle()
    assert world.state(run) == "success"
    assert {context.try_number for context in world.executor.contexts} == {1}
