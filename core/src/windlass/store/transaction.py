"""A write in progress: what a function that writes can do with the database.

Where a statement is a trip to a server, a transaction gathers: what needs no answer is kept back, from the BEGIN on,
and goes with the next statement that does, or with the COMMIT. So who writes says what he wants to know.
:meth:`~Transaction.rows`, :meth:`~Transaction.row`, :meth:`~Transaction.run`, :meth:`~Transaction.many` and
:meth:`~Transaction.insert` wait for an answer; :meth:`~Transaction.send` wants none; :meth:`~Transaction.ask` wants it
later; and :meth:`~Transaction.each` leaves it to the database to refuse the whole where a guard finds no row.
Elsewhere all of them run at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from windlass.errors import StoreBusy, StoreError
from windlass.interfaces.database import DriverConnection, DriverCursor, Statement
from windlass.store.audience import KNOWN

if TYPE_CHECKING:
    from windlass.store.database import Database

Row = tuple[Any, ...]
Params = Mapping[str, Any]

LOCK_TIMEOUT: Final = 10.0
STAYED_LOCKED: Final = (
    f"the database stayed locked for {LOCK_TIMEOUT:.0f} s; look for a process that holds it open "
    "in a long transaction, for example a database shell"
)
_NOTHING: Final[Params] = {}


class Refused(StoreError):
    """What stands in the database does not allow a write: a guard found no row, or a row would break a constraint."""


class Transaction:
    """Never kept beyond the function it was given to."""

    def __init__(self, database: Database, connection: DriverConnection) -> None:
        self._database = database
        self._connection = connection
        self._gathers = database.dialect.gathers
        self.rings = False
        #: What has not been sent yet.
        self.kept: list[Statement] = [Statement(database.dialect.begin)] if self._gathers else []

    # --- Statements whose answer is waited for

    def rows(self, sql: str, params: Params = _NOTHING) -> list[Row]:
        """Return all rows."""
        return self._execute(sql, params).fetchall()

    def row(self, sql: str, params: Params = _NOTHING) -> Row | None:
        """Return the first row, if any."""
        found: Row | None = self._execute(sql, params).fetchone()
        return found

    def run(self, sql: str, params: Params = _NOTHING) -> int:
        """Run a statement and return how many rows it changed."""
        return self._execute(sql, params).rowcount

    def many(self, sql: str, params: Sequence[Params]) -> int:
        """Run a statement once per element and return how many rows were changed in all."""
        if not params:
            return 0
        if len(params) == 1:
            return self.run(sql, params[0])
        if self._gathers:
            return self._answer(self._keep(sql, params)).rowcount
        self._database.announce(sql, writing=True)
        return self._database.execute_many(self._connection, sql, params)

    def insert(self, sql: str, params: Params) -> int | None:
        """Insert one row and return its id; None if it conflicted with one that exists."""
        dialect = self._database.dialect
        return dialect.inserted(self._execute(sql + dialect.returning, params))

    # --- Statements whose answer is not waited for

    def send(self, sql: str, params: Sequence[Params]) -> None:
        """Run a statement once per element, with nothing to be said of it."""
        if self._gathers:
            self._keep(sql, params)
        else:
            self.many(sql, params)

    def each(self, sql: str, params: Sequence[Params]) -> None:
        """Run a statement once per element, each of which must change a row.

        :raises Refused: if one does not: here or later, then out of the whole write.
        """
        if self._gathers:
            self._keep(sql, params, guarded=True)
        elif self.many(sql, params) != len(params):
            raise Refused(
                "the database refused a write: a guarded statement found no row to change; nothing of it was kept"
            )

    def ask(self, sql: str, params: Params = _NOTHING) -> Callable[[], list[Row]]:
        """Run a query, and return what returns its rows, as often as it is called, also when the write is over."""
        if not self._gathers:
            found = self.rows(sql, params)
            return lambda: found
        statement = self._keep(sql, (params,))
        return cache(lambda: self._answer(statement).fetchall())

    def lock(self, sql: str, params: Params = _NOTHING) -> None:
        """Run a query that locks rows; nothing where this write excludes every other anyhow.

        What the next statements read of these rows, and of whatever is written under the same locks, holds until the
        end of the transaction.
        """
        if not self._database.dialect.serial:
            self.ask(sql, params)

    def exclude(self, name: str) -> None:
        """Let no other transaction pass here with the same ``name`` until this one has ended: where no row stands yet.

        Nothing where this write excludes every other anyhow.

        :raises StoreBusy: if another kept the name for ten seconds.
        """
        exclusion = self._database.dialect.exclusion
        if exclusion is None:
            return
        answer = self.ask(exclusion, {"name": name})
        if not self._gathers and answer()[0][0] == 0:  # a server that gathers raises by itself
            raise StoreBusy(STAYED_LOCKED)

    # --- Sending

    def _execute(self, sql: str, params: Params) -> DriverCursor:
        if self._gathers:
            return self._answer(self._keep(sql, (params,)))
        self._database.announce(sql, writing=True)
        return self._database.execute(self._connection, sql, params)

    def _keep(self, sql: str, params: Sequence[Params], *, guarded: bool = False) -> Statement:
        statement = Statement(self._database.translate(sql), params, guarded=guarded)
        if params:
            self._database.announce(sql, writing=True)
            self._database.statements += 1
            self.kept.append(statement)
        return statement

    def _answer(self, statement: Statement) -> DriverCursor:
        if statement.cursor is None:
            kept, self.kept = self.kept, []
            self._database.dialect.together(self._connection, kept)
        if statement.cursor is None:
            msg = "a statement of another transaction"
            raise AssertionError(msg)
        return statement.cursor

    @contextmanager
    def savepoint(self) -> Iterator[Savepoint]:
        """Undo what the block wrote if it raises, or leaves with :meth:`Savepoint.undo` called.

        What the block sends without waiting for its answer is refused, if it is, only after the block.
        """
        begin = Statement("SAVEPOINT step")
        if self._gathers:
            self.kept.append(begin)
        else:
            begin.cursor = self._connection.execute(begin.sql)
        point = Savepoint()
        try:
            yield point
        except BaseException:
            point.undo()
            raise
        finally:
            if point.undone:
                self._return_to(begin)
            # The end of the transaction releases it too; where a statement is a trip to a server, that is soon enough.
            if self._database.dialect.serial:
                self._connection.execute("RELEASE step")

    def _return_to(self, begin: Statement) -> None:
        if begin in self.kept:  # then nothing of the block was sent
            del self.kept[self.kept.index(begin) :]
            return
        self.kept.clear()
        if begin.cursor is not None:  # else what was sent before it has failed, and with it the whole
            self._connection.execute("ROLLBACK TO step")

    # --- What else a write needs

    @property
    def violation(self) -> type[Exception]:
        """What is raised when a row would break a constraint, such as a second row with the same op_id."""
        return self._database.dialect.violation

    def ring(self) -> None:
        """Ring the doorbell once this is committed."""
        self.rings = True

    def audience(self, hook: str) -> tuple[str, ...]:
        """Return the names of the providers that observe ``hook``."""
        audience = self._database.audience
        if audience.outdated:
            audience.learn(self.rows(KNOWN))
        return audience.of(hook)

    def key(self) -> str:
        """Return a fresh key of a row: an op id."""
        return self._database.rng.key()


class Savepoint:
    """A point to return to; whether the block wants that is known at its end."""

    def __init__(self) -> None:
        self.undone = False

    def undo(self) -> None:
        """Return to this point when the block ends."""
        self.undone = True
