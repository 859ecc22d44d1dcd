"""A grid: the ordered set of instants on which a schedule stands, whether cron, a timedelta or a list of events.

Timetables are written over grids only, which is where the promises of a schedule come from: ``after`` and ``before``
look up one and the same set of instants, so ``after(t) > t`` always, nothing is named twice, and the end of an interval
is the start of the next one by construction.

Grids take any aware datetime, and answer in UTC.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Protocol

from windlass.moment import utc

_TICK = timedelta.resolution


class Grid(Protocol):
    """An ordered set of instants, possibly endless."""

    def after(self, at: datetime) -> datetime | None:
        """Return the first instant of the grid later than ``at``, or None if there is none."""

    def before(self, at: datetime) -> datetime | None:
        """Return the last instant of the grid earlier than ``at``, or None if there is none."""


def at_or_after(grid: Grid, at: datetime) -> datetime | None:
    """Return ``at`` if it is on the grid, else the first instant later."""
    return grid.after(utc(at) - _TICK)


def at_or_before(grid: Grid, at: datetime) -> datetime | None:
    """Return ``at`` if it is on the grid, else the last instant earlier."""
    return grid.before(utc(at) + _TICK)


class ListedGrid:
    """The instants of a list, in any order, duplicates ignored."""

    def __init__(self, instants: Iterable[datetime]) -> None:
        self.instants: tuple[datetime, ...] = tuple(sorted({utc(instant) for instant in instants}))

    def after(self, at: datetime) -> datetime | None:
        """Return the first listed instant later than ``at``."""
        index = bisect_right(self.instants, at)
        return self.instants[index] if index < len(self.instants) else None

    def before(self, at: datetime) -> datetime | None:
        """Return the last listed instant earlier than ``at``."""
        index = bisect_left(self.instants, at)
        return self.instants[index - 1] if index else None


class UnionGrid:
    """Every instant that is on any of several grids."""

    def __init__(self, grids: Iterable[Grid]) -> None:
        self._grids = tuple(grids)

    def after(self, at: datetime) -> datetime | None:
        """Return the first instant later than ``at`` on any of the grids."""
        return min((found for grid in self._grids if (found := grid.after(at)) is not None), default=None)

    def before(self, at: datetime) -> datetime | None:
        """Return the last instant earlier than ``at`` on any of the grids."""
        return max((found for grid in self._grids if (found := grid.before(at)) is not None), default=None)
