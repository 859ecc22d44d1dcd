"""Questions to plugins' timetables, as the store keeps them and the scheduler reads them."""

from __future__ import annotations

from datetime import datetime

import msgspec

from windlass.protocol import TimetableAnswer, TimetablePage, TimetableQuestion


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A question and what has come of it. There is one at a time for a DAG's next run, a manual run and a backfill.

    It is answered, or has failed (``retry_at`` says from when it may be asked again), or somebody has it, or nobody
    has taken its ticket yet. ``error`` stays until there is an answer.
    """

    id: int
    digest: str
    ticket: str
    question: TimetableQuestion
    asked_at: datetime
    lease_until: datetime | None = None
    answered: bool = False
    #: None also means that the timetable wants no run.
    answer: TimetableAnswer | None = None
    #: The answer where intervals of a backfill were asked for.
    page: TimetablePage | None = None
    failures: int = 0
    error: str | None = None
    retry_at: datetime | None = None
