from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from windlass.control import BackfillRequest
from windlass.errors import Conflict, DagNotFound, NotFound, ParamInvalid, UsageError
from windlass.ports import BackfillState, Reprocess, Treatment
from windlass.protocol import TimetableAnswer, TimetablePage, TimetableQuestion
from windlass.spec import CronIntervalSpec, CustomTimetableSpec, DagSpec, ParamSpec, TaskSpec
from windlass.states import RunState
from windlass_testing.installation import Installation

A = (TaskSpec(task_id="a"),)
FIRST = datetime(2026, 2, 1, tzinfo=UTC)
DAILY = DagSpec(dag_id="d", tasks=A, schedule=CronIntervalSpec(expression="0 0 * * *"), max_active_runs=3)


def request(days: int = 3, **fields: object) -> BackfillRequest:
    given = {"dag_id": "d", "from_date": FIRST, "to_date": FIRST + timedelta(days=days - 1), **fields}
    return BackfillRequest(**given)  # type: ignore[arg-type]


def test_a_plan_shows_what_creating_does_and_writes_nothing(here: Installation) -> None:
    here.add(DAILY, paused=True)
    here.control.runs.trigger("d", logical_date=FIRST + timedelta(days=1), run_id="mine", actor="ann")
    here.control.runs.mark("d", "mine", RunState.FAILED, actor="ann")
    plan = here.control.backfills.plan(request())
    assert [run.action for run in plan.runs] == [Treatment.CREATE, Treatment.LEAVE, Treatment.CREATE]
    plan = here.control.backfills.plan(request(reprocess=Reprocess.FAILED))
    assert [(run.action, run.state) for run in plan.runs] == [
        (Treatment.CREATE, None),
        (Treatment.CLEAR, RunState.FAILED),
        (Treatment.CREATE, None),
    ]
    assert plan.runs[1].run_id == "mine"
    assert [run.logical_date.day for run in here.control.backfills.plan(request(backwards=True)).runs] == [3, 2, 1]
    assert here.control.backfills.list().items == ()
    here.control.backfills.create(request(reprocess=Reprocess.FAILED), actor="ann")
    here.settle()
    runs = {run.run_id: run.state for run in here.control.runs.list(dag_id="d").items}
    assert set(runs) == {run.run_id for run in plan.runs}
    assert set(runs.values()) == {RunState.SUCCESS}


def test_a_backfill_shows_how_far_it_has_come(here: Installation) -> None:
    here.add(DAILY, paused=True)
    row = here.control.backfills.create(request(9), actor="ann")
    assert (row.state, row.intervals, row.dealt, row.max_active_runs) == (BackfillState.RUNNING, 9, 0, 3)
    for _ in range(3):
        here.scheduler.step()
    row = here.control.backfills.get(row.id)
    assert (row.dealt, row.runs) == (6, {"queued": 3, "running": 3, "success": 0, "failed": 0})
    here.settle()
    row = here.control.backfills.get(row.id)
    assert (row.state, row.dealt, row.runs["success"]) == (BackfillState.COMPLETED, 9, 9)
    assert here.control.runs.list(backfill=row.id).items[0].backfill_id == row.id


def test_the_same_key_makes_one_backfill(here: Installation) -> None:
    here.add(DAILY)
    first = here.control.backfills.create(request(), actor="ann", idempotency_key="k")
    here.pass_time(timedelta(minutes=1))
    assert here.control.backfills.create(request(), actor="ann", idempotency_key="k") == first
    assert len(here.control.backfills.list().items) == 1


def test_what_cannot_be_is_refused(here: Installation) -> None:
    here.add(DAILY)
    with pytest.raises(DagNotFound):
        here.control.backfills.create(request(dag_id="e"), actor="ann")
    with pytest.raises(UsageError, match="at least one run has to be active at a time"):
        here.control.backfills.create(request(max_active_runs=0), actor="ann")
    with pytest.raises(UsageError, match="no task of DAG 'd' matches 'z'"):
        here.control.backfills.create(request(task_regex="z"), actor="ann")
    with pytest.raises(UsageError, match="swap them"):
        here.control.backfills.create(request(from_date=FIRST + timedelta(days=9)), actor="ann")
    here.add()
    with pytest.raises(Conflict, match="no longer in any file"):
        here.control.backfills.plan(request())


