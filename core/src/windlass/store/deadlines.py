"""Missed deadlines: noted once per run and deadline, with the callback that is owed for it, in one transaction.

The primary key makes it once, across restarts and schedulers; a run that has ended by the time of the write has met its
deadline as far as anybody can tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec

from windlass.ports import DeadlineMiss
from windlass.store.database import Database, Transaction
from windlass.store.instants import instant, micros

#: What the event of a missed deadline begins with; the place of the deadline follows.
DEADLINE_EVENT: Final = "run_deadline:"

_NOTE: Final = (
    "INSERT INTO deadline_miss (run, position, due_at, missed_at) SELECT id, :position, :due, :now FROM run"
    " WHERE id = :run AND state IN ('queued','running') ON CONFLICT DO NOTHING"
)
_OWE: Final = (
    "INSERT INTO outbox (event, run, ti_id, try_number, op_id, reason, created_at)"
    " VALUES (:event, :run, NULL, 0, :op_id, :reason, :now)"
)
_MISSED: Final = "SELECT position, due_at, missed_at FROM deadline_miss WHERE run = :run ORDER BY position"


class Missed(msgspec.Struct, frozen=True, kw_only=True):
    """A deadline that a run has missed: its place in the DAG's list, when it was due and when that was noted."""

    position: int
    due_at: datetime
    missed_at: datetime


def note_misses(transaction: Transaction, misses: Sequence[DeadlineMiss], now: int) -> None:
    """Note these, unless they were noted before or their runs have ended."""
    for miss in misses:
        values = {"run": miss.run, "position": miss.position, "due": micros(miss.due), "now": now}
        if transaction.run(_NOTE, values) == 1:
            owed = {
                "event": f"{DEADLINE_EVENT}{miss.position}",
                "op_id": f"deadline:{miss.run}:{miss.position}",
                "reason": miss.reason,
            }
            transaction.send(_OWE, [{**values, **owed}])


def missed_deadlines(database: Database, run: int) -> list[Missed]:
    """Return the deadlines that a run has missed."""
    rows = database.rows(_MISSED, {"run": run})
    return [Missed(position=place, due_at=instant(due), missed_at=instant(at)) for place, due, at in rows]
