"""Deadlines of a DAG's runs as data: an instant to count from, and how long after it a run must have ended."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec


class Reference(StrEnum):
    """What a deadline counts from."""

    LOGICAL_DATE = "logical_date"
    QUEUED_AT = "queued_at"
    FIXED = "fixed"


class DeadlineSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A run that has not ended ``interval`` seconds after ``reference`` has missed this deadline."""

    reference: Reference
    interval: float
    #: The instant of a fixed reference, in UTC.
    at: datetime | None = None
