"""Backfills driven by the real scheduler, over the store in memory and the real one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from windlass.errors import StoreError
from windlass.interfaces.timetable import DagRunInfo
from windlass.planning import backfill as planning
from windlass.ports import BackfillFacts, BackfillStep, NewRun, Reprocess, RunFacts, Workload
from windlass.protocol import Outcome
from windlass.spec import CronIntervalSpec, DagSpec, TaskSpec
from windlass.states import RunState, RunType
from windlass_testing.scripted import Result, ScriptedEngine
from windlass_testing.scripted_sql import SqlScriptedEngine

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
DAILY = CronIntervalSpec(expression="0 0 * * *")
A = TaskSpec(task_id="a")


@pytest.fixture
def over_sql() -> Iterator[SqlScriptedEngine]:
    """Return an engine over the real store, which has people's commands."""
    engine = SqlScriptedEngine()
    yield engine
    engine.close()


def dag(*tasks: TaskSpec, **fields: object) -> DagSpec:
    given = {"dag_id": "d", "tasks": tasks or (A,), "schedule": DAILY, "max_active_runs": 1, **fields}
    return DagSpec(**given)  # type: ignore[arg-type]


def day(number: int) -> datetime:
    return FIRST + timedelta(days=number)


def filled(world: ScriptedEngine, days: int, **fields: object) -> BackfillFacts:
    return world.backfill("d", day(0), day(days - 1), **fields)


def read(world: ScriptedEngine, backfill: BackfillFacts) -> BackfillFacts:
    facts = world.store.backfill(backfill.id)
    assert facts is not None
    return facts


def dates(runs: list[RunFacts]) -> list[int]:
    return [(run.logical_date - FIRST).days for run in runs]


def in_order(world: ScriptedEngine) -> list[str]:
    """Return the list that the run ids of the attempts go into, each when it starts."""
    started: list[str] = []

    def script(work: Workload, _try_number: int) -> Result:
        started.append(work.run_id)
        return Result()

    world.executor.script = script
    return started


def existing(world: ScriptedEngine, number: int) -> RunFacts:
    """Return the run of a day that the schedule made."""
    made = world.store.create_run(
        NewRun(
            dag_id="d",
            run_type=RunType.SCHEDULED,
            logical_date=day(number),
            data_interval_start=day(number),
            data_interval_end=day(number + 1),
            run_after=day(number + 1),
        )
    )
    assert made is not None
    return made


def test_every_interval_gets_one_run_whatever_catchup_says_and_while_the_dag_is_paused(world: ScriptedEngine) -> None:
    world.add(dag(catchup=False), paused=True)
    backfill = filled(world, 40)
    world.settle()
    runs = world.runs_of_backfill(backfill)
    assert dates(runs) == list(range(40))
    assert {(run.state, run.run_type) for run in runs} == {(RunState.SUCCESS, RunType.BACKFILL)}
    assert [run.start_date for run in runs] == sorted(run.start_date for run in runs if run.start_date)
    assert len(world.store.runs()) == 40  # none by the schedule
    assert read(world, backfill).completed_at is not None


