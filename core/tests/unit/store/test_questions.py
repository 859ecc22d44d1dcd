"""An answer counts for the question that was asked, and once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from windlass.ports import Asked, Claim, Claimed, Report, WorkloadKind
from windlass.protocol import Finish, Outcome, TimetableQuestion, XComSet, XComValue
from windlass.protocol.timetables import encode_answer
from windlass_testing.hand_driven import HandDriven

NOW = datetime(2026, 3, 1, tzinfo=UTC)
QUESTION = TimetableQuestion(
    dag_id="d", name="plugin.T", data={}, spec_version="v", code_version="c", bundle="main", file="d.py", now=NOW
)


def ask(engine: HandDriven, seen: Asked | None = None) -> Asked:
    """Ask, or ask anew an hour later."""
    later = NOW if seen is None else NOW + timedelta(hours=1)
    asked = engine.store.questions.ask(msgspec.structs.replace(QUESTION, now=later), str(later), seen)
    assert asked is not None
    return asked


def claim(engine: HandDriven, asked: Asked) -> Claimed | None:
    claim = Claim(task=asked.id, epoch=0, ticket=asked.ticket, pid=1, hostname="h", kind=WorkloadKind.TIMETABLE)
    return engine.store.questions.claim(claim)


def answer(asked: Asked, claimed: Claimed | None, outcome: Outcome = Outcome.SUCCESS) -> Report:
    assert claimed is not None
    said = XComSet(key="answer", value=XComValue(codec="json", data=encode_answer(None)))
    return Report(
        task=asked.id,
        lease_id=claimed.lease_id,
        epoch=0,
        op_id="op",
        ending=Finish(outcome=outcome, started_at=NOW, ended_at=NOW, reason="ValueError: no"),
        xcoms=(said,) if outcome is Outcome.SUCCESS else (),
        kind=WorkloadKind.TIMETABLE,
    )


@pytest.mark.parametrize("outcome", [Outcome.SUCCESS, Outcome.FAIL])
def test_what_is_said_of_an_older_question_changes_nothing(engine: HandDriven, outcome: Outcome) -> None:
    first = ask(engine)
    claimed = claim(engine, first)
    second = ask(engine, first)
    assert not engine.store.questions.report(answer(first, claimed, outcome))
    assert engine.store.questions.asked("d") == second, "neither answered nor failed"
    assert engine.store.questions.report(answer(second, claim(engine, second), outcome))


def test_an_answer_that_comes_twice_counts_once(engine: HandDriven) -> None:
    asked = ask(engine)
    report = answer(asked, claim(engine, asked))
    assert engine.store.questions.report(report)
    assert not engine.store.questions.report(report)


def test_a_question_is_given_to_one_and_by_its_ticket(engine: HandDriven) -> None:
    first = ask(engine)
    second = ask(engine, first)
    assert claim(engine, first) is None, "its ticket is void"
    assert claim(engine, second) is not None
    assert claim(engine, second) is None
