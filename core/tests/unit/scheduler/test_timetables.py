"""The scheduler asks plugins' timetables, waits for none, believes nothing, and asks again what failed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from windlass.ports import Asked, DagFacts, RunFacts
from windlass.protocol import TimetableAnswer, TimetableQuestion
from windlass.spec import CustomTimetableSpec, DagSpec, TaskSpec
from windlass_testing.scripted import START, ScriptedEngine

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
