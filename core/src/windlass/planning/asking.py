"""Questions to plugins' timetables: what is asked, when an answer is good, and when it has had its day.

The scheduler makes a question, a child answers it, and whoever writes the answer down judges it first, because a
timetable is author code and may say anything. Everything here is pure, so the same rules hold in the scheduler, in the
store, in the child and in the simulation.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Final

import msgspec

from windlass.errors import ProtocolError, SpecError
from windlass.interfaces.timetable import DagRunInfo, DataInterval, TimeRestriction, Timetable
from windlass.moment import iso
from windlass.planning.attempts import timetable_log
from windlass.planning.calendar import asked_timetable, last_interval, next_info
from windlass.ports import DagFacts, Report, RunFacts
from windlass.protocol import Finish, Outcome, TimetableAnswer, TimetableQuestion
from windlass.protocol.timetables import decode_answer
from windlass.spec import CustomTimetableSpec, DagSpec

#: Seconds that a timetable may take for an answer.
TIMEOUT: Final = 5.0
TOO_SLOW: Final = f"did not answer within {TIMEOUT:g} s; it must compute, without network, waiting or long loops"
#: Without catchup, an answer about a run that was due longer ago than this, given before it was due, is asked again.
_FRESH = timedelta(seconds=60)
#: Seconds until a timetable that failed is asked again: doubled by each failure, up to the second.
_FIRST_RETRY, _LONGEST_RETRY = 10.0, 600.0
_MOST_DOUBLINGS = 10


class NotAnAnswer(TypeError):
    """A timetable returned something that is none of the things it may return."""


def next_question(dag: DagFacts, spec: DagSpec, now: datetime) -> TimetableQuestion:
    """Return the question for the next scheduled run of ``dag``, whose timetable is a plugin's."""
    schedule = the_timetable(spec)
    return TimetableQuestion(
        dag_id=dag.dag_id,
        name=schedule.name,
        data=schedule.data,
        spec_version=dag.spec_version,
        code_version=dag.code_version,
        bundle=dag.bundle,
        file=dag.file,
        now=now,
        last_start=dag.last_interval_start,
        last_end=dag.last_interval_end,
        earliest=spec.start_date,
        latest=spec.end_date,
        catchup=spec.catchup,
        unpaused_at=dag.unpaused_at,
        run_on_unpause=spec.run_on_unpause,
    )


def manual_question(run: RunFacts, spec: DagSpec) -> TimetableQuestion:
    """Return the question for the data interval of a manual run."""
    schedule = the_timetable(spec)
    return TimetableQuestion(
        dag_id=run.dag_id,
        run=run.id,
        name=schedule.name,
        data=schedule.data,
        spec_version=run.spec_version,
        code_version=run.code_version,
        bundle=run.bundle,
        file=run.file,
        now=run.logical_date,
    )


def digest(question: TimetableQuestion) -> str:
    """Return a hash of all that the answer depends on but the instant of asking: the same hash is the same question."""
    # An unpausing asks anew: what was due before it may be no more.
    stable = question if question.run or question.limit else msgspec.structs.replace(question, now=datetime.min)  # noqa: DTZ901 - a constant
    return hashlib.sha256(msgspec.json.encode(stable)).hexdigest()


def answer_of(table: Timetable, question: TimetableQuestion) -> TimetableAnswer | None:
    """Return what ``table`` answers. Whatever it raises passes through.

    :raises NotAnAnswer: if it returns something else than it must.
    """
    if question.run:
        interval = table.infer_manual_data_interval(run_after=question.now)
        require(interval, DataInterval, "infer_manual_data_interval")
        return TimetableAnswer(run_after=question.now, start=interval.start, end=interval.end)
    restriction = TimeRestriction(
        earliest=question.earliest, latest=question.latest, catchup=question.catchup, now=question.now
    )
    skipped_until = None if question.run_on_unpause else question.unpaused_at
    info = next_info(table, last_interval(question.last_start, question.last_end), restriction, skipped_until)
    if info is None:
        return None
    require(info, DagRunInfo, "next_dagrun_info")
    return TimetableAnswer(run_after=info.run_after, start=info.data_interval.start, end=info.data_interval.end)


