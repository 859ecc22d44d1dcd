"""Why a scheduled task instance is not queued: the limit that has no room for it, and who holds what it waits for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from windlass.control.explain.commands import windlass
from windlass.control.explain.snapshot import Snapshot
from windlass.control.views import Cause
from windlass.planning.decisions import label
from windlass.planning.queueing import Lane, Limit, Occupancy, lane_of
from windlass.ports import Occupied, TaskFacts
from windlass.states import TaskState
from windlass.store import Store

#: How many occupants are named.
_NAMED: Final = 5


class Occupants:
    """The task instances that hold slots now."""

    def __init__(self, store: Store, parallelism: int) -> None:
        self._store = store
        self._parallelism = parallelism
        self._held = store.scheduler.occupied()
        self._pools = {pool.name: pool.slots for pool in store.scheduler.pools()}

    def obstacle(self, snapshot: Snapshot, task: TaskFacts) -> Cause | None:
        """Return what keeps ``task`` from the queue, None if there is room for it."""
        occupancy = Occupancy()
        for held in self._held:
            if held.state is TaskState.DEFERRED:  # it holds its pool's slots and nothing else
                occupancy.pools[held.pool] += held.pool_slots
                continue
            occupancy.add(
                run=held.run, dag_id=held.dag_id, task_id=held.task_id, pool=held.pool, pool_slots=held.pool_slots
            )
        lane = lane_of(snapshot.spec, task)
        limit = occupancy.limit(lane, self._pools)
        if limit is not None:
            return self._limit(limit, lane, snapshot, occupancy.obstacle(lane, self._pools) or "")
        if 0 < self._parallelism <= occupancy.total:
            remedy = "wait, or raise core.parallelism and start the server again"
            fact = f"parallelism ({self._parallelism}) of the executor is reached"
            return Cause(fact=fact, kind="parallelism", remedy=remedy, causes=self._holders(lambda _: True))
        return None

    def _limit(self, limit: Limit, lane: Lane, snapshot: Snapshot, fact: str) -> Cause:
        raised = f"wait, or raise {limit.value} in {snapshot.run.file}"
        if limit is Limit.POOL:
            return self._pool(lane, fact)
        match limit:
            case Limit.NO_POOL:
                remedy = windlass("pools", "set", lane.pool, str(lane.pool_slots))
                return Cause(fact=f"pool `{lane.pool}` does not exist", kind=limit.value, remedy=remedy)
            case Limit.MAX_ACTIVE_TASKS:
                holders = self._holders(lambda held: held.run == lane.run)
            case Limit.MAX_ACTIVE_TIS_PER_DAG:
                holders = self._holders(lambda held: (held.dag_id, held.task_id) == (lane.dag_id, lane.task_id))
            case _:
                holders = self._holders(lambda held: (held.run, held.task_id) == (lane.run, lane.task_id))
        return Cause(fact=fact, kind=limit.value, remedy=raised, causes=holders)

    def _pool(self, lane: Lane, fact: str) -> Cause:
        slots = self._pools[lane.pool]
        if lane.pool_slots > slots:
            fact = f"it needs {lane.pool_slots} slot(s) of pool `{lane.pool}`, which has {slots} in all"
            remedy = windlass("pools", "set", lane.pool, str(lane.pool_slots))
            return Cause(fact=fact, kind="pool_too_small", remedy=remedy)
        taken = sum(held.pool_slots for held in self._held if held.pool == lane.pool)
        remedy = windlass("pools", "set", lane.pool, str(taken + lane.pool_slots))
        holders = self._holders(lambda held: held.pool == lane.pool)
        return Cause(fact=fact, kind="pool", remedy=remedy, causes=holders)

    def _holders(self, holds: Callable[[Occupied], bool]) -> tuple[Cause, ...]:
        found = [held for held in self._held if holds(held)]
        facts = {task.id: task for task in self._store.scheduler.tasks([held.task for held in found[:_NAMED]])}
        causes = [self._holder(held, facts.get(held.task)) for held in found[:_NAMED]]
        if len(found) > _NAMED:
            causes.append(Cause(fact=f"and {len(found) - _NAMED} more", kind="more"))
        return tuple(causes)

    def _holder(self, held: Occupied, task: TaskFacts | None) -> Cause:
        run = self._store.scheduler.run(held.run)
        name = label(held.task_id, -1 if task is None else task.map_index)
        where = "" if run is None else f" of run {run.run_id!r}"
        slots = f"{held.pool_slots} slot{'' if held.pool_slots == 1 else 's'}"
        fact = f"`{name}`{where} of DAG {held.dag_id!r} is {held.state} and holds {slots} of pool `{held.pool}`"
        return Cause(fact=fact, kind="occupant")
