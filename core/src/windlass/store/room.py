"""How much room pools and limits have, counted from the rows inside the transaction that admits.

Occupancy is derived, never kept: whatever happened to a task instance, its row is the only truth about the slots it
holds. A partial index keeps the count proportional to what is queued or running now, not to history. The arithmetic
is the scheduler's own, so that both sides mean the same by "room".

Of two that admit at once neither would see the other's rows. So where writers do not exclude each other, the pools and
the DAGs whose limits are asked for are locked first, in the order of their names, and counted then. Only an admission
takes room, so nobody else need be kept out; the limits of a run are under the lock of its row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from windlass.planning.queueing import Lane, Occupancy
from windlass.ports import Admission
from windlass.store.database import Transaction
from windlass.store.facts import to_json

_READ: Final = (
    "SELECT 0, name, slots, 0, 0, '', '' FROM pool"
    " UNION ALL"
    " SELECT 1, t.pool, t.pool_slots, t.run, t.id, t.task_id, (SELECT dag_id FROM run WHERE id = t.run) FROM ti t"
    " WHERE t.state IN ('queued','running')"
    " UNION ALL"
    " SELECT 2, t.pool, t.pool_slots, 0, 0, '', '' FROM pool p JOIN ti t ON t.pool = p.name"
    " WHERE t.state = 'deferred' AND p.include_deferred = 1"
)

_POOLS: Final = "SELECT name FROM pool WHERE name IN NAMES(:names) ORDER BY name FOR_UPDATE"
_DAGS: Final = "SELECT dag_id FROM dag WHERE dag_id IN NAMES(:names) ORDER BY dag_id FOR_UPDATE"


def lock_room(transaction: Transaction, admissions: Sequence[Admission]) -> None:
    """Let nobody else take room in the pools and limits that these admissions ask about."""
    transaction.lock(_POOLS, {"names": to_json(sorted({a.pool for a in admissions}))})
    limited = sorted({a.dag_id for a in admissions if a.max_active_tis_per_dag >= 0})
    if limited:
        transaction.lock(_DAGS, {"names": to_json(limited)})


class Room:
    """What is free at this moment of the transaction; admitting takes from it."""

    def __init__(self) -> None:
        self._pools: dict[str, int] = {}
        self._occupancy = Occupancy()
        #: Task instances that hold a slot already.
        self.holding: set[int] = set()

    @classmethod
    def read(cls, transaction: Transaction) -> Room:
        """Count every task instance that holds a slot now."""
        room = cls()
        occupancy = room._occupancy
        for kind, pool, slots, run, task, task_id, dag_id in transaction.rows(_READ):
            if kind == 0:
                room._pools[pool] = slots
            elif kind == 1:
                room.holding.add(task)
                occupancy.add(run=run, dag_id=dag_id, task_id=task_id, pool=pool, pool_slots=slots)
            else:
                # A deferred instance holds its pool's slots and nothing else.
                occupancy.pools[pool] += slots
        return room

    def admit(self, wanted: Admission) -> bool:
        """Take the slots that ``wanted`` asks for; False, and nothing taken, if a pool or limit is full."""
        lane = Lane(
            run=wanted.run,
            dag_id=wanted.dag_id,
            pool=wanted.pool,
            pool_slots=wanted.pool_slots,
            max_active_tasks=wanted.max_active_tasks,
            task_id=wanted.task_id,
            max_active_tis_per_dag=wanted.max_active_tis_per_dag,
            max_active_tis_per_dagrun=wanted.max_active_tis_per_dagrun,
        )
        if self._occupancy.obstacle(lane, self._pools) is not None:
            return False
        self._occupancy.add_lane(lane, 1)
        self.holding.add(wanted.task)
        return True
