"""When a run has taken too long for a deadline of its DAG."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from windlass.moment import iso
from windlass.ports import RunFacts
from windlass.spec import DagSpec, DeadlineSpec, Reference


def due_at(deadline: DeadlineSpec, run: RunFacts) -> datetime:
    """Return the instant by which ``run`` must have ended."""
    start = run.queued_at
    if deadline.reference is Reference.LOGICAL_DATE:
        start = run.logical_date
    elif deadline.reference is Reference.FIXED and deadline.at is not None:
        start = deadline.at
    return start + timedelta(seconds=deadline.interval)


def dues(spec: DagSpec, run: RunFacts) -> Iterator[tuple[int, datetime]]:
    """Yield the place of each deadline of the run and when it is due."""
    for position, deadline in enumerate(spec.deadlines):
        yield position, due_at(deadline, run)


def miss_reason(deadline: DeadlineSpec, due: datetime) -> str:
    """Return the sentence about a missed deadline."""
    return f"the run has not ended by its deadline {iso(due)} ({describe(deadline)})"


def describe(deadline: DeadlineSpec) -> str:
    """Return the deadline in words, for example ``0:15:00 after queued_at``."""
    reference = deadline.reference.value if deadline.at is None else iso(deadline.at)
    distance = timedelta(seconds=deadline.interval)
    return f"{-distance} before {reference}" if deadline.interval < 0 else f"{distance} after {reference}"
