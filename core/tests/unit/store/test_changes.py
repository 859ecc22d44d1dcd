"""One step of the scheduler is written exactly once, whole for each run, and never past a limit."""

from __future__ import annotations

import msgspec
import pytest

from windlass.errors import StoreError
from windlass.ports import Changes, Expansion, RunFacts, RunMove, StopKind, StopRequest
from windlass.spec import LiteralLength, MapSpec, TaskSpec
from windlass.states import Actor, RunState, TaskState
from windlass_testing.hand_driven import HandDriven

S = TaskState


def moved(
    run: RunFacts,
    to: RunState = RunState.RUNNING,
    before: RunState = RunState.QUEUED,
    *,
    ending: RunState | None = None,
    reason: str = "",
) -> RunMove:
    op_id = f"run-{run.id}-{to}"
    return RunMove(run=run.id, before=before, to=to, actor=Actor.SCHEDULER, op_id=op_id, ending=ending, reason=reason)


def read(engine: HandDriven, run: RunFacts) -> RunFacts:
    facts = engine.scheduler.run(run.id)
    assert facts is not None
    return facts


def test_a_move_and_its_admission_take_one_task_from_none_to_queued(engine: HandDriven) -> None:
    engine.dag("a")
    run = engine.new_run()
    ti = engine.ti(run)

    committed = engine.queue(ti)

    now = engine.ti(run)
    assert (now.state, now.epoch, now.try_number) == (S.QUEUED, 1, 1)
    assert now.ticket is not None
    assert now.queued_at == committed.queued_at == engine.clock.now()
    assert committed.admitted == {ti.id: 1}
    assert [(t.before, t.after, t.epoch) for t in engine.store.queries.transitions(ti.id)] == [
        ("none", "scheduled", 0),
        ("scheduled", "queued", 1),
    ]


def test_sending_a_step_again_changes_nothing_and_gives_the_same_answer(engine: HandDriven) -> None:
    engine.dag("a", "b")
    run = engine.new_run()
    a, b = engine.ti(run, "a"), engine.ti(run, "b")
    changes = engine.queueing(a)
    changes.run_moves = [moved(run)]
    changes.task_moves.append(engine.move(b, S.SKIPPED, reason="not chosen"))

    first = engine.scheduler.commit(changes)
    again = engine.scheduler.commit(changes)

    assert again.conflicts == first.conflicts == frozenset()
    assert again.admitted == first.admitted == {a.id: 1}
    assert engine.ti(run).epoch == 1
    assert engine.count("transition") == 3
    assert engine.count("run_transition") == 1


def test_a_guard_that_does_not_hold_undoes_that_run_and_no_other(engine: HandDriven) -> None:
    engine.dag("a", "b")
    one, two = engine.new_run(day=1), engine.new_run(day=2)
    changes = Changes(
        run_moves=[moved(one), moved(two)],
        task_moves=[
            engine.move(engine.ti(one, "a"), S.SCHEDULED),
            engine.move(msgspec.structs.replace(engine.ti(one, "b"), epoch=7), S.SCHEDULED),
            engine.move(engine.ti(two, "a"), S.SCHEDULED),
        ],
    )

    committed = engine.scheduler.commit(changes)

    assert committed.conflicts == {one.id}
    assert (engine.state(one, "a"), engine.state(two, "a")) == (S.NONE, S.SCHEDULED)
    assert [read(engine, run).state for run in (one, two)] == [RunState.QUEUED, RunState.RUNNING]


def test_a_state_that_changed_under_the_same_epoch_is_a_conflict(engine: HandDriven) -> None:
    engine.dag("a")
    run = engine.new_run()
    decided = engine.move(engine.ti(run), S.SCHEDULED)
    engine.scheduler.commit(Changes(task_moves=[engine.move(engine.ti(run), S.SKIPPED)]))
    assert engine.scheduler.commit(Changes(task_moves=[decided])).conflicts == {run.id}
    assert engine.state(run) is S.SKIPPED


