"""Commands move what stands still, ask what runs to stop, and name who gave them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from windlass.app.clocks import VirtualClock
from windlass.errors import Conflict, DagNotFound, RunExists, RunNotFound, UsageError
from windlass.ports import Changes, NewRun, RunFacts, RunMove
from windlass.protocol import Outcome
from windlass.spec import TaskSpec
from windlass.states import Actor, RunState, RunType, TaskState
from windlass.store import Selection
from windlass_testing.hand_driven import HandDriven

S = TaskState


def manual(engine: HandDriven, **fields: object) -> NewRun:
    now = engine.clock.now()
    given = {"logical_date": now, "data_interval_start": now, "data_interval_end": now, "run_after": now, **fields}
    return NewRun(dag_id="d", run_type=RunType.MANUAL, **given)  # type: ignore[arg-type]


def move_run(engine: HandDriven, run: RunFacts, *states: RunState) -> None:
    before = RunState.QUEUED
    for to in states:
        move = RunMove(run=run.id, before=before, to=to, actor=Actor.SCHEDULER, op_id=engine.token())
        assert not engine.scheduler.commit(Changes(run_moves=[move])).conflicts
        before = to


def run_state(engine: HandDriven, run: RunFacts) -> RunState:
    return engine.store.queries.run(run.dag_id, run.run_id).state


# --- Creating


def test_a_manual_run_moves_on_by_microseconds_until_its_date_is_free(engine: HandDriven) -> None:
    engine.dag("a")
    runs = [engine.store.runs.create(manual(engine, bump=True)) for _ in range(3)]
    offsets = [(run.logical_date - runs[0].logical_date).microseconds for run in runs]
    assert offsets == [0, 1, 2]
    assert len({run.run_id for run in runs}) == 3
    assert runs[2].data_interval_start == runs[2].data_interval_end == runs[2].logical_date


def test_an_explicit_date_or_id_that_exists_is_refused_naming_the_run(engine: HandDriven) -> None:
    engine.dag("a")
    first = engine.store.runs.create(manual(engine, run_id="mine"))
    with pytest.raises(RunExists, match="already has run 'mine' for logical date 2026-03-01"):
        engine.store.runs.create(manual(engine))
    with pytest.raises(RunExists, match="already has run 'mine'; choose another id"):
        engine.store.runs.create(manual(engine, run_id="mine", bump=True))
    assert engine.scheduler.create_run(manual(engine)) is None
    assert engine.scheduler.open_runs() == [first]


def test_a_run_of_an_unknown_dag_is_refused(engine: HandDriven) -> None:
    with pytest.raises(DagNotFound, match="'d' is not known"):
        engine.store.runs.create(manual(engine))


def test_the_same_key_gives_the_same_run_once(engine: HandDriven, clock: VirtualClock) -> None:
    engine.dag("a")
    first = engine.store.runs.create(manual(engine, bump=True), key="k1")
    clock.advance(5)
    assert engine.store.runs.create(manual(engine, bump=True), key="k1") == first
    assert engine.count("run") == 1
    with pytest.raises(Conflict, match="'k1' was used for another command"):
        engine.store.runs.create(manual(engine, bump=True, conf={"other": 1}), key="k1")


def test_a_task_above_one_that_its_dates_leave_out_is_no_leaf_if_another_stands_below(engine: HandDriven) -> None:
    later = engine.clock.now() + timedelta(days=1)
    engine.dag(
        "a", TaskSpec(task_id="late", upstream=("a",), start_date=later), TaskSpec(task_id="b", upstream=("late",))
    )
    run = engine.store.runs.create(manual(engine))
    leaves = engine.store.db.rows("SELECT task_id, is_leaf FROM ti WHERE run = :run", {"run": run.id})
    assert dict(leaves) == {"a": 0, "b": 1}


# --- Clearing


def test_a_clear_gives_new_tries_and_keeps_the_old_attempts(engine: HandDriven) -> None:
    engine.dag(TaskSpec(task_id="a", retries=1))
    run = engine.new_run()
    move_run(engine, run, RunState.RUNNING)
    for _ in range(2):
        engine.report(engine.run(engine.ti(run)), Outcome.FAIL)
    move = RunMove(run=run.id, before=RunState.RUNNING, to=RunState.FAILED, actor=Actor.SCHEDULER, op_id=engine.token())
    engine.scheduler.commit(Changes(run_moves=[move]))

    affected = engine.store.runs.clear([engine.ti(run).id], who="ann")

    ti = engine.ti(run)
    assert (affected.tasks, affected.stopping, affected.runs) == (1, 0, 1)
    assert (ti.state, ti.try_number, ti.max_tries) == (S.NONE, 2, 3)
    assert len(engine.store.queries.attempts(ti.id)) == 2
    assert run_state(engine, run) is RunState.QUEUED
    assert engine.store.queries.transitions(ti.id)[-1].who == "ann"
    assert engine.store.queries.run_transitions(run.id)[-1].who == "ann"
    assert [s.kind for s in engine.scheduler.signals()][-1] == "run"


@pytest.mark.parametrize("state", [S.SCHEDULED, S.QUEUED, S.UP_FOR_RETRY, S.DEFERRED, S.SKIPPED])
def test_whatever_waits_can_be_cleared(engine: HandDriven, state: TaskState) -> None:
    engine.dag(TaskSpec(task_id="a", retries=1))
    run = engine.new_run()
    ti = engine.ti(run)
    match state:
        case S.SCHEDULED | S.SKIPPED:
            engine.scheduler.commit(Changes(task_moves=[engine.move(ti, state)]))
        case S.QUEUED:
            engine.queue(ti)
        case S.UP_FOR_RETRY:
            engine.report(engine.run(ti), Outcome.FAIL)
        case _:
            engine.report(engine.run(ti), ending=engine.deferral())
    assert engine.state(run) is state
    before = engine.ti(run)
    engine.store.runs.clear([ti.id], who="ann")
    assert engine.state(run) is S.NONE
    if state is S.QUEUED:
        assert engine.claim(before) is None


def test_clearing_what_runs_only_asks_it_to_stop(engine: HandDriven) -> None:
    engine.dag("a")
    run = engine.new_run()
    claimed = engine.run(engine.ti(run))
    affected = engine.store.runs.clear([claimed.task], who="ann")
    assert (affected.tasks, affected.stopping) == (0, 1)
    assert engine.state(run) is S.RUNNING


def test_clear_latest_pins_the_run_to_the_newest_version(engine: HandDriven) -> None:
    engine.dag("a", "gone", "ended")
    run = engine.new_run()
    engine.complete(run, "a", "ended")
    newest = engine.dag(TaskSpec(task_id="a", retries=5), "new")

    engine.store.runs.clear([engine.ti(run, "a").id], who="ann", latest=True)

    assert engine.store.queries.spec("d", engine.store.queries.run("d", run.run_id).spec_version) == newest
    states = {t.task_id: t.state for t in engine.scheduler.tasks_of(run.id)}
    assert states == {"a": S.NONE, "gone": S.REMOVED, "new": S.NONE, "ended": S.SUCCESS}
    assert engine.ti(run, "a").max_tries == 6


def test_a_clear_without_latest_stays_with_the_version_that_ran(engine: HandDriven) -> None:
    engine.dag("a")
    run = engine.new_run()
    engine.complete(run, "a")
    engine.dag("a", "new")
    engine.store.runs.clear([engine.ti(run).id], who="ann")
    assert [t.task_id for t in engine.scheduler.tasks_of(run.id)] == ["a"]
    assert engine.store.queries.run("d", run.run_id).spec_version == run.spec_version


# --- Marking


def test_marking_success_lets_run_what_had_failed_for_want_of_it(engine: HandDriven) -> None:
    engine.dag("a", TaskSpec(task_id="b", upstream=("a",)), "c")
    run = engine.new_run()
    move_run(engine, run, RunState.RUNNING)
    engine.report(engine.run(engine.ti(run, "a")), Outcome.FAIL)
    engine.report(engine.run(engine.ti(run, "c")), Outcome.FAIL)
    engine.scheduler.commit(Changes(task_moves=[engine.move(engine.ti(run, "b"), S.UPSTREAM_FAILED)]))
    move = RunMove(run=run.id, before=RunState.RUNNING, to=RunState.FAILED, actor=Actor.SCHEDULER, op_id=engine.token())
    engine.scheduler.commit(Changes(run_moves=[move]))

    engine.store.runs.mark([engine.ti(run, "a").id], S.SUCCESS, who="ann")

    assert [engine.state(run, name) for name in "abc"] == [S.SUCCESS, S.NONE, S.FAILED]
    assert run_state(engine, run) is RunState.QUEUED


def test_a_mark_may_only_be_an_ending(engine: HandDriven) -> None:
    with pytest.raises(UsageError, match="not skipped"):
        engine.store.runs.mark([], S.SKIPPED, who="ann")
    with pytest.raises(UsageError, match="not running"):
        engine.store.runs.mark_run("d", "r", RunState.RUNNING, who="ann")
    with pytest.raises(RunNotFound, match="no run 'r'"):
        engine.store.runs.mark_run("d", "r", RunState.FAILED, who="ann")


def test_marking_a_run_failed_skips_what_has_not_run(engine: HandDriven) -> None:
    engine.dag("a", "b", callbacks=("failure",))
    run = engine.new_run()
    engine.complete(run, "a")
    engine.store.runs.mark_run("d", run.run_id, RunState.FAILED, who="ann")
    assert [engine.state(run, name) for name in "ab"] == [S.SUCCESS, S.SKIPPED]
    assert run_state(engine, run) is RunState.FAILED
    assert engine.count("outbox", "event = 'run_failure'") == 1


def test_marking_a_run_success_turns_failures_into_successes(engine: HandDriven) -> None:
    engine.dag("a", "b")
    run = engine.new_run()
    engine.report(engine.run(engine.ti(run, "a")), Outcome.FAIL)
    engine.store.runs.mark_run("d", run.run_id, RunState.SUCCESS, who="ann")
    assert [engine.state(run, name) for name in "ab"] == [S.SUCCESS, S.SUCCESS]
    assert run_state(engine, run) is RunState.SUCCESS


def test_a_marked_run_waits_for_its_processes(engine: HandDriven) -> None:
    engine.dag("a", "b")
    run = engine.new_run()
    move_run(engine, run, RunState.RUNNING)
    claimed = engine.run(engine.ti(run))

    engine.store.runs.mark_run("d", run.run_id, RunState.FAILED, who="ann")

    facts = engine.store.queries.run("d", run.run_id)
    assert (facts.state, facts.ending) == (RunState.RUNNING, RunState.FAILED)
    [stop] = engine.gateway.heartbeat([claimed.lease_id], "s1")
    engine.report(claimed, stopped=stop.kind)
    assert [engine.state(run, name) for name in "ab"] == [S.FAILED, S.SKIPPED]


# --- Choosing


def test_a_selection_combines_its_filters(engine: HandDriven) -> None:
    engine.dag("a", "b")
    one, two = engine.new_run(day=1), engine.new_run(day=2)
    engine.complete(one, "a")

    def chosen(**filters: object) -> list[tuple[str, str]]:
        rows = engine.store.runs.select(Selection(dag_id="d", **filters))  # type: ignore[arg-type]
        return [(row.run_id[11:21], row.task_id) for row in rows]

    assert len(chosen()) == 4
    assert chosen(run_ids=(one.run_id,)) == [("2026-03-01", "a"), ("2026-03-01", "b")]
    assert chosen(task_ids=("b",), since=two.logical_date) == [("2026-03-02", "b")]
    assert chosen(states=(S.SUCCESS,)) == [("2026-03-01", "a")]
    assert chosen(map_indexes=(0,)) == []
    assert chosen(until=one.logical_date, states=(S.NONE,)) == [("2026-03-01", "b")]
