"""The schedulers that share the database, for people: who lives, and how many DAGs each holds."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from windlass.store.database import Database
from windlass.store.instants import instant

_LIST: Final = (
    "SELECT s.home, s.hostname, s.pid, s.started_at, s.lease_until,"
    " (SELECT COUNT(*) FROM dag d WHERE d.owner = s.owner)"
    " FROM scheduler s WHERE s.lease_until >= :now ORDER BY s.started_at, s.owner"
)


class SchedulerRow(msgspec.Struct, frozen=True, kw_only=True):
    """A scheduler whose lease lives. ``home`` is its host and its folder; ``dags`` how many it holds."""

    home: str
    hostname: str
    pid: int
    started_at: datetime
    lease_until: datetime
    dags: int


class Schedulers:
    """Reads who shares the database; nobody does where one host's lock admits one scheduler."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def living(self) -> list[SchedulerRow]:
        """Return those whose leases live, the oldest first."""
        return [
            SchedulerRow(
                home=home, hostname=host, pid=pid, started_at=instant(started), lease_until=instant(until), dags=dags
            )
            for home, host, pid, started, until, dags in self._database.rows(_LIST, {"now": self._database.now()})
        ]
