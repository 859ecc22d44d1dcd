"""Connections, transactions and waiting for locks: the one place where SQL meets a driver.

Reads run in autocommit, each its own snapshot. A write is one function of a :class:`Transaction`, run by
:meth:`Database.write` between ``BEGIN IMMEDIATE`` and ``COMMIT``: it holds only guarded statements and the recounts
they need, so the lock is held for microseconds plus one sync. Whoever finds the database locked waits by jittered
naps, from a tenth of a commit's time up to 2 ms, for up to ten seconds (SQLite's own busy handler backs off far too
slowly for a queue of short writers); only then it raises :class:`StoreBusy`. After the commit the doorbell rings, if
the work asked for it.

Each thread has its own connection to a file; a database in memory has one, shared under a lock. SQL is text with named
parameters, translated once per statement by the dialect and prepared once per connection by the driver. SQLAlchemy
describes the tables for migrations but is not loaded here: it would cost every process 28 MB and 200 ms.
"""

from __future__ import annotations

import logging
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final, Protocol, TypeVar

from windlass.errors import StoreBusy, StoreError
from windlass.ports import Clock, Doorbell, Rng
from windlass.store.audience import KNOWN, Audience
from windlass.store.dialect import Dialect, MemoryDialect, SqliteDialect, sqlite_path
from windlass.store.instants import micros

log = logging.getLogger(__name__)

LOCK_TIMEOUT: Final = 10.0
#: Seconds between two tries at a locked database: at first less than a commit takes, since that is what is waited for.
_FIRST_NAP: Final = 0.0001
_LONGEST_NAP: Final = 0.002
_LONGER: Final = 1.2
#: Commits between two checkpoints of a database that makes them.
CHECKPOINT_EVERY: Final = 1000

#: What a driver raises when a row would break a constraint, such as a second row with the same op_id.
VIOLATION: Final = sqlite3.IntegrityError

Row = tuple[Any, ...]
Params = Mapping[str, Any]
T = TypeVar("T")


class Probe(Protocol):
    """What a simulation or a test sees of a database, and where it may interfere."""

    def statement(self, sql: str, *, writing: bool) -> None:
        """Be told of a statement before it runs; outside a write it may switch to another actor."""
        ...

    def committed(self) -> None:
        """Be told of a commit; raising here is a commit whose answer is lost."""
        ...


class Transaction:
    """A write in progress. Never kept beyond the function it was given to."""

    def __init__(self, database: Database, connection: sqlite3.Connection) -> None:
        self._database = database
        self._connection = connection
        self.rings = False

    def _execute(self, sql: str, params: Params) -> sqlite3.Cursor:
        self._database.announce(sql, writing=True)
        return self._database.execute(self._connection, sql, params)

    def rows(self, sql: str, params: Params = {}) -> list[Row]:  # noqa: B006 - read only
        """Return all rows."""
        return self._execute(sql, params).fetchall()

    def row(self, sql: str, params: Params = {}) -> Row | None:  # noqa: B006 - read only
        """Return the first row, if any."""
        found: Row | None = self._execute(sql, params).fetchone()
        return found

    def run(self, sql: str, params: Params = {}) -> int:  # noqa: B006 - read only
        """Run a statement and return how many rows it changed."""
        return self._execute(sql, params).rowcount

    def many(self, sql: str, params: Sequence[Params]) -> int:
        """Run a statement once per element and return how many rows were changed in all."""
        if not params:
            return 0
        if len(params) == 1:
            return self.run(sql, params[0])
        self._database.announce(sql, writing=True)
        return self._database.execute_many(self._connection, sql, params)

    def insert(self, sql: str, params: Params) -> int | None:
        """Insert one row and return its id; None if it conflicted with one that exists."""
        cursor = self._execute(sql, params)
        return cursor.lastrowid if cursor.rowcount == 1 else None

    def ring(self) -> None:
        """Ring the doorbell once this is committed."""
        self.rings = True

    def audience(self, hook: str) -> tuple[str, ...]:
        """Return the names of the providers that observe ``hook``."""
        audience = self._database.audience
        if audience.outdated:
            audience.learn(self.rows(KNOWN))
        return audience.of(hook)

    def token(self) -> str:
        """Return a random text that nobody else has."""
        return self._database.rng.token()

    @contextmanager
    def savepoint(self) -> Iterator[Savepoint]:
        """Undo what the block wrote if it raises, or leaves with :meth:`Savepoint.undo` called."""
        self._connection.execute("SAVEPOINT step")
        point = Savepoint()
        try:
            yield point
        except BaseException:
            point.undo()
            raise
        finally:
            if point.undone:
                self._connection.execute("ROLLBACK TO step")
            self._connection.execute("RELEASE step")


