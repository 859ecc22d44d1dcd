"""DbApiHook: the client of a SQL database, over a DB-API connection. The hook of each database is a small subclass.

A method opens a connection, uses it, and ends it: what it did is committed when it returns, and rolled back when it
raises. Whatever interrupts it (the SIGTERM of a cancelled task, a timeout) first cancels the statement that runs in
the database, which would go on otherwise. ``get_conn()`` gives a connection to those who want to decide themselves;
in a ``with`` block it commits or rolls back, and closes.

Large results are streamed: ``stream`` and ``get_df_by_chunks`` hold one chunk in memory, ``insert_rows`` takes any
iterable. The driver is imported by ``get_conn``, so a hook may be imported and made anywhere.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from functools import cached_property
from typing import Any, ClassVar

from windlass.errors import ConfigError, UsageError
from windlass.hooks import BaseHook
from windlass_sql import frames, inserting
from windlass_sql.errors import ConnectFailed, ConnectionLost, StatementFailed, masked, numbers
from windlass_sql.handlers import fetch_all_handler, fetch_one_handler
from windlass_sql.identifiers import quote_identifier, quote_name
from windlass_sql.statements import Syntax, beginning, kept, split

Parameters = Sequence[Any] | Mapping[str, Any]
Handler = Callable[[Any], Any]
_LONGEST_LOGGED = 1000


class DbApiHook(BaseHook):
    """The client of a SQL database. See the module's story; a subclass fills in what is marked as its own."""

    #: What stands in a statement for a parameter.
    placeholder: ClassVar[str] = "%s"
    #: What stands around a name.
    quote_character: ClassVar[str] = '"'
    #: How the database writes texts, names and comments.
    syntax: ClassVar[Syntax] = Syntax()
    #: Keys of the connection's extra whose values are secret.
    secret_fields: ClassVar[tuple[str, ...]] = ()
    #: Rows that are written at a time where all are one transaction.
    rows_per_batch: ClassVar[int] = 5000
    #: First words of statements that commit by themselves.
    commits_implicitly: ClassVar[frozenset[str]] = frozenset()
    #: What :meth:`test_connection` runs; its first column says what answered.
    test_sql: ClassVar[str] = "SELECT 1"

    def __init__(
        self,
        conn_id: str | None = None,
        *,
        schema: str | None = None,
        database: str | None = None,
        log_sql: bool = True,
        **arguments: object,
    ) -> None:
        """Make a hook; nothing is connected yet.

        Args:
            conn_id: the connection, given also by the name in ``conn_name_attr``.
            schema: Airflow's name for ``database``.
            database: overrides the connection's.
            log_sql: write every statement to the log, shortened and with the texts in it hidden.
            **arguments: none but the one of ``conn_name_attr``.
        """
        super().__init__(conn_id, **arguments)
        self.database = database or schema
        self.log_sql = log_sql
        #: The ``cursor.description`` of every statement of the last :meth:`run`.
        self.descriptions: list[Sequence[Sequence[Any]] | None] = []
        self._running: Any = None
        self._lock = threading.Lock()

    # --- What each database fills in ---------------------------------------------------------------------------

    @property
    def driver_error(self) -> type[Exception]:
        """The driver's ``Error``, the root of what it raises."""
        raise NotImplementedError(f"{type(self).__name__} has no driver_error; its author must implement it")

    def connect(self) -> Any:  # noqa: ANN401 - the driver's own
        """Return a new connection of the driver. Whatever it raises of :attr:`driver_error` becomes a ConnectFailed."""
        raise NotImplementedError(f"{type(self).__name__} has no connect(); its author must implement it")

    @property
    def address(self) -> str:
        """What the connection leads to, as errors name it: ``PostgreSQL at db.example:5432``."""
        return f"{self.hook_name} at {self.connection.host}"

    def set_autocommit(self, conn: Any, autocommit: bool) -> None:  # noqa: ANN401, FBT001 - Airflow's signature
        """Have every statement commit by itself, or not."""
        conn.autocommit = autocommit

    def cancel_query(self, conn: Any) -> None:  # noqa: ANN401 - the driver's own
        """Cancel the statement that runs on ``conn``, if one does; called from any thread."""

    def is_busy(self, conn: Any) -> bool:  # noqa: ANN401 - the driver's own
        """Return whether the server still works on a statement whose call was interrupted."""
        return False

    def words(self, error: Exception) -> str:
        """Return what the database said of an error."""
        return str(error)

    def is_lost(self, conn: Any, error: Exception) -> bool:  # noqa: ANN401 - the driver's own
        """Return whether ``error`` means that the connection is gone."""
        return False

    def sqlstate(self, error: Exception) -> str | None:
        """Return the database's own code of an error."""
        return None

    def stream_cursor(self, conn: Any, sql: str) -> Any:  # noqa: ANN401 - the driver's own
        """Return a cursor that leaves the result of ``sql`` with the server until it is fetched."""
        return conn.cursor()

    def upsert_clause(self, fields: Sequence[str], index: Sequence[str]) -> str:
        """Return what follows ``VALUES (…)`` so that a row whose ``index`` columns exist is updated."""
        keys = ", ".join(map(self.quote_identifier, index))
        others = [self.quote_identifier(field) for field in fields if field not in index]
        action = f"UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in others)}" if others else "NOTHING"
        return f"ON CONFLICT ({keys}) DO {action}"

    #: Begins an insert that replaces rows of the same key; empty if the database has none but an upsert.
    replace_verb: ClassVar[str] = ""

    # --- Connections -------------------------------------------------------------------------------------------

    @property
    def connection_name(self) -> str:
        """The connection's id."""
        return str(getattr(self, self.conn_name_attr))

    @cached_property
    def secrets(self) -> tuple[str, ...]:
        """What never appears in an error."""
        extra = self.connection.extra_dejson
        values = [self.connection.password, *(extra.get(name) for name in self.secret_fields)]
        return tuple(str(value) for value in values if value)

    def get_conn(self) -> Any:  # noqa: ANN401 - the driver's own
        """Return a new connection of the driver, which the caller closes.

        In a ``with`` block it commits at the end, or rolls back if the block raises, and closes.

        :raises ConnectFailed: naming what was asked for, and the driver's reason.
        """
        try:
            return self.connect()
        except self.driver_error as error:
            reason = self.reason(error)
            raise ConnectFailed(
                f"connection {self.connection_name!r}: no connection to {self.address}: {reason}"
            ) from self.cause(error)

    @contextmanager
    def connected(self, *, autocommit: bool = False) -> Iterator[Any]:
        """Open a connection for a block: committed at its end, rolled back if it raises, and closed.

        What interrupts the block also cancels the statement that is running.
        """
        conn = self.get_conn()
        with self._lock:
            self._running = conn
        try:
            self.set_autocommit(conn, autocommit)
            yield conn
            if not autocommit:
                self._commit(conn)
        except BaseException as error:
            self._abandon(conn, error)
            raise
        finally:
            with self._lock:
                self._running = None
            with suppress(self.driver_error):
                conn.close()

    def _commit(self, conn: Any) -> None:  # noqa: ANN401 - the driver's own
        try:
            conn.commit()
        except self.driver_error as error:
            who = f"connection {self.connection_name!r}"
            if self.is_lost(conn, error):
                text = f"{who} was lost while the transaction was committed: whether it is, is not known"
                raise ConnectionLost(f"{text}: {self.reason(error)}") from self.cause(error)
            text = f"{who}: the transaction could not be committed, and nothing of it stays: {self.reason(error)}"
            raise StatementFailed(text, sqlstate=self.sqlstate(error)) from self.cause(error)

    def _abandon(self, conn: Any, error: BaseException) -> None:  # noqa: ANN401 - the driver's own
        with suppress(self.driver_error, OSError):
            if not isinstance(error, StatementFailed) and self.is_busy(conn):
                self.cancel_query(conn)
            conn.rollback()

    def cancel(self) -> None:
        """Cancel the statement that this hook is running, from another thread or a signal handler."""
        with self._lock:
            conn = self._running
        if conn is not None:
            self.cancel_query(conn)

    def test_connection(self) -> tuple[bool, str]:
        """Return whether the database answers, and what it says it is or why it does not."""
        try:
            with self.connected() as conn, closing(conn.cursor()) as cursor:
                cursor.execute(self.test_sql)
                return True, f"connected to {self.address}: {cursor.fetchone()[0]}"
        except (ConnectFailed, ConfigError) as error:
            return False, str(error)
        except self.driver_error as error:
            return False, f"{self.address} answers, and refuses {self.test_sql}: {self.reason(error)}"

    # --- Statements --------------------------------------------------------------------------------------------

    def get_cursor(self) -> Any:  # noqa: ANN401 - the driver's own
        """Return a cursor of a connection of its own; ``cursor.connection`` is for the caller to commit and close."""
        return self.get_conn().cursor()

    def split_sql_string(self, sql: str) -> list[str]:
        """Return the statements of a script, by the syntax of this database."""
        return list(split(sql, self.syntax))

    def run(
        self,
        sql: str | Iterable[str],
        autocommit: bool = False,  # noqa: FBT001, FBT002 - Airflow's signature
        parameters: Parameters | None = None,
        handler: Handler | None = None,
        split_statements: bool = False,  # noqa: FBT001, FBT002 - Airflow's signature
        return_last: bool = True,  # noqa: FBT001, FBT002 - Airflow's signature
    ) -> Any:  # noqa: ANN401 - what the handler makes of it
        """Run one statement or several on one connection, in one transaction unless ``autocommit`` is set.

        Args:
            sql: a statement, a script, or several of them.
            autocommit: commit every statement by itself.
            parameters: of every statement.
            handler: called with the cursor after each statement; makes its result.
            split_statements: ``sql`` is a script, split into its statements.
            return_last: of several statements return the last result only, rather than a list.

        Returns:
            what ``handler`` made, a list of that for several statements, None without a handler.

        :raises StatementFailed: saying which statement it was, and what stays of those before it.
        """
        statements = self._statements(sql, split_statements=split_statements)
        results = []
        self.descriptions = []
        with self.connected(autocommit=autocommit) as conn, closing(conn.cursor()) as cursor:
            for number, statement in enumerate(statements, 1):
                with self.reporting(conn, statements, number, autocommit=autocommit):
                    self._execute(cursor, statement, parameters, f"{number} of {len(statements)}")
                    results.append(handler(cursor) if handler is not None else None)
                self.descriptions.append(cursor.description)
        if handler is None:
            return None
        is_single = isinstance(sql, str) and not split_statements
        return results[-1] if is_single or return_last else results

    def _statements(self, sql: str | Iterable[str], *, split_statements: bool) -> list[str]:
        texts = [sql] if isinstance(sql, str) else list(sql)
        if not all(isinstance(text, str) for text in texts):
            raise UsageError("sql must be a text, or several texts")
        found = [part for text in texts for part in (self.split_sql_string(text) if split_statements else [text])]
        found = [statement for statement in found if statement.strip()]
        if not found:
            raise UsageError(f"there is no statement to run on connection {self.connection_name!r}: sql is empty")
        return found

    def _execute(self, cursor: Any, statement: str, parameters: Parameters | None, which: str) -> None:  # noqa: ANN401
        if self.log_sql:
            text = beginning(statement, self.syntax, _LONGEST_LOGGED)
            self.log.info("running statement %s%s: %s", which, " with parameters" if parameters else "", text)
        if parameters:
            cursor.execute(statement, parameters)
        else:
            cursor.execute(statement)
        if cursor.rowcount >= 0:
            self.log.info("%s rows", cursor.rowcount)

    @contextmanager
    def reporting(
        self,
        conn: Any,  # noqa: ANN401 - the driver's own
        statements: Sequence[str],
        number: int = 1,
        *,
        autocommit: bool = False,
    ) -> Iterator[None]:
        """Turn what the driver raises in the block into a sentence about statement ``number``."""
        try:
            yield
        except self.driver_error as error:
            raise self._failure(conn, error, statements, number, autocommit=autocommit) from self.cause(error)

    def _failure(
        self,
        conn: Any,  # noqa: ANN401 - the driver's own
        error: Exception,
        statements: Sequence[str],
        number: int,
        *,
        autocommit: bool,
    ) -> StatementFailed:
        before = list(statements[: number - 1])
        staying = kept(before, self.syntax, autocommit=autocommit, commits=self.commits_implicitly)
        is_lost = self.is_lost(conn, error)
        which = f"statement {number} of {len(statements)}" if len(statements) > 1 else "the statement"
        text = f"{which} ({beginning(statements[number - 1], self.syntax)})"
        if is_lost:
            text = f"connection {self.connection_name!r} to {self.address} was lost during {text}"
        else:
            text = f"{text} failed on connection {self.connection_name!r}"
        state = self.sqlstate(error)
        text = f"{text}: {self.reason(error)}{f' [{state}]' if state else ''}"
        if before:
            rest = "; the others were rolled back" if staying and len(staying) < len(before) else ""
            what = f"{numbers(staying)} before it" if staying else "none of those before it"
            text += f". Committed: {what}{rest}"
        if is_lost:
            text += ". It is not known to be committed" if autocommit else ". It was not committed"
        kind = ConnectionLost if is_lost else StatementFailed
        return kind(masked(text, self.secrets), number=number, total=len(statements), committed=staying, sqlstate=state)

    def reason(self, error: Exception) -> str:
        """Return the database's own words, on one line and without secrets."""
        text = " ".join(self.words(error).split()) or type(error).__name__
        return masked(text, self.secrets)

    def cause(self, error: Exception) -> Exception | None:
        """Return ``error`` as a cause to show, or None if its text holds a secret."""
        return error if masked(str(error), self.secrets) == str(error) else None

    # --- Reading -----------------------------------------------------------------------------------------------

    def get_records(self, sql: str | Iterable[str], parameters: Parameters | None = None) -> Any:  # noqa: ANN401
        """Return all rows of a query; of several statements those of the last."""
        return self.run(sql, parameters=parameters, handler=fetch_all_handler)

    def get_first(self, sql: str | Iterable[str], parameters: Parameters | None = None) -> Any:  # noqa: ANN401
        """Return the first row of a query, None if there is none; of several statements that of the last."""
        return self.run(sql, parameters=parameters, handler=fetch_one_handler)

    def stream(
        self, sql: str, parameters: Parameters | None = None, chunk_size: int = 10_000
    ) -> Generator[Sequence[Any], None, None]:
        """Yield the rows of a query while they come; at most ``chunk_size`` are in memory.

        The connection stays open until the last row, or until the iterator is closed.
        """
        for rows in self.stream_chunks(sql, parameters, chunk_size):
            yield from rows

    def stream_chunks(
        self, sql: str, parameters: Parameters | None = None, chunk_size: int = 10_000
    ) -> Iterator[list[Any]]:
        """Yield the rows of a query in lists of ``chunk_size``; see :meth:`stream`."""
        for rows, _ in self._described_chunks(sql, parameters, chunk_size):
            yield rows

    def _described_chunks(
        self, sql: str, parameters: Parameters | None, chunk_size: int
    ) -> Iterator[tuple[list[Any], list[str]]]:
        if chunk_size < 1:
            raise UsageError(f"chunk_size must be at least 1, not {chunk_size}")
        with self.connected() as conn, closing(self.stream_cursor(conn, sql)) as cursor:
            with self.reporting(conn, [sql]):
                self._execute(cursor, sql, parameters, "1 of 1")
            while True:
                with self.reporting(conn, [sql]):
                    rows = cursor.fetchmany(chunk_size)
                names = [column[0] for column in cursor.description or ()]
                if not rows:
                    break
                yield list(rows), names

    def get_df(
        self, sql: str, parameters: Parameters | None = None, *, df_type: str = "pandas", **kwargs: object
    ) -> Any:  # noqa: ANN401 - a frame of a library that need not be installed
        """Return the result of a query as a data frame, of ``pandas`` or ``polars``.

        :raises ConfigError: if that library is not installed.
        """
        frame = frames.maker(df_type, **kwargs)
        rows = self.run(sql, parameters=parameters, handler=fetch_all_handler)
        return frame(rows or [], [column[0] for column in self.descriptions[-1] or ()])

    def get_df_by_chunks(
        self,
        sql: str,
        parameters: Parameters | None = None,
        *,
        chunksize: int = 10_000,
        df_type: str = "pandas",
        **kwargs: object,
    ) -> Iterator[Any]:
        """Yield the result of a query as data frames of at most ``chunksize`` rows, none if there is no row.

        :raises ConfigError: if the library is not installed.
        """
        frame = frames.maker(df_type, **kwargs)
        for rows, names in self._described_chunks(sql, parameters, chunksize):
            yield frame(rows, names)

    # --- Writing -----------------------------------------------------------------------------------------------

    def insert_rows(
        self,
        table: str | Sequence[str],
        rows: Iterable[Sequence[Any]],
        target_fields: Sequence[str] | None = None,
        commit_every: int = 1000,
        replace: bool = False,  # noqa: FBT001, FBT002 - Airflow's signature
        *,
        replace_index: str | Sequence[str] | None = None,
        executemany: bool | None = None,
        autocommit: bool = False,
    ) -> int:
        """Insert rows, as they come, and return how many that were.

        Args:
            table: its name, with its schema if need be; it is quoted.
            rows: any iterable; it is not held in memory.
            target_fields: the columns that a row has; by default all, in order.
            commit_every: rows per transaction; 0 for one transaction of all.
            replace: overwrite rows of the same key instead of failing.
            replace_index: the columns of that key; needed where the database cannot know it.
            executemany: insist on INSERT through the driver's ``executemany``; by default the fastest way there is.
            autocommit: commit every batch by itself, even with a ``commit_every`` of 0.

        :raises InsertFailed: saying which rows, and how many before them are committed.
        """
        if autocommit and not commit_every:
            commit_every = self.rows_per_batch
        return inserting.insert_rows(
            self, table, rows, target_fields, commit_every, replace=replace, replace_index=replace_index,
            is_plain=bool(executemany),
        )  # fmt: skip

    def write_batch(self, cursor: Any, batch: inserting.Batch) -> None:  # noqa: ANN401 - the driver's own
        """Insert one batch of rows; a subclass may know a faster way."""
        cursor.executemany(batch.statement, batch.rows)

    def insert_statement(
        self,
        table: str | Sequence[str],
        width: int,
        target_fields: Sequence[str] | None = None,
        *,
        replace: bool = False,
        replace_index: str | Sequence[str] | None = None,
    ) -> str:
        """Return the INSERT of one row of ``width`` values.

        :raises UsageError: if ``replace`` needs ``target_fields`` or ``replace_index`` and they are not given.
        """
        fields = list(target_fields or ())
        names = self.quote_table(table)
        if fields:
            names += f" ({', '.join(map(self.quote_identifier, fields))})"
        values = ", ".join([self.placeholder] * width)
        index = [replace_index] if isinstance(replace_index, str) else list(replace_index or ())
        verb, clause = "INSERT", ""
        if replace and (index or not self.replace_verb):
            if not fields or not index:
                raise UsageError(f"to replace rows of {table!r}, give target_fields and, as replace_index, their key")
            clause = f" {self.upsert_clause(fields, index)}"
        elif replace:
            verb = self.replace_verb
        if self.placeholder == "%s":
            names = names.replace("%", "%%")
        return f"{verb} INTO {names} VALUES ({values}){clause}"

    def quote_identifier(self, name: str) -> str:
        """Return the name of a column or table in quotes; whatever it holds, it stays one name.

        :raises UsageError: if it is empty or holds a NUL.
        """
        return quote_identifier(name, self.quote_character)

    def quote_table(self, table: str | Sequence[str]) -> str:
        """Return ``schema.table`` with each part in quotes; parts may be quoted already, or given as a sequence."""
        return quote_name(table, self.quote_character)

    def bulk_load(self, table: str, tmp_file: str) -> None:
        """Load a file of tab-separated rows into a table, in the database's own way."""
        raise NotImplementedError(f"{type(self).__name__} cannot load a file; use insert_rows")

    def bulk_dump(self, table: str, tmp_file: str) -> None:
        """Write a table to a file of tab-separated rows, in the database's own way."""
        raise NotImplementedError(f"{type(self).__name__} cannot dump a table; use stream")