def test_an_admission_sent_again_does_not_stand_in_its_own_way(engine: HandDriven) -> None:
    engine.store.pools.set("one", 1)
    engine.dag(TaskSpec(task_id="a", pool="one"))
    run = engine.new_run()
    engine.scheduler.commit(Changes(task_moves=[engine.move(engine.ti(run), S.SCHEDULED)]))
    step = Changes(admissions=[engine.admission(engine.ti(run))])
    first = engine.scheduler.commit(step)
    again = engine.scheduler.commit(step)
    assert (again.admitted, again.refused) == (first.admitted, frozenset()) == ({engine.ti(run).id: 1}, frozenset())


def test_a_decision_made_before_a_clear_is_refused(engine: HandDriven) -> None:
    engine.dag("a")
    run = engine.new_run()
    ti = engine.ti(run)
    changes = engine.queueing(ti)
    changes.generations = {run.id: read(engine, run).generation}

    engine.store.runs.clear([ti.id], who="ann")

    assert engine.scheduler.commit(changes).conflicts == {run.id}
    assert engine.state(run) is S.NONE


def test_a_run_that_is_gone_is_a_conflict(engine: HandDriven) -> None:
    engine.dag("a")
    engine.new_run()
    assert engine.scheduler.commit(Changes(generations={99: 0})).conflicts == {99}


def test_signals_are_deleted_by_the_step_that_names_them(engine: HandDriven) -> None:
    engine.dag("a")
    engine.new_run()
    signals = engine.scheduler.signals()
    assert [s.kind for s in signals] == ["dag", "run"]

    engine.scheduler.commit(Changes(signals=[signals[0].id]))

    assert engine.scheduler.signals() == signals[1:]


def test_pool_slots_are_never_exceeded(engine: HandDriven) -> None:
    engine.dag(*(TaskSpec(task_id=name, pool="small", pool_slots=2) for name in "abc"))
    engine.store.pools.set("small", 5)
    run = engine.new_run()
    tis = [engine.ti(run, name) for name in "abc"]

    committed = engine.queue(*tis)

    assert committed.admitted.keys() == {tis[0].id, tis[1].id}
    assert committed.refused == {tis[2].id}
    assert engine.state(run, "c") is S.SCHEDULED
    assert engine.queue(engine.ti(run, "c")).refused == {tis[2].id}


def test_a_pool_that_does_not_exist_admits_nothing(engine: HandDriven) -> None:
    engine.dag(TaskSpec(task_id="a", pool="nowhere"))
    run = engine.new_run()
    assert engine.queue(engine.ti(run)).refused == {engine.ti(run).id}


def test_an_unlimited_pool_admits_everything(engine: HandDriven) -> None:
    engine.store.pools.set("free", -1)
    engine.dag(TaskSpec(task_id="a", pool="free", pool_slots=1000), TaskSpec(task_id="b", pool="free"))
    run = engine.new_run()
    assert len(engine.queue(engine.ti(run, "a"), engine.ti(run, "b")).admitted) == 2


@pytest.mark.parametrize("limit", ["max_active_tasks", "max_active_tis_per_dag", "max_active_tis_per_dagrun"])
def test_limits_hold_at_the_commit(engine: HandDriven, limit: str) -> None:
    engine.dag(TaskSpec(task_id="a", map=MapSpec(factors=(("x", LiteralLength(3)),))))
    run = engine.new_run()
    engine.scheduler.commit(Changes(expansions=[Expansion(task=engine.ti(run).id, run=run.id, task_id="a", length=3)]))
    tis = engine.scheduler.tasks_of(run.id)

    committed = engine.queue(*tis, **{limit: 2})

    assert len(committed.admitted) == 2
    assert len(committed.refused) == 1


def test_a_deferred_task_holds_its_slot_only_where_the_pool_says_so(engine: HandDriven) -> None:
    engine.dag(TaskSpec(task_id="a", pool="p"), TaskSpec(task_id="b", pool="p"))
    engine.store.pools.set("p", 1)
    run = engine.new_run()
    engine.report(engine.run(engine.ti(run)), ending=engine.deferral())

    engine.store.pools.set("p", 1, include_deferred=True)
    assert engine.queue(engine.ti(run, "b")).refused
    engine.store.pools.set("p", 1, include_deferred=False)
    assert engine.queue(engine.ti(run, "b")).admitted


