"""A session with the server for Windlass's own store: statements with their values, and what came of each.

PyMySQL writes values into the statement; so does this, and with them the elements of a JSON array as a list, for which
every index can be asked.
"""

from __future__ import annotations

import json
import select
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import pymysql
from pymysql.constants import CLIENT, CR, ER, FIELD_TYPE
from pymysql.converters import conversions, escape_string

from windlass_mysql.reaching import reach
from windlass_mysql.words import EXCLUDES

#: Seconds without an answer after which a host is asked whether it lives, between two such questions, and how often.
_PROBES: Final = {
    "TCP_KEEPIDLE": 5, "TCP_KEEPALIVE": 5, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 10_000,
}  # fmt: skip
_RELEASE: Final = "DO RELEASE_ALL_LOCKS()"
#: Sums and averages come as decimals; no column is one.
_NUMBER: Final[Callable[[str], int | float]] = lambda text: float(text) if "." in text else int(text)  # noqa: E731
_DECODERS: Final = {**conversions, FIELD_TYPE.DECIMAL: _NUMBER, FIELD_TYPE.NEWDECIMAL: _NUMBER}
_NOTHING: Final = "(SELECT 1 FROM DUAL WHERE 1 = 0)"
_BREAKS_A_KEY: Final = frozenset({ER.NO_REFERENCED_ROW, ER.NO_REFERENCED_ROW_2})
_IGNORES: Final = "INSERT IGNORE "


class Result:
    """A statement that was run, with all its rows."""

    __slots__ = ("_next", "inserted", "rowcount", "rows")

    def __init__(self, rows: list[Any], rowcount: int, inserted: int | None) -> None:
        self.rows = rows
        self._next = 0
        #: How many rows the statement changed, or found as it wanted them.
        self.rowcount = rowcount
        #: The number that the server gave to a new row.
        self.inserted = inserted

    def fetchone(self) -> Any:  # noqa: ANN401 - a row's values are the database's
        """Return the next row as a tuple, None at the end."""
        if self._next >= len(self.rows):
            return None
        self._next += 1
        return self.rows[self._next - 1]

    def fetchall(self) -> list[Any]:
        """Return all rows that are left."""
        rest = self.rows[self._next :] if self._next else self.rows
        self._next = len(self.rows)
        return rest


class Values:
    """The values of one statement, written as SQL; ``@name`` and ``!name`` are the elements of a JSON array."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given

    def __getitem__(self, name: str) -> str:
        if name[0] not in "@!":
            return literal(self._given[name])
        elements = json.loads(self._given[name[1:]])
        if not elements:  # nothing is among them, and everything not among them
            return "(NULL)" if name[0] == "@" else _NOTHING
        return f"({','.join(map(literal, elements))})"


def literal(value: Any) -> str:  # noqa: ANN401 - what a column can hold
    """Return a value as SQL. The session takes a backslash for an escape, whatever the server's mode is."""
    if isinstance(value, str):
        return f"'{escape_string(value)}'"
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, bytes | bytearray | memoryview):
        return f"x'{bytes(value).hex()}'"
    return repr(float(value))


def is_judged_here(sql: str) -> bool:
    """Whether the answer to ``sql`` may mean that what follows it must not run, though the server saw no error.

    IGNORE lets more pass than was meant, and a name that another kept is no error.
    """
    return sql.startswith((_IGNORES, EXCLUDES))


def _result(cursor: Any) -> Result:  # noqa: ANN401 - PyMySQL's
    return Result(list(cursor.fetchall()), cursor.rowcount, cursor.lastrowid)