def test_conf_is_checked_against_the_params(here: Installation) -> None:
    params = {"day": ParamSpec(value=1, schema={"type": "integer"})}
    here.add(DagSpec(dag_id="d", tasks=A, schedule=DAILY.schedule, params=params))
    with pytest.raises(ParamInvalid):
        here.control.backfills.create(request(conf={"day": "x"}), actor="ann")
    here.control.backfills.create(request(conf={"day": 2}), actor="ann")


def test_an_unlimited_dag_still_gives_a_backfill_a_limit(here: Installation) -> None:
    here.add(DagSpec(dag_id="d", tasks=A, schedule=DAILY.schedule, max_active_runs=-1))
    assert here.control.backfills.create(request(), actor="ann").max_active_runs == 16


def test_cancelling_is_seen(here: Installation) -> None:
    here.add(DAILY)
    made = here.control.backfills.create(request(9), actor="ann")
    for _ in range(3):
        here.scheduler.step()
    done = here.control.backfills.cancel(made.id, actor="bob")
    assert (done.ended, done.running) == (3, 3)
    assert here.control.backfills.get(made.id).state is BackfillState.CANCELLING
    here.settle()
    row = here.control.backfills.get(made.id)
    assert (row.state, row.runs["failed"], row.runs["success"]) == (BackfillState.CANCELLED, 3, 3)


def test_what_is_not_visible_is_not_found(here: Installation) -> None:
    here.add(DAILY)
    made = here.control.backfills.create(request(), actor="ann")

    def nothing(_dag_id: str) -> bool:
        return False

    assert here.control.backfills.list(visible=nothing).items == ()
    with pytest.raises(DagNotFound):
        here.control.backfills.create(request(), actor="ann", visible=nothing)
    with pytest.raises(NotFound):
        here.control.backfills.get(made.id, visible=nothing)
    with pytest.raises(NotFound):
        here.control.backfills.cancel(made.id, actor="ann", visible=nothing)


# -- intervals that a plugin's timetable says --------------------------------------------------------------------------

MOON = DagSpec(dag_id="d", tasks=A, schedule=CustomTimetableSpec(name="acme.Moon", data={}), max_active_runs=3)


def daily(question: TimetableQuestion, limit: int) -> TimetablePage:
    """Answer with at most ``limit`` days."""
    assert question.earliest is not None
    assert question.latest is not None
    days = [question.earliest + timedelta(days=n) for n in range((question.latest - question.earliest).days + 1)]
    left = [day for day in days if question.reached is None or day > question.reached]
    answers = [TimetableAnswer(run_after=day, start=day, end=day) for day in left[:limit]]
    return TimetablePage(runs=tuple(answers), is_last=len(left) <= limit)


def test_a_plan_has_the_timetable_asked_page_by_page(here: Installation) -> None:
    here.add(MOON, paused=True)
    here.control.runs.trigger("d", logical_date=FIRST + timedelta(days=1), run_id="mine", actor="ann")
    asked: list[TimetableQuestion] = []

    def ask(question: TimetableQuestion) -> TimetablePage:
        asked.append(question)
        return daily(question, 2)

    plan = here.control.backfills.plan(request(5), ask=ask)
    assert [run.logical_date.day for run in plan.runs] == [1, 2, 3, 4, 5]
    assert [run.action for run in plan.runs][:2] == [Treatment.CREATE, Treatment.LEAVE]
    assert [question.reached for question in asked] == [None, FIRST + timedelta(days=1), FIRST + timedelta(days=3)]
    assert all((question.name, question.backfill, question.dag_id) == ("acme.Moon", 0, "d") for question in asked)


def test_a_plan_that_cannot_ask_says_who_can(here: Installation) -> None:
    here.add(MOON, paused=True)
    with pytest.raises(UsageError, match="`windlass backfill create --dry-run --dag-id d …` asks it"):
        here.control.backfills.plan(request())


def test_a_backfill_shows_that_it_has_not_been_counted_and_what_is_wrong(here: Installation) -> None:
    def fail(_question: TimetableQuestion) -> None:
        raise ValueError("no moon")

    here.add(MOON, paused=True)
    row = here.control.backfills.create(request(), actor="ann")
    assert (row.intervals, row.dealt, row.error) == (None, 0, None)
    here.executor.timetable = fail
    here.settle()
    row = here.control.backfills.get(row.id)
    assert (row.error or "").startswith("timetable 'acme.Moon' of DAG 'd' raised ValueError: no moon")
    assert here.control.backfills.list().items[0].error == row.error
    here.control.backfills.cancel(row.id, actor="ann")
    row = here.control.backfills.get(row.id)
    assert (row.state, row.error) == (BackfillState.CANCELLED, None)
