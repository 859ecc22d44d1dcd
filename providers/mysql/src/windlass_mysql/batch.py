"""Statements that travel together: one text, one trip, and from the server an answer to each.

MySQL's protocol has no pipeline, but it takes a text of many statements. The server runs them in turn and answers each;
at the first that fails it passes over the rest, the COMMIT among them. So a guard is a statement of its own, which
fails where the one before it found no row.

What the server cannot judge ends its trip, since nothing may follow unseen: see :func:`.session.is_judged_here`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import pymysql

from windlass.backends import Statement
from windlass_mysql.session import Result, Session, Values, is_judged_here

#: Fails where the statement before it found no row to change. DO would make a warning of the error, and the answer to a
#: SELECT has five packets.
GUARD: Final = "SET @guard = EXP(IF(ROW_COUNT() > 0, 0, 10000))"
#: A number is out of range.
_FAILED: Final = 1690
_INSERT: Final = re.compile(r"\A(INSERT .*? VALUES )(\(.*?\))( ON DUPLICATE KEY UPDATE .*)?\Z", re.DOTALL)
#: Characters of one trip, unless a single statement is longer; a server takes at least 16 million bytes.
_LENGTH: Final = 1_000_000
#: Rows of one statement: IGNORE may have something to say of each, and a server remembers no more.
_ROWS: Final = 1000


class Unmatched(pymysql.OperationalError):  # type: ignore[misc] # PyMySQL has no types
    """A guarded statement changed no row."""


class _Part(NamedTuple):
    """A statement as the server knows it, with its values; those of one of the core's follow each other."""

    sql: str
    statement: Statement
    #: It guards the one before it.
    guards: bool
    #: No other part of the core's statement follows.
    last: bool


def run_together(session: Session, statements: Sequence[Statement]) -> None:
    """Run these in as few trips as can be, and give each its answer; after the first that fails none is run.

    :raises Unmatched: if a guarded statement changed no row.
    """
    changed, latest = 0, None
    for trip in _trips(statements):
        answers: list[Result] = []
        try:
            session.run_all([part.sql for part in trip], answers)
        except pymysql.Error as error:
            unanswered = trip[len(answers) :]
            if unanswered and unanswered[0].guards and error.args[0] == _FAILED:
                raise Unmatched(*error.args) from None
            raise
        finally:
            for part, answer in zip(trip, answers, strict=False):
                if not part.guards:
                    changed, latest = changed + answer.rowcount, answer
                if part.last and latest is not None:
                    latest.rowcount = changed
                    part.statement.cursor = latest
                    changed, latest = 0, None


def _trips(statements: Sequence[Statement]) -> Iterator[list[_Part]]:
    trip: list[_Part] = []
    length = 0
    for statement in statements:
        for part in _parts(statement):
            if trip and length + len(part.sql) > _LENGTH:
                yield trip
                trip, length = [], 0
            trip.append(part)
            length += len(part.sql)
            if is_judged_here(part.sql):
                yield trip
                trip, length = [], 0
    if trip:
        yield trip


def _parts(statement: Statement) -> list[_Part]:
    if statement.guarded:
        texts = [text for row in statement.rows for text in (statement.sql % Values(row), GUARD)]
    else:
        texts = list(_texts(statement.sql, statement.rows))
    return [
        _Part(text, statement, guards=statement.guarded and number % 2 == 0, last=number == len(texts))
        for number, text in enumerate(texts, start=1)
    ]


def _texts(sql: str, rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Return a statement with its values once for each row; an insert of many rows as few statements."""
    parts = _INSERT.match(sql) if len(rows) > 1 else None
    if parts is None or "SELECT" in parts[2] or "%(" in (parts[3] or ""):
        yield from (sql % Values(row) for row in rows)
        return
    beginning, row, rest = parts[1] % (), parts[2], (parts[3] or "") % ()
    length, together = 0, list[str]()
    for values in rows:
        written = row % Values(values)
        if together and (length + len(written) > _LENGTH or len(together) == _ROWS):
            yield f"{beginning}{','.join(together)}{rest}"
            length, together = 0, []
        together.append(written)
        length += len(written)
    yield f"{beginning}{','.join(together)}{rest}"
