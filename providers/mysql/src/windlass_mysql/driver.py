"""MySQL and MariaDB as Windlass's own store: where they differ from what the core's SQL says.

The engine relies on READ COMMITTED, which is what every session here asks for: each statement sees what was committed
before it began, a guarded update that had to wait judges the row anew, and what a decision rests on is locked first.
InnoDB locks more than PostgreSQL: who refers to a row shares its lock with whoever changes it. So two writers meet in a
deadlock now and then; InnoDB rolls one of them back, and the core runs it again.

A transaction is sent as few texts of many statements (:mod:`.batch`, ADR 12 of the store): a statement alone would be a
trip to the server.

Names that exclude other transactions are the server's user locks, which end with the session: so the session frees them
when it ends its transaction.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pymysql
from pymysql.constants import CR, ER

from windlass.backends import Dialect, Shell, Statement, Trouble
from windlass.errors import ConfigError, StoreError
from windlass_mysql import words
from windlass_mysql.address import Address
from windlass_mysql.batch import Unmatched, run_together
from windlass_mysql.session import Result, Session

#: SKIP LOCKED, and in MySQL a collation that keeps blanks.
MINIMUM: Final = {"MariaDB": (10, 6), "MySQL": (8, 0, 19)}

_SETTINGS: Final = (
    # What the core's SQL takes for granted, and no silent change of a value.
    "SET sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT,STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00',"
    # Values are compared as the tables' columns are.
    " collation_connection = /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */,"
    " foreign_key_checks = 1, unique_checks = 1, innodb_lock_wait_timeout = 10, lock_wait_timeout = 10,"
    # A process that is stopped in the middle of a write must not stop all others, and what the session of a host that
    # vanished holds is free again soon. Who was idle connects again.
    " wait_timeout = 30"
    # Of what IGNORE lets pass much is told, not the first 64; in MySQL it is 1024, and raising it needs a privilege.
    " /*M! , max_error_count = 65535"
    # A long list of numbers is a range of the index, not a table to join with.
    ", in_predicate_conversion_threshold = 0 */"
)
_SESSION: Final = (_SETTINGS, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
_ROLLED_BACK: Final = frozenset(
    {
        ER.LOCK_DEADLOCK,
        ER.CHECKREAD,
        # A savepoint is gone when the whole transaction is: a deadlock inside of it has been told before.
        ER.SP_DOES_NOT_EXIST,
        3058,  # of MySQL: a deadlock that a name takes part in
    }
)
#: Errors after which the connection is gone: lost, killed, idle for too long, the server is shutting down.
_GONE: Final = frozenset({CR.CR_SERVER_GONE_ERROR, CR.CR_SERVER_LOST, CR.CR_CONN_HOST_ERROR, 1053, 1927, 3169, 4031})
_ASKED: Final = (
    "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('innodb_flush_log_at_trx_commit', 'log_bin', 'binlog_format')"
)
_DUPLICATE: Final = re.compile(r" for key '([^']*)'$")
#: Their messages show values, and begin with what is wrong.
_SHOW_VALUES: Final = frozenset({1292, 1366, 1411, ER.PARSE_ERROR, ER.SYNTAX_ERROR})
_REMEDIES: Final = {
    ER.BAD_DB_ERROR: "create it with CREATE DATABASE, or correct its name in database.sql_alchemy_conn",
    ER.ACCESS_DENIED_ERROR: "check the user and the password in database.sql_alchemy_conn",
    ER.DBACCESS_DENIED_ERROR: "GRANT the user ALL on it",
}


class MySqlDialect(Dialect):
    """A MySQL or MariaDB database, given by a URL such as ``mysql://user:password@host:3306/windlass``.

    A driver in the URL (``mysql+pymysql://``) is passed over. Whether a commit waits for the disk is the server's to
    say (``innodb_flush_log_at_trx_commit``), so ``synchronous`` changes nothing.
    """

    name = "mysql"
    error = pymysql.Error
    violation = pymysql.IntegrityError
    shared = True
    gathers = True
    commits_definitions = True
    exclusion = words.EXCLUDE
    clock = "SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))"
    has_table = "SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = :name"
    engine_url = "mysql+pymysql://"

    def __init__(self, url: str, *, synchronous: str = "FULL") -> None:
        if synchronous not in {"FULL", "NORMAL"}:
            raise ConfigError(f"database.synchronous is {synchronous!r}; choose FULL (survives power loss) or NORMAL")
        self._address = Address(url)

    def connect(self) -> Session:
        """Connect.

        :raises StoreError: if the server cannot be reached or refuses, or is too old.
        """
        try:
            session = Session(self._address.arguments)
        except pymysql.Error as error:
            code = error.args[0] if error.args else 0
            remedy = _REMEDIES.get(code, "check that the server runs, and the URL in database.sql_alchemy_conn")
            raise StoreError(f"cannot connect to the database {self._address}: {_said(error)}; {remedy}") from None
        except RuntimeError as error:  # a way to log in that needs a library
            raise StoreError(
                f"cannot connect to the database {self._address}: {error}; `pip install 'pymysql[rsa]'`, or use TLS"
            ) from None
        product, version = _product(session)
        minimum = MINIMUM[product]
        if _numbers(version) < minimum:
            session.close()
            raise StoreError(
                f"the database {self._address} is {product} {version}; Windlass needs {product} "
                f"{'.'.join(map(str, minimum))} or newer"
            )
        return session

    def schema(self) -> str:
        """Return the script beside this module, which the core's tests compare with its description of the tables."""
        return Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")

    def engine_options(self) -> Mapping[str, Any]:
        """Have migrations use a connection of ours, so that the URL means the same to both."""

        def creator() -> Any:  # noqa: ANN401 - PyMySQL's
            driver = self.connect().driver
            driver.autocommit(False)
            return driver

        return {"creator": creator}

    def prepare(self, connection: Session) -> None:
        """Set what every session needs, and see that a guard stops this server: all rests on that.

        :raises StoreError: if it does not.
        """
        try:
            run_together(connection, [*map(Statement, _SESSION), Statement("DO 0", guarded=True)])
        except Unmatched:
            return
        raise StoreError(
            f"the database {self._address} does not stop at a statement that fails, so that a task could run twice; "
            "connect to MariaDB or MySQL itself, without anything in between"
        )

    def translate(self, sql: str) -> str:
        """Return ``sql`` in MySQL's words, with ``%(name)s``."""
        return words.translate(sql)

    def sentence(self, error: Exception) -> str:
        """Return the server's message without the values that it quotes."""
        return _said(error)

    def trouble(self, error: Exception) -> Trouble | None:
        """Return what may be done about an error."""
        if isinstance(error, Unmatched):
            return Trouble.UNMATCHED
        code = error.args[0] if error.args else 0
        if code in _ROLLED_BACK:
            return Trouble.ROLLED_BACK
        if code == ER.LOCK_WAIT_TIMEOUT:
            return Trouble.LOCKED
        # PyMySQL's own errors, such as of a closed connection, have no number or none but 0.
        return Trouble.DISCONNECTED if code in _GONE or isinstance(error, pymysql.InterfaceError) else None

    def execute_many(self, connection: Session, sql: str, params: Sequence[Mapping[str, Any]]) -> int:
        """Insert many rows by few statements; run anything else once per element."""
        statement = Statement(sql, params)
        run_together(connection, [statement])
        return 0 if statement.cursor is None else statement.cursor.rowcount

    def inserted(self, cursor: Result) -> int | None:
        """Return the new row's number."""
        return cursor.inserted if cursor.rowcount == 1 else None

    def together(self, connection: Session, statements: Sequence[Statement]) -> None:
        """Send all at once as far as the server can judge them, and wait once."""
        run_together(connection, statements)

    def look(self, connection: Session) -> None:
        """See what the server has said by itself, which is its goodbye."""
        connection.look()

    def commit(self, connection: Session, *, ring: bool, after: Sequence[Statement] = ()) -> None:
        """Commit with what was kept back, and free the names that others were excluded from."""
        self.together(connection, [*after, Statement("COMMIT")])
        connection.release()

    def roll_back(self, connection: Session) -> None:
        """Undo the transaction; one whose connection is gone has been undone by the server."""
        if not connection.open:
            raise pymysql.OperationalError(CR.CR_SERVER_GONE_ERROR, "the connection is gone")
        connection.run("ROLLBACK")
        connection.release()

    def version(self) -> str:
        """Return the server's product and version."""
        with closing(self.connect()) as session:
            return " ".join(_product(session))

    def weaknesses(self) -> Sequence[tuple[str, str]]:
        """Return which settings let a commit be lost, or refuse writes."""
        with closing(self.connect()) as session:
            settings = dict(session.run(_ASKED).fetchall())
        found = []
        if (flush := settings["innodb_flush_log_at_trx_commit"]) != "1":
            loser = "the server" if flush == "0" else "its host"
            finding = (
                f"innodb_flush_log_at_trx_commit is {flush}: a crash of {loser} loses transitions of the last second"
            )
            found.append((finding, "set it to 1"))
        if settings["log_bin"] == "ON" and settings.get("binlog_format") == "STATEMENT":
            found.append(("binlog_format is STATEMENT: the server refuses every write", "set it to ROW or MIXED"))
        return found

    def erase(self, tables: Sequence[str]) -> None:
        """Drop these tables by one statement."""
        with closing(self.connect()) as session:
            session.run("SET foreign_key_checks = 0")
            session.run(f"DROP TABLE IF EXISTS {', '.join(f'`{table}`' for table in tables)}")

    def shell(self) -> Shell:
        """Return how to start the client; the password travels in its environment, where no list of processes is."""
        program = "mariadb" if shutil.which("mariadb") else "mysql"
        password = self._address.arguments["password"].decode()
        return Shell(
            program=program,
            arguments=self._address.options(),
            environment={"MYSQL_PWD": password} if password else {},
            remedy="install it, for example as the package mariadb-client or mysql-client",
        )


def _product(session: Session) -> tuple[str, str]:
    """Return the product, and its version as numbers and points."""
    told = str(session.driver.get_server_info())
    product = "MariaDB" if "mariadb" in told.lower() else "MySQL"
    version = told.removeprefix("5.5.5-") if product == "MariaDB" else told  # what MariaDB calls itself to old clients
    return product, version.partition("-")[0]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _said(error: Exception) -> str:
    """Return what the server said in one line, without values of rows."""
    code = error.args[0] if error.args else 0
    message = " ".join(str(error.args[-1] if error.args else error).split()) or type(error).__name__
    if code == ER.DUP_ENTRY:
        key = _DUPLICATE.search(message)
        return f"there is a row with the same {key[1] if key else 'key'} already"
    return message.partition("'")[0].rstrip(" :;") if code in _SHOW_VALUES else message
