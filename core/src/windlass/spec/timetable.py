"""Schedules as data. ``planning`` gives each its meaning; a plugin's own timetable travels as ``custom``.

Instants are UTC datetimes, durations are seconds, a time zone is an IANA name.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec


class RelativeDelta(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A duration of calendar parts (a month is a month) and seconds, as ``timedelta`` and ``relativedelta`` give it.

    A plain timedelta has only ``seconds`` and is absolute: it ignores daylight saving. The calendar parts are added
    in the DAG's time zone.
    """

    years: int = 0
    months: int = 0
    days: int = 0
    seconds: float = 0.0


class NullSpec(msgspec.Struct, frozen=True, tag="null"):
    """Never scheduled; manual runs only."""


class OnceSpec(msgspec.Struct, frozen=True, tag="once"):
    """One run, at start_date (or when first seen)."""


class ContinuousSpec(msgspec.Struct, frozen=True, tag="continuous"):
    """A new run as soon as the last one has ended."""


class CronIntervalSpec(msgspec.Struct, frozen=True, kw_only=True, tag="cron"):
    """A cron expression (or several preset spellings of one) that cuts time into data intervals."""

    expression: str
    timezone: str = "UTC"


class DeltaIntervalSpec(msgspec.Struct, frozen=True, kw_only=True, tag="delta"):
    """Data intervals of one length on a grid anchored at start_date."""

    delta: RelativeDelta
    timezone: str = "UTC"


class CronTriggerSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="cron_trigger"):
    """Runs at points in time named by any of ``expressions``; the data interval reaches ``interval`` back."""

    expressions: tuple[str, ...]
    timezone: str = "UTC"
    interval: RelativeDelta = RelativeDelta()
    #: Where a DAG without start_date begins: with the latest instant (True), the next one, or the latest if it was no
    #: more than so many seconds ago.
    run_immediately: bool | float = False


class DeltaTriggerSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="delta_trigger"):
    """Runs at points on a grid anchored at start_date; the data interval reaches ``interval`` back."""

    delta: RelativeDelta
    timezone: str = "UTC"
    interval: RelativeDelta = RelativeDelta()


class EventsSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="events"):
    """Runs at the listed instants."""

    instants: tuple[datetime, ...]
    description: str | None = None
    restrict_to_events: bool = False


class AssetCondition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A tree over asset URIs: a leaf has ``asset`` (or ``alias``); an inner node has ``any_of`` or ``all_of``."""

    asset: str | None = None
    alias: str | None = None
    any_of: tuple[AssetCondition, ...] = ()
    all_of: tuple[AssetCondition, ...] = ()


class AssetScheduleSpec(msgspec.Struct, frozen=True, kw_only=True, tag="asset"):
    """A run when the condition over asset events has come true since the last one."""

    condition: AssetCondition


class CustomTimetableSpec(msgspec.Struct, frozen=True, kw_only=True, tag="custom"):
    """A timetable class that a plugin registered as ``name``; ``data`` is what its ``serialize`` returned."""

    name: str
    data: dict[str, Any]
    summary: str = ""


TimeSpec = (
    OnceSpec
    | ContinuousSpec
    | CronIntervalSpec
    | DeltaIntervalSpec
    | CronTriggerSpec
    | DeltaTriggerSpec
    | EventsSpec
    | CustomTimetableSpec
)


class AssetOrTimeSpec(msgspec.Struct, frozen=True, kw_only=True, tag="asset_or_time"):
    """A run by the asset condition, and besides by a timetable."""

    condition: AssetCondition
    timetable: TimeSpec


TimetableSpec = (
    NullSpec
    | OnceSpec
    | ContinuousSpec
    | CronIntervalSpec
    | DeltaIntervalSpec
    | CronTriggerSpec
    | DeltaTriggerSpec
    | EventsSpec
    | AssetScheduleSpec
    | AssetOrTimeSpec
    | CustomTimetableSpec
)
