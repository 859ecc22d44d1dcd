"""MySqlHook: the client of a MySQL or MariaDB database, through PyMySQL.

Data definition commits by itself in MySQL, with all that the transaction did before: errors say what stays. Large
results come through a cursor that reads them off the wire as they are asked for. An interrupted task cancels its
statement by ``KILL QUERY`` over a second connection.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from windlass.errors import ConfigError, UsageError
from windlass_mysql.fields import arguments
from windlass_sql.hook import DbApiHook
from windlass_sql.inserting import Batch
from windlass_sql.statements import Syntax

if TYPE_CHECKING:
    from windlass_mysql.connection import MySqlConnection

_DEFINITION = (
    "ALTER", "ANALYZE", "BEGIN", "CREATE", "DROP", "GRANT", "LOCK", "OPTIMIZE", "RENAME", "REPAIR", "REVOKE", "START",
    "TRUNCATE", "UNLOCK",
)  # fmt: skip
#: Client's numbers of errors after which the connection is gone: gone away, lost, server is shutting down, killed.
_LOST = frozenset({2006, 2013, 1053, 1927, 3169, 4031})
#: What PyMySQL writes as it is.
_PLAIN = frozenset({str, int, float, bytes, bool, type(None), Decimal, date, datetime})
_CURSORS = {
    "": "Cursor", "tuple": "Cursor", "dict": "DictCursor", "dictcursor": "DictCursor", "sscursor": "SSCursor",
    "ssdictcursor": "SSDictCursor",
}  # fmt: skip


class MySqlHook(DbApiHook):
    """The client of a MySQL or MariaDB database."""

    conn_name_attr = "mysql_conn_id"
    default_conn_name = "mysql_default"
    conn_type = "mysql"
    hook_name = "MySQL"
    quote_character = "`"
    syntax = Syntax(backslash_escapes=True, hash_comments=True, backticks=True, delimiter_command=True)
    secret_fields = ("ssl_key_password",)
    commits_implicitly = frozenset(_DEFINITION)
    replace_verb = "REPLACE"
    test_sql: ClassVar[str] = "SELECT CONCAT(VERSION(), ' as ', CURRENT_USER())"

    mysql_conn_id: str

    def __init__(
        self,
        conn_id: str | None = None,
        *,
        local_infile: bool | None = None,
        cursor: str | None = None,
        **arguments: Any,
    ) -> None:
        """Make a hook.

        Args:
            conn_id: the connection, given also as ``mysql_conn_id``.
            local_infile: let the server ask for a file by LOAD DATA LOCAL; by default what the connection says.
            cursor: how a row comes: ``tuple`` or ``dict``; by default what the connection says.
            **arguments: see DbApiHook.
        """
        super().__init__(conn_id, **arguments)
        self.local_infile = local_infile
        self.cursor = cursor

    # --- What DbApiHook asks of a database ---------------------------------------------------------------------

    @property
    def driver_error(self) -> type[Exception]:
        """``pymysql.Error``."""
        import pymysql

        error: type[Exception] = pymysql.Error
        return error

    @property
    def address(self) -> str:
        """The server and the database."""
        connection = self.connection
        database = self.database or connection.schema
        socket = connection.extra_dejson.get("unix_socket")
        where = socket or f"{connection.host or 'localhost'}:{connection.port or 3306}"
        return f"MySQL at {where}" + (f", database {database!r}" if database else "")

    def connect(self) -> MySqlConnection:
        """Return a new connection of PyMySQL's."""
        from windlass_mysql import connection

        given = arguments(self.connection, self.database)
        if self.local_infile is not None:
            given["local_infile"] = self.local_infile
        try:
            return connection.connect(given, self._cursor_class())
        except RuntimeError as error:  # a way to log in that needs a library
            raise ConfigError(
                f"connection {self.connection_name!r}: {error}; `pip install 'pymysql[rsa]'`, or use TLS"
            ) from None

    def _cursor_class(self) -> str:
        name = self.cursor if self.cursor is not None else str(self.connection.extra_dejson.get("cursor") or "")
        if name.lower() not in _CURSORS:
            raise ConfigError(f"connection {self.connection_name!r}: there is no cursor {name!r}; choose tuple or dict")
        return _CURSORS[name.lower()]

    def set_autocommit(self, conn: MySqlConnection, autocommit: bool) -> None:  # noqa: FBT001 - Airflow's signature
        """Have every statement commit by itself, or not."""
        conn.autocommit(autocommit)

    def is_busy(self, conn: MySqlConnection) -> bool:
        """Return whether PyMySQL gave the connection up while it waited for an answer, as it does when interrupted."""
        return not conn.open

    def cancel_query(self, conn: MySqlConnection) -> None:
        """Have the server kill the statement, over a second connection."""
        from windlass_mysql import connection

        given = arguments(self.connection, self.database) | {"read_timeout": 5, "write_timeout": 5}
        with suppress(self.driver_error, OSError), closing(connection.connect(given, "Cursor")) as other:
            other.cursor().execute(f"KILL QUERY {int(conn.thread_id())}")

    def is_lost(self, conn: MySqlConnection, error: Exception) -> bool:
        """Return whether the connection is closed, or the error is one after which it is."""
        return not conn.open or (bool(error.args) and error.args[0] in _LOST)

    def sqlstate(self, error: Exception) -> str | None:
        """Return MySQL's number of the error."""
        number = error.args[0] if error.args else None
        return str(number) if isinstance(number, int) and number else None

    def words(self, error: Exception) -> str:
        """Return what the database said, without its number."""
        return str(error.args[-1]) if error.args else str(error)

    def stream_cursor(self, conn: MySqlConnection, sql: str) -> Any:  # noqa: ANN401 - a cursor of PyMySQL's
        """Return a cursor that leaves the result on the wire until it is fetched."""
        from windlass_mysql import connection

        is_dict = "Dict" in self._cursor_class()
        return conn.cursor(connection.StreamDictCursor if is_dict else connection.StreamCursor)

    def write_batch(self, cursor: Any, batch: Batch) -> None:  # noqa: ANN401 - a cursor of PyMySQL's
        """Insert one batch of rows, as few statements of many rows; dicts and lists become JSON."""
        cursor.executemany(batch.statement, [_written(row) for row in batch.rows])

    def upsert_clause(self, fields: Sequence[str], index: Sequence[str]) -> str:
        """Return what updates a row of the same key; which key, MySQL finds itself."""
        others = [self.quote_identifier(field) for field in fields if field not in index]
        # With nothing to update, the key is set to itself, so that the row stays and it is no error.
        names = others or [self.quote_identifier(field) for field in index]
        return f"ON DUPLICATE KEY UPDATE {', '.join(f'{name} = VALUES({name})' for name in names)}"

    # --- Files -------------------------------------------------------------------------------------------------

    def bulk_load(self, table: str, tmp_file: str) -> None:
        """Load a file of tab-separated rows into a table, by LOAD DATA LOCAL INFILE."""
        self.bulk_load_custom(table, tmp_file)

    def bulk_load_custom(
        self, table: str, tmp_file: str, duplicate_key_handling: str = "", extra_options: str = ""
    ) -> None:
        r"""Load a file into a table, by LOAD DATA LOCAL INFILE.

        The file is read here and sent to the server, which must allow ``local_infile`` as the connection must.

        Args:
            table: the table.
            tmp_file: the file, on this machine.
            duplicate_key_handling: ``IGNORE`` or ``REPLACE``, for rows of the same key; by default what LOCAL does,
                which is IGNORE.
            extra_options: what follows the table in the statement: ``FIELDS TERMINATED BY ',' IGNORE 1 LINES``.

        :raises ConfigError: if the connection does not allow ``local_infile``.
        """
        handling = duplicate_key_handling.strip().upper()
        if handling not in {"", "IGNORE", "REPLACE"}:
            raise UsageError(f"duplicate_key_handling must be IGNORE or REPLACE, not {duplicate_key_handling!r}")
        if not Path(tmp_file).is_file():
            raise FileNotFoundError(f"there is no file {tmp_file!r} to load on the machine that runs the task")
        allowed = self.local_infile
        if allowed is None:
            allowed = arguments(self.connection, None).get("local_infile", False)
        if not allowed:
            raise ConfigError(
                f"connection {self.connection_name!r} does not allow files to be loaded; set local_infile in its "
                "extra, or give the hook local_infile=True"
            )
        charset = "CHARACTER SET utf8mb4 " if "character set" not in extra_options.lower() else ""
        sql = (
            f"LOAD DATA LOCAL INFILE %s {handling} INTO TABLE {self.quote_table(table)} "
            f"{charset}{extra_options.replace('%', '%%')}"
        )
        self.run(sql, parameters=(str(tmp_file),))

    def bulk_dump(self, table: str, tmp_file: str) -> None:
        """Write a table to a file of tab-separated rows on this machine, in the form that :meth:`bulk_load` takes."""
        path = Path(tmp_file)
        draft = path.with_name(f".{path.name}.part")
        cursor, self.cursor = self.cursor, "tuple"
        try:
            with draft.open("w", encoding="utf-8", newline="") as stream:
                for rows in self.stream_chunks(f"SELECT * FROM {self.quote_table(table)}"):  # noqa: S608 - quoted
                    stream.writelines("\t".join(map(_field, row)) + "\n" for row in rows)
            draft.replace(path)
        finally:
            self.cursor = cursor
            draft.unlink(missing_ok=True)


