"""Values that psycopg alone would not take or give: dicts as JSON, and dates that never come.

PostgreSQL's ``infinity`` has no counterpart in Python. As in psycopg2, and so in Airflow, it becomes the last date or
instant that Python has, and ``-infinity`` the first; written, these become infinite again.
"""

# ruff: noqa: DTZ901 - the last and first of all dates, whatever the zone
from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import psycopg
from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import Dumper, Loader, PyFormat
from psycopg.types.datetime import DateDumper, DatetimeDumper, DatetimeNoTzDumper
from psycopg.types.json import JsonbDumper

_LAST_YEAR, _FIRST_YEAR = 9999, 1


class InfiniteDateDumper(DateDumper):
    """Writes the last and first date as infinite."""

    def dump(self, obj: date) -> Buffer | None:
        """Return the text."""
        if _FIRST_YEAR < obj.year < _LAST_YEAR:
            return str(obj).encode()
        return _infinity(obj, date.max, date.min) or super().dump(obj)


class InfiniteDatetimeDumper(DatetimeDumper):
    """Writes the last and first instant as infinite."""

    def dump(self, obj: datetime) -> Buffer | None:
        """Return the text."""
        if _FIRST_YEAR < obj.year < _LAST_YEAR:
            return str(obj).encode()
        return _infinity(obj.replace(tzinfo=None), datetime.max, datetime.min) or super().dump(obj)

    def upgrade(self, obj: datetime, format: PyFormat) -> Dumper:
        """Return the dumper for a naive value, or this one."""
        return self if obj.tzinfo else InfiniteNaiveDumper(self.cls)


class InfiniteNaiveDumper(DatetimeNoTzDumper):
    """The same for values without a time zone."""

    def dump(self, obj: datetime) -> Buffer | None:
        """Return the text."""
        if _FIRST_YEAR < obj.year < _LAST_YEAR:
            return str(obj).encode()
        return _infinity(obj, datetime.max, datetime.min) or super().dump(obj)


def _infinity(value: date, last: date, first: date) -> bytes | None:
    return b"infinity" if value == last else b"-infinity" if value == first else None


class _InfiniteLoader(Loader):
    """Reads infinite values itself, and leaves all others to psycopg's loader, in C where there is one.

    A dict that holds the infinite values and asks that loader for every other does so without running Python, which
    would take as long as reading the value.
    """

    type_name: str
    last: date
    first: date

    def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
        super().__init__(oid, context)
        wrapped = psycopg.adapters.get_loader(psycopg.adapters.types[self.type_name].oid, self.format)
        assert wrapped is not None  # noqa: S101 - psycopg has loaders of these types
        known = type("Known", (dict,), {"__missing__": staticmethod(wrapped(oid, context).load)})
        self.load = known({b"infinity": self.last, b"-infinity": self.first}).__getitem__  # type: ignore[method-assign] # see above

    def load(self, data: Buffer) -> Any:  # noqa: ANN401 - a date or a datetime
        """Return the value; every instance has its own."""
        raise NotImplementedError


class InfiniteDateLoader(_InfiniteLoader):
    """Reads dates."""

    type_name = "date"
    last, first = date.max, date.min


class InfiniteTimestampLoader(_InfiniteLoader):
    """Reads timestamps without a time zone."""

    type_name = "timestamp"
    last, first = datetime.max, datetime.min


class InfiniteTimestamptzLoader(_InfiniteLoader):
    """Reads timestamps with a time zone."""

    type_name = "timestamptz"
    last, first = datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)


def register(conn: psycopg.Connection[Any]) -> None:
    """Let a connection read and write these values."""
    adapters = conn.adapters
    adapters.register_dumper(dict, JsonbDumper)
    adapters.register_dumper(date, InfiniteDateDumper)
    adapters.register_dumper(datetime, InfiniteDatetimeDumper)
    for loader in (InfiniteDateLoader, InfiniteTimestampLoader, InfiniteTimestamptzLoader):
        adapters.register_loader(loader.type_name, loader)
