"""PostgreSQL as Windlass's own store: the driver, and where it differs from what the core's SQL says.

The engine relies on READ COMMITTED, which is what every session here asks for: each statement sees what was committed
before it began, a guarded update that had to wait judges the row anew, and what a decision rests on is locked first.
Locks are ``FOR NO KEY UPDATE``, so that a row that others refer to can be locked and referred to at once.

Texts are stored as they are but for NUL, which PostgreSQL knows no way to hold: it becomes U+2400, its picture.
"""

from __future__ import annotations

import re
import select
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import psycopg
from psycopg import sql as quoting
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus
from psycopg.types.numeric import Int8Dumper
from psycopg.types.string import StrDumperUnknown

from windlass.backends import Dialect, Shell, Statement, Trouble
from windlass.errors import ConfigError, StoreError

#: The channel of the scheduler's doorbell.
CHANNEL: Final = "windlass_doorbell"
MINIMUM_VERSION: Final = 120000

#: What is the same whatever the connection is for; a URL may say otherwise.
_DEFAULTS: Final = {
    "application_name": "windlass",
    # A host that vanished is noticed long before a lease ends, so that a supervisor can still stop what it runs.
    "connect_timeout": "5",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
_SESSION: Final = (
    "SET default_transaction_isolation = 'read committed'",
    "SET lock_timeout = '10s'",
    # A process that is stopped in the middle of a write must not stop all others.
    "SET idle_in_transaction_session_timeout = '30s'",
    "SET client_min_messages = 'warning'",
    # What the session of a host that vanished holds is free again soon.
    "SET tcp_keepalives_idle = 10",
    "SET tcp_keepalives_interval = 5",
    "SET tcp_keepalives_count = 3",
    # Statements are short and many: compiling one would cost more than running it.
    "SET jit = off",
)
#: One look for everything that differs; what stands in quotes is left alone.
_WORDS: Final = re.compile(
    r"(?P<quoted>'(?:[^']|'')*')"
    r"|(?P<negated>NOT )?\bIN (?P<array>IDS|NAMES)\(:(?P<of>\w+)\)"
    r"|\bBYTES\((?P<bytes>[\w.]+)\)"
    r"|\bFOR_(?P<lock>UPDATE|SHARE)\b"
    r"|\bSKIP_LOCKED\b"
    r"|(?<!:):(?P<name>[a-z_]\w*)"
    r"|(?P<percent>%)"
)
_LOCKS: Final = {"UPDATE": "FOR NO KEY UPDATE", "SHARE": "FOR KEY SHARE"}
_ELEMENTS: Final = {"IDS": "value::bigint", "NAMES": "value"}
_ROLLED_BACK: Final = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected)
#: The server ends, refuses for the moment, or has ended this session.
_GONE: Final = (
    psycopg.errors.AdminShutdown,
    psycopg.errors.CrashShutdown,
    psycopg.errors.CannotConnectNow,
    psycopg.errors.DatabaseDropped,
    psycopg.errors.IdleInTransactionSessionTimeout,
    psycopg.InterfaceError,
)


class _Text(StrDumperUnknown):
    """Text without the one character that PostgreSQL cannot hold."""

    def dump(self, obj: str) -> Any:  # noqa: ANN401 - psycopg's buffer
        """Return the text as bytes."""
        return super().dump(obj.replace("\x00", "\u2400") if "\x00" in obj else obj)


