"""Deadlines as authors write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from windlass import DAG, DeadlineAlert, DeadlineReference
from windlass.errors import AuthoringError
from windlass.spec import DeadlineSpec, Reference

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def tell(_context: Any) -> None:  # noqa: ANN401 - a context
    """Be called."""


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        (DeadlineReference.DAGRUN_LOGICAL_DATE, DeadlineSpec(reference=Reference.LOGICAL_DATE, interval=900.0)),
        (DeadlineReference.DAGRUN_QUEUED_AT, DeadlineSpec(reference=Reference.QUEUED_AT, interval=900.0)),
        (
            DeadlineReference.FIXED_DATETIME(NOON.replace(tzinfo=None)),
            DeadlineSpec(reference=Reference.FIXED, interval=900.0, at=NOON),
        ),
    ],
    ids=["logical date", "queued at", "fixed"],
)
def test_a_deadline_becomes_data(reference: DeadlineReference, expected: DeadlineSpec) -> None:
    alert = DeadlineAlert(reference=reference, interval=timedelta(minutes=15), callback=tell)
    assert DAG("d", deadline=alert).to_spec().deadlines == (expected,)


def test_a_dag_may_have_several_and_a_deadline_several_callbacks() -> None:
    first = DeadlineAlert(reference=DeadlineReference.DAGRUN_QUEUED_AT, interval=60, callback=[tell, tell])
    second = DeadlineAlert(reference=DeadlineReference.DAGRUN_QUEUED_AT, interval=3600, callback=tell)
    dag = DAG("d", deadline=[first, second])
    assert [deadline.interval for deadline in dag.to_spec().deadlines] == [60.0, 3600.0]
    assert dag.deadlines[0].callbacks == [tell, tell]


def test_a_dag_without_deadlines_has_the_spec_that_it_had() -> None:
    assert DAG("d").to_spec() == DAG("d", deadline=[]).to_spec()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: DeadlineAlert(reference="queued_at", interval=1, callback=tell), "give DeadlineReference"),  # type: ignore[arg-type]
        (
            lambda: DeadlineAlert(reference=DeadlineReference.DAGRUN_QUEUED_AT, interval="1h", callback=tell),  # type: ignore[arg-type]
            "interval must be a timedelta or seconds, not '1h'",
        ),
        (
            lambda: DeadlineAlert(reference=DeadlineReference.DAGRUN_QUEUED_AT, interval=1, callback="me"),  # type: ignore[arg-type]
            "callback must be a function of the context, not 'me'",
        ),
        (lambda: DeadlineReference.FIXED_DATETIME("noon"), "needs a datetime, not 'noon'"),  # type: ignore[arg-type]
        (lambda: DAG("d", deadline=timedelta(hours=1)), "DAG 'd': deadline must be a DeadlineAlert"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_deadline_is_refused(make: Any, sentence: str) -> None:  # noqa: ANN401 - a function
    with pytest.raises(AuthoringError, match=sentence):
        make()
