"""Backfills as rows: recorded once, filled step by step under guards, cancelled, completed, opened again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from windlass.errors import Conflict, DagNotFound, NotFound
from windlass.planning import backfill as planning
from windlass.ports import BackfillFacts, BackfillStep, Changes, NewBackfill, Reprocess, RunFacts, RunMove, SignalKind
from windlass.spec import CronIntervalSpec, TaskSpec
from windlass.states import Actor, RunState, RunType, TaskState
from windlass.store import ParsedFile
from windlass_testing.hand_driven import HandDriven

S = TaskState
FIRST = datetime(2026, 2, 1, tzinfo=UTC)
DAILY = CronIntervalSpec(expression="0 0 * * *")


def new(engine: HandDriven, days: int = 5, **fields: Any) -> NewBackfill:
    dag = engine.store.queries.dag("d")
    given = {
        "from_date": FIRST,
        "to_date": FIRST + timedelta(days=days - 1),
        "intervals": days,
        "max_active_runs": 2,
        "created_by": "ann",
        "created_at": engine.clock.now(),
        "spec_version": dag.spec_version,
        "code_version": dag.code_version,
        **fields,
    }
    return NewBackfill(dag_id="d", **given)


def create(engine: HandDriven, days: int = 5, **fields: Any) -> BackfillFacts:
    return engine.store.backfills.create(new(engine, days, **fields))


def read(engine: HandDriven, backfill: BackfillFacts) -> BackfillFacts:
    facts = engine.scheduler.backfill(backfill.id)
    assert facts is not None
    return facts


def step(engine: HandDriven, backfill: BackfillFacts, number: int = 2) -> BackfillStep:
    facts = read(engine, backfill)
    spec = engine.scheduler.spec("d", facts.spec_version)
    wanted = planning.next_intervals(facts, spec, number)
    dates = [interval.logical_date for interval in wanted]
    names = [planning.backfill_run_id(interval) for interval in wanted]
    return planning.next_step(facts, spec, wanted, engine.scheduler.runs_at("d", dates, names))


def runs(engine: HandDriven, backfill: BackfillFacts) -> list[RunFacts]:
    return list(engine.store.queries.runs("d", backfill=backfill.id).items)[::-1]


def end(engine: HandDriven, run: RunFacts, state: RunState = RunState.SUCCESS) -> None:
    engine.store.runs.mark_run("d", run.run_id, state, who="bob")


def start(engine: HandDriven, run: RunFacts) -> None:
    move = RunMove(run=run.id, before=RunState.QUEUED, to=RunState.RUNNING, actor=Actor.SCHEDULER, op_id=engine.token())
    engine.scheduler.commit(Changes(run_moves=[move]))


# -- recorded ---------------------------------------------------------------------------------------------------------


def test_a_backfill_is_recorded_with_a_signal_and_no_run(engine: HandDriven) -> None:
    engine.dag("a", schedule=DAILY)
    made = create(engine, task_regex="a", conf={"x": 1}, backwards=True, reprocess=Reprocess.FAILED)
    assert engine.scheduler.backfills() == [made]
    assert engine.store.backfills.get(made.id) == made
    assert (made.dealt, made.reached, made.open_runs, made.conf) == (0, None, 0, {"x": 1})
    assert engine.count("run") == 0
    assert [signal.kind for signal in engine.scheduler.signals()][-1] is SignalKind.BACKFILL


def test_the_same_key_records_it_once(engine: HandDriven) -> None:
    engine.dag("a", schedule=DAILY)
    first = engine.store.backfills.create(new(engine), key="k")
    later = msgspec.structs.replace(new(engine), created_at=engine.clock.now() + timedelta(hours=1), intervals=6)
    assert engine.store.backfills.create(later, key="k") == first
    assert engine.count("backfill") == 1
    with pytest.raises(Conflict, match="used for another command"):
        engine.store.backfills.create(new(engine, max_active_runs=9), key="k")


def test_a_dag_that_is_not_there_has_no_backfill(engine: HandDriven) -> None:
    engine.dag("a", schedule=DAILY)
    wanted = new(engine)
    with pytest.raises(DagNotFound):
        engine.store.backfills.create(msgspec.structs.replace(wanted, dag_id="e"))
    engine.store.dags.forget_files("main", ["d.py"])
    with pytest.raises(Conflict, match=r"no longer in any file; put d\.py back"):
        engine.store.backfills.create(wanted)


def test_two_open_backfills_of_a_dag_never_overlap(engine: HandDriven) -> None:
    engine.dag("a", schedule=DAILY)
    first = create(engine, 5)
    last_day = FIRST + timedelta(days=4)
    with pytest.raises(Conflict, match=f"backfill {first.id} of DAG 'd' is filling some of these dates already"):
        create(engine, from_date=last_day, to_date=last_day + timedelta(days=3))
    create(engine, from_date=last_day + timedelta(days=1), to_date=last_day + timedelta(days=3))
    engine.store.backfills.cancel(first.id, who="ann")
    create(engine, 5)


def test_lists_are_newest_first_and_paged(engine: HandDriven) -> None:
    engine.dag("a", schedule=DAILY)
    made = [create(engine, from_date=FIRST + timedelta(days=n), to_date=FIRST + timedelta(days=n)) for n in range(3)]
    page = engine.store.backfills.list("d", limit=2)
    assert [facts.id for facts in page.items] == [made[2].id, made[1].id]
    assert [facts.id for facts in engine.store.backfills.list(after=page.cursor).items] == [made[0].id]
    assert engine.store.backfills.list("e").items == ()


# -- filled -----------------------------------------------------------------------------------------------------------


def test_steps_make_the_runs_few_at_a_time(engine: HandDriven) -> None:
    engine.dag("a", schedule=DAILY)
    made = create(engine, 3, conf={"x": 1})
    assert engine.scheduler.advance_backfill(step(engine, made))
    facts = read(engine, made)
    assert (facts.dealt, facts.reached, facts.open_runs) == (2, FIRST + timedelta(days=2), 2)
    assert engine.scheduler.advance_backfill(step(engine, made))
    assert [run.logical_date for run in runs(engine, made)] == [FIRST + timedelta(days=n) for n in range(3)]
    [first, *_] = runs(engine, made)
    assert first.run_id == "backfill__2026-02-01T00:00:00+00:00"
    assert (first.run_type, first.state, first.conf) == (RunType.BACKFILL, RunState.QUEUED, {"x": 1})
    assert engine.store.backfills.run_counts([made.id]) == {made.id: {RunState.QUEUED: 3}}


def test_of_two_steps_decided_on_the_same_place_one_is_written(engine: HandDriven) -> None:
    engine.dag("a", schedule=DAILY)
    made = create(engine)
    once, again = step(engine, made), step(engine, made)
    assert engine.scheduler.advance_backfill(once)
    assert not engine.scheduler.advance_backfill(again)
    assert engine.count("run") == read(engine, made).dealt == 2


def test_a_late_step_does_not_take_the_place_back(engine: HandDriven) -> None:
    engine.dag("a", schedule=DAILY)
    for number in range(4):
        engine.new_run(logical_date=FIRST + timedelta(days=number))
    made = create(engine)
    late = step(engine, made)  # it leaves both of its intervals alone, so nothing but the guard is in its way
    assert engine.scheduler.advance_backfill(step(engine, made))
    assert engine.scheduler.advance_backfill(step(engine, made))
    assert not engine.scheduler.advance_backfill(late)
    assert read(engine, made).dealt == 4


def test_a_step_is_written_whole_or_not_at_all(engine: HandDriven) -> None:
    engine.dag("a", schedule=DAILY)
    made = create(engine)
    decided = step(engine, made)
    engine.new_run(logical_date=FIRST + timedelta(days=1))  # between reading and writing
    assert not engine.scheduler.advance_backfill(decided)
    assert (read(engine, made).dealt, engine.count("run")) == (0, 1)
    assert engine.scheduler.advance_backfill(step(engine, made))  # what exists is left alone now
    assert (read(engine, made).dealt, engine.count("run")) == (2, 2)


def test_only_the_chosen_tasks_are_part_of_its_runs(engine: HandDriven) -> None:
    engine.dag("a", TaskSpec(task_id="b", upstream=("a",)), TaskSpec(task_id="c", upstream=("b",)), schedule=DAILY)
    made = create(engine, 1, task_regex="a|b")
    engine.scheduler.advance_backfill(step(engine, made))
    [run] = runs(engine, made)
    assert [ti.task_id for ti in engine.scheduler.tasks_of(run.id)] == ["a", "b"]
    assert engine.count("ti", "is_leaf = 1 AND task_id = 'b'") == 1  # the last task that is there decides the state


def test_its_runs_keep_the_version_that_it_was_created_with(engine: HandDriven) -> None:
    engine.dag("a", schedule=DAILY)
    made = create(engine, 1)
    spec = engine.scheduler.spec("d", made.spec_version)
    moved = ParsedFile(bundle="main", file="other.py", code_version="newer", specs=(spec,))
    gone = ParsedFile(bundle="main", file="d.py", code_version="gone")
    engine.store.dags.store_parse_results([gone, moved], paused=False)
    assert engine.store.queries.dag("d").file == "other.py"
    engine.scheduler.advance_backfill(step(engine, made))
    [run] = runs(engine, made)
    assert (run.code_version, run.file) == ("code-of-d", "d.py")
    assert "code-of-d" in engine.store.dags.code_versions()


# -- runs that exist --------------------------------------------------------------------------------------------------


def test_an_ended_run_is_taken_over_and_runs_again(engine: HandDriven) -> None:
    engine.dag(TaskSpec(task_id="a", retries=2), schedule=DAILY)
    old = engine.new_run(logical_date=FIRST)
    engine.complete(old, "a")
    end(engine, old)
    engine.dag(TaskSpec(task_id="a", retries=2), TaskSpec(task_id="b", upstream=("a",)), schedule=DAILY)
    made = create(engine, 1, reprocess=Reprocess.COMPLETED, conf={"x": 1})
    assert engine.scheduler.advance_backfill(step(engine, made))
    [run] = runs(engine, made)
    assert (run.id, run.run_id, run.run_type) == (old.id, old.run_id, RunType.SCHEDULED)
    assert (run.state, run.conf, run.spec_version) == (RunState.QUEUED, {"x": 1}, made.spec_version)
    assert (engine.state(run, "a"), engine.state(run, "b")) == (S.NONE, S.NONE)
    assert engine.ti(run, "a").max_tries == 1 + 2
    [*_, cleared] = engine.store.queries.transitions(engine.ti(run, "a").id)
    assert (cleared.actor, cleared.who) == ("clear", "ann")


def test_without_a_conf_of_its_own_a_reused_run_keeps_its(engine: HandDriven) -> None:
    engine.dag("a", schedule=DAILY)
    end(engine, engine.new_run(logical_date=FIRST, conf={"y": 2}))
    made = create(engine, 1, reprocess=Reprocess.COMPLETED)
    engine.scheduler.advance_backfill(step(engine, made))
    assert runs(engine, made)[0].conf == {"y": 2}


def test_of_a_reused_run_only_the_chosen_tasks_run_again(engine: HandDriven) -> None:
    engine.dag("a", "b", schedule=DAILY)
    old = engine.new_run(logical_date=FIRST)
    engine.complete(old, "a", "b")
    end(engine, old)
    made = create(engine, 1, reprocess=Reprocess.COMPLETED, task_regex="b")
    engine.scheduler.advance_backfill(step(engine, made))
    assert (engine.state(old, "a"), engine.state(old, "b")) == (S.SUCCESS, S.NONE)


def test_a_reused_run_gets_the_tasks_that_their_own_dates_had_left_out(engine: HandDriven) -> None:
    engine.dag("a", TaskSpec(task_id="late", start_date=FIRST + timedelta(days=9)), schedule=DAILY)
    old = engine.new_run(logical_date=FIRST)
    assert [task.task_id for task in engine.scheduler.tasks_of(old.id)] == ["a"]
    engine.complete(old, "a")
    end(engine, old)
    made = create(engine, 1, reprocess=Reprocess.COMPLETED)
    engine.scheduler.advance_backfill(step(engine, made))
    assert {task.task_id: task.state for task in engine.scheduler.tasks_of(old.id)} == {"a": S.NONE, "late": S.NONE}


def test_a_run_that_was_touched_since_it_was_read_is_not_taken(engine: HandDriven) -> None:
    engine.dag("a", schedule=DAILY)
    old = engine.new_run(logical_date=FIRST)
    end(engine, old, RunState.FAILED)
    made = create(engine, 1, reprocess=Reprocess.FAILED)
    decided = step(engine, made)
    engine.store.runs.clear([engine.ti(old).id], who="bob")
    assert not engine.scheduler.advance_backfill(decided)
    assert engine.scheduler.advance_backfill(step(engine, made))  # bob's clear is in flight: left alone
    assert runs(engine, made) == []
    assert read(engine, made).dealt == 1


def test_the_newest_version_of_a_run_of_some_tasks_has_no_others(engine: HandDriven) -> None:
    engine.dag("a", "b", schedule=DAILY)
    made = create(engine, 1, task_regex="^a")
    engine.scheduler.advance_backfill(step(engine, made))
    [run] = runs(engine, made)
    engine.dag("a", "b", "a2", schedule=DAILY)
    engine.store.runs.clear([engine.ti(run).id], who="bob", latest=True)
    assert [ti.task_id for ti in engine.scheduler.tasks_of(run.id)] == ["a", "a2"]


# -- the end ----------------------------------------------------------------------------------------------------------


def test_it_is_completed_when_every_interval_is_dealt_with_and_every_run_has_ended(engine: HandDriven) -> None:
    engine.dag("a", schedule=DAILY)
    made = create(engine, 2)
    engine.scheduler.advance_backfill(step(engine, made, 1))
    end(engine, runs(engine, made)[0])
    assert not engine.scheduler.complete_backfill(made.id)  # one interval is left
    engine.scheduler.advance_backfill(step(engine, made, 1))
    assert not engine.scheduler.complete_backfill(made.id)  # one run is open
    end(engine, runs(engine, made)[1], RunState.FAILED)
    assert engine.scheduler.complete_backfill(made.id)
    assert not engine.scheduler.complete_backfill(made.id)
    assert engine.scheduler.backfills() == []
    assert read(engine, made).completed_at is not None


def test_a_cleared_run_takes_back_that_it_was_completed(engine: HandDriven) -> None:
    engine.dag("a", schedule=DAILY)
    made = create(engine, 1)
    engine.scheduler.advance_backfill(step(engine, made))
    [run] = runs(engine, made)
    end(engine, run)
    assert engine.scheduler.complete_backfill(made.id)
    engine.store.runs.clear([engine.ti(run).id], who="bob")
    assert read(engine, made).completed_at is None
    end(engine, run)
    assert engine.scheduler.complete_backfill(made.id)


def test_cancelling_ends_what_waits_and_lets_what_runs_go_on(engine: HandDriven) -> None:
    engine.dag("a", schedule=DAILY, callbacks=("failure",))
    made = create(engine, 5)
    engine.scheduler.advance_backfill(step(engine, made))
    running, waiting = runs(engine, made)
    start(engine, running)
    done = engine.store.backfills.cancel(made.id, who="ann")
    assert (done.ended, done.running) == (1, 1)
    assert [run.state for run in runs(engine, made)] == [RunState.RUNNING, RunState.FAILED]
    assert engine.state(waiting) is S.SKIPPED
    [change] = engine.store.queries.run_transitions(waiting.id)
    assert (change.actor, change.who, change.reason) == ("mark", "ann", f"backfill {made.id} was cancelled by ann")
    facts = read(engine, made)
    assert (facts.cancelled_at is not None, facts.completed_at) == (True, None)
    assert not engine.scheduler.advance_backfill(step(engine, made))
    end(engine, running)
    assert engine.scheduler.complete_backfill(made.id)
    assert engine.store.backfills.cancel(made.id, who="ann").ended == 0  # again is harmless


def test_what_has_no_open_run_is_completed_by_its_cancelling(engine: HandDriven) -> None:
    engine.dag("a", schedule=DAILY)
    made = create(engine, 5)
    engine.scheduler.advance_backfill(step(engine, made))
    engine.store.backfills.cancel(made.id, who="ann", key="k")
    assert read(engine, made).completed_at is not None
    assert engine.store.backfills.cancel(made.id, who="ann", key="k").ended == 2


def test_what_is_completed_or_unknown_cannot_be_cancelled(engine: HandDriven) -> None:
    engine.dag("a", schedule=DAILY)
    made = create(engine, 1)
    engine.scheduler.advance_backfill(step(engine, made))
    end(engine, runs(engine, made)[0])
    engine.scheduler.complete_backfill(made.id)
    with pytest.raises(Conflict, match=f"backfill {made.id} is completed; there is nothing left to cancel"):
        engine.store.backfills.cancel(made.id, who="ann")
    with pytest.raises(NotFound, match="there is no backfill 99; `windlass backfill list` shows all"):
        engine.store.backfills.cancel(99, who="ann")


def test_deleting_a_dag_deletes_its_backfills(engine: HandDriven) -> None:
    engine.dag("a", schedule=DAILY)
    made = create(engine)
    decided = step(engine, made)
    engine.store.dags.delete("d", who="bob")
    assert engine.scheduler.backfill(made.id) is None
    engine.dag("a", schedule=DAILY)
    assert not engine.scheduler.advance_backfill(decided)


def test_the_first_run_of_a_backfill_is_known(engine: HandDriven) -> None:
    engine.dag("a", schedule=DAILY, catchup=True)
    engine.new_run(logical_date=FIRST - timedelta(days=1))
    made = create(engine, 2)
    engine.scheduler.advance_backfill(step(engine, made))
    before = [engine.scheduler.previous(run.id, "a", -1, scheduled_only=True) for run in runs(engine, made)]
    assert [facts is not None and facts.first_of_backfill for facts in before] == [True, False]


def test_its_failures_never_pause_its_dag_even_if_the_other_runs_have_failed(engine: HandDriven) -> None:
    engine.dag("a", schedule=DAILY, max_consecutive_failed_dag_runs=1)
    other = engine.new_run()
    end(engine, other, RunState.FAILED)
    assert engine.store.queries.dag("d").paused
    engine.store.dags.set_paused("d", False)
    made = create(engine, 1)
    engine.scheduler.advance_backfill(step(engine, made))
    [run] = runs(engine, made)
    end(engine, run, RunState.FAILED)
    assert not engine.store.queries.dag("d").paused
