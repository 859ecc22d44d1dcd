"""Values that psycopg alone would not take or give: dicts as JSON, and dates that never come.

PostgreSQL's ``infinity`` has no counterpart in Python. As in psycopg2, and so in Airflow, it is read as the last date
or instant that Python has, and ``-infinity`` as the first. They are of a class of their own, so that they are infinite
again when they are written, while a ``date.max`` of an author's stays the day that it is, and so that psycopg writes
all other dates in C.
"""

# ruff: noqa: DTZ901 - the last and first of all dates, whatever the zone
from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import psycopg
from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import Dumper, Loader
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


class _DateLoader(_InfiniteLoader):
    type_name = "date"
    last, first = _of(date.max), _of(date.min)


class _TimestampLoader(_InfiniteLoader):
    type_name = "timestamp"
    last, first = _at(datetime.max), _at(datetime.min)


class _TimestamptzLoader(_InfiniteLoader):
    type_name = "timestamptz"
    last, first = _at(datetime.max.replace(tzinfo=UTC)), _at(datetime.min.replace(tzinfo=UTC))


def register(conn: psycopg.Connection[Any]) -> None:
    """Let a connection read and write these values."""
    adapters = conn.adapters
    adapters.register_dumper(dict, JsonbDumper)
    adapters.register_dumper(InfiniteDate, _InfiniteDumper)
    adapters.register_dumper(InfiniteDatetime, _InfiniteDumper)
    for loader in (_DateLoader, _TimestampLoader, _TimestamptzLoader):
        adapters.register_loader(loader.type_name, loader)
