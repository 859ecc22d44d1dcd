"""How much room pools and limits have, counted from the rows inside the transaction that admits.

Occupancy is derived, never kept: whatever happened to a task instance, its row is the only truth about the slots it
holds. A partial index keeps the count proportional to what is queued or running now, not to history.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from windlass.ports import Admission
from windlass.store.database import Transaction

_READ: Final = (
    "SELECT 0, name, slots, include_deferred, 0, '', '' FROM pool"
    " UNION ALL"
    " SELECT 1, t.pool, t.pool_slots, t.run, t.id, t.task_id, r.dag_id FROM ti t JOIN run r ON r.id = t.run"
    " WHERE t.state IN ('queued','running')"
    " UNION ALL"
    " SELECT 2, t.pool, t.pool_slots, 0, 0, '', '' FROM pool p JOIN ti t ON t.pool = p.name"
    " WHERE t.state = 'deferred' AND p.include_deferred = 1"
)


class Room:
    """The free slots at this moment of the transaction; admitting takes from it."""

    def __init__(self) -> None:
        self.free: Counter[str] = Counter()
        self._unlimited: set[str] = set()
        self._in_run: Counter[int] = Counter()
        self._in_dag: Counter[tuple[str, str]] = Counter()
        self._in_dag_run: Counter[tuple[int, str]] = Counter()
        #: Task instances that hold a slot already.
        self.holding: set[int] = set()

    @classmethod
    def read(cls, transaction: Transaction) -> Room:
        """Count every task instance that holds a slot now."""
        room = cls()
        for kind, pool, slots, run, task, task_id, dag_id in transaction.rows(_READ):
            if kind == 0:
                room.free[pool] += slots
                if slots < 0:
                    room._unlimited.add(pool)
                continue
            room.free[pool] -= slots
            if kind == 1:
                room.holding.add(task)
                room._count(run, dag_id, task_id)
        return room

    def admit(self, wanted: Admission) -> bool:
        """Take the slots that ``wanted`` asks for; False, and nothing taken, if a pool or limit is full."""
        if wanted.pool not in self.free:
            return False
        if wanted.pool not in self._unlimited and self.free[wanted.pool] < wanted.pool_slots:
            return False
        limits = (
            (wanted.max_active_tasks, self._in_run[wanted.run]),
            (wanted.max_active_tis_per_dag, self._in_dag[wanted.dag_id, wanted.task_id]),
            (wanted.max_active_tis_per_dagrun, self._in_dag_run[wanted.run, wanted.task_id]),
        )
        if any(limit >= 0 and used >= limit for limit, used in limits):
            return False
        self.free[wanted.pool] -= wanted.pool_slots
        self.holding.add(wanted.task)
        self._count(wanted.run, wanted.dag_id, wanted.task_id)
        return True

    def _count(self, run: int, dag_id: str, task_id: str) -> None:
        self._in_run[run] += 1
        self._in_dag[dag_id, task_id] += 1
        self._in_dag_run[run, task_id] += 1
