"""A missed deadline is noted, and its callback owed, once per run and deadline."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from windlass.ports import RunFacts
from windlass.spec import DagSpec, DeadlineSpec, Reference, TaskSpec
from windlass_testing.scripted import START, ScriptedEngine
from windlass_testing.scripted_sql import SqlScriptedEngine

MINUTE = timedelta(minutes=1)
TEN_AFTER_QUEUED = DeadlineSpec(reference=Reference.QUEUED_AT, interval=600.0)


def missed(world: ScriptedEngine, run: RunFacts) -> dict[int, datetime]:
    """Return when each deadline that a run has missed was due."""
    if isinstance(world, SqlScriptedEngine):
        rows = world.services.db.rows("SELECT position, due_at FROM deadline_miss WHERE run = :run", {"run": run.id})
        return {position: START + timedelta(microseconds=due) - (START - EPOCH) for position, due in rows}
    return {position: due for (of, position), due in world.store.missed.items() if of == run.id}


EPOCH = START.replace(year=1970, month=1, day=1, hour=0)


def owed(world: SqlScriptedEngine) -> list[tuple[str, str]]:
    return world.services.db.rows("SELECT event, op_id FROM outbox ORDER BY id")


def stuck(world: ScriptedEngine, *deadlines: DeadlineSpec) -> RunFacts:
    """Return a run whose task waits for a retry for hours."""
    from windlass.protocol import Outcome
    from windlass_testing.scripted import Result

    world.executor.script = lambda _work, _try: Result(Outcome.FAIL)
    task = TaskSpec(task_id="a", retries=1, retry_delay=36_000.0)
    world.add(DagSpec(dag_id="d", tasks=(task,), deadlines=deadlines))
    return world.trigger("d")


def test_a_run_that_ends_in_time_misses_nothing(world: ScriptedEngine) -> None:
    world.add(DagSpec(dag_id="d", tasks=(TaskSpec(task_id="a"),), deadlines=(TEN_AFTER_QUEUED,)))
    run = world.trigger("d")
    world.pass_time(30 * MINUTE)
    assert world.state(run) == "success"
    assert missed(world, run) == {}


def test_a_run_that_is_late_goes_on_and_its_miss_is_noted_when_it_happens(world: ScriptedEngine) -> None:
    run = stuck(world, TEN_AFTER_QUEUED)
    world.pass_time(9 * MINUTE)
    assert missed(world, run) == {}
    world.pass_time(2 * MINUTE)
    assert missed(world, run) == {0: START + 10 * MINUTE}
    assert world.state(run) == "running"


@pytest.mark.parametrize(
    ("deadline", "due"),
    [
        (DeadlineSpec(reference=Reference.LOGICAL_DATE, interval=300.0), START + 5 * MINUTE),
        (DeadlineSpec(reference=Reference.QUEUED_AT, interval=240.0), START + 4 * MINUTE),
        (DeadlineSpec(reference=Reference.FIXED, at=START + 20 * MINUTE, interval=-600.0), START + 10 * MINUTE),
    ],
    ids=["logical date", "queued at", "fixed"],
)
def test_what_a_deadline_counts_from(world: ScriptedEngine, deadline: DeadlineSpec, due: datetime) -> None:
    run = stuck(world, deadline)
    world.pass_time(30 * MINUTE)
    assert missed(world, run) == {0: due}


def test_several_deadlines_are_missed_one_after_the_other(world: ScriptedEngine) -> None:
    later = DeadlineSpec(reference=Reference.QUEUED_AT, interval=1200.0)
    run = stuck(world, later, TEN_AFTER_QUEUED)
    world.pass_time(15 * MINUTE)
    assert set(missed(world, run)) == {1}
    world.pass_time(15 * MINUTE)
    assert set(missed(world, run)) == {0, 1}


def test_a_queued_run_misses_its_deadline_too(world: ScriptedEngine) -> None:
    world.add(DagSpec(dag_id="d", tasks=(TaskSpec(task_id="a"),), deadlines=(TEN_AFTER_QUEUED,)), paused=True)
    run = world.trigger("d")
    world.pass_time(11 * MINUTE)
    assert world.state(run) == "queued"
    assert set(missed(world, run)) == {0}


def test_what_was_missed_while_no_scheduler_lived_is_noted_once_by_the_next_ones() -> None:
    world = SqlScriptedEngine()
    run = stuck(world, TEN_AFTER_QUEUED)
    world.settle()
    world.clock.advance(3600)
    for _ in range(3):
        world.scheduler = world.new_scheduler()
        world.settle()
    assert set(missed(world, run)) == {0}
    assert owed(world) == [("run_deadline:0", f"deadline:{run.id}:0")]
    world.close()


def test_a_run_that_ends_in_the_step_in_which_it_is_late_has_missed_its_deadline() -> None:
    world = SqlScriptedEngine()
    world.add(DagSpec(dag_id="d", tasks=(TaskSpec(task_id="a"),), deadlines=(TEN_AFTER_QUEUED,)))
    run = world.trigger("d")
    world.scheduler.step()
    world.clock.advance(660)
    world.executor.run_one()
    world.settle()
    assert world.state(run) == "success"
    assert set(missed(world, run)) == {0}
    world.close()
