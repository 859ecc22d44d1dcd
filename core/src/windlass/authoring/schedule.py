"""What may stand at ``schedule=``: text, durations, assets, and the timetables as their authors write them.

``planning`` gives text and durations their meaning and judges them; here the objects of a DAG file become data.
"""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any

import msgspec

from windlass.authoring.asset import Asset, AssetAlias, AssetAll, AssetAny, AssetExpression, leaves
from windlass.errors import AuthoringError
from windlass.moment import utc
from windlass.spec import (
    AssetCondition,
    AssetOrTimeSpec,
    AssetScheduleSpec,
    CronIntervalSpec,
    CronTriggerSpec,
    CustomTimetableSpec,
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

    def in_zone(self, timezone: str) -> TimetableSpec:
        """Return the data for a DAG in ``timezone``, which counts where the timetable was given no zone."""
        return self.spec

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.summary})"


class _DeltaSchedule(Schedule):
    """A grid of durations, whose calendar parts (a month, a day) are counted in the DAG's zone."""

    spec: DeltaIntervalSpec | DeltaTriggerSpec

    def in_zone(self, timezone: str) -> TimetableSpec:
        return msgspec.structs.replace(self.spec, timezone=timezone)


class CronDataIntervalTimetable(Schedule):
    """Data intervals cut by a cron expression; the same as the bare string."""

    def __init__(self, cron: str, timezone: str | tzinfo = "UTC") -> None:
        super().__init__(CronIntervalSpec(expression=_cron(cron), timezone=_zone(timezone)), cron)


class DeltaDataIntervalTimetable(_DeltaSchedule):
    """Data intervals of one length; the same as the bare timedelta."""

    def __init__(self, delta: Any) -> None:
        super().__init__(DeltaIntervalSpec(delta=_delta(delta)), str(delta))


class CronTriggerTimetable(Schedule):
    """Runs at the instants that a cron expression names; the data interval reaches ``interval`` back."""

    def __init__(
        self,
        cron: str,
        *,
        timezone: str | tzinfo = "UTC",
        interval: Any = None,
        run_immediately: bool | timedelta = False,
    ) -> None:
        spec = CronTriggerSpec(
            expressions=(_cron(cron),),
            timezone=_zone(timezone),
            interval=_delta(interval),
            run_immediately=_immediately(run_immediately),
        )
        super().__init__(spec, cron)


class MultipleCronTriggerTimetable(Schedule):
    """Runs at the instants that any of several cron expressions names."""

    def __init__(
        self,
        *crons: str,
        timezone: str | tzinfo = "UTC",
        interval: Any = None,
        run_immediately: bool | timedelta = False,
    ) -> None:
        if not crons:
            raise AuthoringError("MultipleCronTriggerTimetable needs at least one cron expression")
        spec = CronTriggerSpec(
            expressions=tuple(_cron(cron) for cron in crons),
            timezone=_zone(timezone),
            interval=_delta(interval),
            run_immediately=_immediately(run_immediately),
        )
        super().__init__(spec, ", ".join(crons))


class DeltaTriggerTimetable(_DeltaSchedule):
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
    """Runs by asset events, and besides by a timetable. ``datasets`` is Airflow 2's word for ``assets``."""

    def __init__(self, *, timetable: Any, assets: Any = None, datasets: Any = None) -> None:
        assets = datasets if assets is None else assets
        spec, summary = schedule("AssetOrTimeSchedule", timetable, "UTC")
        if isinstance(spec, (NullSpec, AssetScheduleSpec, AssetOrTimeSpec)) or not hasattr(spec, "__struct_fields__"):
            raise AuthoringError("AssetOrTimeSchedule needs a timetable that follows time, such as a cron string")
        self.assets = assets
        #: As it was given: text, a duration, or a timetable.
        self.timetable = timetable
        self._condition = condition = asset_condition("AssetOrTimeSchedule", assets)
        super().__init__(AssetOrTimeSpec(condition=condition, timetable=spec), f"Asset or {summary}")

    def in_zone(self, timezone: str) -> TimetableSpec:
        """Return the data, with a timetable that was given as text or a duration in the DAG's zone."""
        spec, _ = schedule("AssetOrTimeSchedule", self.timetable, timezone)
        return AssetOrTimeSpec(condition=self._condition, timetable=spec)  # type: ignore[arg-type]