def test_an_expansion_reuses_the_placeholder_and_may_be_repeated(engine: HandDriven) -> None:
    engine.dag(TaskSpec(task_id="a", retries=2, map=MapSpec(factors=(("x", LiteralLength(3)),))))
    run = engine.new_run()
    placeholder = engine.ti(run)
    step = Changes(expansions=[Expansion(task=placeholder.id, run=run.id, task_id="a", length=3)])

    first = engine.scheduler.commit(step).expanded
    again = engine.scheduler.commit(step).expanded

    assert [(t.map_index, t.max_tries) for t in first] == [(0, 2), (1, 2), (2, 2)]
    assert first[0].id == placeholder.id
    assert again == first


def test_a_longer_list_adds_the_missing_instances(engine: HandDriven) -> None:
    engine.dag(TaskSpec(task_id="a", map=MapSpec(factors=(("x", LiteralLength(3)),))))
    run = engine.new_run()
    task = engine.ti(run).id
    for length in (2, 4):
        step = Changes(expansions=[Expansion(task=task, run=run.id, task_id="a", length=length)])
        assert len(engine.scheduler.commit(step).expanded) == length
    assert [t.map_index for t in engine.scheduler.tasks_of(run.id)] == [0, 1, 2, 3]


def test_a_run_records_how_it_is_going_to_end_without_a_transition(engine: HandDriven) -> None:
    engine.dag("a")
    run = engine.new_run()
    engine.scheduler.commit(Changes(run_moves=[moved(run)]))
    ending = moved(run, RunState.RUNNING, RunState.RUNNING, ending=RunState.FAILED, reason="dagrun_timeout")

    engine.scheduler.commit(Changes(run_moves=[ending]))

    facts = read(engine, run)
    assert (facts.state, facts.ending, facts.ending_reason) == (RunState.RUNNING, RunState.FAILED, "dagrun_timeout")


def test_the_end_of_a_run_owes_its_callback(engine: HandDriven) -> None:
    engine.dag("a", callbacks=("failure",))
    run = engine.new_run()
    engine.scheduler.commit(Changes(run_moves=[moved(run)]))
    assert engine.count("outbox") == 0

    skip = engine.move(engine.ti(run), S.SKIPPED)
    end = moved(run, RunState.FAILED, RunState.RUNNING, reason="deadlock")
    engine.scheduler.commit(Changes(run_moves=[end], task_moves=[skip]))

    assert engine.store.db.rows("SELECT event, run FROM outbox") == [("run_failure", run.id)]
    assert read(engine, run).end_date == engine.clock.now()


def test_a_stop_marks_only_the_lease_it_names(engine: HandDriven) -> None:
    engine.dag("a", "b")
    run = engine.new_run()
    a, b = engine.run(engine.ti(run, "a")), engine.run(engine.ti(run, "b"))
    stops = [
        StopRequest(task=a.task, run=run.id, lease_id=a.lease_id, kind=StopKind.TIMEOUT),
        StopRequest(task=b.task, run=run.id, lease_id="an older one", kind=StopKind.TIMEOUT),
    ]

    engine.scheduler.commit(Changes(stops=stops))

    assert [s.task for s in engine.gateway.heartbeat([a.lease_id, b.lease_id], "s1")] == [a.task]


def test_an_illegal_move_is_an_error_of_the_engine_and_writes_nothing(engine: HandDriven) -> None:
    engine.dag("a")
    run = engine.new_run()
    with pytest.raises(StoreError, match="scheduler may not move task instance"):
        engine.scheduler.commit(Changes(task_moves=[engine.move(engine.ti(run), S.SUCCESS)]))
    assert engine.state(run) is S.NONE


def test_an_old_step_sent_again_after_a_clear_brought_its_states_back_changes_nothing(engine: HandDriven) -> None:
    engine.dag("a")
    run = engine.new_run()
    step = Changes(task_moves=[engine.move(engine.ti(run), S.SCHEDULED)])
    engine.scheduler.commit(step)
    engine.store.runs.clear([engine.ti(run).id], who="test")
    assert engine.state(run) is S.NONE
    assert engine.scheduler.commit(step).conflicts == frozenset()
    assert engine.state(run) is S.NONE
    assert engine.violations() == []