_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0"})


def _field(value: Any) -> str:  # noqa: ANN401 - a value of a row
    """Return a value as LOAD DATA reads it by default.

    :raises UsageError: for bytes that are no text, which have no such form.
    """
    if value is None:
        return "\\N"
    if isinstance(value, bytes):
        try:
            value = value.decode()
        except UnicodeDecodeError:
            raise UsageError("bulk_dump writes texts, and a column holds other bytes; select HEX() of it") from None
    if isinstance(value, timedelta):
        return _time(value)
    return str(value).translate(_ESCAPES)


def _time(value: timedelta) -> str:
    """Return what PyMySQL makes of a TIME as MySQL writes it, with more than 24 hours if need be."""
    sign, value = ("-", -value) if value < timedelta(0) else ("", value)
    seconds = value.days * 86_400 + value.seconds
    fraction = f".{value.microseconds:06}" if value.microseconds else ""
    return f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{fraction}"


def _written(row: Sequence[Any]) -> Sequence[Any]:
    """Return a row with texts for what PyMySQL would not write, or in its older releases wrongly."""
    if _PLAIN.issuperset(map(type, row)):
        return row
    return [_text(value) for value in row]


def _text(value: Any) -> Any:  # noqa: ANN401 - a value of a row
    if isinstance(value, dict | list):
        return json.dumps(value, default=str)
    if isinstance(value, timedelta):
        return _time(value)
    if isinstance(value, date) and type(value) not in _PLAIN:  # a subclass, which PyMySQL would not know
        return value.isoformat(" ") if isinstance(value, datetime) else value.isoformat()
    return str(value) if isinstance(value, UUID) else value
