"""Pages of a backfill's intervals, where a plugin's timetable says them.

A child walks over the intervals from the first date on, as the schedule would with catchup, and sends those that come
next; a thousand intervals take a few questions. A page depends on its question alone, so it can be asked again at any
time. A backfill keeps its place by logical date, which rises strictly by a timetable's contract; ``run_after`` need
not, where several intervals are due at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from windlass.errors import ProtocolError
from windlass.interfaces.timetable import DagRunInfo, DataInterval, TimeRestriction, Timetable
from windlass.moment import iso
from windlass.planning.asking import NotAnAnswer, judged, malformed, require, said_in, the_timetable
from windlass.ports import MOST_INTERVALS, NewBackfill, Report
from windlass.protocol import TimetableAnswer, TimetablePage, TimetableQuestion
from windlass.protocol.timetables import decode_page
from windlass.spec import DagSpec

#: Intervals in one answer.
PAGE: Final = 500


def page_question(
    new: NewBackfill, spec: DagSpec, bundle: str, file: str, *, backfill: int = 0, reached: datetime | None = None
) -> TimetableQuestion:
    """Return the question for the intervals after ``reached``; ``backfill`` is 0 where nothing is recorded."""
    schedule = the_timetable(spec)
    return TimetableQuestion(
        dag_id=new.dag_id,
        name=schedule.name,
        data=schedule.data,
        spec_version=new.spec_version,
        code_version=new.code_version,
        bundle=bundle,
        file=file,
        now=new.created_at,
        earliest=new.from_date,
        latest=new.to_date,
        catchup=True,
        backfill=backfill,
        limit=PAGE,
        backwards=new.backwards,
        reached=reached,
    )


def page_of(table: Timetable, question: TimetableQuestion) -> TimetablePage:
    """Return what ``table`` answers. Whatever it raises passes through.

    :raises NotAnAnswer: if it returns something else than it must, or has more intervals than a backfill takes.
    """
    reached, limit = question.reached, question.limit
    found: deque[TimetableAnswer] = deque(maxlen=limit if question.backwards else None)
    dropped = False
    for info in _walk(table, question):
        if question.backwards:
            if reached is not None and info.logical_date >= reached:
                break
            dropped = len(found) == limit
        elif reached is not None and info.logical_date <= reached:
            continue
        elif len(found) == limit:
            dropped = True
            break
        interval = info.data_interval
        found.append(TimetableAnswer(run_after=info.run_after, start=interval.start, end=interval.end))
    runs = reversed(found) if question.backwards else found
    return TimetablePage(runs=tuple(runs), is_last=not dropped)


def _walk(table: Timetable, question: TimetableQuestion) -> Iterator[DagRunInfo]:
    """Yield the intervals between the question's dates that were due when it was put, in the order of time."""
    earliest, latest = question.earliest, question.latest
    restriction = TimeRestriction(earliest=earliest, latest=latest, catchup=True, now=question.now)
    last: DataInterval | None = None
    for _ in range(MOST_INTERVALS + 1):
        info = table.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)
        if info is None:
            return
        require(info, DagRunInfo, "next_dagrun_info")
        at = info.logical_date
        if last is not None and at <= last.start:
            raise NotAnAnswer(f"answered with {_out_of_order(at, last.start, 'after')}")
        if (latest is not None and at > latest) or info.run_after > question.now:
            return
        if earliest is None or at >= earliest:
            yield info
        last = info.data_interval
    raise NotAnAnswer(f"has more than {MOST_INTERVALS:,} intervals between these dates; choose closer ones")


def problem_with_page(question: TimetableQuestion, page: TimetablePage) -> str | None:
    """Return what is wrong with a page, as the end of a sentence; None if it can be used.

    The child has judged already; this is the judgement of a process in which no author's code has run.
    """
    if len(page.runs) > question.limit or not (page.runs or page.is_last):
        return f"answered with {len(page.runs)} intervals where 1 to {question.limit} were asked for"
    before = question.reached
    for run in page.runs:
        problem = malformed(run)
        if problem is not None:
            return problem
        if before is not None and (run.start >= before if question.backwards else run.start <= before):
            return f"answered with {_out_of_order(run.start, before, 'before' if question.backwards else 'after')}"
        if question.earliest is None or question.latest is None:
            return "was asked without dates; please report this"
        if not question.earliest <= run.start <= question.latest or run.run_after > question.now:
            return f"answered with a run for {iso(run.start)}, which is not due or not between the dates asked for"
        before = run.start
    return None


def verdict(question: TimetableQuestion, report: Report) -> tuple[TimetableAnswer | TimetablePage | None, str | None]:
    """Return the answer in a child's report, whatever was asked, and what is wrong with it, None if it is good."""
    if not question.limit:
        return judged(question, report)
    data, problem = said_in(question, report)
    return (None, problem) if problem is not None else judged_page(question, data)


def judged_page(question: TimetableQuestion, data: bytes) -> tuple[TimetablePage | None, str | None]:
    """Return the page in ``data``, and what is wrong with it, None if it is good."""
    try:
        page = decode_page(data)
    except ProtocolError as error:
        return None, f"gave no answer that can be read: {error}"
    return page, problem_with_page(question, page)


def _out_of_order(at: datetime, other: datetime, where: str) -> str:
    return (
        f"a run for {iso(at)}, which is not {where} the one before it, for {iso(other)}; each run's interval must "
        "start later than the one before"
    )


def rest_of(page: TimetablePage, reached: datetime | None, *, backwards: bool) -> list[DagRunInfo]:
    """Return the intervals of a page that come after ``reached`` in the backfill's direction."""
    return [
        DagRunInfo(run.run_after, DataInterval(run.start, run.end))
        for run in page.runs
        if reached is None or (run.start < reached if backwards else run.start > reached)
    ]


def continues(question: TimetableQuestion, page: TimetablePage, reached: datetime | None) -> bool:
    """Return whether a backfill that has come to ``reached`` finds what is next in this page."""
    at_its_begin = question.reached == reached
    return at_its_begin or page.is_last or bool(rest_of(page, reached, backwards=question.backwards))