def problem_with(question: TimetableQuestion, answer: TimetableAnswer | None) -> str | None:
    """Return what is wrong with an answer, as the end of a sentence; None if it can be used."""
    if answer is None:
        return "wants no data interval for a manual run; return a DataInterval" if question.run else None
    problem = malformed(answer)
    if problem is not None or question.run:
        return problem
    if question.last_start is not None and answer.start <= question.last_start:
        return (
            f"answered with a run for {iso(answer.start)}, which is not after the last one, for "
            f"{iso(question.last_start)}; each run's interval must start later than the one before"
        )
    if question.earliest is not None and answer.end < question.earliest:
        return (
            f"answered with an interval that ends at {iso(answer.end)}, before the start_date "
            f"{iso(question.earliest)}; mind restriction.earliest"
        )
    if question.latest is not None and answer.start > question.latest:
        return (
            f"answered with a run for {iso(answer.start)}, after the end_date {iso(question.latest)}; "
            "return None when restriction.latest has passed"
        )
    return None


def malformed(answer: TimetableAnswer) -> str | None:
    """Return what is wrong with an answer whatever was asked, as the end of a sentence; None if nothing is."""
    for what, value in (("run_after", answer.run_after), ("the start", answer.start), ("the end", answer.end)):
        if value.tzinfo is None:
            return f"answered with {what} {value.isoformat()}, which has no time zone; give it tzinfo=UTC"
    if answer.end < answer.start:
        return f"answered with an interval that ends at {iso(answer.end)}, before it starts at {iso(answer.start)}"
    return None


def said_in(question: TimetableQuestion, report: Report) -> tuple[bytes, str | None]:
    """Return what a child's report holds as its answer, and why there is none, None if there is one."""
    if report.timed_out is not None:
        return b"", TOO_SLOW
    if report.lost is not None or report.stopped is not None:
        return b"", f"gave no answer: {report.lost or 'its process was stopped'}"
    done = report.ending
    if not isinstance(done, Finish) or done.outcome is not Outcome.SUCCESS:
        reason = (done.reason if isinstance(done, Finish) else None) or "gave no answer"
        return b"", f"{reason}; correct it, its log is {timetable_log(question.dag_id)} in the log folder"
    return report.xcoms[0].value.data if report.xcoms else b"", None


def judged(question: TimetableQuestion, report: Report) -> tuple[TimetableAnswer | None, str | None]:
    """Return the answer in a child's report, and what is wrong with it or why there is none, None if it is good."""
    data, missing = said_in(question, report)
    if missing is not None:
        return None, missing
    try:
        answer = decode_answer(data)
    except ProtocolError as error:
        return None, f"gave no answer that can be read: {error}"
    return answer, problem_with(question, answer)


def is_outdated(question: TimetableQuestion, answer: TimetableAnswer | None, now: datetime) -> bool:
    """Return whether so much time has passed since the question that another run may be the latest by now."""
    if answer is None or question.run or question.catchup:
        return False
    return question.now < answer.run_after < now - _FRESH


def retry_delay(failures: int) -> timedelta:
    """Return how long to wait after that many failures in a row."""
    return timedelta(seconds=min(_LONGEST_RETRY, _FIRST_RETRY * 2 ** min(max(0, failures - 1), _MOST_DOUBLINGS)))


def complaint(question: TimetableQuestion, problem: str) -> str:
    """Return the sentence that people see: it names the timetable and the DAG."""
    return f"timetable {question.name!r} of DAG {question.dag_id!r} {problem}"


def the_timetable(spec: DagSpec) -> CustomTimetableSpec:
    """Return the plugin's timetable of a DAG that has one.

    :raises SpecError: if it has none.
    """
    schedule = asked_timetable(spec)
    if schedule is None:
        msg = f"the schedule of DAG {spec.dag_id!r} is no timetable of a plugin; please report this"
        raise SpecError(msg)
    return schedule


def require(value: object, kind: type, method: str) -> None:
    """Refuse what a timetable's method must not return.

    :raises NotAnAnswer: if ``value`` is no ``kind``.
    """
    if not isinstance(value, kind):
        raise NotAnAnswer(f"{method} returned {value!r:.200}, which is no {kind.__name__}")
