"""A child asks the timetable of the DAG's own code, and says what it answered or how it failed."""

# ruff: noqa: ANN401 - fixtures of a conftest have no importable type
from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from windlass import DAG, Variable
from windlass.protocol import Outcome, TimetableAnswer, TimetableQuestion, XComSet
from windlass.protocol.timetables import decode_answer
from windlass.timetables import DagRunInfo, DataInterval, TimeRestriction, Timetable

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Every(Timetable):
    """Intervals of so many hours."""

    def __init__(self, hours: int) -> None:
        self.hours = hours

    def serialize(self) -> dict[str, Any]:
        return {"hours": self.hours}

    def infer_manual_data_interval(self, *, run_after: datetime) -> DataInterval:
        return DataInterval(run_after - timedelta(hours=self.hours), run_after)

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        if self.hours == 13:
            raise ValueError("unlucky")
        if self.hours == 14:
            Variable.get("hours")
        return DagRunInfo.interval(NOON, NOON + timedelta(hours=self.hours))


def question(hours: int, run: int = 0) -> TimetableQuestion:
    return TimetableQuestion(
        dag_id="d", name="Every", data={"hours": hours}, spec_version="s", code_version="c", bundle="main",
        file="d.py", now=NOON, run=run,
    )  # fmt: skip


def answers(lab: Any) -> list[TimetableAnswer | None]:
    return [decode_answer(verb.value.data) for verb in lab.session.told if isinstance(verb, XComSet)]


def test_the_answer_is_made_from_the_stored_parameters_by_the_dags_own_class(lab: Any) -> None:
    dag = DAG("d", schedule=Every(1))
    ending = lab.finish(dag, "", question=question(5))
    assert ending.outcome is Outcome.SUCCESS
    assert answers(lab) == [
        TimetableAnswer(run_after=NOON + timedelta(hours=5), start=NOON, end=NOON + timedelta(hours=5))
    ]


def test_a_manual_run_gets_its_interval(lab: Any) -> None:
    lab.finish(DAG("d", schedule=Every(1)), "", question=question(5, run=3))
    assert answers(lab) == [TimetableAnswer(run_after=NOON, start=NOON - timedelta(hours=5), end=NOON)]


def test_an_exception_is_one_line_that_says_where(lab: Any, caplog: pytest.LogCaptureFixture) -> None:
    ending = lab.finish(DAG("d", schedule=Every(1)), "", question=question(13))
    assert ending.outcome is Outcome.FAIL
    assert ending.reason.startswith("raised ValueError: unlucky (test_timetables.py:")
    assert answers(lab) == []
    assert "Traceback" in caplog.text


def test_a_timetable_can_ask_nobody(lab: Any) -> None:
    ending = lab.finish(DAG("d", schedule=Every(1)), "", question=question(14))
    assert "ContextUnavailable" in ending.reason
    assert not lab.session.asked


def test_a_file_that_gives_another_schedule_when_it_is_imported_again_is_told_so(lab: Any) -> None:
    ending = lab.finish(DAG("d", schedule="@daily"), "", question=question(5))
    assert "gives its schedule as '@daily'" in ending.reason