class PostgresDialect(Dialect):
    """A PostgreSQL database, given by a URL such as ``postgresql://user:password@host:5432/windlass``.

    A driver in the URL (``postgresql+psycopg://``) is passed over. ``synchronous=NORMAL`` makes commits return before
    they are on disk: a power loss then costs the last moments, and nothing else.
    """

    name = "postgresql"
    returning = " RETURNING id"
    error = psycopg.Error
    violation = psycopg.IntegrityError
    shared = True
    rings = True
    gathers = True
    exclusion = "SELECT pg_advisory_xact_lock(hashtextextended('windlass ' || :name, 0))"
    clock = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
    has_table = "SELECT 1 FROM pg_catalog.pg_tables WHERE schemaname = current_schema() AND tablename = :name"
    engine_url = "postgresql+psycopg://"

    def __init__(self, url: str, *, synchronous: str = "FULL") -> None:
        if synchronous not in {"FULL", "NORMAL"}:
            raise ConfigError(f"database.synchronous is {synchronous!r}; choose FULL (survives power loss) or NORMAL")
        self._conninfo = conninfo(url)
        self._synchronous = synchronous
        self._where = described(self._conninfo)

    def connect(self) -> psycopg.Connection:
        """Connect.

        :raises StoreError: if the server cannot be reached or refuses.
        """
        try:
            connection = psycopg.connect(self._conninfo, autocommit=True)
        except psycopg.Error as error:
            raise StoreError(
                f"cannot connect to the database {self._where}: {_sentence(error)}; check that the server runs, and "
                "the URL in database.sql_alchemy_conn"
            ) from None
        if connection.info.server_version < MINIMUM_VERSION:
            version = connection.info.server_version // 10000
            connection.close()
            raise StoreError(f"the database {self._where} is PostgreSQL {version}; Windlass needs 12 or newer")
        return connection

    def schema(self) -> str:
        """Return the script beside this module, which the core's tests compare with its description of the tables."""
        return Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")

    def engine_options(self) -> Mapping[str, Any]:
        """Have migrations use a connection of ours, so that the URL means the same to both."""

        def creator() -> psycopg.Connection:
            connection = self.connect()
            connection.autocommit = False
            return connection

        return {"creator": creator}

    def prepare(self, connection: psycopg.Connection) -> None:
        """Set what every session needs, and how values are sent."""
        mode = "on" if self._synchronous == "FULL" else "off"
        connection.execute(f"{'; '.join(_SESSION)}; SET synchronous_commit = {mode}", prepare=False)
        # One type for all numbers: a statement is prepared once, not once for each size of its values.
        connection.adapters.register_dumper(int, Int8Dumper)
        connection.adapters.register_dumper(str, _Text)
        connection.prepare_threshold = 2
        connection.prepared_max = 500

    def translate(self, sql: str) -> str:
        """Return ``sql`` in PostgreSQL's words, with psycopg's ``%(name)s``."""
        return _WORDS.sub(_word, sql)

    def sentence(self, error: Exception) -> str:
        """Return the server's message without its details, which show values."""
        primary = error.diag.message_primary if isinstance(error, psycopg.Error) else None
        return primary or _sentence(error)

    def trouble(self, error: Exception) -> Trouble | None:
        """Return what may be done about an error."""
        if isinstance(error, _ROLLED_BACK):
            return Trouble.ROLLED_BACK
        if isinstance(error, psycopg.errors.LockNotAvailable):
            return Trouble.LOCKED
        if isinstance(error, psycopg.errors.DivisionByZero):  # see `_guarded`
            return Trouble.UNMATCHED
        # Without a code of the server's it is the connection that failed.
        if isinstance(error, _GONE) or (isinstance(error, psycopg.OperationalError) and error.sqlstate is None):
            return Trouble.DISCONNECTED
        return None

    def execute_many(self, connection: psycopg.Connection, sql: str, params: Sequence[Mapping[str, Any]]) -> int:
        """Send all at once and wait once."""
        with connection.cursor() as cursor:
            cursor.executemany(sql, params)
            return cursor.rowcount

    def inserted(self, cursor: psycopg.Cursor[Any]) -> int | None:
        """Return the new row's id."""
        row = cursor.fetchone()
        return None if row is None else int(row[0])

    def together(self, connection: psycopg.Connection, statements: Sequence[Statement]) -> None:
        """Send all at once and wait once; after the first that fails the server passes over the rest."""
        if any(_changes_schema(statement.sql) for statement in statements):
            for statement in statements:
                statement.cursor = connection.execute(statement.sql, statement.rows[0], prepare=False)
            return
        sent: list[psycopg.Cursor[Any]] = []
        failure: psycopg.Error | None = None
        try:
            with connection.pipeline():
                try:
                    for statement in statements:
                        sent.append(connection.cursor())
                        _send(sent[-1], statement)
                except psycopg.Error as error:  # of an earlier one: the server says so while others are still sent
                    failure = error
        except psycopg.Error as error:
            failure = failure or error
        for statement, cursor in zip(statements, sent, strict=False):
            if failure is None or cursor.pgresult is not None:
                statement.cursor = cursor
        if failure is not None:
            raise failure

    def look(self, connection: psycopg.Connection) -> None:
        """Take what the server has said by itself, such as its goodbye."""
        if connection.closed:
            raise psycopg.OperationalError("the connection is gone")
        poll = select.poll()
        poll.register(connection, select.POLLIN)
        while poll.poll(0):
            connection.pgconn.consume_input()

    def commit(self, connection: psycopg.Connection, *, ring: bool, after: Sequence[Statement] = ()) -> None:
        """Commit what went before, and with it tell every scheduler: one trip for all."""
        last = (f"NOTIFY {CHANNEL}", "COMMIT") if ring else ("COMMIT",)
        self.together(connection, [*after, *map(Statement, last)])

    def roll_back(self, connection: psycopg.Connection) -> None:
        """Undo the transaction; one whose connection is gone has been undone by the server."""
        if connection.closed or connection.info.transaction_status is TransactionStatus.UNKNOWN:
            raise psycopg.OperationalError("the connection is gone")
        if connection.info.transaction_status is not TransactionStatus.IDLE:
            connection.execute("ROLLBACK")

    def version(self) -> str:
        """Return the server's version."""
        with self.connect() as connection:
            row = connection.execute("SHOW server_version").fetchone()
        return f"PostgreSQL {row[0] if row else ''}"

    def erase(self, tables: Sequence[str]) -> None:
        """Drop these tables in one transaction."""
        names = quoting.SQL(", ").join(map(quoting.Identifier, tables))
        with self.connect() as connection:
            connection.execute(quoting.SQL("DROP TABLE IF EXISTS {} CASCADE").format(names))

    def shell(self) -> Shell:
        """Return how to start psql; the password travels in its environment, where no list of processes shows it."""
        parameters = conninfo_to_dict(self._conninfo)
        password = parameters.pop("password", None)
        return Shell(
            program="psql",
            arguments=(make_conninfo("", **parameters),),
            environment={} if password is None else {"PGPASSWORD": str(password)},
            remedy="install psql, for example as the package postgresql-client",
        )


