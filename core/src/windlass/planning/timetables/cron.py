"""The grid of a cron expression in a time zone.

Which instants belong to it, where the clock changes:

- A fixed time that the clock shows twice runs once, at the first of the two. An expression with a wildcard (``*``,
  ``*/n``) in its minute or hour field follows elapsed time instead, and runs at both.
- A time that the clock leaves out runs at the first valid instant after the jump, once however many were left out.
  Where every hour has its run anyway (``30 * * * *``) nothing is made up: the next run is the next regular one, an
  elapsed hour after the last, as in Airflow.

Both directions search the same set. Wall times rise with the instants that they stand for, except inside an hour that
happens twice; those two places are treated apart below, each in one short walk over that hour.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import takewhile

from windlass.moment import zone
from windlass.planning.timetables.expression import CronExpression
from windlass.planning.timetables.wallclock import first_valid, occurrences

_SECOND = timedelta(seconds=1)
#: How many of its latest answers a grid keeps.
_REMEMBERED = 8
#: How many neighbouring instants a grid keeps, of the stretch that was looked at last.
_STRETCH = 4


class CronGrid:
    """The instants at which ``expression`` fires in the IANA time zone ``timezone``."""

    def __init__(self, expression: str, timezone: str) -> None:
        self.expression = CronExpression(expression)
        self._zone = zone(timezone)
        # The DAGs that share an expression, and each of them when it is looked at again, ask the same a few times over.
        self._after = lru_cache(maxsize=_REMEMBERED)(self._search_after)
        self._before = lru_cache(maxsize=_REMEMBERED)(self._search_before)
        #: A few runs, each the next after the one before: time goes on, so the next question is about one of them.
        self._known: tuple[datetime, ...] = ()

    def after(self, at: datetime) -> datetime | None:
        """Return the first run later than ``at``."""
        known = self._known
        if known and known[0] <= at < known[-1]:
            return known[bisect_right(known, at)]
        found = self._after(at)
        if found is not None:
            # Runs are at whole seconds: within the second that follows one, the next is still the next.
            follows = known and known[-1] <= at < known[-1] + _SECOND
            self._known = (*known[1 - _STRETCH :], found) if follows else (found,)
        return found

    def before(self, at: datetime) -> datetime | None:
        """Return the last run earlier than ``at``."""
        known = self._known
        if known and known[0] < at <= known[-1] + _SECOND:
            return known[bisect_left(known, at) - 1]
        found = self._before(at)
        if found is not None:
            self._known = (found, *known[: _STRETCH - 1]) if known and at == known[0] else (found,)
        return found

    def _search_after(self, at: datetime) -> datetime | None:
        local = at.astimezone(self._zone)
        wall = local.replace(tzinfo=None, microsecond=0, fold=0)
        runs = (run for wall_time in self._walk(self.expression.after, wall) for run in self._runs(wall_time))
        found = next((run for run in runs if run > at), None)
        if self.expression.repeats and not local.fold and len(occurrences(wall, self._zone)) > 1:
            # The clock will come back to wall times that were passed already: their second run may be sooner.
            passed = self._walk(self.expression.before, wall + _SECOND)
            second_runs = (run for wall_time in passed for run in self._runs(wall_time)[-1:])
            for run in takewhile(lambda run: run > at, second_runs):
                found = run if found is None else min(found, run)
        return found

    def _search_before(self, at: datetime) -> datetime | None:
        local = at.astimezone(self._zone)
        wall = local.replace(tzinfo=None, microsecond=0, fold=0)
        start = wall + _SECOND if local.microsecond else wall
        runs = (run for wall_time in self._walk(self.expression.before, start) for run in self._runs(wall_time)[::-1])
        found = next((run for run in runs if run < at), None)
        if local.fold:
            # The clock has come back: wall times that lie ahead had their first run already.
            ahead = self._walk(self.expression.after, wall - _SECOND)
            first_runs = (run for wall_time in ahead for run in self._runs(wall_time)[:1])
            for run in takewhile(lambda run: run < at, first_runs):
                found = run if found is None else max(found, run)
        return found

    def _runs(self, wall: datetime) -> tuple[datetime, ...]:
        """Return the instants at which the matching wall time ``wall`` runs, in order."""
        found = occurrences(wall, self._zone)
        if not found:
            return () if self.expression.hourly else (first_valid(wall, self._zone),)
        return found if self.expression.repeats else found[:1]

    @staticmethod
    def _walk(step: Callable[[datetime], datetime | None], wall: datetime) -> Iterator[datetime]:
        found = step(wall)
        while found is not None:
            yield found
            found = step(found)


@lru_cache(maxsize=4096)
def cron_grid(expression: str, timezone: str) -> CronGrid:
    """Return the grid of ``expression`` in ``timezone``; one that was read before is shared."""
    return CronGrid(expression, timezone)