@pytest.mark.one_scheduler
def test_its_runs_are_made_few_at_a_time(world: ScriptedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[BackfillStep] = []
    real = world.store.advance_backfill

    def counted(step: BackfillStep) -> bool:
        steps.append(step)
        return real(step)

    monkeypatch.setattr(world.store, "advance_backfill", counted)
    world.add(dag(), paused=True)
    backfill = filled(world, 40)
    most = 0
    while read(world, backfill).completed_at is None:
        world.scheduler.step()
        if world.executor.waiting:
            world.executor.run_one()
        most = max(most, read(world, backfill).open_runs)
    assert most <= 2 + 2  # those that may be active, and as many ahead
    assert max(len(step.created) for step in steps) <= 4
    assert sum(len(step.created) for step in steps) == 40


def test_it_is_counted_apart_from_the_dags_own_runs(world: ScriptedEngine) -> None:
    world.add(dag(max_active_runs=1, start_date=day(10_000)))  # its schedule makes no run meanwhile
    own = world.trigger("d")
    backfill = filled(world, 5, max_active_runs=3)
    world.scheduler.step()
    world.scheduler.step()
    world.scheduler.step()
    assert world.state(own) == "running"
    assert [run.state for run in world.runs_of_backfill(backfill)].count(RunState.RUNNING) == 3
    own2 = world.trigger("d")
    world.scheduler.step()
    assert world.state(own2) == "queued"


def test_backwards_begins_with_the_latest(world: ScriptedEngine) -> None:
    world.add(dag(), paused=True)
    backfill = filled(world, 6, backwards=True, max_active_runs=1)
    started = in_order(world)
    world.settle()
    assert [int(run_id[18:20]) for run_id in started] == [6, 5, 4, 3, 2, 1]
    assert read(world, backfill).completed_at is not None


def test_only_the_chosen_tasks_run(world: ScriptedEngine) -> None:
    world.add(dag(A, TaskSpec(task_id="b", upstream=("a",)), TaskSpec(task_id="c", upstream=("b",))))
    backfill = filled(world, 1, task_regex="^[bc]$")
    world.settle()
    assert world.states(world.runs_of_backfill(backfill)[0]) == {"b": "success", "c": "success"}


@pytest.mark.parametrize(
    ("reprocess", "again"),
    [(Reprocess.NONE, []), (Reprocess.FAILED, [1]), (Reprocess.COMPLETED, [0, 1])],
)
def test_reprocess_runs_again_what_exists(world: ScriptedEngine, reprocess: Reprocess, again: list[int]) -> None:
    world.add(dag(max_active_runs=4, end_date=day(-1)))
    well, badly = existing(world, 0), existing(world, 1)
    world.executor.script = lambda work, _: Result(Outcome.FAIL if work.run_id == badly.run_id else Outcome.SUCCESS)
    world.settle()
    assert (world.state(well), world.state(badly)) == ("success", "failed")
    world.executor.script = lambda _work, _try: Result()
    world.add(dag(max_active_runs=4, end_date=day(-1)), paused=True)  # a reused run goes on as well
    backfill = filled(world, 3, reprocess=reprocess)
    world.settle()
    assert dates(world.runs_of_backfill(backfill)) == [*again, 2]
    tries = [task.try_number for run in (well, badly) for task in world.store.tasks_of(run.id)]
    assert tries == [2 if number in again else 1 for number in (0, 1)]
    assert world.state(badly) == ("success" if 1 in again else "failed")
    assert read(world, backfill).completed_at is not None


def test_a_run_that_has_not_ended_is_left_alone(world: ScriptedEngine) -> None:
    world.add(dag(end_date=day(-1)))
    busy = existing(world, 0)
    world.scheduler.step()
    backfill = filled(world, 2, reprocess=Reprocess.COMPLETED)
    world.settle()
    assert dates(world.runs_of_backfill(backfill)) == [1]
    assert [task.try_number for task in world.store.tasks_of(busy.id)] == [1]


def test_intervals_that_all_have_their_runs_complete_it_at_once(world: ScriptedEngine) -> None:
    world.add(dag(end_date=day(-1), max_active_runs=-1))
    for number in range(40):
        existing(world, number)
    world.settle()
    backfill = filled(world, 40)
    world.settle()
    facts = read(world, backfill)
    assert (facts.dealt, facts.completed_at is not None, world.runs_of_backfill(backfill)) == (40, True, [])


def test_the_schedule_leaves_out_an_interval_that_a_backfill_has_filled(world: ScriptedEngine) -> None:
    start = world.clock.now().replace(hour=0) - timedelta(days=3)
    world.add(dag(start_date=start, catchup=True), paused=True)
    backfill = world.backfill("d", start + timedelta(days=1), start + timedelta(days=1))
    world.settle()
    world.add(dag(start_date=start, catchup=True))
    world.settle()
    kinds = {run.logical_date: run.run_type for run in world.store.runs()}
    assert [str(kinds[start + timedelta(days=n)]) for n in range(3)] == ["scheduled", "backfill", "scheduled"]
    assert len(kinds) == len(world.store.runs()) == 3
    assert len(world.runs_of_backfill(backfill)) == 1


def test_the_first_run_passes_depends_on_past_and_the_others_wait(world: ScriptedEngine) -> None:
    world.add(dag(TaskSpec(task_id="a", depends_on_past=True), end_date=day(-9), catchup=True, max_active_runs=9))
    before = existing(world, -1)
    world.executor.script = lambda work, _: Result(Outcome.FAIL if work.run_id == before.run_id else Outcome.SUCCESS)
    world.settle()
    assert world.state(before) == "failed"
    order = in_order(world)
    backfill = filled(world, 4, max_active_runs=4)
    world.settle()
    runs = world.runs_of_backfill(backfill)
    assert [world.state(run) for run in runs] == ["success"] * 4
    assert order == [run.run_id for run in runs]


def test_cancelling_ends_what_waits_and_lets_what_runs_go_on(world: ScriptedEngine) -> None:
    world.add(dag())
    backfill = filled(world, 9)
    world.scheduler.step()
    world.scheduler.step()
    world.scheduler.step()
    assert [str(run.state) for run in world.runs_of_backfill(backfill)] == ["running", "running", "queued", "queued"]
    world.store.cancel_backfill(backfill.id)
    world.settle()
    assert [str(run.state) for run in world.runs_of_backfill(backfill)] == ["success", "success", "failed", "failed"]
    facts = read(world, backfill)
    assert (facts.dealt, facts.completed_at is not None) == (4, True)


def test_a_scheduler_that_takes_over_goes_on_where_the_last_one_stopped(world: ScriptedEngine) -> None:
    world.add(dag(), paused=True)
    backfill = filled(world, 20, max_active_runs=1)
    for _ in range(30):
        world.scheduler.step()
        if world.executor.waiting:
            world.executor.run_one()
        world.scheduler = world.new_scheduler()
        if read(world, backfill).completed_at is not None:
            break
    world.settle()
    assert dates(world.runs_of_backfill(backfill)) == list(range(20))
    assert world.executor.started == ["a"] * 20


def test_an_error_of_the_database_in_the_middle_is_survived(
    world: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = world.store.advance_backfill
    answers = iter(range(1000))

    def flaky(step: BackfillStep) -> bool:
        done = real(step)
        if next(answers) % 2:
            raise StoreError("the answer was lost")
        return done

    monkeypatch.setattr(world.store, "advance_backfill", flaky)
    world.add(dag())
    backfill = filled(world, 20)
    world.pass_time(timedelta(seconds=30))
    assert dates(world.runs_of_backfill(backfill)) == list(range(20))
    assert read(world, backfill).completed_at is not None


def test_a_backfill_that_cannot_go_on_stands_still_and_harms_no_other(
    world: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = planning.next_intervals

    def broken(facts: BackfillFacts, spec: DagSpec, number: int) -> list[DagRunInfo]:
        if facts.dag_id == "bad":
            raise ValueError("no such zone")
        return real(facts, spec, number)

    monkeypatch.setattr(planning, "next_intervals", broken)
    world.add(dag(dag_id="bad"))
    world.add(dag())
    bad = world.backfill("bad", day(0), day(3))
    good = filled(world, 3)
    world.settle()
    assert read(world, bad).dealt == 0
    assert read(world, good).completed_at is not None


def test_while_its_dag_is_in_no_file_no_runs_are_made(world: ScriptedEngine) -> None:
    world.add(dag())
    backfill = filled(world, 9, max_active_runs=1)
    world.scheduler.step()
    forget(world)
    world.settle()
    made = len(world.runs_of_backfill(backfill))
    assert made < 9
    world.add(dag())
    world.settle()
    assert len(world.runs_of_backfill(backfill)) == 9


def forget(world: ScriptedEngine) -> None:
    if isinstance(world, SqlScriptedEngine):
        world.services.dags.forget_files("main", ["d.py"])
    else:
        world.store.add_dag(dag(), stale=True)


def test_a_cleared_run_of_a_completed_backfill_runs_within_its_limit(over_sql: SqlScriptedEngine) -> None:
    world = over_sql
    world.add(dag(), paused=True)
    backfill = filled(world, 3, max_active_runs=1)
    world.settle()
    tasks = [task.id for run in world.runs_of_backfill(backfill) for task in world.store.tasks_of(run.id)]
    world.services.runs.clear(tasks, who="bob")
    world.scheduler.step()
    world.scheduler.step()
    assert sorted(str(run.state) for run in world.runs_of_backfill(backfill)) == ["queued", "queued", "running"]
    world.settle()
    assert {str(run.state) for run in world.runs_of_backfill(backfill)} == {"success"}
    assert read(world, backfill).completed_at is not None


def test_its_tasks_do_not_overtake_what_is_due_today(world: ScriptedEngine) -> None:
    world.executor.parallelism = 1
    world.add(dag(end_date=day(-9)))
    world.add(DagSpec(dag_id="today", tasks=(TaskSpec(task_id="now"),)))
    world.trigger("today")
    filled(world, 3)
    world.settle()
    assert world.executor.started[0] == "now"


def test_a_dags_next_run_is_made_when_a_person_ends_the_one_before(over_sql: SqlScriptedEngine) -> None:
    world = over_sql
    start = world.clock.now().replace(hour=0) - timedelta(days=3)
    world.add(dag(start_date=start, catchup=True))
    world.scheduler.step()
    world.scheduler.step()
    [run] = world.store.runs()
    world.services.runs.mark_run("d", run.run_id, RunState.FAILED, who="bob")
    world.executor.waiting.clear()
    world.settle()
    assert len(world.store.runs()) == 3


def test_steps_follow_each_other_by_time(world: ScriptedEngine) -> None:
    world.add(dag())
    backfill = filled(world, 12)
    world.settle()
    ids = [run.id for run in world.runs_of_backfill(backfill)]
    assert all(one < other for one, other in pairwise(ids))
