"""Timetables without a grid: never, once, and again as soon as the last run has ended."""

from __future__ import annotations

from datetime import datetime, timedelta

from windlass.interfaces.timetable import DagRunInfo, DataInterval, TimeRestriction, Timetable

_TICK = timedelta.resolution


class _PlainTimetable(Timetable):
    """What the three have in common: a manual run covers the instant at which it was triggered."""

    _summary: str

    @property
    def summary(self) -> str:
        """The schedule as a DAG file writes it."""
        return self._summary

    def infer_manual_data_interval(self, *, run_after: datetime) -> DataInterval:
        """Return the single instant ``run_after``."""
        return DataInterval.exact(run_after)


class NullTimetable(_PlainTimetable):
    """No runs by time: those that somebody triggers, or that asset events call for."""

    def __init__(self, summary: str = "None", description: str = "never, only when triggered") -> None:
        self._summary = summary
        self.description = description

    def next_dagrun_info(
        self,
        *,
        last_automated_data_interval: DataInterval | None,
        restriction: TimeRestriction,
    ) -> DagRunInfo | None:
        """Return None."""
        return None


class OnceTimetable(_PlainTimetable):
    """One run, at the start_date or else at once, whatever ``catchup`` says."""

    description = "once, as soon as possible"
    _summary = "@once"

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """Return the one run, and None after it."""
        at = restriction.now if restriction.earliest is None else restriction.earliest
        if last_automated_data_interval is not None or (restriction.latest is not None and at > restriction.latest):
            return None
        return DagRunInfo.exact(at)


class ContinuousTimetable(_PlainTimetable):
    """A run as soon as the last one has ended, over the time since the last one's data; one at a time."""

    description = "as often as possible, one run at a time"
    active_runs_limit = 1
    _summary = "@continuous"

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """Return the run over the time from the last one's data, or from the start_date, until now."""
        start = restriction.now if restriction.earliest is None else restriction.earliest
        if (last := last_automated_data_interval) is not None:
            # A first run without start_date covers one instant; the next one needs a logical date of its own.
            start = max(last.end, last.start + _TICK)
        end = max(start, restriction.now)
        if restriction.latest is not None and end > restriction.latest:
            return None
        return DagRunInfo.interval(start, end)
