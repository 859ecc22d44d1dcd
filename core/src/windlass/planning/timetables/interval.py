"""Timetables of data intervals: time is cut at the instants of a grid, and each piece is the data of one run.

The run over [start, end) is due at ``end``, when its data is complete; its logical date is ``start``. What a cron
string, a preset or a timedelta means as a schedule.
"""

from __future__ import annotations

from abc import abstractmethod
from datetime import datetime

from windlass.interfaces.timetable import DagRunInfo, DataInterval, TimeRestriction, Timetable
from windlass.moment import zone
from windlass.planning.timetables.cron import cron_grid
from windlass.planning.timetables.delta import DeltaGrid, describe, require_positive, shift
from windlass.planning.timetables.grid import Grid, at_or_after, at_or_before
from windlass.spec import CronIntervalSpec, DeltaIntervalSpec


class IntervalTimetable(Timetable):
    """One run for each interval between two neighbours of a grid."""

    @abstractmethod
    def grid(self, restriction: TimeRestriction) -> Grid:
        """Return the instants at which intervals end and begin."""

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """Return the run over the interval after the last one, or over the first that the restriction admits."""
        grid = self.grid(restriction)
        starts = [] if restriction.catchup else [_first_start(grid, restriction)]
        if last_automated_data_interval is not None:
            # On the grid already, unless the schedule has been changed; then its intervals stay whole.
            starts.append(at_or_before(grid, last_automated_data_interval.end))
        if restriction.earliest is not None and not any(start and start >= restriction.earliest for start in starts):
            starts.append(at_or_after(grid, restriction.earliest))
        start = max((start for start in starts if start is not None), default=None)
        if start is None or (restriction.latest is not None and start > restriction.latest):
            return None
        end = grid.after(start)
        return None if end is None else DagRunInfo.interval(start, end)


def _first_start(grid: Grid, restriction: TimeRestriction) -> datetime | None:
    """Return the start of the latest complete interval, or of the one after it if that shall be skipped too."""
    current = at_or_before(grid, restriction.now)
    return current if current is None or restriction.skip_to_next else grid.before(current)


class CronIntervalTimetable(IntervalTimetable):
    """Intervals from one time that a cron expression names to the next."""

    def __init__(self, spec: CronIntervalSpec) -> None:
        self._grid = cron_grid(spec.expression, spec.timezone)
        self._expression = spec.expression
        self.description = f"data intervals cut at {spec.expression!r} in {spec.timezone}"

    @property
    def summary(self) -> str:
        """The expression."""
        return self._expression

    def grid(self, restriction: TimeRestriction) -> Grid:
        """Return the expression's own grid."""
        return self._grid

    def infer_manual_data_interval(self, *, run_after: datetime) -> DataInterval:
        """Return the last complete interval at ``run_after``."""
        end = at_or_before(self._grid, run_after)
        start = None if end is None else self._grid.before(end)
        return DataInterval.exact(run_after) if start is None or end is None else DataInterval(start, end)


class DeltaIntervalTimetable(IntervalTimetable):
    """Intervals of one length, counted from the DAG's start_date whatever ``catchup`` says."""

    def __init__(self, spec: DeltaIntervalSpec, anchor: datetime | None) -> None:
        require_positive(spec.delta)
        self._delta = spec.delta
        self._zone = zone(spec.timezone)
        self._anchor = anchor
        self.description = f"data intervals of {self.summary}, counted from the start date"

    @property
    def summary(self) -> str:
        """The length, for example ``1 day, 6:00:00``."""
        return describe(self._delta)

    def grid(self, restriction: TimeRestriction) -> Grid:
        """Return the grid from start_date."""
        return DeltaGrid(self._delta, self._anchor or restriction.earliest, self._zone)

    def infer_manual_data_interval(self, *, run_after: datetime) -> DataInterval:
        """Return the interval of that length that ends at ``run_after``."""
        return DataInterval(shift(run_after, self._delta, -1, self._zone), run_after)
