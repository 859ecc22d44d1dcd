"""The scheduler's seat: one scheduler works on a database, on whatever host, where several hosts can reach it.

Every state transition is guarded and every run is owned by a lease, so two schedulers would lose nothing. But each
counts the limits of DAGs by the runs that it owns, and what concerns all runs (a pool, a pause) is told to one. So the
second is refused. The seat is a lock that the database holds for a session, and frees when that ends: a process that
dies leaves it at once, and a host that vanishes within half a minute.
"""

from __future__ import annotations

import contextlib
import time
from typing import Final, NoReturn

from windlass.errors import AlreadyRunning, StoreError
from windlass.interfaces.database import Dialect, DriverConnection
from windlass.store.jobs import Jobs

_NAME: Final = {"name": "scheduler"}
#: Seconds for which a predecessor that has just died may still seem to sit there.
_PATIENCE: Final = 3.0
_NAP: Final = 0.05
#: Seconds between two looks whether the session still lives.
_PAUSE: Final = 5.0


class Seat:
    """Taken when made, kept by :meth:`keep`, left by :meth:`leave`. A database of one host needs none."""

    def __init__(self, dialect: Dialect, jobs: Jobs) -> None:
        self._dialect = dialect
        self._jobs = jobs
        self._connection: DriverConnection | None = None
        self._next_look = 0.0
        self._lock = None if dialect.session_lock is None else dialect.translate(dialect.session_lock)
        if self._lock is not None:
            self._take(_PATIENCE)

    def keep(self) -> None:
        """Look now and then whether the seat is still ours, and take it again after the connection broke.

        :raises AlreadyRunning: if somebody else has it by now.
        """
        now = time.monotonic()
        if self._lock is None or now < self._next_look:
            return
        self._next_look = now + _PAUSE
        if self._connection is not None:
            try:
                self._connection.execute("SELECT 1").fetchall()
            except self._dialect.error:
                self.leave()
        if self._connection is None:
            with contextlib.suppress(StoreError):  # nobody can sit down at a database that cannot be reached
                self._take(0.0)

    def leave(self) -> None:
        """Free the seat."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(self._dialect.error):
                connection.close()

    def _take(self, patience: float) -> None:
        """Sit down.

        :raises AlreadyRunning: if somebody sits there.
        :raises StoreError: if the database cannot be reached.
        """
        connection: DriverConnection = self._dialect.connect()
        deadline = time.monotonic() + patience
        try:
            self._dialect.prepare(connection)
            while connection.execute(self._lock, _NAME).fetchall()[0][0] != 1:
                if time.monotonic() >= deadline:
                    self._refuse()
                time.sleep(_NAP)
        except self._dialect.error as error:
            connection.close()
            raise StoreError(f"the database failed: {self._dialect.sentence(error)}") from error
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        self._next_look = time.monotonic() + _PAUSE

    def _refuse(self) -> NoReturn:
        last = next((job for job in self._jobs.list("scheduler", limit=10) if job.ended_at is None), None)
        whose = "a scheduler" if last is None else f"a scheduler on {last.hostname} (pid {last.pid})"
        raise AlreadyRunning(
            f"{whose} already works on this database; stop it first, since a database has one scheduler"
        )
