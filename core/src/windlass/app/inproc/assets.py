"""Asset events in memory: recorded, delivered to the DAGs that listen, consumed by their runs, as in the real store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec

from windlass.planning.assets import condition_of, names_in, names_of
from windlass.ports import AssetName, DagFacts, WaitingEvent
from windlass.protocol import AssetEvent
from windlass.spec import DagSpec


class RecordedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An asset event; the source is the task that it came from, None where it came from outside."""

    id: int
    uri: str
    at: datetime
    extra: dict[str, Any] = msgspec.field(default_factory=dict)
    alias: str | None = None
    source_dag_id: str | None = None
    source_run_id: str | None = None
    source_task_id: str | None = None
    source_map_index: int | None = None


class _Delivery(msgspec.Struct, kw_only=True):
    """An event for one DAG; ``run`` is the one that consumed it."""

    event: WaitingEvent
    run: int | None = None


class MemoryAssets:
    """All events, and what became of them for each DAG."""

    def __init__(self) -> None:
        self.events: list[RecordedEvent] = []
        self._deliveries: dict[str, dict[int, _Delivery]] = {}

    def record(
        self,
        event: AssetEvent,
        at: datetime,
        listeners: Iterable[tuple[DagFacts, DagSpec]],
        source: tuple[str, str, str, int] | None = None,
    ) -> list[str]:
        """Record an event, deliver it to the ``listeners`` it concerns, and return the DAGs that shall look at it."""
        number = len(self.events) + 1
        dag_id, run_id, task_id, map_index = source or (None, None, None, None)
        self.events.append(
            RecordedEvent(
                id=number,
                uri=event.uri,
                at=at,
                extra=event.extra,
                alias=event.alias,
                source_dag_id=dag_id,
                source_run_id=run_id,
                source_task_id=task_id,
                source_map_index=map_index,
            )
        )
        woken = []
        for dag, spec in listeners:
            waiting = WaitingEvent(id=number, uri=event.uri, alias=event.alias, at=at, counts=not dag.paused)
            if set(names_of(waiting)) & set(names_in(condition_of(spec.schedule))):
                self.deliver(dag.dag_id, waiting)
                woken += [dag.dag_id] if waiting.counts else []
        return woken

    def deliver(self, dag_id: str, event: WaitingEvent) -> None:
        """Let an event wait for the next asset-triggered run of a DAG."""
        self._deliveries.setdefault(dag_id, {})[event.id] = _Delivery(event=event)

    def forget(self, dag_id: str, spec: DagSpec) -> None:
        """Drop what waits for a DAG that its newest version does not wait for."""
        names = set(names_in(condition_of(spec.schedule)))
        mine = self._deliveries.get(dag_id, {})
        for number in [n for n, d in mine.items() if d.run is None and not names & set(names_of(d.event))]:
            del mine[number]

    def waiting(self, dag_id: str) -> list[WaitingEvent]:
        """Return the events that wait for a run of a DAG, oldest first."""
        return [delivery.event for delivery in self._deliveries.get(dag_id, {}).values() if delivery.run is None]

    def updated(self, dag_id: str, spec: DagSpec) -> list[AssetName]:
        """Return which of the assets and aliases of a DAG have a waiting event that counts."""
        seen = {name for event in self.waiting(dag_id) if event.counts for name in names_of(event)}
        return sorted(seen & set(names_in(condition_of(spec.schedule))))

    def all_wait(self, dag_id: str, events: Sequence[int]) -> bool:
        """Return whether every one of these events still waits for the DAG."""
        mine = self._deliveries.get(dag_id, {})
        return all(number in mine and mine[number].run is None for number in events)

    def consume(self, dag_id: str, events: Sequence[int], run: int) -> None:
        """Give waiting events to a run."""
        for number in events:
            self._deliveries[dag_id][number].run = run

    def of_run(self, dag_id: str, run: int) -> Iterator[RecordedEvent]:
        """Yield the events that a run consumed, oldest first."""
        mine = self._deliveries.get(dag_id, {})
        return (event for event in self.events if event.id in mine and mine[event.id].run == run)
