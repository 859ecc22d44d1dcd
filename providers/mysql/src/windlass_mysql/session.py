"""A session with the server for Windlass's own store: one statement with its values, and what came of it.

PyMySQL writes values into the statement; so does this, and with them the elements of a JSON array as a list, for which
every index can be asked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import pymysql
from pymysql.constants import CLIENT, ER, FIELD_TYPE
from pymysql.converters import conversions, escape_string

from windlass_mysql.reaching import reach
from windlass_mysql.words import EXCLUSION

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

    __slots__ = ("_next", "_rows", "inserted", "rowcount")

    def __init__(self, rows: list[Any], rowcount: int, inserted: int | None) -> None:
        self._rows = rows
        self._next = 0
        #: How many rows the statement changed, or found as it wanted them.
        self.rowcount = rowcount
        #: The number that the server gave to a new row.
        self.inserted = inserted

    def fetchone(self) -> Any:  # noqa: ANN401 - a row's values are the database's
        """Return the next row as a tuple, None at the end."""
        if self._next >= len(self._rows):
            return None
        self._next += 1
        return self._rows[self._next - 1]

    def fetchall(self) -> list[Any]:
        """Return all rows that are left."""
        rest = self._rows[self._next :] if self._next else self._rows
        self._next = len(self._rows)
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


class Session:
    """A connection in autocommit mode, as the core's ``DriverConnection`` says."""

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self.driver = pymysql.connections.Connection(
            **arguments,
            autocommit=True,
            conv=_DECODERS,
            # A row that an UPDATE finds counts, also if it was like that before.
            client_flag=CLIENT.FOUND_ROWS,
            defer_connect=True,
        )
        reach(self.driver, _PROBES)
        #: It holds names that the end of a transaction must free.
        self._excludes = False

    def execute(self, sql: str, params: Mapping[str, Any] = {}, /) -> Result:
        """Run one translated statement."""
        return self.run(sql % Values(params), excludes=sql == EXCLUSION)

    def run(self, sql: str, *, excludes: bool = False) -> Result:
        """Run a statement that has its values."""
        if excludes:
            self._excludes = True
        with self.driver.cursor() as cursor:
            cursor.execute(sql)
            rows = list(cursor.fetchall())
            result = Result(rows, cursor.rowcount, cursor.lastrowid)
            if cursor.warning_count and sql.startswith(_IGNORES):
                self._check(cursor)
        return result

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

    def end(self, word: str) -> None:
        """End the transaction by ``COMMIT`` or ``ROLLBACK``, and free the names that it excluded others from."""
        self.run(word)
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
