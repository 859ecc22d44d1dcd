"""What a plugin's timetable is asked, and what is made of its answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from windlass.interfaces.timetable import DagRunInfo, DataInterval, TimeRestriction, Timetable
from windlass.planning.asking import (
    NotAnAnswer,
    answer_of,
    digest,
    is_outdated,
    judged,
    manual_question,
    next_question,
    problem_with,
    retry_delay,
)
from windlass.ports import DagFacts, Report, RunFacts, StopKind
from windlass.protocol import Finish, Outcome, TimetableAnswer, TimetableQuestion, XComSet, XComValue
from windlass.spec import CustomTimetableSpec, DagSpec
from windlass.states import RunState, RunType

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SPEC = DagSpec(dag_id="d", schedule=CustomTimetableSpec(name="acme.Moon", data={"n": 1}), start_date=NOON)
DAG = DagFacts(dag_id="d", bundle="main", file="d.py", spec_version="s", code_version="c", paused=False)


def question(**fields: Any) -> TimetableQuestion:
    return msgspec.structs.replace(next_question(DAG, SPEC, NOON), **fields)


def answer(start: datetime = NOON, length: timedelta = HOUR) -> TimetableAnswer:
    return TimetableAnswer(run_after=start + length, start=start, end=start + length)


class Table(Timetable):
    """Answers what it was given, and keeps what it was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[DataInterval | None, TimeRestriction]] = []

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        self.asked.append((last_automated_data_interval, restriction))
        return self.answers.pop(0)  # type: ignore[no-any-return]

    def infer_manual_data_interval(self, *, run_after: datetime) -> DataInterval:
        return DataInterval(run_after - HOUR, run_after)


def test_the_same_question_has_the_same_digest_whenever_it_is_asked() -> None:
    assert digest(question()) == digest(question(now=NOON + HOUR))
    changes: tuple[dict[str, Any], ...] = (
        {"last_start": NOON, "last_end": NOON + HOUR}, {"spec_version": "s2"}, {"code_version": "c2"},
        {"unpaused_at": NOON}, {"data": {"n": 2}}, {"latest": NOON},
    )  # fmt: skip
    assert len({digest(question()), *(digest(question(**change)) for change in changes)}) == 7


def test_a_timetable_is_told_the_last_interval_and_the_restriction() -> None:
    table = Table(DagRunInfo.interval(NOON + HOUR, NOON + 2 * HOUR))
    told = answer_of(table, question(last_start=NOON, last_end=NOON + HOUR, latest=NOON + 9 * HOUR, catchup=True))
    assert told == answer(NOON + HOUR)
    [(last, restriction)] = table.asked
    assert last == DataInterval(NOON, NOON + HOUR)
    assert (restriction.earliest, restriction.latest, restriction.catchup) == (NOON, NOON + 9 * HOUR, True)


def test_run_on_unpause_false_asks_for_what_was_not_complete_then() -> None:
    table = Table(DagRunInfo.interval(NOON, NOON + HOUR), DagRunInfo.interval(NOON + HOUR, NOON + 2 * HOUR))
    told = answer_of(table, question(run_on_unpause=False, unpaused_at=NOON + HOUR, now=NOON + 5 * HOUR))
    assert told == answer(NOON + HOUR)
    assert [(restriction.now, restriction.skip_to_next) for _, restriction in table.asked] == [
        (NOON + 5 * HOUR, False), (NOON + HOUR, True)
    ]  # fmt: skip


def test_a_manual_run_has_the_interval_that_the_timetable_infers() -> None:
    run = RunFacts(
        id=7, dag_id="d", run_id="r", run_type=RunType.MANUAL, state=RunState.QUEUED, logical_date=NOON,
        data_interval_start=NOON, data_interval_end=NOON, run_after=NOON, queued_at=NOON, start_date=None,
        end_date=None, spec_version="s", code_version="c", bundle="main", file="d.py", generation=0,
    )  # fmt: skip
    asked = manual_question(run, SPEC)
    assert answer_of(Table(), asked) == TimetableAnswer(run_after=NOON, start=NOON - HOUR, end=NOON)


def test_what_is_no_run_info_is_a_type_error_with_the_methods_name() -> None:
    with pytest.raises(NotAnAnswer, match="next_dagrun_info returned 'tomorrow', which is no DagRunInfo"):
        answer_of(Table("tomorrow"), question())


@pytest.mark.parametrize(
    ("asked", "told", "problem"),
    [
        (question(), answer(), None),
        (question(), None, None),
        (question(), answer(length=timedelta(0)), None),  # a point in time
        (question(), answer(NOON - HOUR), None),  # an interval that reaches back to before the start_date
        (question(latest=NOON), answer(NOON), None),  # inclusive
        (question(run=7), None, "wants no data interval"),
        (question(), answer(length=-HOUR), "ends at"),
        (question(), answer(NOON.replace(tzinfo=None)), "no time zone"),
        (question(last_start=NOON, last_end=NOON + HOUR), answer(NOON), "not after the last one"),
        (question(), answer(NOON - 2 * HOUR), "before the start_date"),
        (question(latest=NOON), answer(NOON + HOUR), "after the end_date"),
    ],
)
def test_every_answer_is_judged(asked: TimetableQuestion, told: TimetableAnswer | None, problem: str | None) -> None:
    found = problem_with(asked, told)
    assert found is None if problem is None else problem in (found or "")


def report(**fields: Any) -> Report:
    return Report(task=1, lease_id="l", epoch=0, op_id="o", **fields)


def finish(outcome: Outcome = Outcome.SUCCESS, reason: str | None = None) -> Finish:
    return Finish(outcome=outcome, started_at=NOON, ended_at=NOON, reason=reason)


def sent(data: bytes) -> tuple[XComSet, ...]:
    return (XComSet(key="answer", value=XComValue(codec="json", data=data)),)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (report(timed_out="it ran longer"), "did not answer within 5 s"),
        (report(lost="killed by signal 9"), "gave no answer: killed by signal 9"),
        (report(stopped=StopKind.CLEAR), "gave no answer: its process was stopped"),
        (report(ending=finish(Outcome.FAIL, "raised ValueError: x")), "raised ValueError: x"),
        (report(ending=finish()), "no answer that can be read"),
        (report(ending=finish(), xcoms=sent(b'{"run_after": 5}')), "no answer that can be read"),
        (report(ending=finish(), xcoms=sent(b"null")), None),
    ],
)
def test_every_end_of_a_child_is_an_answer_or_a_sentence(given: Report, problem: str | None) -> None:
    told, found = judged(question(), given)
    assert told is None
    assert found is None if problem is None else problem in (found or "")


@pytest.mark.parametrize(
    ("asked_at", "now", "catchup", "outdated"),
    [
        (NOON, NOON + HOUR + timedelta(seconds=30), False, False),
        (NOON, NOON + 3 * HOUR, False, True),
        (NOON + 2 * HOUR, NOON + 3 * HOUR, False, False),  # it was overdue already when it was asked
        (NOON, NOON + 3 * HOUR, True, False),
    ],
)
def test_without_catchup_an_old_answer_is_asked_again(
    asked_at: datetime, now: datetime, catchup: bool, outdated: bool
) -> None:  # fmt: skip
    assert is_outdated(question(now=asked_at, catchup=catchup), answer(), now) is outdated


def test_what_fails_is_asked_later_and_later_but_never_given_up() -> None:
    delays = [retry_delay(failures).total_seconds() for failures in range(1, 9)]
    assert delays == [10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 600.0, 600.0]
    assert retry_delay(10_000).total_seconds() == 600.0