class Savepoint:
    """A point to return to; whether the block wants that is known at its end."""

    def __init__(self) -> None:
        self.undone = False

    def undo(self) -> None:
        """Return to this point when the block ends."""
        self.undone = True


class Database:
    """A database and the clock, chance and doorbell that its writers use. Shared by the threads of a process."""

    def __init__(
        self, dialect: Dialect, clock: Clock, rng: Rng, doorbell: Doorbell | None = None, *, checkpoints: bool = False
    ) -> None:
        self.dialect = dialect
        self.clock = clock
        self.rng = rng
        self.probe: Probe | None = None
        #: Who observes what, learnt again by the first write of a second.
        self.audience = Audience(clock.monotonic)
        #: Statements sent so far; one for many rows counts once.
        self.statements = 0
        self.commits = 0
        self._doorbell = doorbell
        self._checkpoints = checkpoints
        self._since_checkpoint = 0
        self._translate: Callable[[str], str] = lru_cache(maxsize=None)(dialect.translate)
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._opening = threading.Lock()
        # Writers of one process queue here rather than at the file; for memory it guards the shared connection too.
        self._writing = threading.RLock()
        self._shared = dialect.connect() if isinstance(dialect, MemoryDialect) else None
        if self._shared is not None:
            self._opened.append(self._shared)

    @classmethod
    def open(
        cls,
        url: str,
        clock: Clock,
        rng: Rng,
        doorbell: Doorbell | None = None,
        *,
        synchronous: str = "FULL",
        checkpoints: bool = False,
    ) -> Database:
        """Open the database at ``url``. Only the scheduler's may set ``checkpoints``."""
        dialect = SqliteDialect(sqlite_path(url), synchronous=synchronous)
        dialect.check()
        return cls(dialect, clock, rng, doorbell, checkpoints=checkpoints)

    @classmethod
    def memory(cls, clock: Clock, rng: Rng, doorbell: Doorbell | None = None) -> Database:
        """Return a fresh database in memory with the current schema, cloned from a prebuilt image."""
        database = cls(MemoryDialect(memory_image()), clock, rng, doorbell)
        database.audience.learn(())
        return database

    def now(self) -> int:
        """Return database time, in microseconds."""
        return micros(self.clock.now())

    # --- Reading

    def rows(self, sql: str, params: Params = {}) -> list[Row]:  # noqa: B006 - read only
        """Return all rows, read in autocommit."""
        # The probe may switch to another actor: never while the lock is held.
        self.announce(sql, writing=False)
        if self._shared is not None:
            with self._writing:
                return self.execute(self._shared, sql, params).fetchall()
        connection = self._connection()
        return self._patiently(lambda: self.execute(connection, sql, params).fetchall())

    def row(self, sql: str, params: Params = {}) -> Row | None:  # noqa: B006 - read only
        """Return the first row, if any."""
        found = self.rows(sql, params)
        return found[0] if found else None

    # --- Writing

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Run ``work`` in one short write transaction, ring if it asked to, and return its result.

        Raises:
            StoreBusy: another process held the lock for ten seconds.
            StoreError: the database refused; nothing was written.
        """
        self.announce(self.dialect.begin, writing=False)
        with self._writing:
            connection = self._shared or self._connection()
            self._patiently(lambda: connection.execute(self.dialect.begin))
            transaction = Transaction(self, connection)
            try:
                result = work(transaction)
                connection.execute("COMMIT")
            except BaseException as error:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise StoreError(f"the database refused a write: {error}; nothing of it was kept") from error
                raise
        self.commits += 1
        if transaction.rings and self._doorbell is not None:
            self._doorbell.ring()
        if self.probe is not None:
            self.probe.committed()
        if self._checkpoints:
            self._since_checkpoint += 1
            if self._since_checkpoint >= CHECKPOINT_EVERY:
                self.checkpoint()
        return result

    def checkpoint(self) -> None:
        """Move committed pages from the log into the database file; waits for nobody."""
        if self._shared is not None:
            return
        with self._writing:
            self._since_checkpoint = 0
            try:
                self._connection().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            except sqlite3.Error as error:  # what was committed is safe in the log, which only grows until the next try
                log.warning("the database's log cannot be emptied now: %s", error)

    # --- Connections

    def execute(self, connection: sqlite3.Connection, sql: str, params: Params) -> sqlite3.Cursor:
        """Run one statement on ``connection``."""
        self.statements += 1
        return connection.execute(self._translate(sql), params)

    def execute_many(self, connection: sqlite3.Connection, sql: str, params: Sequence[Params]) -> int:
        """Run one statement for many rows on ``connection``."""
        self.statements += 1
        return connection.executemany(self._translate(sql), params).rowcount

    def script(self, sql: str) -> None:
        """Run DDL, outside any transaction of ours."""
        with self._writing:
            self._patiently(lambda: (self._shared or self._connection()).executescript(sql))

    def close(self) -> None:
        """Close every connection of every thread."""
        with self._opening:
            for connection in self._opened:
                connection.close()
            self._opened.clear()
            self._local = threading.local()

    def announce(self, sql: str, *, writing: bool) -> None:
        """Tell the probe, if there is one, what is about to run."""
        if self.probe is not None:
            self.probe.statement(sql, writing=writing)

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self.dialect.connect()
            if isinstance(self.dialect, SqliteDialect):
                dialect, opened = self.dialect, connection
                self._patiently(lambda: dialect.prepare(opened))
            self._local.connection = connection
            with self._opening:
                self._opened.append(connection)
        return connection

    def _patiently(self, attempt: Callable[[], T]) -> T:
        """Repeat ``attempt`` while the database is locked by another connection."""
        deadline: float | None = None
        nap = _FIRST_NAP
        while True:
            try:
                return attempt()
            except sqlite3.Error as error:
                if not self.dialect.is_busy(error):
                    raise StoreError(f"the database failed: {error}") from error
                now = time.monotonic()
                deadline = now + LOCK_TIMEOUT if deadline is None else deadline
                if now > deadline:
                    raise StoreBusy(
                        f"the database stayed locked for {LOCK_TIMEOUT:.0f} s; look for a process that holds it open "
                        "in a long transaction, for example a database shell"
                    ) from error
                time.sleep(random.uniform(0.5, 1.5) * nap)  # noqa: S311 - jitter, not a secret
                nap = min(nap * _LONGER, _LONGEST_NAP)


def schema_script() -> str:
    """Return the SQL that makes an empty SQLite file a current database."""
    from importlib.resources import files  # tempfile, shutil …: nothing that a short command should load

    return files("windlass.store").joinpath("ddl/sqlite.sql").read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def memory_image() -> bytes:
    """Return the bytes of an empty current database."""
    connection = sqlite3.connect(":memory:")
    try:
        connection.executescript(schema_script())
        return connection.serialize()
    finally:
        connection.close()
