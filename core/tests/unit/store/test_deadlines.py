"""A miss is written once per run and deadline, with its callback, and only of a run that is open."""

from __future__ import annotations

from datetime import UTC, datetime

from windlass.app.clocks import VirtualClock
from windlass.ports import Changes, DeadlineMiss, RunFacts, RunMove
from windlass.states import Actor, RunState
from windlass.store import Store
from windlass.store.deadlines import missed_deadlines
from windlass_testing.hand_driven import HandDriven

DUE = datetime(2026, 3, 2, tzinfo=UTC)


def late(run: RunFacts, position: int = 0) -> Changes:
    return Changes(misses=[DeadlineMiss(run=run.id, position=position, due=DUE, reason="too late")])


def test_a_miss_is_noted_and_its_callback_owed_once(store: Store, clock: VirtualClock) -> None:
    engine = HandDriven(store, clock)
    engine.dag("a")
    run = engine.new_run()
    for _ in range(2):
        store.scheduler.commit(late(run))
    store.scheduler.commit(late(run, position=1))
    assert [(miss.position, miss.due_at) for miss in missed_deadlines(store.db, run.id)] == [(0, DUE), (1, DUE)]
    owed = store.outbox.claim("me")
    assert [(row.event, row.run_id, row.task_id, row.reason) for row in owed] == [
        ("run_deadline:0", run.run_id, None, "too late"),
        ("run_deadline:1", run.run_id, None, "too late"),
    ]


def test_a_run_that_ends_in_the_same_write_has_missed_its_deadline(store: Store, clock: VirtualClock) -> None:
    engine = HandDriven(store, clock)
    engine.dag("a")
    run, other = engine.new_run(), engine.new_run(day=2)
    store.runs.mark_run("d", other.run_id, RunState.FAILED, who="ann")  # so what is decided about it is outdated
    begins = RunMove(run=run.id, before=run.state, to=RunState.RUNNING, actor=Actor.SCHEDULER, op_id="begins")
    store.scheduler.commit(Changes(run_moves=[begins]))
    ends = RunMove(run=run.id, before=RunState.RUNNING, to=RunState.SUCCESS, actor=Actor.SCHEDULER, op_id="ends")
    changes = Changes(
        misses=late(run).misses + late(other).misses,
        generations={run.id: run.generation, other.id: other.generation},
        run_moves=[ends],
    )
    assert store.scheduler.commit(changes).conflicts == {other.id}
    assert len(missed_deadlines(store.db, run.id)) == 1
    assert missed_deadlines(store.db, other.id) == []
    ended = store.scheduler.run(run.id)
    assert ended is not None
    assert ended.state is RunState.SUCCESS


def test_a_run_that_has_ended_misses_nothing_any_more(store: Store, clock: VirtualClock) -> None:
    engine = HandDriven(store, clock)
    engine.dag("a")
    run = engine.new_run()
    store.runs.mark_run("d", run.run_id, RunState.SUCCESS, who="ann")
    store.scheduler.commit(late(run))
    assert missed_deadlines(store.db, run.id) == []
    assert store.outbox.claim("me") == []
