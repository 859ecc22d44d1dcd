"""PostgresHook: the client of a PostgreSQL database, through psycopg 3.

Rows are inserted through COPY, which is several times as fast as INSERT, unless they replace others or the caller asks
for ``executemany``. Large results come through a cursor that the server keeps. An interrupted task cancels its
statement.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from windlass.errors import ConfigError
from windlass_postgres import copying
from windlass_postgres.fields import parameters
from windlass_sql.hook import DbApiHook
from windlass_sql.inserting import Batch
from windlass_sql.statements import Syntax, beginning, first_word

if TYPE_CHECKING:
    import psycopg

    AnyConnection = psycopg.Connection[Any]

#: Statements whose result a cursor of the server's can hold.
_DECLARABLE = frozenset({"SELECT", "TABLE", "VALUES", "WITH"})
#: What changes data behind a WITH, or in it; such a statement has no cursor of the server's.
_CHANGING = re.compile(r"[()]\s*(?:insert\s+into|delete\s+from|merge\s+into|update\s[^()]*?\bset)\b", re.IGNORECASE)
#: Seconds in which a request to cancel a statement must get through.
_CANCEL_TIMEOUT = 5.0
#: Airflow's names of cursors besides ours.
_CURSORS = {
    "": "tuple_row", "tuple": "tuple_row", "dict": "dict_row", "namedtuple": "namedtuple_row",
    "dictcursor": "dict_row", "realdictcursor": "dict_row", "namedtuplecursor": "namedtuple_row",
}  # fmt: skip


class PostgresHook(DbApiHook):
    """The client of a PostgreSQL database."""

    conn_name_attr = "postgres_conn_id"
    default_conn_name = "postgres_default"
    conn_type = "postgres"
    hook_name = "PostgreSQL"
    syntax = Syntax(escape_strings=True, dollar_quotes=True, nested_comments=True)
    secret_fields = ("sslpassword",)
    rows_per_batch = 20_000
    test_sql: ClassVar[str] = "SELECT split_part(version(), ' on ', 1) || ' as ' || current_user"

    postgres_conn_id: str

    def __init__(
        self,
        conn_id: str | None = None,
        *,
        options: str | None = None,
        enable_log_db_messages: bool = True,
        cursor: str | None = None,
        **arguments: Any,
    ) -> None:
        """Make a hook.

        Args:
            conn_id: the connection, given also as ``postgres_conn_id``.
            options: of the server, for the session: ``-c statement_timeout=10min``; added to the connection's.
            enable_log_db_messages: write the server's notices to the log.
            cursor: how a row comes: ``tuple``, ``dict`` or ``namedtuple``; by default what the connection says.
            **arguments: see DbApiHook.
        """
        super().__init__(conn_id, **arguments)
        self.options = options
        self.enable_log_db_messages = enable_log_db_messages
        self.cursor = cursor

    # --- What DbApiHook asks of a database ---------------------------------------------------------------------

    @property
    def driver_error(self) -> type[Exception]:
        """``psycopg.Error``."""
        import psycopg

        return psycopg.Error

    @property
    def address(self) -> str:
        """The server and the database."""
        connection = self.connection
        database = self.database or connection.schema
        where = f"{connection.host or 'the local socket'}:{connection.port or 5432}"
        return f"PostgreSQL at {where}" + (f", database {database!r}" if database else "")

    def connect(self) -> AnyConnection:
        """Return a new connection of psycopg's."""
        import psycopg

        from windlass_postgres import values

        arguments = parameters(self.connection, self.database, self.options)
        conn: AnyConnection = psycopg.connect(**arguments, row_factory=self._row_factory())
        values.register(conn)
        if self.enable_log_db_messages:
            conn.add_notice_handler(self._log_notice)
        return conn

    def _row_factory(self) -> Any:  # noqa: ANN401 - a type of psycopg's
        from psycopg import rows

        name = self.cursor if self.cursor is not None else str(self.connection.extra_dejson.get("cursor") or "")
        if name not in _CURSORS:
            raise ConfigError(
                f"connection {self.connection_name!r}: there is no cursor {name!r}; choose tuple, dict or namedtuple"
            )
        return getattr(rows, _CURSORS[name])

    def _log_notice(self, notice: psycopg.errors.Diagnostic) -> None:
        self.log.info("%s: %s", (notice.severity or "notice").lower(), notice.message_primary)

    def is_busy(self, conn: AnyConnection) -> bool:
        """Return whether a statement is running."""
        from psycopg.pq import TransactionStatus

        return not conn.closed and conn.pgconn.transaction_status == TransactionStatus.ACTIVE

    def cancel_query(self, conn: AnyConnection) -> None:
        """Ask the server to cancel the statement, if one is running."""
        if self.is_busy(conn):
            conn.cancel_safe(timeout=_CANCEL_TIMEOUT)

    def is_lost(self, conn: AnyConnection, error: Exception) -> bool:
        """Return whether the connection is closed."""
        return conn.closed

    def sqlstate(self, error: Exception) -> str | None:
        """Return the SQLSTATE."""
        return getattr(error, "sqlstate", None)

    def stream_cursor(self, conn: AnyConnection, sql: str) -> Any:  # noqa: ANN401 - a cursor of psycopg's
        """Return a cursor that the server keeps, if it can for this statement; not for one that changes data."""
        word = first_word(sql, self.syntax)
        changes = word == "WITH" and _CHANGING.search(beginning(sql, self.syntax, len(sql))) is not None
        return conn.cursor(name="windlass") if word in _DECLARABLE and not changes else conn.cursor()

    # --- Writing -----------------------------------------------------------------------------------------------

    def insert_rows(
        self,
        table: str | Sequence[str],
        rows: Iterable[Sequence[Any]],
        target_fields: Sequence[str] | None = None,
        commit_every: int = 0,
        replace: bool = False,  # noqa: FBT001, FBT002 - Airflow's signature
        *,
        replace_index: str | Sequence[str] | None = None,
        executemany: bool | None = None,
        autocommit: bool = False,
    ) -> int:
        """Insert rows through COPY, or as :meth:`DbApiHook.insert_rows` does where they replace others.

        All rows are one transaction unless ``commit_every`` says otherwise: copying a thousand rows is faster than the
        commit after it. The key of rows to replace is by default the table's primary key.
        """
        if replace and not replace_index:
            replace_index = self.get_table_primary_key(table)
        return super().insert_rows(
            table, rows, target_fields, commit_every, replace,
            replace_index=replace_index, executemany=executemany, autocommit=autocommit,
        )  # fmt: skip

    def write_batch(self, cursor: Any, batch: Batch) -> None:  # noqa: ANN401 - a cursor of psycopg's
        """Insert one batch of rows."""
        if batch.is_plain:
            cursor.executemany(batch.statement, batch.rows)
            return
        columns = f" ({', '.join(map(self.quote_identifier, batch.fields))})" if batch.fields else ""
        with cursor.copy(f"COPY {self.quote_table(batch.table)}{columns} FROM STDIN") as copy:
            write = copy.write_row
            for row in batch.rows:
                write(row)

    def copy_expert(self, sql: str, filename: copying.FileLike) -> None:
        """Run a COPY FROM STDIN or TO STDOUT with a file of this machine.

        ``filename`` is a path, or a file that is open for bytes. It is read and written in pieces; a file that is
        written appears under its path when it is whole.

        :raises StatementFailed: if the server refuses the statement or the data; nothing of it stays.
        """
        is_reading = copying.reads_file(sql, self.syntax)
        self.log.info("copying %s a file: %s", "from" if is_reading else "to", sql)
        with self.connected() as conn, conn.cursor() as cursor, self.reporting(conn, [sql]):
            (copying.copy_in if is_reading else copying.copy_out)(cursor, sql, filename)

    def bulk_load(self, table: str, tmp_file: copying.FileLike) -> None:
        """Load a file, tab-separated as PostgreSQL writes it, into a table."""
        self.copy_expert(f"COPY {self.quote_table(table)} FROM STDIN", tmp_file)

    def bulk_dump(self, table: str, tmp_file: copying.FileLike) -> None:
        """Write a table to a file, tab-separated."""
        self.copy_expert(f"COPY {self.quote_table(table)} TO STDOUT", tmp_file)

    def get_table_primary_key(self, table: str | Sequence[str], schema: str | None = None) -> list[str] | None:
        """Return the columns of a table's primary key in their order, None if it has none."""
        name = self.quote_table((schema, table) if schema and isinstance(table, str) else table)
        sql = (
            "SELECT a.attname FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (number, place) "
            "JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number "
            "WHERE i.indrelid = to_regclass(%s) AND i.indisprimary ORDER BY k.place"
        )
        rows = self.run(sql, parameters=(name,), handler=lambda cursor: cursor.fetchall())
        return [next(iter(row.values())) if isinstance(row, dict) else row[0] for row in rows] or None