def conninfo(url: str) -> str:
    """Return what libpq needs to connect to ``url``.

    :raises ConfigError: if it is no URL of a PostgreSQL database; the message shows nothing of it.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.partition("+")[0] not in {"postgresql", "postgres"}:
        raise ConfigError("the database URL is not one of PostgreSQL: postgresql://user:password@host:5432/database")
    try:
        given = conninfo_to_dict(f"postgresql://{rest}")
    except psycopg.ProgrammingError:
        known = {key for key, _ in parse_qsl(urlsplit(f"postgresql://{rest}").query)}
        hint = f" (it has {', '.join(sorted(known))})" if known else ""
        raise ConfigError(
            f"the database URL has a part that PostgreSQL does not know{hint}; it looks like "
            "postgresql://user:password@host:5432/database?sslmode=require, with special characters percent-encoded"
        ) from None
    return make_conninfo("", **{**_DEFAULTS, **given})


def described(info: str) -> str:
    """Return host and database for messages, without login and password."""
    parameters = conninfo_to_dict(info)
    host = unquote(str(parameters.get("host") or "localhost"))
    port = f":{parameters['port']}" if parameters.get("port") else ""
    return f"{parameters.get('dbname') or parameters.get('user') or ''} on {host}{port}"


def _word(match: re.Match[str]) -> str:
    groups = match.groupdict()
    if groups["quoted"]:
        return groups["quoted"].replace("%", "%%")
    if groups["percent"]:
        return "%%"
    if groups["array"]:
        comparison = "<> ALL" if groups["negated"] else "= ANY"
        elements = f"json_array_elements_text(%({groups['of']})s::json) AS t (value)"
        return f"{comparison} (ARRAY(SELECT {_ELEMENTS[groups['array']]} FROM {elements}))"  # noqa: S608 - constants
    if groups["bytes"]:
        return f"octet_length({groups['bytes']})"
    if groups["lock"]:
        return _LOCKS[groups["lock"]]
    return f"%({groups['name']})s" if groups["name"] else "SKIP LOCKED"


def _send(cursor: psycopg.Cursor[Any], statement: Statement) -> None:
    """Send a statement and the order to prepare it, if it is new to the session, into a pipeline.

    psycopg forgets a preparation that was passed over, since a statement before it failed, only if it had never run
    the same text unprepared, as it may have in :meth:`psycopg.Connection.execute`. So here texts end with a semicolon.
    """
    sql = f"{_guarded(statement.sql) if statement.guarded else statement.sql};"
    if len(statement.rows) == 1:
        cursor.execute(sql, statement.rows[0], prepare=True)
    else:
        cursor.executemany(sql, statement.rows)


@cache
def _changes_schema(sql: str) -> bool:
    """Whether psycopg forgets what it has prepared because of this statement: in a pipeline it would do so too late."""
    return sql.lstrip().upper().startswith(("ALTER", "DROP"))


@cache
def _guarded(sql: str) -> str:
    """Return a statement that fails in the server where ``sql`` changes no row, so that nothing after it is run."""
    return f"WITH changed AS ({sql} RETURNING 1) SELECT 1 / count(*) FROM changed"  # noqa: S608 - no value


def _sentence(error: Exception) -> str:
    """Return the last line of what libpq says, which is the reason, without its address."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    with suppress(IndexError):
        return lines[-1].removeprefix("- ")
    return type(error).__name__
