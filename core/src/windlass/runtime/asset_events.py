"""``outlet_events``, ``inlet_events`` and ``triggering_asset_events``: what a task says about its assets, and is told.

A task says something with its success: it is recorded in the transaction that ends its attempt. What others said is
asked for when it is looked at, in pages, so that a context costs nothing and an asset may have a long history.
"""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from types import SimpleNamespace
from typing import Any, overload

from windlass.authoring.asset import Asset, AssetAlias
from windlass.errors import UsageError
from windlass.moment import iso, moment, parse_moment, utc
from windlass.ports import all_rows, current_session
from windlass.protocol import AssetEvent, Query

#: Events per question; one event's extra may be large, and a message holds a MiB.
_PAGE = 100


class OutletEvent:
    """What the task says about one of its outlets: ``outlet_events[asset].extra["rows"] = 10``."""

    def __init__(self, outlet: Asset | AssetAlias) -> None:
        self.outlet = outlet
        self.extra: dict[str, Any] = dict(outlet.extra) if isinstance(outlet, Asset) else {}
        self.added: list[tuple[Asset, dict[str, Any]]] = []

    def add(self, asset: Asset, *, extra: Mapping[str, Any] | None = None) -> None:
        """Say that ``asset`` was updated, through the alias that is the outlet."""
        if not isinstance(self.outlet, AssetAlias):
            raise UsageError(f"{self.outlet!r} is an asset; only an AssetAlias takes others")
        self.added.append((asset, dict(extra or {})))


class OutletEvents(Mapping[Any, OutletEvent]):
    """The outlets of the task, each with its event."""

    def __init__(self, outlets: Sequence[Any]) -> None:
        self._events = {outlet: OutletEvent(outlet) for outlet in outlets if isinstance(outlet, (Asset, AssetAlias))}

    def __getitem__(self, outlet: Any) -> OutletEvent:
        for known, event in self._events.items():
            if _means(outlet, known):
                return event
        raise KeyError(f"{outlet!r} is not among the task's outlets; add it to outlets=[…]")

    def __iter__(self) -> Iterator[Any]:
        return iter(self._events)

    def __len__(self) -> int:
        return len(self._events)

    def messages(self) -> tuple[AssetEvent, ...]:
        """Return the events to record when the task has succeeded."""
        found: list[AssetEvent] = []
        for outlet, event in self._events.items():
            if isinstance(outlet, Asset):
                found.append(AssetEvent(uri=outlet.uri, extra=event.extra))
            else:
                found += [
                    AssetEvent(uri=asset.uri, extra={**asset.extra, **extra}, alias=outlet.name)
                    for asset, extra in event.added
                ]
        return tuple(found)


class AssetEventView:
    """An event of an asset, as user code sees it; ``event.extra`` and ``event["extra"]`` are the same.

    ``source_*`` say which task instance it came from; they are None where it came from outside.
    """

    def __init__(self, row: Mapping[str, Any]) -> None:
        self.id: int = row["id"]
        self.uri: str = row["uri"]
        self.extra: dict[str, Any] = row["extra"]
        self.alias: str | None = row["alias"]
        self.timestamp: datetime = moment(row["timestamp"])
        self.source_dag_id: str | None = row["source_dag_id"]
        self.source_run_id: str | None = row["source_run_id"]
        self.source_task_id: str | None = row["source_task_id"]
        self.source_map_index: int | None = row["source_map_index"]

    @property
    def asset(self) -> Asset:
        """The asset that was updated."""
        return Asset(uri=self.uri)

    @cached_property
    def source_dag_run(self) -> SimpleNamespace | None:
        """The run that the event came from, with its dates, asked for when it is looked at."""
        if self.source_dag_id is None:
            return None
        rows = all_rows("runs", {"dag_id": self.source_dag_id, "run_id": self.source_run_id})
        values = [{k: moment(v) if isinstance(v, datetime) else v for k, v in row.items()} for row in rows]
        return SimpleNamespace(**values[0]) if values else None

    def xcom_pull(self, key: str = "return_value", default: Any = None) -> Any:
        """Return what the task that the event came from stored under ``key``."""
        from windlass.authoring.access import get_current_context

        if self.source_dag_id is None:
            return default
        return get_current_context()["ti"].xcom_pull(
            self.source_task_id,
            dag_id=self.source_dag_id,
            run_id=self.source_run_id,
            key=key,
            map_indexes=self.source_map_index,
            default=default,
        )

    def __getitem__(self, name: str) -> Any:
        if name.startswith("_") or not hasattr(self, name):
            raise KeyError(name)
        return getattr(self, name)

    def __repr__(self) -> str:
        return f"<AssetEvent {self.uri} at {iso(self.timestamp)}>"


