"""Pages of intervals: what a timetable is asked for a backfill, and what is believed of its answer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from windlass.interfaces.timetable import DagRunInfo, DataInterval, TimeRestriction, Timetable
from windlass.planning.asking import NotAnAnswer
from windlass.planning.paging import PAGE, judged_page, page_of, page_question, problem_with_page, rest_of
from windlass.ports import NewBackfill
from windlass.protocol import TimetableAnswer, TimetablePage, TimetableQuestion
from windlass.protocol.timetables import encode_answer
from windlass.spec import CustomTimetableSpec, DagSpec

DAY = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)

Next = Callable[[DataInterval | None, TimeRestriction], Any]


class Told(Timetable):
    """Does what the test tells it."""

    def __init__(self, following: Next) -> None:
        self.following = following

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        found: DagRunInfo | None = self.following(last_automated_data_interval, restriction)
        return found

    def infer_manual_data_interval(self, *, run_after: datetime) -> DataInterval:
        return DataInterval.exact(run_after)


def hourly(last: DataInterval | None, restriction: TimeRestriction) -> DagRunInfo | None:
    start = restriction.earliest if last is None else last.end
    assert start is not None
    assert restriction.latest is not None
    return None if start > restriction.latest else DagRunInfo.interval(start, start + HOUR)


def question(hours: int = 5, *, now: datetime = NOW, **fields: Any) -> TimetableQuestion:
    spec = DagSpec(dag_id="d", tasks=(), schedule=CustomTimetableSpec(name="acme.Told", data={"a": 1}))
    new = NewBackfill(
        dag_id="d",
        from_date=DAY,
        to_date=DAY + (hours - 1) * HOUR,
        spec_version="s",
        code_version="c",
        intervals=0,
        max_active_runs=1,
        created_by="ann",
        created_at=now,
    )
    return msgspec.structs.replace(page_question(new, spec, "dags", "d.py", backfill=7), **fields)


def starts(page: TimetablePage) -> list[int]:
    return [round((run.start - DAY) / HOUR) for run in page.runs]


def test_the_question_holds_all_that_the_answer_depends_on() -> None:
    asked = question()
    assert (asked.name, asked.data, asked.code_version, asked.file) == ("acme.Told", {"a": 1}, "c", "d.py")
    assert (asked.earliest, asked.latest, asked.now, asked.catchup) == (DAY, DAY + 4 * HOUR, NOW, True)
    assert (asked.about, asked.limit, asked.run) == (-7, PAGE, 0)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("limit", [1, 2, 5, 6])
def test_pages_follow_each_other_in_either_direction_and_leave_nothing_out(*, backwards: bool, limit: int) -> None:
    found: list[int] = []
    reached = None
    for _ in range(9):
        asked = question(backwards=backwards, limit=limit, reached=reached)
        page = page_of(Told(hourly), asked)
        assert problem_with_page(asked, page) is None
        found += starts(page)
        if page.is_last:
            break
        reached = page.runs[-1].start
    assert found == ([4, 3, 2, 1, 0] if backwards else [0, 1, 2, 3, 4])


def test_a_thousand_intervals_take_two_questions() -> None:
    first = page_of(Told(hourly), question(1000))
    second = page_of(Told(hourly), question(1000, reached=first.runs[-1].start))
    assert (len(first.runs), first.is_last, len(second.runs), second.is_last) == (500, False, 500, True)


def test_what_lies_outside_of_the_dates_or_is_not_complete_is_left_out() -> None:
    def boundless(last: DataInterval | None, _: TimeRestriction) -> DagRunInfo:
        start = DAY - 3 * HOUR if last is None else last.end
        return DagRunInfo.interval(start, start + HOUR)

    assert starts(page_of(Told(boundless), question())) == [0, 1, 2, 3, 4]
    assert starts(page_of(Told(boundless), question(now=DAY + 2 * HOUR))) == [0, 1]


def test_several_intervals_may_be_due_at_once() -> None:
    def weekly(last: DataInterval | None, restriction: TimeRestriction) -> DagRunInfo | None:
        info = hourly(last, restriction)
        return None if info is None else DagRunInfo(DAY + 9 * HOUR, info.data_interval)

    first = page_of(Told(weekly), question(limit=2))
    assert starts(page_of(Told(weekly), question(limit=2, reached=first.runs[-1].start))) == [2, 3]


@pytest.mark.parametrize(
    ("following", "sentence"),
    [
        (lambda _last, _: DagRunInfo.exact(DAY), "not after the one before it"),
        (lambda _last, _: "tomorrow", "is no DagRunInfo"),
        (
            lambda last, _: DagRunInfo.exact(DAY if last is None else last.start + timedelta.resolution),
            "has more than 100,000 intervals",
        ),
    ],
)
def test_a_timetable_that_comes_to_no_end_or_says_nonsense_is_stopped(following: Next, sentence: str) -> None:
    with pytest.raises(NotAnAnswer, match=sentence):
        page_of(Told(following), question(limit=200_000))


def run(hour: float, length: float = 1, run_after: float | None = None) -> TimetableAnswer:
    end = DAY + (hour + length) * HOUR
    due = end if run_after is None else DAY + run_after * HOUR
    return TimetableAnswer(run_after=due, start=DAY + hour * HOUR, end=end)


NAIVE = msgspec.structs.replace(run(1), start=datetime(2026, 1, 1))  # noqa: DTZ001 - that is the fault


@pytest.mark.parametrize(
    ("runs", "fields", "problem"),
    [
        ((run(0), run(1)), {}, None),
        ((run(1), run(0)), {"backwards": True}, None),
        ((), {}, None),
        ((run(1), run(1)), {}, "not after the one before"),
        ((run(1), run(0)), {}, "not after the one before"),
        ((run(0), run(1)), {"backwards": True}, "not before the one before"),
        ((run(2),), {"reached": DAY + 2 * HOUR}, "not after the one before"),
        ((run(-1),), {}, "not between the dates"),
        ((run(5),), {}, "not between the dates"),
        ((run(1, run_after=9000),), {}, "not due"),
        ((run(1, length=-1),), {}, "ends at"),
        ((NAIVE,), {}, "no time zone"),
        ((run(0), run(1)), {"limit": 1}, "2 intervals where 1 to 1"),
    ],
)
def test_every_page_is_judged(runs: tuple[TimetableAnswer, ...], fields: dict[str, Any], problem: str | None) -> None:
    asked = question(**fields)
    page, found = judged_page(asked, encode_answer(TimetablePage(runs=runs, is_last=True)))
    assert page is not None
    assert found is None if problem is None else problem in (found or "")


def test_an_empty_page_that_is_not_the_last_would_be_asked_for_ever() -> None:
    assert "0 intervals" in (problem_with_page(question(), TimetablePage(runs=(), is_last=False)) or "")


@pytest.mark.parametrize("data", [b"", b"null", b"[]", b'{"runs": [5], "is_last": true}'])
def test_what_is_no_page_is_no_answer(data: bytes) -> None:
    page, problem = judged_page(question(), data)
    assert page is None
    assert "no answer that can be read" in (problem or "")


def test_a_page_is_used_from_where_the_backfill_has_come_to() -> None:
    page = TimetablePage(runs=(run(0), run(1), run(2)), is_last=False)
    assert [info.logical_date for info in rest_of(page, DAY, backwards=False)] == [DAY + HOUR, DAY + 2 * HOUR]
    assert [info.logical_date for info in rest_of(page, DAY + HOUR, backwards=True)] == [DAY]
