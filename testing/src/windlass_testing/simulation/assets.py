"""Asset schedules in the simulation: DAGs that wait for assets, and what is promised about events and runs.

After every commit the deliveries are compared with what they were before. A model that knows the rules only as sets
says who must hear of an event, and whether a run was due; an event that was consumed must stay so.
"""

from __future__ import annotations

import random
from collections import defaultdict
from typing import Final, NamedTuple

from windlass.protocol import AssetEvent
from windlass.spec import AssetCondition, AssetScheduleSpec, DagSpec, TaskSpec
from windlass.store.database import Database
from windlass_testing.simulation.world import InvariantBroken, World

_URIS: Final = ("a", "b")
_ALIAS: Final = "x"
#: How many of the seeds have DAGs that wait for assets.
_SHARE: Final = 0.25
_DELIVERIES: Final = "SELECT event, dag_id, counts, run FROM asset_delivery ORDER BY event, dag_id"
_EVENTS: Final = (
    "SELECT e.id, a.uri, e.alias, e.at FROM asset_event e JOIN asset a ON a.id = e.asset"
    " WHERE e.id > :last ORDER BY e.id"
)
_PAUSED: Final = "SELECT dag_id FROM dag WHERE paused = 1"
_RUN: Final = "SELECT dag_id, run_type, state, logical_date, interval_start, interval_end FROM run WHERE id = :run"
_OPEN: Final = "SELECT dag_id FROM run WHERE run_type = 'asset_triggered' AND state IN ('queued', 'running')"


class _Event(NamedTuple):
    id: int
    uri: str
    alias: str | None
    at: int


def consumers(source: random.Random) -> list[DagSpec]:
    """Return the DAGs of a seed that wait for assets; none in most seeds."""
    if source.random() >= _SHARE:
        return []
    return [
        DagSpec(
            dag_id=f"fed{number}",
            tasks=(TaskSpec(task_id="t0", retries=source.choice((0, 1)), retry_delay=1.0),),
            file=f"fed{number}.py",
            schedule=AssetScheduleSpec(condition=_condition(source)),
            max_active_runs=source.choice((1, 1, 2, 16)),
        )
        for number in range(source.choice((1, 2)))
    ]


def _condition(source: random.Random) -> AssetCondition:
    leaves = (AssetCondition(asset="a"), AssetCondition(asset="b"), AssetCondition(alias=_ALIAS))
    size = source.choice((1, 1, 2, 2, 3))
    parts = tuple(source.sample(leaves, size))
    if size == 1:
        return parts[0]
    if size == 3 and source.random() < 0.5:
        return AssetCondition(all_of=(parts[0], AssetCondition(any_of=parts[1:])))
    return AssetCondition(all_of=parts) if source.random() < 0.5 else AssetCondition(any_of=parts)


class Updates:
    """What tasks and people say about assets, drawn apart from everything else."""

    def __init__(self, source: random.Random, *, any_at_all: bool) -> None:
        self._source = source
        self.any_at_all = any_at_all

    def draw(self) -> AssetEvent:
        """Return an event."""
        source = self._source
        return AssetEvent(uri=source.choice(_URIS), alias=_ALIAS if source.random() < 0.3 else None)

    def of_task(self, dag_id: str) -> tuple[AssetEvent, ...]:
        """Return what an attempt that succeeds says; those of the consumers say nothing, or they would never end."""
        if not self.any_at_all or dag_id.startswith("fed") or self._source.random() < 0.4:
            return ()
        return tuple(self.draw() for _ in range(self._source.choice((1, 1, 2))))


