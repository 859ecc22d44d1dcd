"""The long-lived processes that work on the database: the record of them, and whether they live.

This home's are known by the locks they hold. Of others, on this host or elsewhere, a scheduler lives as long as its
lease does; nobody says so of a supervisor.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from windlass.control.alive import Alive

if TYPE_CHECKING:
    from windlass.store import Store


class JobView(msgspec.Struct, frozen=True, kw_only=True):
    """A scheduler or a supervisor.

    Its ``state`` is running, ended, killed if it went without saying so, or unknown. ``here`` are the running ones of
    this home. A scheduler that shares the database with others holds some ``dags`` of it.
    """

    kind: str
    state: str
    hostname: str
    pid: int
    started_at: datetime
    ended_at: datetime | None
    here: bool = False
    dags: int | None = None


class Jobs:
    """Queries about processes."""

    def __init__(self, store: Store, alive: Alive) -> None:
        self._store = store
        self._alive = alive

    def list(self, *, kind: str | None = None, limit: int = 20) -> tuple[JobView, ...]:
        """Return the newest processes, of one kind or of all."""
        import socket

        holders = {(owner.name, owner.pid) for owner in self._alive.owners()}
        host = socket.gethostname()
        living = {
            ("scheduler", row.hostname, row.pid): row.dags for row in self._alive.of(self._store.schedulers.living())
        }
        found: list[JobView] = []
        for row in self._store.jobs.list(kind, limit=limit):
            # A pid is given again: the newest record of it is meant.
            name = row.kind, row.hostname, row.pid
            is_newest = not any((job.kind, job.hostname, job.pid) == name for job in found)
            here = is_newest and row.ended_at is None and row.hostname == host and (row.kind, row.pid) in holders
            dags = living.get(name) if is_newest and row.ended_at is None else None
            if row.ended_at is not None:
                state = "ended"
            elif here or dags is not None:
                state = "running"
            elif is_newest and row.kind != "scheduler" and self._store.db.dialect.shared:
                state = "unknown"
            else:
                state = "killed"
            found.append(
                JobView(
                    kind=row.kind,
                    state=state,
                    hostname=row.hostname,
                    pid=row.pid,
                    started_at=row.started_at,
                    ended_at=row.ended_at,
                    here=here,
                    dags=dags,
                )
            )
        return tuple(found)
