"""What may stand at ``schedule=``: text, durations, assets, and the timetables as their authors write them.

``planning`` gives text and durations their meaning and judges them; here the objects of a DAG file become data.
"""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any

from windlass.authoring.asset import Asset, AssetAlias, AssetAll, AssetAny, AssetExpression
from windlass.errors import AuthoringError
from windlass.moment import utc
from windlass.spec import (
    AssetCondition,
    AssetOrTimeSpec,
    AssetScheduleSpec,
    CronIntervalSpec,
    CronTriggerSpec,
    DeltaIntervalSpec,
    DeltaTriggerSpec,
    EventsSpec,
    NullSpec,
    RelativeDelta,
    TimetableSpec,
)


class Schedule:
    """A timetable as an author writes it: data with a summary."""

    def __init__(self, spec: TimetableSpec, summary: str) -> None:
        self.spec = spec
        self.summary = summary

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.summary})"


class CronDataIntervalTimetable(Schedule):
    """Data intervals cut by a cron expression; the same as the bare string."""

    def __init__(self, cron: str, timezone: str | tzinfo = "UTC") -> None:
        super().__init__(CronIntervalSpec(expression=_cron(cron), timezone=_zone(timezone)), cron)


class DeltaDataIntervalTimetable(Schedule):
    """Data intervals of one length; the same as the bare timedelta."""

    def __init__(self, delta: Any) -> None:
        super().__init__(DeltaIntervalSpec(delta=_delta(delta)), str(delta))


class CronTriggerTimetable(Schedule):
    """Runs at the instants that a cron expression names; the data interval reaches ``interval`` back."""

    def __init__(
        self, cron: str, *, timezone: str | tzinfo = "UTC", interval: Any = None, run_immediately: bool = False
    ) -> None:
        spec = CronTriggerSpec(
            expressions=(_cron(cron),),
            timezone=_zone(timezone),
            interval=_delta(interval),
            run_immediately=run_immediately,
        )
        super().__init__(spec, cron)


class MultipleCronTriggerTimetable(Schedule):
    """Runs at the instants that any of several cron expressions names."""

    def __init__(
        self, *crons: str, timezone: str | tzinfo = "UTC", interval: Any = None, run_immediately: bool = False
    ) -> None:
        if not crons:
            raise AuthoringError("MultipleCronTriggerTimetable needs at least one cron expression")
        spec = CronTriggerSpec(
            expressions=tuple(_cron(cron) for cron in crons),
            timezone=_zone(timezone),
            interval=_delta(interval),
            run_immediately=run_immediately,
        )
        super().__init__(spec, ", ".join(crons))


class DeltaTriggerTimetable(Schedule):
    """Runs at the points of a grid; the data interval reaches ``interval`` back."""

    def __init__(self, delta: Any, *, interval: Any = None) -> None:
        super().__init__(DeltaTriggerSpec(delta=_delta(delta), interval=_delta(interval)), str(delta))


class EventsTimetable(Schedule):
    """Runs at listed instants."""

    def __init__(
        self,
        event_dates: Iterable[datetime],
        *,
        restrict_to_events: bool = False,
        presorted: bool = False,
        description: str | None = None,
    ) -> None:
        instants = tuple(sorted({utc(date) for date in event_dates}))
        if not instants:
            raise AuthoringError("EventsTimetable needs at least one date")
        spec = EventsSpec(instants=instants, description=description, restrict_to_events=restrict_to_events)
        super().__init__(spec, description or f"{len(instants)} events")


class AssetOrTimeSchedule(Schedule):
    """Runs by asset events, and besides by a timetable."""

    def __init__(self, *, timetable: Any, assets: Any) -> None:
        spec, summary = schedule("AssetOrTimeSchedule", timetable, "UTC")
        if isinstance(spec, (NullSpec, AssetScheduleSpec, AssetOrTimeSpec)) or not hasattr(spec, "__struct_fields__"):
            raise AuthoringError("AssetOrTimeSchedule needs a timetable that follows time, such as a cron string")
        condition = asset_condition("AssetOrTimeSchedule", assets)
        super().__init__(AssetOrTimeSpec(condition=condition, timetable=spec), f"Asset or {summary}")  # type: ignore[arg-type]


def schedule(who: str, value: Any, timezone: str) -> tuple[TimetableSpec, str]:
    """Return what ``value`` means as data for a DAG in ``timezone``, and its summary for lists.

    :raises AuthoringError: if it means none.
    """
    if isinstance(value, Schedule):
        _validate(value.spec)
        return value.spec, value.summary
    if isinstance(value, AssetExpression) or (isinstance(value, Sequence) and not isinstance(value, str) and value):
        return AssetScheduleSpec(condition=asset_condition(who, value)), "Asset"
    if (
        value is None
        or isinstance(value, (str, timedelta))
        or hasattr(value, "relativedelta")
        or hasattr(value, "years")
    ):
        from windlass.planning.timetables import schedule_spec

        try:
            return schedule_spec(value, timezone)
        except AuthoringError as error:
            raise AuthoringError(f"{who}: {error}") from None
    return _custom(who, value)


def _validate(spec: TimetableSpec) -> None:
    """Let ``planning`` refuse a bad cron expression here, where the DAG file can be blamed."""
    from windlass.planning.timetables import timetable

    if not isinstance(spec, (AssetScheduleSpec, AssetOrTimeSpec)):
        timetable(spec)


def _custom(who: str, value: Any) -> tuple[TimetableSpec, str]:
    """Return the data of a plugin's own timetable; its class must be registered by a provider."""
    from windlass.interfaces.timetable import Timetable
    from windlass.spec import CustomTimetableSpec

    if not isinstance(value, Timetable):
        raise AuthoringError(
            f"{who}: schedule {value!r} is a {type(value).__name__}; "
            "give a cron string, a preset, a timedelta, assets, a timetable or None"
        )
    from windlass.registry import lookup, registry

    cls = type(value)
    dotted = {f"{cls.__module__}:{cls.__qualname__}", f"{cls.__module__}.{cls.__qualname__}"}
    for name in registry().names("timetables"):
        if name in dotted or lookup("timetables", name) is cls:
            value.validate()
            return CustomTimetableSpec(name=name, data=value.serialize(), summary=value.summary), value.summary
    raise AuthoringError(f"{who}: timetable {cls.__name__} is in no provider's manifest; register it under timetables=")


def asset_condition(who: str, value: Any) -> AssetCondition:
    """Return an asset expression, or a list of assets (all of them), as data."""
    match value:
        case Asset():
            return AssetCondition(asset=value.uri)
        case AssetAlias():
            return AssetCondition(alias=value.name)
        case AssetAll():
            return AssetCondition(all_of=tuple(asset_condition(who, part) for part in value.parts))
        case AssetAny():
            return AssetCondition(any_of=tuple(asset_condition(who, part) for part in value.parts))
        case list() | tuple() if value:
            parts = tuple(asset_condition(who, part) for part in value)
            return parts[0] if len(parts) == 1 else AssetCondition(all_of=parts)
        case _:
            raise AuthoringError(f"{who}: an asset schedule is made of assets, not {value!r}; write a | b or a & b")


def _cron(text: str) -> str:
    if not text.startswith("@"):
        return text
    from windlass.planning.timetables import cron_expression

    return cron_expression(text)


def _delta(value: Any) -> RelativeDelta:
    if value is None:
        return RelativeDelta()
    from windlass.planning.timetables import relative_delta

    return relative_delta(value)


def _zone(value: str | tzinfo) -> str:
    if isinstance(value, str):
        return value
    from windlass.authoring.emit import zone_name

    return zone_name(value)
