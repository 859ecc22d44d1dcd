"""Timetables of points in time: a run at each instant of a grid, as cron itself would start it.

The run is due at its instant. Its data interval ends there too and reaches back by a length that has nothing to do with
the grid, by default none. start_date and end_date bound the instant, not the start of the data interval.
"""

from __future__ import annotations

from abc import abstractmethod
from datetime import datetime, timedelta

from windlass.interfaces.timetable import DagRunInfo, DataInterval, TimeRestriction, Timetable
from windlass.moment import zone
from windlass.planning.timetables.cron import cron_grid
from windlass.planning.timetables.delta import DeltaGrid, describe, require_positive, shift
from windlass.planning.timetables.grid import Grid, ListedGrid, UnionGrid, at_or_after, at_or_before
from windlass.spec import CronTriggerSpec, DeltaTriggerSpec, EventsSpec, RelativeDelta

#: An instant so short a time ago is still the next one: who waited for it asks again a moment after it has come.
_GRACE = timedelta(minutes=5)


class TriggerTimetable(Timetable):
    """One run at each instant of a grid."""

    def __init__(self, interval: RelativeDelta, timezone: str, *, run_immediately: bool | float) -> None:
        self._interval = interval
        self._zone = zone(timezone)
        #: How long ago the latest instant may be for a DAG without start_date to begin with it; None: any time.
        self._grace: timedelta | None = _GRACE
        if run_immediately is True:
            self._grace = None
        elif run_immediately is not False:
            self._grace = timedelta(seconds=run_immediately)

    @abstractmethod
    def grid(self, restriction: TimeRestriction) -> Grid:
        """Return the instants at which runs start."""

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """Return the run at the instant after the last one, or at the first that the restriction admits."""
        grid = self.grid(restriction)
        last = None if last_automated_data_interval is None else last_automated_data_interval.end
        bounds = [] if last is None else [grid.after(last)]
        if restriction.earliest is not None:
            bounds.append(at_or_after(grid, restriction.earliest))
        elif last is None:
            bounds.append(self._first(grid, restriction.now))
        if not restriction.catchup and restriction.skip_to_next:
            bounds.append(grid.after(restriction.now))
        if None in bounds:  # the grid has ended
            return None
        if not restriction.catchup and not restriction.skip_to_next:
            bounds.append(at_or_before(grid, restriction.now))
        at = max(bound for bound in bounds if bound is not None)
        if restriction.latest is not None and at > restriction.latest:
            return None
        return DagRunInfo(run_after=at, data_interval=self.infer_manual_data_interval(run_after=at))

    def infer_manual_data_interval(self, *, run_after: datetime) -> DataInterval:
        """Return the interval of the timetable's length that ends at ``run_after``."""
        return DataInterval(shift(run_after, self._interval, -1, self._zone), run_after)

    def _first(self, grid: Grid, now: datetime) -> datetime | None:
        """Return where a DAG without start_date and without runs begins."""
        latest = at_or_before(grid, now)
        if latest is not None and (self._grace is None or now - latest <= self._grace):
            return latest
        return grid.after(now)


class CronTriggerTimetable(TriggerTimetable):
    """A run whenever one of several cron expressions fires; two that fire together make one run."""

    def __init__(self, spec: CronTriggerSpec) -> None:
        super().__init__(spec.interval, spec.timezone, run_immediately=spec.run_immediately)
        grids = [cron_grid(expression, spec.timezone) for expression in spec.expressions]
        self._grid: Grid = grids[0] if len(grids) == 1 else UnionGrid(grids)
        self._expressions = spec.expressions
        self.description = f"at {' or '.join(map(repr, spec.expressions))} in {spec.timezone}"

    @property
    def summary(self) -> str:
        """The expressions."""
        return ", ".join(self._expressions)

    def grid(self, restriction: TimeRestriction) -> Grid:
        """Return the expressions' own grid."""
        return self._grid


class DeltaTriggerTimetable(TriggerTimetable):
    """A run at every multiple of a duration, counted from the DAG's start_date whatever ``catchup`` says."""

    def __init__(self, spec: DeltaTriggerSpec, anchor: datetime | None) -> None:
        require_positive(spec.delta)
        super().__init__(spec.interval, spec.timezone, run_immediately=True)
        self._delta = spec.delta
        self._anchor = anchor
        self.description = f"every {self.summary}, counted from the start date"

    @property
    def summary(self) -> str:
        """The duration, for example ``1 day, 6:00:00``."""
        return describe(self._delta)

    def grid(self, restriction: TimeRestriction) -> Grid:
        """Return the grid from start_date."""
        return DeltaGrid(self._delta, self._anchor or restriction.earliest, self._zone)


class EventsTimetable(TriggerTimetable):
    """A run at each instant of a list."""

    def __init__(self, spec: EventsSpec) -> None:
        super().__init__(RelativeDelta(), "UTC", run_immediately=False)
        self._grid = ListedGrid(spec.instants)
        self._restrict_to_events = spec.restrict_to_events
        count = len(self._grid.instants)
        self._summary = spec.description or f"{count} event{'' if count == 1 else 's'}"
        self.description = self._summary

    @property
    def summary(self) -> str:
        """The description, or how many events there are."""
        return self._summary

    def grid(self, restriction: TimeRestriction) -> Grid:
        """Return the listed instants."""
        return self._grid

    def infer_manual_data_interval(self, *, run_after: datetime) -> DataInterval:
        """Return the single instant ``run_after``, or the nearest event (a past one first) if bound to events."""
        event: datetime | None = None
        if self._restrict_to_events:
            event = at_or_before(self._grid, run_after) or self._grid.after(run_after)
        return DataInterval.exact(run_after if event is None else event)
