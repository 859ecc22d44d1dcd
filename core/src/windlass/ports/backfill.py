"""A backfill as data: a range of a DAG's intervals to be filled with runs, and how far that has come.

A backfill is a row that outlives every process. Its runs are made a few at a time, ahead of those that run: each
:class:`~windlass.ports.BackfillStep` deals with the next intervals in one transaction, guarded by how many were
``dealt`` with before, so that no interval is dealt with twice or left out, whoever dies in between.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import msgspec

from windlass.states import RunState


class Reprocess(StrEnum):
    """Which runs that exist already a backfill runs again; one that has not ended is always left alone."""

    NONE = "none"
    FAILED = "failed"
    COMPLETED = "completed"  # failed or successful


#: More intervals than anybody means; a slip of the year in a schedule of minutes.
MOST_INTERVALS: Final = 100_000
#: Stands for the number of intervals until a plugin's timetable has said the last one.
UNCOUNTED: Final = MOST_INTERVALS + 1


class Treatment(StrEnum):
    """What a backfill does about an interval."""

    CREATE = "create"
    CLEAR = "clear"  # its run exists and runs again
    LEAVE = "leave"  # its run exists and stays as it is


class BackfillState(StrEnum):
    """Where a backfill stands, in a word."""

    RUNNING = "running"
    COMPLETED = "completed"
    CANCELLING = "cancelling"  # runs that were going on then have not ended
    CANCELLED = "cancelled"


class NewBackfill(msgspec.Struct, frozen=True, kw_only=True):
    """A backfill to be recorded. Its runs are pinned to the version given here, whatever becomes of the DAG's file."""

    dag_id: str
    #: Bounds of the logical dates, inclusive.
    from_date: datetime
    to_date: datetime
    spec_version: str
    code_version: str
    #: How many intervals lie between the bounds, or ``UNCOUNTED``.
    intervals: int
    max_active_runs: int
    reprocess: Reprocess = Reprocess.NONE
    backwards: bool = False
    task_regex: str | None = None
    conf: dict[str, Any] = msgspec.field(default_factory=dict)
    created_by: str
    #: Intervals that were not complete then are not among those counted.
    created_at: datetime


class BackfillFacts(NewBackfill, frozen=True, kw_only=True):
    """A backfill as it stands."""

    id: int
    #: Nothing more is made once it was cancelled; what was running then goes on.
    cancelled_at: datetime | None = None
    #: Set while all its runs have ended and no more are to come; a cleared run of it takes it back.
    completed_at: datetime | None = None
    #: How many intervals have been dealt with: a run was made or taken, or left alone.
    dealt: int = 0
    #: ``run_after`` of the last interval dealt with (its logical date, where a plugin's timetable says the intervals);
    #: None at the start.
    reached: datetime | None = None
    #: How many of its runs have not ended.
    open_runs: int = 0


class Reuse(msgspec.Struct, frozen=True, kw_only=True):
    """A run that exists and is to run again as part of the backfill, as it was found."""

    run: int
    generation: int
    state: RunState
