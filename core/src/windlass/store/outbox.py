"""The outbox: what is owed to callbacks and observers, delivered at least once.

Rows are written in the transaction of the change that owes them. Consumers claim rows for a while, and whoever dies in
between leaves them to be claimed again; they never read on from the last id they saw, because ids are not in the order
of commits. A row that fails too often is left alone, visibly: it stays undelivered with its count of failures.
"""

# ruff: noqa: S608 - statements are put together from constants; values are always parameters

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec

from windlass.store.database import Database, Transaction
from windlass.store.facts import to_json
from windlass.store.instants import SECOND, instant

#: Failures after which a row is quarantined.
MOST_FAILURES: Final = 5
#: Seconds for which a delivered row is kept: the proof that an end was owed and paid (invariant 18).
KEPT: Final = 86_400.0

_FREE: Final = (
    "consumer = :consumer AND delivered_at IS NULL AND failures < :most"
    " AND (claimed_until IS NULL OR claimed_until < :now)"
)
_CHOOSE: Final = f"SELECT id FROM outbox WHERE {_FREE} ORDER BY id LIMIT :limit"
#: Two who take at once take different rows.
_CHOOSE_MINE: Final = f"{_CHOOSE} FOR_UPDATE SKIP_LOCKED"
_CLAIM: Final = f"UPDATE outbox SET claimed_by = :by, claimed_until = :until WHERE id IN IDS(:ids) AND {_FREE}"
_IN_FLIGHT: Final = (
    "SELECT COUNT(*) FROM outbox WHERE consumer = '' AND delivered_at IS NULL AND claimed_by IS NOT NULL"
    " AND claimed_until >= :now"
)
_GIVEN_UP: Final = (
    "SELECT id, event, consumer FROM outbox WHERE delivered_at IS NULL AND failures >= :most"
    " ORDER BY id DESC LIMIT :limit"
)
_READ: Final = (
    "SELECT o.id, o.event, o.run, o.ti_id, r.dag_id, r.run_id, t.task_id, t.map_index, o.try_number, o.reason,"
    " r.bundle, r.file, r.code_version, o.failures, o.created_at"
    " FROM outbox o JOIN run r ON r.id = o.run LEFT JOIN ti t ON t.id = o.ti_id WHERE o.id IN IDS(:ids) ORDER BY o.id"
)
_PAID: Final = "SELECT id FROM outbox WHERE delivered_at < :before ORDER BY id LIMIT :limit"
_TRIM: Final = "DELETE FROM outbox WHERE id IN IDS(:ids) AND delivered_at < :before"
_DELIVERED: Final = (
    "UPDATE outbox SET delivered_at = :now WHERE id IN IDS(:ids) AND claimed_by = :by AND delivered_at IS NULL"
)
_FAILED: Final = (
    "UPDATE outbox SET failures = failures + 1, claimed_by = NULL, claimed_until = :again"
    " WHERE id = :id AND claimed_by = :by AND delivered_at IS NULL"
)


def ticket_of(by: str, row: int) -> str:
    """Return the ticket of a callback's workload, which lets a supervisor take over what ``by`` holds."""
    return f"{by}/{row}"


def holder_of(ticket: str) -> str:
    """Return who held the row when :func:`ticket_of` made this ticket."""
    return ticket.rpartition("/")[0]


class OutboxRow(msgspec.Struct, frozen=True, kw_only=True):
    """Something owed: ``event`` is success, failure, retry or skipped of a task, or run_success or run_failure."""

    id: int
    event: str
    run: int
    task: int | None
    dag_id: str
    run_id: str
    task_id: str | None
    map_index: int | None
    try_number: int
    reason: str
    bundle: str
    file: str
    code_version: str
    failures: int
    created_at: datetime


class Outbox:
    """Claims what is owed, and notes what was delivered."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, by: str, *, limit: int = 100, seconds: float = 60.0) -> list[OutboxRow]:
        """Take the oldest callbacks that nobody holds, for ``seconds``."""
        ids = self.take(by, "", limit=limit, seconds=seconds)
        if not ids:
            return []
        return [
            OutboxRow(
                id=row[0],
                event=row[1],
                run=row[2],
                task=row[3],
                dag_id=row[4],
                run_id=row[5],
                task_id=row[6],
                map_index=row[7],
                try_number=row[8],
                reason=row[9],
                bundle=row[10],
                file=row[11],
                code_version=row[12],
                failures=row[13],
                created_at=instant(row[14]),
            )
            for row in self._database.rows(_READ, {"ids": to_json(ids)})
        ]

    def take(self, by: str, consumer: str, *, limit: int, seconds: float) -> list[int]:
        """Take the oldest rows of ``consumer`` that nobody holds, for ``seconds``; return their ids."""
        now = self._database.now()
        free = {"consumer": consumer, "now": now, "most": MOST_FAILURES, "limit": limit}
        if not self._database.rows(_CHOOSE, free):
            return []

        def work(transaction: Transaction) -> list[int]:
            ids = [row[0] for row in transaction.rows(_CHOOSE_MINE, free)]
            transaction.send(_CLAIM, [{**free, "by": by, "until": now + int(seconds * SECOND), "ids": to_json(ids)}])
            return ids

        return self._database.write(work)

    def in_flight(self) -> int:
        """Return how many callbacks somebody holds now."""
        count: int = self._database.rows(_IN_FLIGHT, {"now": self._database.now()})[0][0]
        return count

    def given_up(self, limit: int = 20) -> list[tuple[int, str, str]]:
        """Return what failed too often, the newest first: its id, its event and whose it was ('' = a callback's)."""
        rows = self._database.rows(_GIVEN_UP, {"most": MOST_FAILURES, "limit": limit})
        return [(row[0], row[1], row[2]) for row in rows]

    def delivered(self, ids: Sequence[int], by: str) -> int:
        """Note that these were delivered; return how many of them ``by`` still held."""
        values = {"ids": to_json(list(ids)), "by": by, "now": self._database.now()}
        return self._database.write(lambda transaction: transaction.run(_DELIVERED, values))

    def trim(self, limit: int) -> int:
        """Delete the oldest rows that were delivered more than :data:`KEPT` seconds ago; return how many."""
        before = self._database.now() - int(KEPT * SECOND)
        ids = [row[0] for row in self._database.rows(_PAID, {"before": before, "limit": limit})]
        if not ids:
            return 0
        return self._database.write(lambda transaction: transaction.run(_TRIM, {"ids": to_json(ids), "before": before}))

    def failed(self, row: int, by: str, *, again_in: float = 10.0) -> bool:
        """Note a failure; the row may be claimed again after ``again_in`` seconds, unless it failed too often."""
        again = self._database.now() + int(again_in * SECOND)
        values = {"id": row, "by": by, "again": again}
        return self._database.write(lambda transaction: transaction.run(_FAILED, values)) == 1
