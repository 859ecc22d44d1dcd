"""Values that psycopg alone would not take or give: dicts as JSON, and dates that never come.

PostgreSQL's ``infinity`` has no counterpart in Python. As in psycopg2, and so in Airflow, it is read as the last date
or instant that Python has, and ``-infinity`` as the first. They are of a class of their own, so that they are infinite
again when they are written, while a ``date.max`` of an author's stays the day that it is.
"""

# ruff: noqa: DTZ901 - the last and first of all dates, whatever the zone
from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import psycopg
from psycopg import abc
from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import Dumper, Loader, Transformer
from psycopg.types.json import JsonbDumper

_LAST_YEAR = 9999


class InfiniteDate(date):
    """The date ``infinity`` or ``-infinity``: equal to ``date.max`` or ``date.min``."""


class InfiniteDatetime(datetime):
    """The instant ``infinity`` or ``-infinity``: equal to ``datetime.max`` or ``.min``, in UTC or without zone."""


def _of(day: date) -> InfiniteDate:
    return InfiniteDate(day.year, day.month, day.day)


def _at(moment: datetime) -> InfiniteDatetime:
    return InfiniteDatetime.combine(moment.date(), moment.timetz())


class _InfiniteDumper(Dumper):
    def dump(self, obj: date) -> Buffer | None:
        """Return the text."""
        return b"infinity" if obj.year == _LAST_YEAR else b"-infinity"


class _InfiniteLoader(Loader):
    """Reads infinite values itself, and leaves all others to psycopg's loader."""

    type_name: str
    last: date
    first: date

    def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
        super().__init__(oid, context)
        wrapped = psycopg.adapters.get_loader(psycopg.adapters.types[self.type_name].oid, self.format)
        assert wrapped is not None  # noqa: S101 - psycopg has loaders of these types
        self._load = wrapped(oid, context).load

    def load(self, data: Buffer) -> Any:  # noqa: ANN401 - a date or a datetime
        """Return the value."""
        text = bytes(data)
        return self.last if text == b"infinity" else self.first if text == b"-infinity" else self._load(data)


class _DateLoader(_InfiniteLoader):
    type_name = "date"
    last, first = _of(date.max), _of(date.min)


class _TimestampLoader(_InfiniteLoader):
    type_name = "timestamp"
    last, first = _at(datetime.max), _at(datetime.min)


class _TimestamptzLoader(_InfiniteLoader):
    type_name = "timestamptz"
    last, first = _at(datetime.max.replace(tzinfo=UTC)), _at(datetime.min.replace(tzinfo=UTC))


_LOADERS = (_DateLoader, _TimestampLoader, _TimestamptzLoader)


class _Reading(psycopg.Cursor[Any]):
    """Reads a result again with our loaders when psycopg's, which are written in C, have met an infinite value.

    So nobody pays for values that hardly any table has.
    """

    _tx: abc.Transformer

    def fetchone(self) -> Any:  # noqa: ANN401 - a row of any kind
        """Return the next row."""
        try:
            return super().fetchone()
        except psycopg.DataError as error:
            _expect_infinity(self, error)
            return super().fetchone()

    def fetchmany(self, size: int = 0) -> list[Any]:
        """Return the next rows."""
        try:
            return super().fetchmany(size)
        except psycopg.DataError as error:
            _expect_infinity(self, error)
            return super().fetchmany(size)

    def fetchall(self) -> list[Any]:
        """Return all rows that are left."""
        try:
            return super().fetchall()
        except psycopg.DataError as error:
            _expect_infinity(self, error)
            return super().fetchall()


class _Streaming(psycopg.ServerCursor[Any]):
    """The same for a cursor that the server keeps: what it sent last is read again."""

    _tx: abc.Transformer

    def fetchmany(self, size: int = 0) -> list[Any]:
        """Return the next rows."""
        try:
            return super().fetchmany(size)
        except psycopg.DataError as error:
            result = self.pgresult
            assert result is not None  # noqa: S101 - it was just read
            _expect_infinity(self, error)
            return self._tx.load_rows(0, result.ntuples, self.row_factory(self))


def _expect_infinity(cursor: _Reading | _Streaming, error: psycopg.DataError) -> None:
    if error.sqlstate is not None:  # it is the server's error, not that of a value that was read
        raise error
    result = cursor.pgresult  # a new transformer may take it from the cursor
    for loader in _LOADERS:
        cursor.adapters.register_loader(loader.type_name, loader)
    # A transformer keeps the loaders that it has once found, so the cursor gets a new one, for the same result.
    cursor._tx = Transformer(cursor)  # noqa: SLF001 - psycopg has no other way; tested with 3.2 and 3.3
    cursor._tx.set_pgresult(result)  # noqa: SLF001 - as above
    cursor.pgresult = result


def register(conn: psycopg.Connection[Any]) -> None:
    """Let a connection read and write these values."""
    adapters = conn.adapters
    adapters.register_dumper(dict, JsonbDumper)
    adapters.register_dumper(InfiniteDate, _InfiniteDumper)
    adapters.register_dumper(InfiniteDatetime, _InfiniteDumper)
    conn.cursor_factory = _Reading
    conn.server_cursor_factory = _Streaming