def schedule(who: str, value: Any, timezone: str) -> tuple[TimetableSpec, str]:
    """Return what ``value`` means as data for a DAG in ``timezone``, and its summary for lists.

    :raises AuthoringError: if it means none.
    """
    if isinstance(value, Schedule):
        spec = value.in_zone(timezone)
        _validate(spec)
        return spec, value.summary
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


def scheduled_assets(value: Any) -> list[Asset | AssetAlias]:
    """Return the assets and aliases that a DAG with ``schedule=value`` waits for."""
    if isinstance(value, AssetOrTimeSchedule):
        return scheduled_assets(value.assets)
    if isinstance(value, AssetExpression):
        return list(leaves(value))
    return [found for part in value for found in scheduled_assets(part)] if isinstance(value, list | tuple) else []


def _validate(spec: TimetableSpec) -> None:
    """Let ``planning`` refuse a bad cron expression here, where the DAG file can be blamed."""
    from windlass.planning.timetables import timetable

    if not isinstance(spec, (AssetScheduleSpec, AssetOrTimeSpec)):
        timetable(spec)


def _custom(who: str, value: Any) -> tuple[TimetableSpec, str]:
    """Return the data of a timetable class that is a plugin's, or the DAG code's own."""
    from windlass.interfaces.timetable import Timetable

    if not isinstance(value, Timetable):
        raise AuthoringError(
            f"{who}: schedule {value!r} is a {type(value).__name__}; "
            "give a cron string, a preset, a timedelta, assets, a timetable or None"
        )
    name = _timetable_name(who, type(value))
    try:
        value.validate()
        data = _json_object(value.serialize())
        again = _json_object(type(value).deserialize(data).serialize())
        summary = value.summary
    except AuthoringError as error:
        raise AuthoringError(f"{who}: timetable {name}: {error}") from None
    except Exception as error:
        raise AuthoringError(f"{who}: timetable {name} raised {type(error).__name__}: {error}") from error
    if again != data:
        raise AuthoringError(
            f"{who}: timetable {name} does not survive serialize() and deserialize(): {data!r} became {again!r}; "
            "serialize every parameter"
        )
    return CustomTimetableSpec(name=name, data=data, summary=str(summary)), str(summary)


def _timetable_name(who: str, cls: type) -> str:
    """Return what a spec calls the class: its name in a manifest, or that of the class in the DAG's own code.

    An installed class must be registered, because the versions of providers are part of a DAG's code version, and
    those of other distributions are not.
    """
    from windlass.registry import registry

    name = registry().name_of("timetables", cls)
    if name is not None:
        return name
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    installed = file is None or file.startswith((sys.prefix, sys.base_prefix)) or "-packages/" in file
    if installed:
        raise AuthoringError(
            f"{who}: timetable {cls.__name__} is in no provider's manifest; register it under timetables=, "
            "or define it in the DAG folder"
        )
    return cls.__qualname__


def _json_object(data: Any) -> dict[str, Any]:
    """Return ``data`` as it will be read back."""
    try:
        found = msgspec.json.decode(msgspec.json.encode(data))
    except (TypeError, ValueError, OverflowError, msgspec.MsgspecError) as error:
        raise AuthoringError(f"serialize() must return JSON values: {error}") from None
    if not isinstance(found, dict):
        raise AuthoringError(f"serialize() must return a dict, not {data!r}")
    return found


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


def _immediately(value: Any) -> bool | float:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bool):
        return value
    raise AuthoringError(f"run_immediately must be True, False or a timedelta, not {value!r}")


def _zone(value: str | tzinfo) -> str:
    if isinstance(value, str):
        return value
    from windlass.authoring.emit import zone_name

    return zone_name(value)
