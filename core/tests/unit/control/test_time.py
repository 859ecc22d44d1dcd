"""What people are told of plugins' timetables, deadlines and DAGs that have paused themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from windlass.control.views import Cause
from windlass.protocol import Outcome, TimetableAnswer, TimetableQuestion
from windlass.spec import CustomTimetableSpec, DagSpec, DeadlineSpec, Reference, TaskSpec
from windlass_testing.installation import Installation
from windlass_testing.scripted import START, Result

HOUR = timedelta(hours=1)
MOON = DagSpec(
    dag_id="moon",
    tasks=(TaskSpec(task_id="a"),),
    schedule=CustomTimetableSpec(name="acme.Moon", data={}),
    schedule_summary="full moon",
    start_date=datetime(2026, 3, 1, 12, tzinfo=UTC),
    catchup=True,
)


def facts(cause: Cause) -> list[str]:
    """Return all facts of a tree, the root's first."""
    return [cause.fact, *(fact for below in cause.causes for fact in facts(below))]


def answer(question: TimetableQuestion) -> TimetableAnswer:
    start = question.last_end or START
    return TimetableAnswer(run_after=start + HOUR, start=start, end=start + HOUR)


def moonless(_question: TimetableQuestion) -> TimetableAnswer:
    raise ValueError("no moon")


def test_the_next_run_is_pending_until_the_timetable_has_answered(here: Installation) -> None:
    here.add(MOON)
    before = here.control.dags.next_run("moon")
    assert (before.run_after, before.reason) == (None, "pending: timetable 'acme.Moon' has not been asked yet")
    here.scheduler.step()
    assert here.control.dags.next_run("moon").reason == (
        "pending: timetable 'acme.Moon' has been asked and has not answered yet"
    )
    here.executor.timetable = answer
    here.settle()
    after = here.control.dags.next_run("moon")
    assert (after.run_after, after.data_interval_start, after.reason) == (START + HOUR, START, None)


def test_a_paused_dags_timetable_waits_for_the_unpausing(here: Installation) -> None:
    here.add(MOON, paused=True)
    here.settle()
    assert here.control.dags.next_run("moon").reason == (
        "pending: timetable 'acme.Moon' has not been asked yet; it is asked when the DAG is unpaused"
    )


def test_a_timetable_that_wants_no_run_is_not_pending(here: Installation) -> None:
    here.add(MOON)
    here.settle()
    assert here.control.dags.next_run("moon").reason == "the schedule (full moon) wants no run"


def test_what_is_wrong_with_a_timetable_is_told_wherever_people_look(here: Installation) -> None:
    here.executor.timetable = moonless
    here.add(MOON)
    here.settle()
    sentence = (
        "timetable 'acme.Moon' of DAG 'moon' raised ValueError: no moon; "
        "correct it, its log is dag_id=moon/timetable.log in the log folder"
    )
    assert here.control.dags.next_run("moon").reason == sentence
    assert sentence in facts(here.control.explain("moon"))
    [error] = here.control.dagfiles.import_errors()
    assert (error.file, error.error) == ("dags.py", sentence)
    assert here.control.dagfiles.count_import_errors() == 0, "its file could be read"
    here.executor.timetable = answer
    here.pass_time(timedelta(seconds=11))
    here.settle()
    assert here.control.dagfiles.import_errors() == ()


def test_an_error_of_a_version_that_is_no_more_is_not_shown(here: Installation) -> None:
    here.executor.timetable = moonless
    here.add(MOON)
    here.settle()
    here.add(DagSpec(dag_id="moon", tasks=MOON.tasks))
    assert here.control.dagfiles.import_errors() == ()


def test_a_manual_run_shows_no_interval_until_it_is_known(here: Installation) -> None:
    here.add(MOON, paused=True)
    assert here.control.runs.preview("moon").data_interval_start is None
    run = here.control.runs.trigger("moon", actor="ann")
    assert (run.data_interval_start, run.data_interval_end) == (None, None)
    assert "its data interval is not known: pending: timetable 'acme.Moon' has not been asked yet" in facts(
        here.control.explain("moon", run.run_id)
    )
    here.executor.timetable = lambda question: TimetableAnswer(
        run_after=question.now, start=question.now - HOUR, end=question.now
    )
    here.control.dags.set_paused("moon", paused=False, actor="ann")
    here.settle()
    assert here.control.runs.get("moon", run.run_id).data_interval_start == run.logical_date - HOUR


def test_a_missed_deadline_is_shown_with_its_run(here: Installation) -> None:
    deadline = DeadlineSpec(reference=Reference.QUEUED_AT, interval=900.0)
    here.executor.script = lambda _work, _try: Result(Outcome.FAIL)
    task = TaskSpec(task_id="a", retries=1, retry_delay=36_000.0)
    here.add(DagSpec(dag_id="slow", tasks=(task,), deadlines=(deadline,)))
    run = here.control.runs.trigger("slow", actor="ann")
    here.settle()
    assert here.control.runs.missed_deadlines("slow", run.run_id) == ()
    here.pass_time(timedelta(minutes=16))
    here.settle()
    [missed] = here.control.runs.missed_deadlines("slow", run.run_id)
    assert (missed.deadline, missed.due_at) == ("0:15:00 after queued_at", START + timedelta(minutes=15))
    sentence = "it has missed its deadline 2026-03-01T12:15:00.000000+00:00 (0:15:00 after queued_at)"
    assert sentence in facts(here.control.explain("slow", run.run_id))


def test_a_dag_that_has_paused_itself_says_why(here: Installation) -> None:
    here.executor.script = lambda _work, _try: Result(Outcome.FAIL)
    here.add(DagSpec(dag_id="bad", tasks=(TaskSpec(task_id="a"),), max_consecutive_failed_dag_runs=1))
    here.control.runs.trigger("bad", actor="ann")
    here.settle()
    details = here.control.dags.details("bad")
    why = "its newest run has failed (max_consecutive_failed_dag_runs=1)"
    assert (details.paused, details.paused_by, details.paused_reason) == (True, "scheduler", why)
    assert f"the DAG is paused by scheduler: {why}" in facts(here.control.explain("bad"))
