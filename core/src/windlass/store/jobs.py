"""The record of the home's long-lived processes: when each started and ended.

Whether one lives is not asked of these rows, which a killed process cannot end, but of the lock that it holds.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from windlass.store.database import Database
from windlass.store.instants import instant

_START: Final = (
    "INSERT INTO job (kind, hostname, pid, started_at, heartbeat_at) VALUES (:kind, :hostname, :pid, :now, :now)"
)
_END: Final = "UPDATE job SET ended_at = :now, heartbeat_at = :now WHERE id = :id AND ended_at IS NULL"
_LIST: Final = (
    "SELECT kind, hostname, pid, started_at, ended_at FROM job WHERE :kind = '' OR kind = :kind"
    " ORDER BY id DESC LIMIT :limit"
)


class JobRow(msgspec.Struct, frozen=True, kw_only=True):
    """A process that was started; ``ended_at`` is None while it runs, and if it was killed."""

    kind: str
    hostname: str
    pid: int
    started_at: datetime
    ended_at: datetime | None


class Jobs:
    """Reads and writes the record."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def start(self, kind: str, hostname: str, pid: int) -> int:
        """Note that a process has started, and return the number of its record."""
        values = {"kind": kind, "hostname": hostname, "pid": pid, "now": self._database.now()}
        return self._database.write(lambda transaction: transaction.insert(_START, values)) or 0

    def end(self, job: int) -> None:
        """Note that it has ended by itself."""
        values = {"id": job, "now": self._database.now()}
        self._database.write(lambda transaction: transaction.send(_END, [values]))

    def list(self, kind: str | None = None, *, limit: int = 100) -> list[JobRow]:
        """Return the newest records, of one kind or of all."""
        rows = self._database.rows(_LIST, {"kind": kind or "", "limit": limit})
        return [
            JobRow(kind=name, hostname=host, pid=pid, started_at=instant(started), ended_at=instant(ended))
            for name, host, pid, started, ended in rows
        ]
