"""What is handed to an executor ahead of its time while tasks are short, and taken back when they are not."""

from __future__ import annotations

import pytest

from windlass.spec import DagSpec, TaskSpec
from windlass_testing.scripted import Result, ScriptedEngine


def wide(width: int, **settings: object) -> DagSpec:
    tasks = tuple(TaskSpec(task_id=f"t{number}") for number in range(width))
    return DagSpec(dag_id="d", tasks=tasks, **settings)  # type: ignore[arg-type]


def start(world: ScriptedEngine, *, parallelism: int = 2, backlog: int = 6, width: int = 20) -> None:
    """Have the first tasks of a wide run queued."""
    world.executor.parallelism, world.executor.backlog = parallelism, backlog
    world.add(wide(width, max_active_tasks=100))
    world.trigger("d")
    world.scheduler.step()


def end(world: ScriptedEngine, number: int) -> None:
    """Run so many of what is submitted, and let the scheduler hear of it."""
    for _ in range(number):
        world.executor.run_one()
    world.scheduler.step()


def test_at_first_no_more_is_submitted_than_may_run(world: ScriptedEngine) -> None:
    start(world)
    assert len(world.executor.waiting) == 2


def test_as_many_as_have_just_ended_wait_beyond_those_that_may_run(world: ScriptedEngine) -> None:
    start(world)
    end(world, 2)
    assert len(world.executor.waiting) == 2 + 2
    end(world, 4)
    assert len(world.executor.waiting) == 2 + 6


@pytest.mark.one_scheduler  # each knows what it has seen
def test_a_run_begins_as_fast_as_the_last_one_of_its_dag_went(world: ScriptedEngine) -> None:
    start(world, width=6)
    for _ in range(3):
        end(world, 2)
    assert world.state(world.runs_of("d")[0]) == "success"
    world.clock.advance(3600)
    world.trigger("d")
    world.scheduler.step()
    assert len(world.executor.waiting) == 2 + 4, "as many wait as had ended with the last of them, as far as there are"


@pytest.mark.one_scheduler  # each knows what it has seen
def test_a_run_begins_slowly_after_one_whose_tasks_took_long(world: ScriptedEngine) -> None:
    start(world, width=6)
    for _ in range(6):
        end(world, 1)
        world.clock.advance(30)
    world.trigger("d")
    world.scheduler.step()
    assert len(world.executor.waiting) == 2 + 1


def test_no_more_wait_than_the_executor_can_hold(world: ScriptedEngine) -> None:
    start(world, backlog=3)
    end(world, 2)
    end(world, 4)
    assert len(world.executor.waiting) == 2 + 3


def test_an_executor_without_a_backlog_is_given_what_may_run(world: ScriptedEngine) -> None:
    start(world, backlog=0)
    end(world, 2)
    end(world, 2)
    assert len(world.executor.waiting) == 2


def test_where_tasks_take_long_nothing_is_submitted_ahead(world: ScriptedEngine) -> None:
    start(world)
    first = world.executor.claim()
    assert first is not None
    world.clock.advance(30)
    world.executor.finish(*first, Result())
    world.scheduler.step()
    end(world, 1)
    assert len(world.executor.waiting) == 2 + 2, "two in the same instant are quick"
    world.clock.advance(0.2)
    end(world, 1)
    assert len(world.executor.waiting) == 3, "what waits is worked off before anything else is submitted"


def test_it_can_spare_the_time_in_which_less_ends_than_waits(world: ScriptedEngine) -> None:
    start(world)
    assert not world.scheduler.can_spare(0.001), "nothing waits for a slot"
    end(world, 2)
    assert not world.scheduler.can_spare(0.001), "who knows how fast it goes on?"
    world.clock.advance(0.02)
    end(world, 2)
    assert len(world.executor.waiting) == 2 + 4
    assert world.scheduler.can_spare(0.015), "of four in 20 ms, three end in it"
    assert not world.scheduler.can_spare(0.025)


def test_it_can_spare_time_where_what_waits_has_nothing_to_wait_for_but_long_tasks(world: ScriptedEngine) -> None:
    start(world)
    end(world, 2)
    world.clock.advance(0.2)
    assert world.scheduler.can_spare(10)


def test_it_can_spare_none_with_an_executor_that_holds_no_backlog(world: ScriptedEngine) -> None:
    start(world, parallelism=2, backlog=0)
    world.executor.parallelism = 1
    assert not world.scheduler.can_spare(0.001)


def test_what_waits_behind_long_tasks_is_taken_back_and_runs_later(world: ScriptedEngine) -> None:
    start(world)
    end(world, 2)
    long = [world.executor.claim(), world.executor.claim()]
    assert len(world.executor.waiting) == 2
    for _ in range(2):
        world.scheduler.step()
        world.clock.advance(0.6)
    assert len(world.store.queued()) == 2, "for a second it is left alone"
    world.clock.advance(0.6)
    world.scheduler.step()
    assert world.store.queued() == []
    stale = list(world.executor.waiting)
    world.executor.waiting.clear()
    for taken in long:
        assert taken is not None
        world.executor.finish(*taken, Result())
    world.scheduler.step()
    assert {work.id for work in stale} & {work.id for work in world.executor.waiting}, "they are submitted anew"
    world.executor.waiting.extendleft(stale)
    for _ in stale:
        assert world.executor.claim() is None, "the ticket that was taken back is worth nothing"
    world.settle()
    assert world.state(world.runs_of("d")[0]) == "success"
    assert sorted(world.executor.started) == sorted(f"t{number}" for number in range(20)), "each ran once"


def test_taking_back_leaves_what_may_run(world: ScriptedEngine) -> None:
    start(world)
    end(world, 2)
    assert world.executor.claim() is not None  # one runs for long; the supervisor has not come to the others yet
    world.scheduler.step()
    world.clock.advance(1.1)
    world.scheduler.step()
    world.clock.advance(1.1)
    world.scheduler.step()
    assert len(world.store.queued()) == 1


def test_what_was_taken_back_charges_no_try(world: ScriptedEngine) -> None:
    start(world)
    end(world, 2)
    world.executor.claim()
    world.executor.claim()
    world.scheduler.step()
    world.clock.advance(1.1)
    world.scheduler.step()
    back = [task for task in world.store.tasks_of(world.runs_of("d")[0].id) if task.state == "scheduled"]
    assert {task.try_number for task in back} == {1}
