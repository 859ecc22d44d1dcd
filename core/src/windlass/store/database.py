"""Connections, transactions and waiting for locks: the one place where SQL meets a driver.

Reads run in autocommit, each its own snapshot. A write is one function of a :class:`Transaction`, run by
:meth:`Database.write` between the dialect's ``BEGIN`` and ``COMMIT``: it holds only guarded statements and the recounts
they need, so locks are held for microseconds plus one sync. In SQLite the whole write excludes every other. Elsewhere
it locks the rows that its decisions rest on; where the database then rolls one of two transactions back, or the
connection breaks before the commit, the function is run again, so it changes nothing but the database.

Whoever finds the database locked waits by jittered naps, from a tenth of a commit's time up to 2 ms, for up to ten
seconds (SQLite's own busy handler backs off far too slowly for a queue of short writers); only then it raises
:class:`StoreBusy`. A commit whose answer is lost is an error that says so: whoever made the op_id sends it again. Where
statements travel together (ADR 12), the last of them travel with the commit, and are lost with it.

Each thread has its own connection; a database in memory has one, shared under a lock. SQL is text with named
parameters, translated once per statement by the dialect and prepared once per connection by the driver. SQLAlchemy
describes the tables for migrations but is not loaded here: it would cost every process 28 MB and 200 ms.
"""

from __future__ import annotations

import contextlib
import logging
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final, Generic, NamedTuple, NoReturn, Protocol, TypeVar

from windlass.errors import StoreBusy, StoreError
from windlass.interfaces.database import Dialect, DriverConnection, DriverCursor, Trouble
from windlass.ports import Clock, Doorbell, Rng
from windlass.store.audience import Audience
from windlass.store.clock import DatabaseClock
from windlass.store.dialect import MemoryDialect, dialect_of, sqlite_schema
from windlass.store.instants import micros
from windlass.store.system import SystemClock
from windlass.store.transaction import LOCK_TIMEOUT, STAYED_LOCKED
from windlass.store.transaction import Params as Params
from windlass.store.transaction import Refused as Refused
from windlass.store.transaction import Row as Row
from windlass.store.transaction import Transaction as Transaction

log = logging.getLogger(__name__)

#: Seconds between two tries at a locked database: at first less than a commit takes, since that is what is waited for.
_FIRST_NAP: Final = 0.0001
_LONGEST_NAP: Final = 0.002
_LONGER: Final = 1.2
#: How often a transaction is run again that was rolled back for the sake of others, or whose connection broke.
_RERUNS: Final = 10
#: Commits between two checkpoints of a database that makes them.
CHECKPOINT_EVERY: Final = 1000

_MAY_RERUN: Final = frozenset({Trouble.ROLLED_BACK, Trouble.DISCONNECTED})

T = TypeVar("T")


class Ways(NamedTuple, Generic[T]):
    """What :meth:`Database.write` takes: a write that expects the usual, and the one for when it is not so."""

    straight: Callable[[Transaction], T]
    otherwise: Callable[[Transaction], T]


class Probe(Protocol):
    """What a simulation or a test sees of a database, and where it may interfere."""

    def statement(self, sql: str, *, writing: bool) -> None:
        """Be told of a statement before it runs; outside a write it may switch to another actor."""
        ...

    def committed(self) -> None:
        """Be told of a commit; raising here is a commit whose answer is lost."""
        ...


