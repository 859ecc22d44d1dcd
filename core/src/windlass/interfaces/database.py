"""What a database has to bring to be Windlass's own store: a driver, and the few words in which it differs.

The statements are the core's, written once with ``:name`` parameters; only those that make the tables come with the
dialect (:meth:`Dialect.schema`). Besides SQL that every database knows they use these words, which
:meth:`Dialect.translate` turns into the database's own, once per statement:

- ``IN IDS(:ids)`` and ``IN NAMES(:names)``: in the numbers or texts of a JSON array, so that a statement about many
  rows has one text and one parameter whatever their number.
- ``FOR_UPDATE``, ``FOR_UPDATE OF t``, ``FOR_UPDATE SKIP_LOCKED``, ``FOR_SHARE OF t``: lock the rows read until the end
  of the transaction; nothing where writers exclude each other.
- ``BYTES(column)``: the length of a text in bytes, encoded as UTF-8.
- ``INSERT … ON CONFLICT … DO NOTHING`` and ``DO UPDATE SET … = excluded.…``, ``CAST(… AS BIGINT)`` and ``AS TEXT``, as
  SQLite and PostgreSQL know them.

No statement reads the table that it updates or deletes from, and none assigns a column and reads it further right.

A provider names its :class:`Dialect` in the manifest's ``database_drivers``, and its :class:`Listener` in
``doorbells``, both under the scheme of the database's URL.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Protocol

import msgspec


class Trouble(Enum):
    """What an error of the driver means to who waits for the statement."""

    BUSY = "busy"  # somebody holds a lock: the same statement may be tried again in a moment
    LOCKED = "locked"  # the database has waited for a lock as long as it may
    ROLLED_BACK = "rolled back"  # for the sake of another transaction: the whole of it may be tried again
    DISCONNECTED = "disconnected"  # the connection is gone, and with it a transaction that was not committed
    UNMATCHED = "unmatched"  # a guarded statement changed no row


class DriverCursor(Protocol):
    """A statement that was run."""

    @property
    def rowcount(self) -> int:
        """How many rows it changed."""
        ...

    def fetchone(self) -> Any:  # noqa: ANN401 - a row's values are the database's
        """Return the next row as a tuple, None at the end."""
        ...

    def fetchall(self) -> list[Any]:
        """Return all rows as tuples."""
        ...


class DriverConnection(Protocol):
    """A connection of the driver, in autocommit mode: transactions are begun and ended by statements."""

    def execute(self, sql: Any, params: Any = ..., /) -> DriverCursor:  # noqa: ANN401 - the driver's types
        """Run one translated statement."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


class Statement:
    """A translated statement, to be sent together with others.

    Args:
        sql: its text.
        rows: the parameters of each time that it is to run.
        guarded: it must change a row each time; where it does not, that is an error (:attr:`Trouble.UNMATCHED`).
    """

    __slots__ = ("cursor", "guarded", "rows", "sql")

    def __init__(self, sql: str, rows: Sequence[Mapping[str, Any]] = ({},), *, guarded: bool = False) -> None:
        self.sql = sql
        self.rows = rows
        self.guarded = guarded
        #: What it came to, once it has run; of several times, only how many rows were changed in all.
        self.cursor: DriverCursor | None = None


class Shell(msgspec.Struct, frozen=True, kw_only=True):
    """The database's own shell: the program, its first arguments, and what its environment has besides."""

    program: str
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = {}
    #: What to do where the program is not installed, as the end of a sentence.
    remedy: str = "install it"


