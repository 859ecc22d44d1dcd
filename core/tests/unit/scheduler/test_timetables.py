"""The scheduler asks plugins' timetables, waits for none, believes nothing, and asks again what failed."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from windlass.interfaces.timetable import DagRunInfo, DataInterval, TimeRestriction, Timetable
from windlass.planning import paging
from windlass.planning.paging import page_of, page_question
from windlass.ports import UNCOUNTED, Asked, BackfillFacts, DagFacts, RunFacts
from windlass.protocol import TimetableAnswer, TimetablePage, TimetableQuestion
from windlass.spec import AssetCondition, AssetOrTimeSpec, CustomTimetableSpec, DagSpec, TaskSpec
from windlass.states import RunType
from windlass_testing.scripted import START, ScriptedEngine
from windlass_testing.scripted_sql import SqlScriptedEngine

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
MOON = CustomTimetableSpec(name="acme.Moon", data={"phase": 3})


def dag(**fields: object) -> DagSpec:
    given = {"dag_id": "d", "tasks": (TaskSpec(task_id="a"),), "schedule": MOON, "start_date": START, "catchup": True}
    return DagSpec(**{**given, **fields})  # type: ignore[arg-type]


def hourly(question: TimetableQuestion) -> TimetableAnswer:
    """Cut time into hours from the start_date; a manual run gets the hour before it."""
    if question.run:
        return TimetableAnswer(run_after=question.now, start=question.now - HOUR, end=question.now)
    start = question.last_end or question.earliest
    assert start is not None
    return TimetableAnswer(run_after=start + HOUR, start=start, end=start + HOUR)


def runs(world: ScriptedEngine) -> list[RunFacts]:
    return [run for run in world.store.runs() if run.dag_id == "d"]


def asked(world: ScriptedEngine, run: int = 0) -> Asked:
    found = world.store.asked("d", run)
    assert found is not None
    return found


def test_each_run_is_created_when_it_is_due_and_each_question_is_asked_once(world: ScriptedEngine) -> None:
    world.executor.timetable = hourly
    world.add(dag())
    world.pass_time(3 * HOUR + MINUTE)
    assert [run.logical_date for run in runs(world)] == [START, START + HOUR, START + 2 * HOUR]
    assert [run.data_interval_end for run in runs(world)] == [START + HOUR, START + 2 * HOUR, START + 3 * HOUR]
    assert [question.last_start for question in world.executor.questions] == [
        None, START, START + HOUR, START + 2 * HOUR
    ]  # fmt: skip
    first = world.executor.questions[0]
    assert (first.name, first.data, first.earliest, first.catchup) == ("acme.Moon", {"phase": 3}, START, True)


def test_an_answer_outlives_the_scheduler(world: ScriptedEngine) -> None:
    world.executor.timetable = hourly
    world.add(dag())
    world.settle()
    world.scheduler = world.new_scheduler()
    world.pass_time(HOUR + MINUTE)
    assert [run.logical_date for run in runs(world)] == [START]
    assert len(world.executor.questions) == 2  # the one for the first run, and the one for the next


def test_while_a_timetable_is_silent_everything_else_goes_on(world: ScriptedEngine) -> None:
    world.add(dag())
    world.add(DagSpec(dag_id="other", tasks=(TaskSpec(task_id="b"),)))
    assert world.scheduler.step() > 0
    silent = world.executor.waiting.popleft()
    other = world.trigger("other")
    world.settle()
    assert world.state(other) == "success"
    assert not runs(world)
    world.executor.waiting.append(silent)
    world.executor.timetable = hourly
    world.pass_time(HOUR)
    assert len(runs(world)) == 1


def test_a_question_that_nobody_takes_is_sent_again_under_the_same_ticket(world: ScriptedEngine) -> None:
    world.add(dag())
    world.scheduler.step()
    lost = world.executor.waiting.popleft()
    world.clock.advance(11)
    world.scheduler.step()
    assert [work.ticket for work in world.executor.waiting] == [lost.ticket]


def test_of_a_question_that_was_sent_twice_one_claim_is_granted(world: ScriptedEngine) -> None:
    world.executor.timetable = hourly
    world.add(dag())
    world.scheduler.step()
    world.executor.waiting.append(world.executor.waiting[0])
    first = world.executor.claim()
    assert first is not None
    assert world.executor.claim() is None
    assert world.executor.answer(*first)
    assert not world.executor.answer(*first), "an answer counts once"


def test_a_question_whose_supervisor_died_is_put_again_when_its_lease_is_over(world: ScriptedEngine) -> None:
    world.add(dag())
    world.scheduler.step()
    died = world.executor.claim()
    assert died is not None
    world.clock.advance(61)
    world.scheduler.step()
    [again] = world.executor.waiting
    assert again.ticket != died[0].ticket
    world.executor.timetable = hourly
    assert not world.executor.answer(*died), "the answer to a question that was put again comes too late"
    world.executor.run_one()
    assert asked(world).answered


def test_what_fails_is_one_error_and_is_asked_again_later_and_later(world: ScriptedEngine) -> None:
    def raises(_question: TimetableQuestion) -> None:
        raise ValueError("no moon")

    world.executor.timetable = raises
    world.add(dag())
    world.settle()
    assert asked(world).error == (
        "timetable 'acme.Moon' of DAG 'd' raised ValueError: no moon; "
        "correct it, its log is dag_id=d/timetable.log in the log folder"
    )
    world.pass_time(timedelta(seconds=71))
    # after 10, 20 and 40 s
    assert [(question.now - START).total_seconds() for question in world.executor.questions] == [0, 10, 30, 70]
    world.executor.timetable = hourly
    world.pass_time(HOUR)
    assert (asked(world).error, asked(world).failures) == (None, 0)
    assert len(runs(world)) == 1


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (TimetableAnswer(run_after=START, start=START, end=START - HOUR), "ends at 2026-03-01T11"),
        (TimetableAnswer(run_after=START.replace(tzinfo=None), start=START, end=START), "has no time zone"),
        (TimetableAnswer(run_after=START, start=START - 2 * HOUR, end=START - HOUR), "before the start_date"),
        (TimetableAnswer(run_after=START, start=START + 30 * HOUR, end=START + 31 * HOUR), "after the end_date"),
    ],
    ids=["backwards", "naive", "too early", "too late"],
)
def test_nonsense_is_an_error_and_makes_no_run(world: ScriptedEngine, answer: TimetableAnswer, problem: str) -> None:
    world.executor.timetable = lambda _question: answer
    world.add(dag(end_date=START + 24 * HOUR))
    world.settle()
    assert problem in (asked(world).error or "")
    assert not runs(world)


def test_a_run_must_be_later_than_the_one_before(world: ScriptedEngine) -> None:
    world.executor.timetable = lambda question: TimetableAnswer(run_after=START, start=START, end=START)
    world.add(dag())
    world.settle()
    assert len(runs(world)) == 1
    assert "is not after the last one" in (asked(world).error or "")


def test_an_interval_whose_logical_date_has_a_run_is_passed_over(world: ScriptedEngine) -> None:
    world.executor.timetable = hourly
    world.add(dag())
    world.trigger("d")  # its logical date is that of the first interval
    world.pass_time(2 * HOUR + MINUTE)
    assert [run.logical_date for run in runs(world)] == [START, START + HOUR]
    assert len(world.executor.questions) == 3


def test_none_means_no_run_until_something_changes(world: ScriptedEngine) -> None:
    world.add(dag())
    world.pass_time(2 * HOUR)
    assert len(world.executor.questions) == 1
    world.executor.timetable = hourly
    world.add(dag(schedule=CustomTimetableSpec(name="acme.Moon", data={"phase": 4})))
    world.settle()
    assert runs(world)[0].logical_date == START


def test_without_catchup_an_answer_that_has_had_its_day_is_asked_again(world: ScriptedEngine) -> None:
    def latest(question: TimetableQuestion) -> TimetableAnswer:
        hours = max(0, (question.now - START) // HOUR - 1)
        start = max(START + hours * HOUR, question.last_end or START)
        return TimetableAnswer(run_after=start + HOUR, start=start, end=start + HOUR)

    world.executor.timetable = latest
    world.add(dag(catchup=False))
    world.settle()
    world.clock.advance(5 * 3600 + 60)  # nobody lived
    world.scheduler = world.new_scheduler()
    world.settle()
    assert [run.logical_date for run in runs(world)] == [START + 4 * HOUR]


def test_a_paused_dag_is_not_asked(world: ScriptedEngine) -> None:
    world.add(dag(), paused=True)
    world.pass_time(HOUR)
    assert not world.executor.questions


def test_a_manual_run_starts_when_its_interval_is_known(world: ScriptedEngine) -> None:
    world.add(dag(), paused=False)
    world.settle()
    world.clock.advance(7200)
    run = world.trigger("d", interval_pending=True)
    world.scheduler.step()
    assert world.state(run) == "queued"
    world.executor.timetable = hourly
    world.settle()
    started = world.store.run(run.id)
    assert started is not None
    assert (started.state, started.interval_pending) == ("success", False)
    assert (started.data_interval_start, started.data_interval_end) == (run.logical_date - HOUR, run.logical_date)
    assert world.store.asked("d", run.id) is None, "what is known is asked no more"


def test_a_manual_run_whose_interval_cannot_be_known_waits_and_holds_up_no_other(world: ScriptedEngine) -> None:
    def moody(question: TimetableQuestion) -> TimetableAnswer | None:
        if question.run:
            raise ValueError("no moon")
        return hourly(question)

    world.executor.timetable = moody
    world.add(dag(max_active_runs=1))
    world.clock.advance(60)
    stuck = world.trigger("d", interval_pending=True)
    world.pass_time(HOUR + MINUTE)
    assert world.state(stuck) == "queued"
    assert "no moon" in (asked(world, stuck.id).error or "")
    assert [world.state(run) for run in runs(world) if run.id != stuck.id] == ["success"]


def test_many_timetables_are_asked_a_few_at_a_time(world: ScriptedEngine) -> None:
    for number in range(20):
        world.add(dag(dag_id=f"d{number}"))
    world.scheduler.step()
    assert len(world.executor.waiting) == 8
    world.pass_time(timedelta(seconds=5))
    assert {question.dag_id for question in world.executor.questions} == {f"d{number}" for number in range(20)}


def test_an_answer_to_an_older_question_changes_nothing(world: ScriptedEngine) -> None:
    world.executor.timetable = hourly
    world.add(dag())
    world.scheduler.step()
    old = world.executor.claim()
    assert old is not None
    world.add(dag(start_date=START + 10 * HOUR))
    world.scheduler.step()
    assert not world.executor.answer(*old)
    world.settle()
    answer = asked(world).answer
    assert answer is not None
    assert answer.start == START + 10 * HOUR
    facts = world.store.dag("d")
    assert isinstance(facts, DagFacts)


# -- backfills --------------------------------------------------------------------------------------------------------


class Hours(Timetable):
    """An hour after the other, as long as it may."""

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        last = last_automated_data_interval
        start = restriction.earliest if last is None else last.end
        assert start is not None
        assert restriction.latest is not None
        return None if start > restriction.latest else DagRunInfo.interval(start, start + HOUR)

    def infer_manual_data_interval(self, *, run_after: datetime) -> DataInterval:
        return DataInterval.exact(run_after)


def pages(question: TimetableQuestion) -> TimetablePage:
    return page_of(Hours(), question)


def filled(world: ScriptedEngine, hours: int, **fields: object) -> BackfillFacts:
    world.add(dag(), paused=True)
    first = START - timedelta(hours=2000)
    return world.backfill("d", first, first + (hours - 1) * HOUR, **fields)


def stands(world: ScriptedEngine, backfill: BackfillFacts) -> BackfillFacts:
    found = world.store.backfill(backfill.id)
    assert found is not None
    return found


@pytest.mark.parametrize("backwards", [False, True])
def test_a_backfill_has_the_intervals_that_the_timetable_says(world: ScriptedEngine, *, backwards: bool) -> None:
    world.executor.timetable = pages
    backfill = filled(world, 40, backwards=backwards)
    assert backfill.intervals == UNCOUNTED
    world.settle()
    done = stands(world, backfill)
    assert done.completed_at is not None
    assert (done.intervals, done.dealt) == (40, 40)
    first = START - timedelta(hours=2000)
    assert [run.logical_date for run in world.runs_of_backfill(backfill)] == [first + n * HOUR for n in range(40)]
    assert len(world.executor.questions) == 1
    made = sorted(world.runs_of_backfill(backfill), key=lambda run: run.id)
    assert (made[0].logical_date > made[-1].logical_date) is backwards


def test_a_long_backfill_is_asked_page_by_page(world: ScriptedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "PAGE", 20)
    world.executor.timetable = pages
    backfill = filled(world, 50, max_active_runs=16)
    world.settle()
    assert (stands(world, backfill).dealt, stands(world, backfill).intervals) == (50, 50)
    assert len(world.runs_of_backfill(backfill)) == 50
    first = START - timedelta(hours=2000)
    reached = [None, first + 19 * HOUR, first + 39 * HOUR]
    assert [question.reached for question in world.executor.questions] == reached


def test_a_backfill_goes_on_where_it_stopped_with_the_page_that_was_answered(world: ScriptedEngine) -> None:
    world.executor.timetable = pages
    backfill = filled(world, 30)
    world.scheduler.step()
    world.executor.run_one()
    for _ in range(6):
        world.scheduler.step()
    assert 0 < stands(world, backfill).dealt < 30
    world.scheduler = world.new_scheduler()
    world.settle()
    assert stands(world, backfill).completed_at is not None
    assert len(world.runs_of_backfill(backfill)) == 30
    assert len(world.executor.questions) == 1


def test_a_backfill_without_intervals_is_completed_at_once(world: ScriptedEngine) -> None:
    world.executor.timetable = lambda _: TimetablePage(runs=(), is_last=True)
    backfill = filled(world, 3)
    world.settle()
    done = stands(world, backfill)
    assert done.completed_at is not None
    assert (done.intervals, done.dealt) == (0, 0)


def test_while_a_timetable_is_silent_its_backfill_waits_and_others_go_on(world: ScriptedEngine) -> None:
    backfill = filled(world, 3)
    world.add(DagSpec(dag_id="other", tasks=(TaskSpec(task_id="b"),)))
    world.scheduler.step()
    assert world.scheduler.step() > 0
    silent = world.executor.waiting.popleft()
    other = world.trigger("other")
    world.settle()
    assert world.state(other) == "success"
    assert stands(world, backfill).dealt == 0
    world.executor.waiting.append(silent)
    world.executor.timetable = pages
    world.settle()
    assert stands(world, backfill).completed_at is not None


def test_nonsense_is_one_sentence_at_the_backfill_and_is_asked_again_later(world: ScriptedEngine) -> None:
    def twice(question: TimetableQuestion) -> TimetablePage:
        page = pages(question)
        return TimetablePage(runs=page.runs[:1] * 2, is_last=True)

    world.executor.timetable = twice
    backfill = filled(world, 3)
    world.settle()
    error = asked(world, -backfill.id).error or ""
    assert error.startswith("timetable 'acme.Moon' of DAG 'd' answered with a run for ")
    assert not world.runs_of_backfill(backfill)
    world.executor.timetable = pages
    world.pass_time(timedelta(seconds=11))
    assert len(world.runs_of_backfill(backfill)) == 3
    assert len(world.executor.questions) == 2


def test_a_question_about_a_backfill_ends_with_it(world: ScriptedEngine) -> None:
    world.executor.timetable = pages
    backfill = filled(world, 3)
    world.settle()
    assert world.store.asked("d", -backfill.id) is None
    if isinstance(world, SqlScriptedEngine):
        late = page_question(backfill, dag(), "b", "f", backfill=backfill.id)
        assert world.store.ask(late, "digest", None) is None


# -- beside assets ----------------------------------------------------------------------------------------------------


def test_a_plugins_timetable_beside_assets_makes_its_runs_and_the_assets_make_theirs(world: ScriptedEngine) -> None:
    world.executor.timetable = hourly
    world.add(dag(schedule=AssetOrTimeSpec(timetable=MOON, condition=AssetCondition(asset="s3://a"))))
    world.pass_time(HOUR + MINUTE)
    world.update("s3://a")
    world.settle()
    assert [run.run_type for run in runs(world)] == [RunType.SCHEDULED, RunType.ASSET_TRIGGERED]
    assert runs(world)[0].logical_date == START
