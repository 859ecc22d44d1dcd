"""Every time zone of this machine, around every change of the clock from 1970 to 2040.

The scan here is told nothing of zones: it lists the minutes around a change, with the wall time of each, and applies
the rules to that list. Of the some 18,000 changes, those at the same wall time and weekday, by the same amount to the
same offset, are one pattern; each of the some 480 patterns is scanned once, where it was seen last. ``nox -s zones``
scans every single change instead, which takes minutes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import TZPATH, ZoneInfo, available_timezones

import pytest

from windlass.planning.timetables.cron import CronGrid

#: Scan each change, not only each pattern.
EVERY_CHANGE = "WINDLASS_TEST_EVERY_CHANGE" in os.environ
FIRST, LAST = datetime(1970, 1, 2, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
WINDOW = timedelta(hours=7)
SUNDAY = 6
#: expression -> (minutes, hours, whether it follows elapsed time, whether it runs in every hour, its weekday)
EXPRESSIONS: dict[str, tuple[range, range, bool, bool, int | None]] = {
    "0 0 * * *": (range(1), range(1), False, False, None),
    "30 2 * * *": (range(30, 31), range(2, 3), False, False, None),
    "30 0 * * 0": (range(30, 31), range(1), False, False, SUNDAY),
    "0,20,40 0-4 * * *": (range(0, 60, 20), range(5), False, False, None),
    "*/20 * * * *": (range(0, 60, 20), range(24), True, True, None),
    "*/15 1-2 * * *": (range(0, 60, 15), range(1, 3), True, False, None),
    "5 */3 * * *": (range(5, 6), range(0, 24, 3), True, False, None),
    "45 0-23 * * *": (range(45, 46), range(24), True, True, None),
    "45 * * * *": (range(45, 46), range(24), True, True, None),
}


def zones() -> Iterator[str]:
    """Yield the names of zones that differ."""
    seen = set()
    for name in sorted(available_timezones()):
        files = [path for folder in TZPATH if (path := Path(folder, name)).is_file()]
        data = files[0].read_bytes() if files else name.encode()
        if data not in seen:
            seen.add(data)
            yield name


def changes(zone: ZoneInfo) -> Iterator[datetime]:
    """Yield the first minute after each change of the clock."""
    step = timedelta(days=1 if EVERY_CHANGE else 4)
    early, before = FIRST, offset(FIRST, zone)
    while early < LAST:
        late = early + step
        after = offset(late, zone)
        if after != before:
            low, high = early, late
            while high - low > MINUTE:
                middle = low + (high - low) // MINUTE // 2 * MINUTE
                low, high = (middle, high) if offset(middle, zone) == before else (low, middle)
            yield high
        early, before = late, after


def offset(at: datetime, zone: ZoneInfo) -> timedelta:
    found = at.astimezone(zone).utcoffset()
    assert found is not None
    return found


def to_scan() -> dict[object, tuple[str, datetime]]:
    """Return a zone and a change for each pattern, or each change of each zone."""
    found: dict[object, tuple[str, datetime]] = {}
    for name in zones():
        zone = ZoneInfo(name)
        for change in changes(zone):
            before, after = offset(change - MINUTE, zone), offset(change, zone)
            if before.total_seconds() % 60 or after.total_seconds() % 60:
                continue  # Liberia before 1972: no minute of the wall is one of the world
            wall = (change + before).replace(tzinfo=None)
            pattern = (wall.time(), after - before, wall.weekday(), after)
            found[(name, change) if EVERY_CHANGE else pattern] = name, change
    return found


def minutes_around(change: datetime, zone: ZoneInfo) -> list[tuple[datetime, datetime, int]]:
    """Return (instant, wall time, fold) of each minute around ``change``."""
    count = 2 * WINDOW // MINUTE
    instants = [change - WINDOW + MINUTE * n for n in range(count + 1)]
    return [(at, (local := at.astimezone(zone)).replace(tzinfo=None, fold=0), local.fold) for at in instants]


def fits(expression: str, wall: datetime) -> bool:
    minutes, hours, _, _, weekday = EXPRESSIONS[expression]
    return wall.minute in minutes and wall.hour in hours and weekday in (None, wall.weekday())


def expected(expression: str, minutes: list[tuple[datetime, datetime, int]]) -> list[datetime]:
    _, _, elapsed, every_hour, _ = EXPRESSIONS[expression]
    runs, last = [], minutes[0][1] - MINUTE
    for at, wall, fold in minutes:
        matches = fits(expression, wall) and (elapsed or not fold)
        if not matches and not every_hour and wall - last > MINUTE:
            skipped = [last + MINUTE * n for n in range(1, (wall - last) // MINUTE)]
            matches = any(fits(expression, one) for one in skipped)
        if matches:
            runs.append(at)
        last = wall
    return runs


@pytest.mark.timeout(0 if EVERY_CHANGE else 300)
def test_every_zone_has_no_gap_no_duplicate_and_the_right_runs() -> None:
    scanned = to_scan()
    for name, change in scanned.values():
        zone = ZoneInfo(name)
        minutes = minutes_around(change, zone)
        for expression in EXPRESSIONS:
            runs = expected(expression, minutes)
            grid = CronGrid(expression, name)
            assert walk(grid, minutes[0][0], minutes[-1][0]) == runs, f"{expression} in {name} at {change}, forwards"
            assert walk_back(grid, minutes[0][0], minutes[-1][0]) == runs, f"{expression} in {name}, backwards"
    assert len(scanned) > (10_000 if EVERY_CHANGE else 100)  # it did look at the world


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
