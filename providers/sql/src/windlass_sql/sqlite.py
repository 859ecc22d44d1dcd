"""SqliteHook: a SQLite database, which is a file and needs no server.

The driver is Python's own. It is told to leave transactions alone, and the cursor here begins one before the first
statement of any kind: so also ``CREATE TABLE`` is rolled back when what follows it fails, which the driver's own way
would not do. Values that SQLite has no type for are written as text: dates and times as ISO 8601, ``Decimal`` in full,
lists and dicts as JSON.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Literal, Self
from urllib.parse import quote
from uuid import UUID

from windlass.errors import ConfigError
from windlass_sql.hook import DbApiHook
from windlass_sql.statements import Syntax, first_word

_SYNTAX = Syntax(backticks=True, brackets=True)
#: What begins a transaction itself, or cannot run in one.
_ALONE = frozenset(
    {"BEGIN", "COMMIT", "END", "ROLLBACK", "PRAGMA", "VACUUM", "ATTACH", "DETACH", "SAVEPOINT", "RELEASE"}
)
#: How many steps of SQLite's machine lie between two looks at whether a signal has arrived: about a millisecond.
_STEPS = 100_000


class SqliteHook(DbApiHook):
    """The client of a SQLite database."""

    conn_name_attr = "sqlite_conn_id"
    default_conn_name = "sqlite_default"
    conn_type = "sqlite"
    hook_name = "SQLite"
    placeholder = "?"
    syntax = _SYNTAX
    replace_verb = "REPLACE"
    test_sql: ClassVar[str] = "SELECT 'SQLite ' || sqlite_version()"

    sqlite_conn_id: str

    @property
    def driver_error(self) -> type[Exception]:
        """``sqlite3.Error``."""
        return sqlite3.Error

    @property
    def path(self) -> str:
        """The file: the connection's host, else its schema; ``:memory:`` for none.

        :raises ConfigError: if the connection has neither.
        """
        path = self.database or self.connection.host or self.connection.schema
        if not path:
            raise ConfigError(
                f"connection {self.connection_name!r} names no file; give the path of the database as its host"
            )
        return path

    @property
    def address(self) -> str:
        """The file."""
        return f"the SQLite database {self.path}"

    def connect(self) -> sqlite3.Connection:
        """Return a new connection; the file is made if it is not there, unless the connection is ``read_only``."""
        extra = self.connection.extra_dejson
        path = self.path
        name = path if path.startswith(("file:", ":memory:")) else f"file:{quote(str(Path(path).absolute()))}"
        if extra.get("read_only") in {True, "true", "True", "1"} and "?" not in name:
            name += "?mode=ro"
        conn = sqlite3.connect(
            name,
            timeout=float(extra.get("timeout", 5.0)),
            isolation_level=None,
            check_same_thread=False,  # cancel() is called from another thread
            factory=SqliteConnection,
            uri=True,
        )
        # A signal's handler runs only while Python does. What it raises ends the statement as interrupted.
        conn.set_progress_handler(lambda: 0, _STEPS)
        if extra.get("foreign_keys", True) not in {False, "false", "False", "0"}:
            sqlite3.Connection.execute(conn, "PRAGMA foreign_keys = ON")
        return conn

    def set_autocommit(self, conn: SqliteConnection, autocommit: bool) -> None:  # noqa: FBT001 - Airflow's signature
        """Begin no transaction before a statement, or do."""
        conn.commits_each = autocommit

    def cancel_query(self, conn: SqliteConnection) -> None:
        """Interrupt the statement that runs."""
        conn.interrupt()

    def sqlstate(self, error: Exception) -> str | None:
        """Return SQLite's name of the error."""
        return getattr(error, "sqlite_errorname", None)


class SqliteCursor(sqlite3.Cursor):
    """A cursor that begins a transaction where one is due, and writes values that SQLite does not know."""

    connection: SqliteConnection

    def execute(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> Self:  # type: ignore[override] # the buffers that the stub allows are none of ours
        """Execute a statement."""
        self.connection.begin_for(sql)
        if isinstance(parameters, Mapping):
            return super().execute(sql, {name: _written(value) for name, value in parameters.items()})
        return super().execute(sql, [_written(value) for value in parameters])

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]]) -> Self:  # type: ignore[override] # as above
        """Execute a statement for each of several rows."""
        self.connection.begin_for(sql)
        return super().executemany(sql, ([_written(value) for value in row] for row in parameters))


class SqliteConnection(sqlite3.Connection):
    """A connection with transactions of all statements; a ``with`` block commits or rolls back, and closes."""

    commits_each = False

    def cursor(self, factory: type[sqlite3.Cursor] = SqliteCursor) -> Any:  # type: ignore[override] # noqa: ANN401 - one kind of cursor
        """Return a cursor."""
        return super().cursor(factory)

    def begin_for(self, sql: str) -> None:
        """Begin a transaction if the statement is to run in one and none is open."""
        if not self.commits_each and not self.in_transaction and first_word(sql, _SYNTAX) not in _ALONE:
            sqlite3.Connection.execute(self, "BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        try:
            super().__exit__(kind, error, trace)
        finally:
            self.close()
        return False


def _written(value: Any) -> Any:  # noqa: ANN401 - a value of a row
    """Return a value as SQLite can hold it."""
    if value is None or isinstance(value, str | int | float | bytes):
        return value
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Decimal | UUID):
        return str(value)
    if isinstance(value, dict | list):
        return json.dumps(value, default=str)
    return value