class Dialect(ABC):
    """One database and all in which its kind differs from others. Made from a URL; connects when asked."""

    #: The kind, for people.
    name: str
    #: What begins a transaction that will write.
    begin: str = "BEGIN"
    #: What follows an insert whose id is wanted.
    returning: str = ""
    #: What the driver raises, and of that what it raises when a row would break a constraint.
    error: type[Exception]
    violation: type[Exception]
    #: A write excludes every other, so that nothing read inside it need be locked.
    serial: bool = False
    #: Several hosts may use it: leases, and no lock of one host, say who lives.
    shared: bool = False
    #: One connection serves all threads, since another would see another database.
    single: bool = False
    #: What creates, changes or drops a table commits by itself, so that a schema may be left half made.
    commits_definitions: bool = False
    #: Takes ``:name`` for this transaction alone, with 0 as answer if another kept it too long; None where writes
    #: exclude each other anyhow.
    exclusion: str | None = None
    #: Returns the database's clock in microseconds since 1970; None where that is the machine's own.
    clock: str | None = None
    #: Returns a row if there is a table called ``:name``.
    has_table: str
    #: Moves what was committed to where it belongs; None where the database does so by itself.
    checkpoint: str | None = None
    #: What SQLAlchemy, which runs migrations, calls this database and its driver.
    engine_url: str
    #: :meth:`commit` tells every host, so that a local doorbell need not.
    rings: bool = False
    #: A statement is a trip to a server. So those of a transaction, from its BEGIN on, are kept back until an answer is
    #: needed, and then go :meth:`together`; the last ones go with the :meth:`commit`.
    gathers: bool = False

    def wait_for_disk(self, connection: Any, *, wait: bool) -> None:  # noqa: ANN401, B027 - the driver's; most always wait
        """Have commits of ``connection`` return once they survive a power loss, as when it was opened, or before that.

        Only where a commit that waits takes all earlier ones of every connection to the disk with it.
        """

    def check(self) -> None:  # noqa: B027 - most have nothing to refuse
        """Refuse what cannot keep the engine's promises.

        :raises ConfigError: with the reason.
        """

    def exists(self) -> bool:
        """Return whether there is anything to connect to; asking must not create it."""
        return True

    @abstractmethod
    def connect(self) -> Any:  # noqa: ANN401 - the driver's
        """Open a :class:`DriverConnection`.

        :raises StoreError: if that fails, naming the database without its password.
        """

    @abstractmethod
    def schema(self) -> str:
        """Return the statements that make an empty database a current one, each ending in ``;`` and a new line.

        They are rendered from the core's description of its tables for this kind of database. The first makes Alembic's
        table unless it is there, and the last writes the revision into it, so that a schema whose making was
        interrupted shows it where each statement commits by itself. That revision may be older than the core's: the
        core's migrations then lead on.
        """

    def engine_options(self) -> Mapping[str, Any]:
        """Return what else ``sqlalchemy.create_engine`` needs, such as a ``creator`` of connections."""
        return {}

    @abstractmethod
    def prepare(self, connection: Any) -> None:  # noqa: ANN401 - the driver's
        """Set what every connection of the engine needs; may find the database busy."""

    @abstractmethod
    def translate(self, sql: str) -> str:
        """Return ``sql`` in this database's words and its driver's style of parameters."""

    def sentence(self, error: Exception) -> str:
        """Return what an error says, in one line and without the values of any row."""
        return str(error)

    @abstractmethod
    def trouble(self, error: Exception) -> Trouble | None:
        """Return what may be done about an error; None: nothing."""

    @abstractmethod
    def execute_many(self, connection: Any, sql: str, params: Sequence[Mapping[str, Any]]) -> int:  # noqa: ANN401
        """Run a translated statement once per element and return how many rows were changed in all."""

    @abstractmethod
    def inserted(self, cursor: Any) -> int | None:  # noqa: ANN401 - the driver's
        """Return the id of the row that a statement ending in :attr:`returning` inserted, None if it did not."""

    def together(self, connection: Any, statements: Sequence[Statement]) -> None:  # noqa: ANN401 - the driver's
        """Run these in one trip and give each its cursor; only where statements are gathered.

        The first that fails is raised, and none after it has run. The connection can be used on, to roll back.
        """
        raise NotImplementedError

    def look(self, connection: Any) -> None:  # noqa: ANN401 - the driver's
        """Raise what the driver raises if the session is known to have ended; asks nobody.

        Only where statements are gathered: who sends them with their COMMIT could not tell how far they came.
        """
        raise NotImplementedError

    def commit(self, connection: Any, *, ring: bool, after: Sequence[Statement] = ()) -> None:  # noqa: ANN401
        """End a transaction, ``after`` what was kept back of it; ``ring``: it has work for the scheduler."""
        connection.execute("COMMIT")

    @abstractmethod
    def roll_back(self, connection: Any) -> None:  # noqa: ANN401 - the driver's
        """End a transaction that failed, if it has not ended by itself."""

    @abstractmethod
    def version(self) -> str:
        """Return the product and its version, for people.

        :raises StoreError: if it cannot be asked.
        """

    def weaknesses(self) -> Sequence[tuple[str, str]]:
        """Return what of the server's settings breaks a promise of the engine's, each with its remedy.

        :raises StoreError: if it cannot be asked.
        """
        return ()

    @abstractmethod
    def erase(self, tables: Sequence[str]) -> None:
        """Delete these tables with all they hold, as far as there are any."""

    @abstractmethod
    def shell(self) -> Shell:
        """Return how to start the database's own shell."""


class Listener(ABC):
    """The listening side of a database's doorbell: made from the database's URL, used by one thread.

    A ring is a hint, and may be lost: who listens looks by himself once a second. So a listener never raises; it
    connects again by itself, and counts that as a ring.
    """

    @abstractmethod
    def fileno(self) -> int:
        """Return what becomes readable when a ring comes; -1 while there is no connection."""

    @abstractmethod
    def heard(self) -> bool:
        """Swallow all rings that have come, connecting first if need be, and return whether there were any."""

    @abstractmethod
    def close(self) -> None:
        """Stop listening."""
