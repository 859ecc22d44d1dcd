"""Every time zone of this machine, around its latest change of the clock in either direction.

The scan here is told nothing of zones: it lists the minutes around a change, with the wall time of each, and applies
the rules to that list. Zones whose clocks do the same are scanned once.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

from windlass.planning.timetables.cron import CronGrid

MINUTE = timedelta(minutes=1)
WINDOW = timedelta(hours=7)
#: expression -> (minutes, hours, whether it follows elapsed time, whether it runs in every hour)
EXPRESSIONS: dict[str, tuple[range, range, bool, bool]] = {
    "0 0 * * *": (range(1), range(1), False, False),
    "30 2 * * *": (range(30, 31), range(2, 3), False, False),
    "0,20,40 0-4 * * *": (range(0, 60, 20), range(5), False, False),
    "*/20 * * * *": (range(0, 60, 20), range(24), True, True),
    "*/15 1-2 * * *": (range(0, 60, 15), range(1, 3), True, False),
    "5 */3 * * *": (range(5, 6), range(0, 24, 3), True, False),
    "45 0-23 * * *": (range(45, 46), range(24), True, True),
    "45 * * * *": (range(45, 46), range(24), True, True),
}


def latest_changes(zone: ZoneInfo) -> Iterator[datetime]:
    """Yield the latest minute at which the clock went forward, and the latest at which it went back, since 1970."""
    wanted = {True, False}
    late, step = datetime(2030, 1, 1, tzinfo=UTC), timedelta(days=10)
    while wanted and late.year >= 1970:
        early = late - step
        before, after = offset(early, zone), offset(late, zone)
        if before != after and (after > before) in wanted:
            wanted.discard(after > before)
            low, high = early, late
            while high - low > MINUTE:
                middle = low + (high - low) // MINUTE // 2 * MINUTE
                low, high = (middle, high) if offset(middle, zone) == before else (low, middle)
            yield high
        late = early


def offset(at: datetime, zone: ZoneInfo) -> timedelta:
    found = at.astimezone(zone).utcoffset()
    assert found is not None
    return found


def minutes_around(change: datetime, zone: ZoneInfo) -> list[tuple[datetime, datetime, int]]:
    """Return (instant, wall time, fold) of each minute around ``change``."""
    count = 2 * WINDOW // MINUTE
    instants = [change - WINDOW + MINUTE * n for n in range(count + 1)]
    return [(at, (local := at.astimezone(zone)).replace(tzinfo=None, fold=0), local.fold) for at in instants]


def expected(expression: str, minutes: list[tuple[datetime, datetime, int]]) -> list[datetime]:
    fit_minutes, fit_hours, elapsed, every_hour = EXPRESSIONS[expression]
    runs, last = [], minutes[0][1] - MINUTE
    for at, wall, fold in minutes:
        matches = wall.minute in fit_minutes and wall.hour in fit_hours and (elapsed or not fold)
        if not matches and not every_hour and wall - last > MINUTE:
            skipped = [last + MINUTE * n for n in range(1, (wall - last) // MINUTE)]
            matches = any(one.minute in fit_minutes and one.hour in fit_hours for one in skipped)
        if matches:
            runs.append(at)
        last = wall
    return runs


def test_every_zone_has_no_gap_no_duplicate_and_the_right_runs() -> None:
    scanned = set()
    for name in sorted(available_timezones()):
        zone = ZoneInfo(name)
        for change in latest_changes(zone):
            key = (change, offset(change - MINUTE, zone), offset(change, zone))
            if key in scanned or key[2].total_seconds() % 60 or key[1].total_seconds() % 60:
                continue
            scanned.add(key)
            minutes = minutes_around(change, zone)
            for expression in EXPRESSIONS:
                runs = expected(expression, minutes)
                grid = CronGrid(expression, name)
                assert walk(grid, minutes[0][0], minutes[-1][0]) == runs, f"{expression} in {name}, forwards"
                assert walk_back(grid, minutes[0][0], minutes[-1][0]) == runs, f"{expression} in {name}, backwards"
    assert len(scanned) > 100  # it did look at the world


def walk(grid: CronGrid, start: datetime, end: datetime) -> list[datetime]:
    runs, at = [], grid.after(start - MINUTE)
    while at is not None and at <= end:
        runs.append(at)
        at = grid.after(at)
    return runs


def walk_back(grid: CronGrid, start: datetime, end: datetime) -> list[datetime]:
    runs, at = [], grid.before(end + MINUTE)
    while at is not None and at >= start:
        runs.append(at)
        at = grid.before(at)
    return runs[::-1]
