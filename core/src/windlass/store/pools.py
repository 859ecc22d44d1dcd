"""Pools: named numbers of slots that task instances hold while they are queued or running."""

# ruff: noqa: S608 - statements are put together from constants; values are always parameters

from __future__ import annotations

from typing import Final

import msgspec

from windlass.errors import NotFound
from windlass.ports import SignalKind
from windlass.store.database import Database, Row, Transaction
from windlass.store.transitions import signal

_DEFERRED: Final = "SELECT pool, CAST(SUM(pool_slots) AS BIGINT) FROM ti WHERE state = 'deferred' GROUP BY pool"
_COLUMNS: Final = "name, slots, description, include_deferred"
_SET: Final = (
    f"INSERT INTO pool ({_COLUMNS}) VALUES (:name, :slots, :description, :include_deferred)"
    " ON CONFLICT (name) DO UPDATE SET slots = excluded.slots, description = excluded.description,"
    " include_deferred = excluded.include_deferred"
)


class PoolRow(msgspec.Struct, frozen=True, kw_only=True):
    """A pool; -1 slots are unlimited."""

    name: str
    slots: int
    description: str
    include_deferred: bool


class Pools:
    """Reads and writes pools; every change signals the scheduler."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(self) -> list[PoolRow]:
        """Return all pools by name."""
        return [_row(row) for row in self._database.rows(f"SELECT {_COLUMNS} FROM pool ORDER BY name")]

    def get(self, name: str) -> PoolRow:
        """Return one pool.

        Raises:
            NotFound: there is none.
        """
        sql = f"SELECT {_COLUMNS} FROM pool WHERE name = :name"
        row = self._database.row(sql, {"name": name})
        if row is None:
            raise NotFound(f"pool {name!r} does not exist; `windlass pools list` shows what does")
        return _row(row)

    def deferred(self) -> dict[str, int]:
        """Return the slots of the deferred task instances of each pool, whether or not it counts them."""
        return dict(self._database.rows(_DEFERRED))

    def set(self, name: str, slots: int, description: str = "", include_deferred: bool = False) -> None:  # noqa: FBT001, FBT002 - named
        """Create or change a pool."""
        values = {"name": name, "slots": slots, "description": description, "include_deferred": int(include_deferred)}
        self._change(_SET, values)

    def delete(self, name: str) -> None:
        """Delete a pool. Tasks that still name it stay scheduled until it exists again.

        Raises:
            NotFound: there is none.
        """
        if self._change("DELETE FROM pool WHERE name = :name", {"name": name}) == 0:
            raise NotFound(f"pool {name!r} does not exist; `windlass pools list` shows what does")

    def _change(self, sql: str, values: dict[str, object]) -> int:
        def work(transaction: Transaction) -> int:
            count = transaction.run(sql, values)
            signal(transaction, SignalKind.POOL)
            return count

        return self._database.write(work)


def _row(row: Row) -> PoolRow:
    return PoolRow(name=row[0], slots=row[1], description=row[2], include_deferred=bool(row[3]))