class AssetWatch:
    """What was delivered and consumed as of the last commit, and the checks."""

    def __init__(self, world: World, database: Database, specs: dict[str, DagSpec]) -> None:
        self._world = world
        self._database = database
        self._specs = specs
        self._conditions = {
            dag_id: spec.schedule.condition
            for dag_id, spec in specs.items()
            if isinstance(spec.schedule, AssetScheduleSpec)
        }
        self._events: dict[int, _Event] = {}
        self._deliveries: dict[tuple[int, str], tuple[int, int | None]] = {}

    def look(self) -> None:
        """Read what was committed and check it."""
        if not self._conditions:
            return
        last = max(self._events, default=0)
        fresh = [_Event(*row) for row in self._database.rows(_EVENTS, {"last": last})]
        self._events.update((event.id, event) for event in fresh)
        now = {(event, dag): (counts, run) for event, dag, counts, run in self._database.rows(_DELIVERIES)}
        before, self._deliveries = self._deliveries, now
        if now == before:
            return
        paused = {row[0] for row in self._database.rows(_PAUSED)} if fresh else set()
        for event in fresh:
            self._check_delivery(event, now, paused)
        for key, (counts, run) in before.items():
            if key not in now or now[key][0] != counts or (run is not None and now[key][1] != run):
                what = f"event {key[0]} for {key[1]}: {(counts, run)}, now {now.get(key)}"
                raise InvariantBroken("23 consumed-once", what)
        taken: dict[int, list[int]] = defaultdict(list)
        for (event_id, _), (_, run) in now.items():
            if run is not None and before.get((event_id, _), (0, None))[1] is None:
                taken[run].append(event_id)
        for run, events in taken.items():
            self._check_run(run, events)

    def _check_delivery(
        self, event: _Event, now: dict[tuple[int, str], tuple[int, int | None]], paused: set[str]
    ) -> None:
        heard = {dag_id: counts for (number, dag_id), (counts, _) in now.items() if number == event.id}
        wanted = {
            dag_id: int(dag_id not in paused)
            for dag_id, condition in self._conditions.items()
            if _listens(condition, event)
        }
        self._world.note(f"event {event.id} of {event.uri} through {event.alias}: {heard}")
        if heard != wanted:
            raise InvariantBroken("23 delivered", f"event {event.id} reached {heard} instead of {wanted}")

    def _check_run(self, run: int, taken: list[int]) -> None:
        dag_id, kind, _, logical, start, end = self._database.rows(_RUN, {"run": run})[0]
        events = [self._events[number] for number in taken]
        counted = [event for event in events if self._deliveries[event.id, dag_id][0]]
        what = f"run {run} of {dag_id} took {taken}"
        self._world.note(what)
        if kind != "asset_triggered" or not _true(self._conditions[dag_id], counted):
            raise InvariantBroken("23 due", f"{what}, which does not make it due")
        if (start, end) != (min(e.at for e in events), max(e.at for e in events)) or logical < start:
            raise InvariantBroken("23 interval", f"{what}: {logical} in {start} to {end}")

    def check_end(self) -> None:
        """Check that no DAG is left with events that make a run due, unless it has as many runs as it may."""
        opened = [row[0] for row in self._database.rows(_OPEN)]
        for dag_id, condition in self._conditions.items():
            if opened.count(dag_id) >= self._specs[dag_id].max_active_runs:
                continue
            waiting = [
                self._events[number]
                for (number, dag), (counts, run) in self._deliveries.items()
                if dag == dag_id and counts and run is None
            ]
            if _true(condition, waiting):
                raise InvariantBroken("20 liveness", f"{dag_id} has no run of events {[e.id for e in waiting]}")


def _true(condition: AssetCondition, events: list[_Event]) -> bool:
    if condition.all_of:
        return all(_true(part, events) for part in condition.all_of)
    if condition.any_of:
        return any(_true(part, events) for part in condition.any_of)
    return any(_meets(condition, event) for event in events)


def _meets(leaf: AssetCondition, event: _Event) -> bool:
    return event.alias == leaf.alias if leaf.alias is not None else event.uri == leaf.asset


def _listens(condition: AssetCondition, event: _Event) -> bool:
    parts = condition.all_of or condition.any_of
    return any(_listens(part, event) for part in parts) if parts else _meets(condition, event)
