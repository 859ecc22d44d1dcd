"""The long-lived processes of this home: the record of them, and whether they live."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from windlass.control.alive import Alive

if TYPE_CHECKING:
    from windlass.store import Store


class JobView(msgspec.Struct, frozen=True, kw_only=True):
    """A scheduler or a supervisor. Its ``state`` is running, ended, or killed if it went without saying so."""

    kind: str
    state: str
    hostname: str
    pid: int
    started_at: datetime
    ended_at: datetime | None


class Jobs:
    """Queries about processes."""

    def __init__(self, store: Store, alive: Alive) -> None:
        self._store = store
        self._alive = alive

    def list(self, *, kind: str | None = None, limit: int = 20) -> tuple[JobView, ...]:
        """Return the newest processes, of one kind or of all."""
        import socket

        holders = {(owner.name, owner.pid) for owner in self._alive.owners()}
        here = socket.gethostname()
        found: list[JobView] = []
        for row in self._store.jobs.list(kind, limit=limit):
            # A pid is given again: the newest record of it is meant.
            is_newest = not any((job.kind, job.pid) == (row.kind, row.pid) for job in found)
            if row.ended_at is not None:
                state = "ended"
            elif is_newest and row.hostname == here and (row.kind, row.pid) in holders:
                state = "running"
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
                )
            )
        return tuple(found)
