"""Asset schedules: when a condition over asset events has come true, what a run of it consumes, and what is missing.

A DAG that waits for assets has a list of waiting events: those that came since its last asset-triggered run, in the
order of their arrival. An event says that an asset was updated, perhaps through an alias; it meets the leaf of that
asset and the leaf of that alias. The condition is met by *which* leaves have had an event, however many each. The run
then consumes everything that waits, so several events that come together, or while the DAG has no room for another
run, make one run. Its logical date is the instant of the event that completed the condition, and its data interval
spans all the events it has consumed.

An event that came while the DAG was paused does not count: it completes no condition. The next run gets it all the
same, so that a consumer that works through its events leaves none out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

import msgspec

from windlass.ports import AssetName, WaitingEvent
from windlass.spec import AssetCondition, AssetOrTimeSpec, AssetScheduleSpec, TimetableSpec


class Consumption(msgspec.Struct, frozen=True, kw_only=True):
    """The asset-triggered run that is due: the events it takes, and its dates."""

    events: tuple[int, ...]
    #: When the condition came true: the run's logical date.
    completed_at: datetime
    #: The instants of the earliest and the latest event.
    start: datetime
    end: datetime


def condition_of(schedule: TimetableSpec) -> AssetCondition | None:
    """Return the condition over assets in a schedule; None if it has none."""
    return schedule.condition if isinstance(schedule, AssetScheduleSpec | AssetOrTimeSpec) else None


def names_in(condition: AssetCondition | None) -> tuple[AssetName, ...]:
    """Return the assets and aliases that a condition is about, each once, in the order of their mention."""
    return () if condition is None else tuple(dict.fromkeys(_leaves(condition)))


def names_of(event: WaitingEvent) -> tuple[AssetName, ...]:
    """Return the leaves that an event meets: that of its asset, and that of the alias it came through."""
    asset = AssetName(name=event.uri)
    return (asset,) if event.alias is None else (asset, AssetName(name=event.alias, is_alias=True))


def is_met(condition: AssetCondition, updated: Collection[AssetName]) -> bool:
    """Return whether the condition is true when exactly these have had an event."""
    if (leaf := _leaf(condition)) is not None:
        return leaf in updated
    if condition.all_of:
        return all(is_met(part, updated) for part in condition.all_of)
    return any(is_met(part, updated) for part in condition.any_of)


def consume(condition: AssetCondition, waiting: Sequence[WaitingEvent]) -> Consumption | None:
    """Return the run that these events, oldest first, call for; None while the condition is not met."""
    updated: set[AssetName] = set()
    for event in waiting:
        updated.update(names_of(event) if event.counts else ())
        if event.counts and is_met(condition, updated):
            instants = [other.at for other in waiting]
            return Consumption(
                events=tuple(other.id for other in waiting),
                completed_at=event.at,
                start=min(instants),
                end=max(instants),
            )
    return None


def still_missing(condition: AssetCondition, updated: Collection[AssetName]) -> AssetCondition | None:
    """Return what is left of the condition: without the parts that are met; None if it is met as a whole."""
    if is_met(condition, updated):
        return None
    parts = condition.all_of or condition.any_of
    left = tuple(rest for part in parts if (rest := still_missing(part, updated)) is not None)
    if len(left) == 1:
        return left[0]
    return AssetCondition(all_of=left) if condition.all_of else msgspec.structs.replace(condition, any_of=left)


def cheapest(condition: AssetCondition) -> tuple[AssetName, ...]:
    """Return the fewest assets and aliases whose updates meet the condition; of equals, those that stand first."""
    if (leaf := _leaf(condition)) is not None:
        return (leaf,)
    if condition.all_of:
        return tuple(dict.fromkeys(name for part in condition.all_of for name in cheapest(part)))
    return min((cheapest(part) for part in condition.any_of), key=len, default=())


def describe(condition: AssetCondition) -> str:
    """Return the condition in words: ``'a' and ('b' or alias 'c')``."""
    return _words(condition, outermost=True)


def describe_name(name: AssetName) -> str:
    """Return an asset or alias in words."""
    return f"alias {name.name!r}" if name.is_alias else repr(name.name)


def _leaf(condition: AssetCondition) -> AssetName | None:
    if condition.asset is not None:
        return AssetName(name=condition.asset)
    return None if condition.alias is None else AssetName(name=condition.alias, is_alias=True)


def _leaves(condition: AssetCondition) -> Iterator[AssetName]:
    if (leaf := _leaf(condition)) is not None:
        yield leaf
    for part in (*condition.all_of, *condition.any_of):
        yield from _leaves(part)


def _words(condition: AssetCondition, *, outermost: bool) -> str:
    if (leaf := _leaf(condition)) is not None:
        return describe_name(leaf)
    parts = condition.all_of or condition.any_of
    text = (" and " if condition.all_of else " or ").join(_words(part, outermost=False) for part in parts)
    return text if outermost else f"({text})"