class EventList(Sequence[AssetEventView]):
    """Events, oldest first, asked for page by page when they are looked at: ``events[-1]`` is one small question.

    ``after``, ``before``, ``limit`` and ``ascending`` return a narrower list, as in
    ``inlet_events[orders].after("2026-03-01").limit(10)``.
    """

    def __init__(self, filters: Mapping[str, Any], most: int | None = None) -> None:
        self._filters = dict(filters)
        self._most = most

    def after(self, instant: datetime | str) -> EventList:
        """Return the events later than ``instant``."""
        return EventList({**self._filters, "after": _instant(instant)}, self._most)

    def before(self, instant: datetime | str) -> EventList:
        """Return the events earlier than ``instant``."""
        return EventList({**self._filters, "before": _instant(instant)}, self._most)

    def limit(self, most: int) -> EventList:
        """Return the first ``most`` events."""
        return EventList(self._filters, most)

    def ascending(self, is_ascending: bool = True) -> EventList:  # noqa: FBT001, FBT002 - Airflow's signature
        """Return the events oldest first, or newest first."""
        return EventList({**self._filters, "newest_first": not is_ascending}, self._most)

    @overload
    def __getitem__(self, index: int) -> AssetEventView: ...

    @overload
    def __getitem__(self, index: slice) -> list[AssetEventView]: ...

    def __getitem__(self, index: int | slice) -> AssetEventView | list[AssetEventView]:
        if isinstance(index, slice):
            return list(self)[index]
        if index < 0 and self._most is not None:
            return list(self)[index]
        if self._most is not None and index >= self._most:
            raise IndexError(f"there is no event {index} among the first {self._most}")
        backwards = bool(self._filters.get("newest_first", False)) is not (index < 0)
        offset = index if index >= 0 else -index - 1
        found = self._page(offset, 1, newest_first=backwards)
        if not found:
            raise IndexError(f"there is no event {index}; the asset has had fewer")
        return found[0]

    def __iter__(self) -> Iterator[AssetEventView]:
        seen = 0
        while self._most is None or seen < self._most:
            size = _PAGE if self._most is None else min(_PAGE, self._most - seen)
            page = self._page(seen, size, newest_first=bool(self._filters.get("newest_first", False)))
            if not page:
                return
            yield from page
            # A short page is no end: events with much to say fill a message sooner.
            seen += len(page)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        return next(iter(self.limit(1)), None) is not None

    def __repr__(self) -> str:
        return f"<events of {self._filters}>"

    def _page(self, offset: int, size: int, *, newest_first: bool) -> list[AssetEventView]:
        filters = {**self._filters, "newest_first": newest_first}
        rows = current_session().ask(Query(what="asset_events", filters=filters, offset=offset, limit=size))
        return [AssetEventView(row) for row in rows]


class InletEvents(Mapping[Any, EventList]):
    """The events of the task's inlets: ``inlet_events[asset][-1].extra``."""

    def __init__(self, inlets: Sequence[Any]) -> None:
        self._inlets = [inlet for inlet in inlets if isinstance(inlet, (Asset, AssetAlias))]

    def __getitem__(self, inlet: Any) -> EventList:
        for known in self._inlets:
            if _means(inlet, known):
                return EventList(_filter_of(known))
        raise KeyError(f"{inlet!r} is not among the task's inlets; add it to inlets=[…]")

    def __iter__(self) -> Iterator[Asset | AssetAlias]:
        return iter(self._inlets)

    def __len__(self) -> int:
        return len(self._inlets)


class TriggeringEvents(Mapping[Any, list[AssetEventView]]):
    """The events that the run has consumed, by asset: empty unless the run was triggered by assets.

    ``triggering_asset_events[orders][-1].extra``; an AssetAlias gives what came through it, a URI or a name is as good
    as the asset. Iterating gives the assets. The events are asked for once, when they are first looked at.
    """

    def __init__(self, known: Sequence[Asset | AssetAlias], *, any_at_all: bool) -> None:
        self._known = known
        self._any_at_all = any_at_all

    @cached_property
    def _events(self) -> list[AssetEventView]:
        return list(EventList({"triggered": True})) if self._any_at_all else []

    @cached_property
    def _by_asset(self) -> dict[Asset, list[AssetEventView]]:
        assets = {known.uri: known for known in self._known if isinstance(known, Asset)}
        found: dict[Asset, list[AssetEventView]] = {}
        for event in self._events:
            found.setdefault(assets.get(event.uri) or event.asset, []).append(event)
        return found

    def __getitem__(self, key: Any) -> list[AssetEventView]:
        if isinstance(key, AssetAlias):
            through = [event for event in self._events if event.alias == key.name]
            if through:
                return through
        for asset, events in self._by_asset.items():
            if _means(key, asset):
                return events
        raise KeyError(
            f"no event of {key!r} triggered this run; `triggering_asset_events.get({key!r}, [])` allows that"
        )

    def __iter__(self) -> Iterator[Asset]:
        return iter(self._by_asset)

    def __len__(self) -> int:
        return len(self._by_asset)


def _means(key: Any, known: Asset | AssetAlias) -> bool:
    """Return whether ``key``, an asset, an alias, a URI or a name, is ``known``."""
    if isinstance(known, AssetAlias):
        return key in (known, known.name)
    uri = key.uri if isinstance(key, Asset) else key
    return uri == known.uri or (isinstance(key, str) and key == known.name)


def _filter_of(known: Asset | AssetAlias) -> dict[str, Any]:
    return {"alias": known.name} if isinstance(known, AssetAlias) else {"uri": known.uri}


def _instant(value: datetime | str) -> datetime:
    return utc(value) if isinstance(value, datetime) else parse_moment(value)
