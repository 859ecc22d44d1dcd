"""``inlet_events`` and ``outlet_events``: what was said about the assets a task reads, and what it says itself."""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from windlass.authoring.asset import Asset, AssetAlias
from windlass.errors import UsageError
from windlass.ports import all_rows
from windlass.protocol import AssetEvent


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
            if known == outlet or outlet in (known.name, getattr(known, "uri", None)):
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


class InletEvents:
    """The events of the task's inlets, read when they are looked at: ``inlet_events[asset][-1]``."""

    def __init__(self, inlets: Sequence[Any]) -> None:
        self._inlets = [inlet for inlet in inlets if isinstance(inlet, (Asset, AssetAlias))]

    def __getitem__(self, inlet: Any) -> list[dict[str, Any]]:
        for known in self._inlets:
            if known == inlet or inlet in (known.name, getattr(known, "uri", None)):
                name = {"uri": known.uri} if isinstance(known, Asset) else {"alias": known.name}
                return all_rows("asset_events", name)
        raise KeyError(f"{inlet!r} is not among the task's inlets; add it to inlets=[…]")