class Database:
    """A database and the clock, chance and doorbell that its writers use. Shared by the threads of a process."""

    def __init__(
        self,
        dialect: Dialect,
        clock: Clock | None,
        rng: Rng,
        doorbell: Doorbell | None = None,
        *,
        checkpoints: bool = False,
    ) -> None:
        self.dialect = dialect
        #: Database time. Without a clock of a test's, it is that of the database's own host where it says.
        self.clock: Clock = clock or self._own_clock()
        self.rng = rng
        self.probe: Probe | None = None
        #: Who observes what, learnt again by the first write of a second.
        self.audience = Audience(self.clock.monotonic)
        #: Statements sent so far; one for many rows counts once.
        self.statements = 0
        self.commits = 0
        self._doorbell = None if dialect.rings else doorbell
        self._checkpoints = checkpoints and dialect.checkpoint is not None
        self._since_checkpoint = 0
        #: A statement in the dialect's words.
        self.translate: Callable[[str], str] = lru_cache(maxsize=None)(dialect.translate)
        self._local = threading.local()
        self._opened: list[DriverConnection] = []
        self._opening = threading.Lock()
        # Writers of one process queue here rather than at the file; for memory it guards the shared connection too.
        self._writing = threading.RLock() if dialect.serial else contextlib.nullcontext()
        self._shared: DriverConnection | None = dialect.connect() if dialect.single else None
        if self._shared is not None:
            self._opened.append(self._shared)

    def _own_clock(self) -> Clock:
        question = self.dialect.clock
        return SystemClock() if question is None else DatabaseClock(lambda: int(self.rows(question)[0][0]))

    @classmethod
    def open(
        cls,
        url: str,
        clock: Clock | None,
        rng: Rng,
        doorbell: Doorbell | None = None,
        *,
        synchronous: str = "FULL",
        checkpoints: bool = False,
    ) -> Database:
        """Open the database at ``url``. Only the scheduler's may set ``checkpoints``."""
        dialect = dialect_of(url, synchronous=synchronous)
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
        return self._patiently(lambda: self.execute(self._connection(), sql, params).fetchall())

    def row(self, sql: str, params: Params = {}) -> Row | None:  # noqa: B006 - read only
        """Return the first row, if any."""
        found = self.rows(sql, params)
        return found[0] if found else None

    # --- Writing

    def write(
        self,
        work: Callable[[Transaction], T],
        otherwise: Callable[[Transaction], T] | None = None,
        *,
        durable: bool = True,
    ) -> T:
        """Run ``work`` in one short write transaction, ring if it asked to, and return its result.

        Where it need not be ``durable``, it outlives every process, but a power loss only once another write that is
        durable has followed, whoever makes that (ADR 14). If the database refuses ``work`` for what stands there,
        ``otherwise`` is run in a transaction of its own: work that expects the usual is done in as few trips as there
        can be, and need not find out what is not so.

        Raises:
            StoreBusy: another process held the lock for ten seconds.
            Refused: a guard of :meth:`Transaction.each`, or a constraint, did not hold; nothing was written.
            StoreError: the database refused for another reason; nothing was written, unless the message says that the
                connection broke during the commit.
        """
        self.announce(self.dialect.begin, writing=False)
        with self._writing:
            self._wait_for_disk(durable)
            try:
                transaction, result = self._run(work)
            except Refused:
                if otherwise is None:
                    raise
                transaction, result = self._run(otherwise)
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

    def _wait_for_disk(self, wait: bool) -> None:  # noqa: FBT001 - its own
        """Have this thread's commits wait for the disk, or not, if that is not how it is already."""
        if getattr(self._local, "waits", True) is not wait:
            self.dialect.wait_for_disk(self._shared or self._connection(), wait=wait)
            self._local.waits = wait

    def _run(self, work: Callable[[Transaction], T]) -> tuple[Transaction, T]:
        """Run ``work`` in a transaction and commit it; again where that came to nothing through no fault of its own."""
        reruns = 0
        while True:
            connection = self._patiently(self._begin)
            transaction = Transaction(self, connection)
            committing = False
            try:
                result = work(transaction)
                committing = True
                self.dialect.commit(connection, ring=transaction.rings, after=transaction.kept)
            except BaseException as error:
                self._roll_back(connection)
                if not isinstance(error, self.dialect.error):
                    raise
                trouble = self.dialect.trouble(error)
                lost = trouble is Trouble.DISCONNECTED
                if (lost and committing) or trouble not in _MAY_RERUN or reruns >= _RERUNS:
                    self._refuse(error, trouble, committing=committing)
                reruns += 1
                time.sleep(random.uniform(0.5, 1.5) * _LONGEST_NAP * reruns)  # noqa: S311 - jitter, not a secret
                continue
            return transaction, result

    def _begin(self) -> DriverConnection:
        connection = self._shared or self._connection()
        if self.dialect.gathers:
            self.dialect.look(connection)
        else:
            connection.execute(self.dialect.begin)
        return connection

    def _roll_back(self, connection: DriverConnection) -> None:
        """Undo what was written; a connection that cannot even do that is given up, which undoes it as well."""
        try:
            self.dialect.roll_back(connection)
        except self.dialect.error:
            self._discard(connection)

    def _refuse(self, error: Exception, trouble: Trouble | None, *, committing: bool) -> NoReturn:
        """Raise what the caller of a write is to see."""
        said = self.dialect.sentence(error)
        if trouble is Trouble.DISCONNECTED and committing:
            raise StoreError(
                f"the connection to the database broke during a commit: {said}; whether it was kept will be seen "
                "when it is sent again"
            ) from error
        if trouble is Trouble.LOCKED:
            raise StoreBusy(STAYED_LOCKED) from error
        if trouble is Trouble.UNMATCHED:
            said = "a guarded statement found no row to change"
        kind = Refused if trouble is Trouble.UNMATCHED or isinstance(error, self.dialect.violation) else StoreError
        raise kind(f"the database refused a write: {said}; nothing of it was kept") from error

    def checkpoint(self) -> None:
        """Move committed pages from the log into the database file; waits for nobody."""
        if self.dialect.checkpoint is None:
            return
        with self._writing:
            self._since_checkpoint = 0
            try:
                self._connection().execute(self.dialect.checkpoint).fetchall()
            except (
                self.dialect.error
            ) as error:  # what was committed is safe in the log, which only grows until the next try
                log.warning("the database's log cannot be emptied now: %s", self.dialect.sentence(error))

    # --- Connections

    def execute(self, connection: DriverConnection, sql: str, params: Params) -> DriverCursor:
        """Run one statement on ``connection``."""
        self.statements += 1
        return connection.execute(self.translate(sql), params)

    def execute_many(self, connection: DriverConnection, sql: str, params: Sequence[Params]) -> int:
        """Run one statement for many rows on ``connection``."""
        self.statements += 1
        return self.dialect.execute_many(connection, self.translate(sql), params)

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

    def _connection(self) -> DriverConnection:
        connection: DriverConnection | None = getattr(self._local, "connection", None)
        if connection is None:
            opened: DriverConnection = self.dialect.connect()
            try:
                self._patiently(lambda: self.dialect.prepare(opened))
            except BaseException:
                opened.close()
                raise
            self._local.connection = connection = opened
            with self._opening:
                self._opened.append(connection)
        return connection

    def _discard(self, connection: DriverConnection) -> None:
        """Give up this thread's connection; its next statement opens another."""
        self._local.connection = None
        self._local.waits = True
        with self._opening:
            if connection in self._opened:
                self._opened.remove(connection)
        with contextlib.suppress(self.dialect.error):
            connection.close()

    def _patiently(self, attempt: Callable[[], T]) -> T:
        """Repeat ``attempt`` while the database is locked by another connection, and once over a new connection."""
        deadline: float | None = None
        nap = _FIRST_NAP
        reconnected = False
        while True:
            try:
                return attempt()
            except self.dialect.error as error:
                trouble = self.dialect.trouble(error)
                broken = getattr(self._local, "connection", None)
                if trouble is Trouble.DISCONNECTED and broken is not None:
                    self._discard(broken)
                    if not reconnected:
                        reconnected = True
                        continue
                if trouble is not Trouble.BUSY:
                    raise StoreError(f"the database failed: {self.dialect.sentence(error)}") from error
                now = time.monotonic()
                deadline = now + LOCK_TIMEOUT if deadline is None else deadline
                if now > deadline:
                    raise StoreBusy(STAYED_LOCKED) from error
                time.sleep(random.uniform(0.5, 1.5) * nap)  # noqa: S311 - jitter, not a secret
                nap = min(nap * _LONGER, _LONGEST_NAP)


@lru_cache(maxsize=1)
def memory_image() -> bytes:
    """Return the bytes of an empty current database."""
    connection = sqlite3.connect(":memory:")
    try:
        connection.executescript(sqlite_schema())
        return connection.serialize()
    finally:
        connection.close()
