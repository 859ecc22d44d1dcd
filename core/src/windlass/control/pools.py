"""Pools: named numbers of slots that task instances hold while they are queued or running."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from windlass.control.views import PoolRow
from windlass.control.visibility import did_you_mean
from windlass.errors import NotFound, UsageError
from windlass.states import TaskState

if TYPE_CHECKING:
    from windlass.store import Store

DEFAULT_POOL = "default_pool"


class Pools:
    """Queries and commands about pools."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def list(self) -> tuple[PoolRow, ...]:
        """Return all pools by name, with the slots that are held now, and those of deferred tasks."""
        deferred = self._store.pools.deferred()
        held: Counter[tuple[str, TaskState]] = Counter()
        for task in self._store.scheduler.occupied():
            held[task.pool, task.state] += task.pool_slots
        return tuple(
            PoolRow(
                name=pool.name,
                slots=pool.slots,
                include_deferred=pool.include_deferred,
                description=pool.description,
                running=held[pool.name, TaskState.RUNNING],
                queued=held[pool.name, TaskState.QUEUED],
                deferred=deferred.get(pool.name, 0),
            )
            for pool in self._store.pools.list()
        )

    def get(self, name: str) -> PoolRow:
        """Return one pool.

        :raises NotFound: if there is none.
        """
        pools = {pool.name: pool for pool in self.list()}
        if name not in pools:
            raise NotFound(f"pool {name!r} does not exist.{did_you_mean(name, pools)} `windlass pools list` shows all")
        return pools[name]

    def set(
        self,
        name: str,
        *,
        slots: int,
        description: str = "",
        include_deferred: bool = False,
        dry_run: bool = False,
        actor: str,
    ) -> None:
        """Create or change a pool; -1 slots are unlimited."""
        if not name.strip() or len(name) > 250:
            raise UsageError("a pool's name needs 1 to 250 characters")
        if slots < -1:
            raise UsageError(f"pool {name!r} cannot have {slots} slots; use 0 or more, or -1 for no limit")
        if not dry_run:
            self._store.pools.set(name, slots, description, include_deferred)

    def delete(self, name: str, *, dry_run: bool = False, actor: str) -> None:
        """Delete a pool.

        :raises NotFound: if there is none.
        :raises UsageError: if it is the default pool.
        """
        self.get(name)
        if name == DEFAULT_POOL:
            raise UsageError(f"{DEFAULT_POOL!r} is needed by every task that names no pool; set its slots instead")
        if not dry_run:
            self._store.pools.delete(name)