class Session:
    """A connection in autocommit mode, as the core's ``DriverConnection`` says."""

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self.driver = pymysql.connections.Connection(
            **arguments,
            autocommit=True,
            conv=_DECODERS,
            # A row that an UPDATE finds counts, also if it was like that before. Only here a text may hold many
            # statements: what users send over their own connections is one at a time.
            client_flag=CLIENT.FOUND_ROWS | CLIENT.MULTI_STATEMENTS,
            defer_connect=True,
        )
        reach(self.driver, _PROBES)
        #: It holds names that the end of a transaction must free.
        self._excludes = False

    def execute(self, sql: str, params: Mapping[str, Any] = {}, /) -> Result:
        """Run one translated statement."""
        return self.run(sql % Values(params))

    def run(self, sql: str) -> Result:
        """Run a statement that has its values."""
        [answer] = self.run_all([sql], [])
        return answer

    def run_all(self, statements: Sequence[str], answers: list[Result]) -> list[Result]:
        """Run statements that have their values in one trip, and add what came of each to ``answers``.

        After the first that fails none is run. Only the last may be one :func:`is_judged_here`.

        :raises pymysql.Error: that of the statement which ``answers`` ends before, or of the last one's judgement.
        """
        last = statements[-1]
        if last.startswith(EXCLUDES):
            self._excludes = True
        cursor = self.driver.cursor()
        try:
            cursor.execute(";".join(statements))
            answers.append(_result(cursor))
            while cursor.nextset():
                answers.append(_result(cursor))
        except pymysql.Error as error:
            if self.open or not isinstance(error, pymysql.InternalError):
                raise
            # What came is not what was waited for, and PyMySQL has closed the connection.
            raise pymysql.OperationalError(CR.CR_SERVER_LOST, str(error)) from error
        except BaseException:  # there are answers that nobody has read
            self._abandon()
            raise
        if len(answers) != len(statements):
            self._abandon()
            if len(answers) < len(statements):
                raise pymysql.OperationalError(CR.CR_SERVER_LOST, "the server stopped before the last statement")
            msg = "a statement that is more than one"
            raise AssertionError(msg)
        if last.startswith(_IGNORES) and cursor.warning_count:
            self._check(cursor)
        if last.startswith(EXCLUDES) and answers[-1].rows != [(1,)]:
            raise pymysql.OperationalError(ER.LOCK_WAIT_TIMEOUT, "another transaction keeps the name")
        return answers

    def look(self) -> None:
        """See whether the server has ended the session: it says nothing unasked but its goodbye.

        :raises pymysql.OperationalError: if it has.
        """
        if self.open:
            poll = select.poll()
            poll.register(self.driver._sock, select.POLLIN)  # noqa: SLF001 - PyMySQL shows it nowhere else
            if not poll.poll(0):
                return
        raise pymysql.OperationalError(CR.CR_SERVER_GONE_ERROR, "the connection is gone")

    def _check(self, cursor: Any) -> None:  # noqa: ANN401 - PyMySQL's
        """Of all that IGNORE lets pass, only a row that is there already was meant.

        :raises pymysql.IntegrityError: for a reference to nothing.
        :raises pymysql.DataError: for anything else.
        """
        said = cursor.warning_count
        cursor.execute("SHOW WARNINGS")
        told = cursor.fetchall()
        for _level, code, message in told:
            if code != ER.DUP_ENTRY:
                raise (pymysql.IntegrityError if code in _BREAKS_A_KEY else pymysql.DataError)(code, message)
        if len(told) < said:
            raise pymysql.DataError(
                ER.WARN_DATA_TRUNCATED,
                f"of {said} warnings the server remembers {len(told)}; set its max_error_count to 1024 or more",
            )

    def release(self) -> None:
        """Free the names that the transaction which has ended excluded others from."""
        if self._excludes:
            self._excludes = False
            try:
                self.run(_RELEASE)
            except pymysql.Error:  # the end of the session frees them as well; the transaction has ended
                self._abandon()

    def _abandon(self) -> None:
        if self.driver.open:
            self.driver.close()

    @property
    def open(self) -> bool:
        """Whether the connection is not known to be gone."""
        return bool(self.driver.open)

    def close(self) -> None:
        """Close it, once."""
        self._abandon()
