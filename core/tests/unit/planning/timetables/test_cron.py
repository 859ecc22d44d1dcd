"""The cron grid against a scan of every minute, which knows nothing of grids."""

# ruff: noqa: DTZ001 - wall times are naive

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass.planning.timetables.cron import CronGrid, cron_grid

MINUTE = timedelta(minutes=1)


class Piece(NamedTuple):
    """A field of an expression, and what it means to the scan."""

    text: str
    fits: Callable[[int], bool]


def anything(_: int) -> bool:
    return True


MINUTES = (
    Piece("*", anything),
    Piece("*/7", lambda m: m % 7 == 0),
    Piece("*/20", lambda m: m % 20 == 0),
    Piece("0", lambda m: m == 0),
    Piece("30", lambda m: m == 30),
    Piece("59", lambda m: m == 59),
    Piece("5,35-37", lambda m: m in {5, 35, 36, 37}),
    Piece("55-3", lambda m: m >= 55 or m <= 3),
)
HOURS = (
    Piece("*", anything),
    Piece("*/2", lambda h: h % 2 == 0),
    Piece("*/5", lambda h: h % 5 == 0),
    Piece("0", lambda h: h == 0),
    Piece("1", lambda h: h == 1),
    Piece("2", lambda h: h == 2),
    Piece("1-3", lambda h: 1 <= h <= 3),
    Piece("22-4/2", lambda h: h in {22, 0, 2, 4}),
    Piece("0-23", anything),
)
DAYS = (
    Piece("*", anything),
    Piece("1,15", lambda d: d in {1, 15}),
    Piece("*/2", lambda d: d % 2 == 1),
    Piece("25-31", lambda d: d >= 25),
)
MONTHS = (
    Piece("*", anything),
    Piece("MAR,OCT", lambda m: m in {3, 10}),
    Piece("*/3", lambda m: m in {1, 4, 7, 10}),
)
WEEKDAYS = (  # as isoweekday: Monday is 1, Sunday 7
    Piece("*", anything),
    Piece("SUN", lambda d: d == 7),
    Piece("7", lambda d: d == 7),
    Piece("SAT-MON", lambda d: d in {6, 7, 1}),
    Piece("*/3", lambda d: d in {7, 3, 6}),
)

Fields = tuple[Piece, Piece, Piece, Piece, Piece]


def expected(fields: Fields, zone: ZoneInfo, start: datetime, end: datetime) -> list[datetime]:
    """Return the runs from ``start`` to ``end``, minute by minute, by the words of the specification."""
    minute, hour, day, month, weekday = fields

    def matches(wall: datetime) -> bool:
        return minute.fits(wall.minute) and hour.fits(wall.hour) and month.fits(wall.month) and on_day(wall.date())

    def on_day(a_date: date) -> bool:
        by_day, by_weekday = day.fits(a_date.day), weekday.fits(a_date.isoweekday())
        if day.text == "*":
            return by_weekday
        return by_day if weekday.text == "*" else by_day or by_weekday

    every_hour = all(hour.fits(h) for h in range(24))
    wildcard = every_hour or "*" in minute.text or "*" in hour.text
    runs = []
    at, last_wall = start, (start - MINUTE).astimezone(zone).replace(tzinfo=None)
    while at <= end:
        local = at.astimezone(zone)
        wall = local.replace(tzinfo=None, fold=0)
        missing = [last_wall + MINUTE * n for n in range(1, (wall - last_wall) // MINUTE)]
        if (matches(wall) and (wildcard or local.fold == 0)) or (
            not every_hour and any(matches(one) for one in missing)
        ):
            runs.append(at)
        at, last_wall = at + MINUTE, wall
    return runs


def check(fields: Fields, zone_name: str, start: datetime, end: datetime, samples: list[datetime]) -> None:
    """Compare the grid with the scan: forwards, backwards, and from ``samples``."""
    text = " ".join(piece.text for piece in fields)
    grid = CronGrid(text, zone_name)
    runs = expected(fields, ZoneInfo(zone_name), start, end)

    forwards, at = [], grid.after(start - MINUTE)
    while at is not None and at <= end:
        forwards.append(at)
        following = grid.after(at)
        assert following is None or following > at
        at = following
    assert forwards == runs, f"{text} in {zone_name}, forwards"

    backwards, at = [], grid.before(end + MINUTE)
    while at is not None and at >= start:
        backwards.append(at)
        at = grid.before(at)
    assert backwards[::-1] == runs, f"{text} in {zone_name}, backwards"

    for sample in samples:
        index = bisect_right(runs, sample)
        if index < len(runs):
            assert grid.after(sample) == runs[index], f"{text} in {zone_name} after {sample}"
        index = bisect_left(runs, sample)
        if index:
            assert grid.before(sample) == runs[index - 1], f"{text} in {zone_name} before {sample}"


TRANSITIONS = [  # zone, and a UTC instant near which its clock changes
    ("Europe/Paris", datetime(2023, 3, 26, 1)),
    ("Europe/Paris", datetime(2023, 10, 29, 1)),
    ("America/New_York", datetime(2024, 3, 10, 7)),
    ("America/New_York", datetime(2024, 11, 3, 6)),
    ("Australia/Lord_Howe", datetime(2023, 4, 1, 15)),  # by half an hour
    ("Australia/Lord_Howe", datetime(2023, 9, 30, 15, 30)),
    ("America/St_Johns", datetime(2010, 3, 14, 3, 31)),  # one minute after midnight
    ("America/St_Johns", datetime(2010, 11, 7, 2, 31)),
    ("Africa/Casablanca", datetime(2023, 3, 19, 2)),  # Ramadan
    ("Africa/Casablanca", datetime(2023, 4, 23, 2)),
    ("Asia/Tehran", datetime(2022, 3, 21, 20, 30)),  # midnight
    ("Asia/Tehran", datetime(2022, 9, 21, 19, 30)),
    ("Pacific/Apia", datetime(2011, 12, 30, 10)),  # a whole day is missing
    ("America/Sao_Paulo", datetime(2018, 11, 4, 3)),  # midnight is missing
    ("America/Sao_Paulo", datetime(2018, 2, 18, 2)),  # 23:00 happens twice
    ("Pacific/Kwajalein", datetime(1969, 9, 30, 13)),  # a day happens twice
    ("UTC", datetime(2024, 2, 29)),
    ("Asia/Kathmandu", datetime(2024, 12, 31, 18, 15)),
]

fields_strategy = st.tuples(*map(st.sampled_from, (MINUTES, HOURS, DAYS, MONTHS, WEEKDAYS)))


@settings(max_examples=400, deadline=None)
@given(fields=fields_strategy, transition=st.sampled_from(TRANSITIONS), data=st.data())
def test_agrees_with_a_scan_of_every_minute_around_clock_changes(
    fields: Fields, transition: tuple[str, datetime], data: st.DataObject
) -> None:
    zone_name, naive = transition
    change = naive.replace(tzinfo=UTC)
    reach = timedelta(hours=28 if zone_name in {"Pacific/Apia", "Pacific/Kwajalein"} else 12)
    start, end = change - reach, change + reach
    offsets = st.integers(-5 * 3600, 5 * 3600).map(lambda seconds: change + timedelta(seconds=seconds))
    odd = st.integers(-(10**10), 10**10).map(lambda us: change + timedelta(microseconds=us))
    samples = data.draw(st.lists(offsets | odd, max_size=10))
    check(fields, zone_name, start, end, samples)


def runs(expression: str, zone: str, first: datetime, count: int) -> list[str]:
    grid, at, found = cron_grid(expression, zone), first, []
    for _ in range(count):
        following = grid.after(at)
        assert following is not None
        at = following
        found.append(at.astimezone(ZoneInfo(zone)).strftime("%d %H:%M%z"))
    return found


def test_a_missing_local_time_runs_at_the_first_valid_instant() -> None:
    assert runs("30 2 * * *", "Europe/Paris", datetime(2023, 3, 25, tzinfo=UTC), 3) == [
        "25 02:30+0100",
        "26 03:00+0200",
        "27 02:30+0200",
    ]


def test_many_missing_local_times_run_once() -> None:
    assert runs("*/15 2 * * *", "Europe/Paris", datetime(2023, 3, 25, 2, tzinfo=UTC), 2) == [
        "26 03:00+0200",
        "27 02:00+0200",
    ]


def test_a_repeated_local_time_runs_once_at_a_fixed_time() -> None:
    assert runs("30 2 * * *", "Europe/Paris", datetime(2023, 10, 28, 12, tzinfo=UTC), 2) == [
        "29 02:30+0200",
        "30 02:30+0100",
    ]


@pytest.mark.parametrize(
    ("expression", "expected_runs"),
    [
        ("*/30 * * * *", ["29 02:00+0200", "29 02:30+0200", "29 02:00+0100", "29 02:30+0100", "29 03:00+0100"]),
        ("*/30 2 * * *", ["29 02:00+0200", "29 02:30+0200", "29 02:00+0100", "29 02:30+0100", "30 02:00+0100"]),
        ("0 */2 * * *", ["29 02:00+0200", "29 02:00+0100", "29 04:00+0100", "29 06:00+0100", "29 08:00+0100"]),
        ("30 * * * *", ["29 02:30+0200", "29 02:30+0100", "29 03:30+0100", "29 04:30+0100", "29 05:30+0100"]),
    ],
)
def test_a_repeated_local_time_runs_each_time_for_wildcards(expression: str, expected_runs: list[str]) -> None:
    assert runs(expression, "Europe/Paris", datetime(2023, 10, 28, 23, 59, tzinfo=UTC), 5) == expected_runs


def test_every_hour_stays_an_elapsed_hour_apart_through_a_gap() -> None:
    assert runs("30 * * * *", "Europe/Paris", datetime(2023, 3, 26, 0, tzinfo=UTC), 3) == [
        "26 01:30+0100",
        "26 03:30+0200",
        "26 04:30+0200",
    ]


def test_midnight_that_daylight_saving_takes_away() -> None:
    assert runs("0 0 * * *", "America/Sao_Paulo", datetime(2018, 11, 3, 12, tzinfo=UTC), 2) == [
        "04 01:00-0200",
        "05 00:00-0200",
    ]


def test_a_day_that_a_country_leaves_out() -> None:
    assert runs("0 12 * * *", "Pacific/Apia", datetime(2011, 12, 29, 0, tzinfo=UTC), 4) == [
        "29 12:00-1000",
        "31 00:00+1400",
        "31 12:00+1400",
        "01 12:00+1400",
    ]


def test_seconds_are_the_sixth_field() -> None:
    grid = cron_grid("30 6 * * * */20", "UTC")
    at = datetime(2024, 1, 1, 6, 30, tzinfo=UTC)
    assert grid.after(at) == at + timedelta(seconds=20)
    assert grid.after(at + timedelta(seconds=40)) == at + timedelta(days=1)
    assert grid.before(at + timedelta(seconds=20, microseconds=1)) == at + timedelta(seconds=20)
    assert grid.before(at) == at - timedelta(days=1) + timedelta(seconds=40)


def test_instants_of_any_zone_are_taken_and_utc_is_given() -> None:
    tokyo = datetime(2024, 1, 1, 9, tzinfo=ZoneInfo("Asia/Tokyo"))
    following = cron_grid("0 0 * * *", "UTC").after(tokyo)
    assert following == datetime(2024, 1, 2, tzinfo=UTC)
    assert following.tzinfo is UTC


def test_the_calendar_ends_without_an_error() -> None:
    assert cron_grid("0 0 29 2 *", "UTC").after(datetime(9999, 12, 1, tzinfo=UTC)) is None
    assert cron_grid("0 0 29 2 *", "UTC").before(datetime(1, 2, 1, tzinfo=UTC)) is None


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(("0 0 * * *", "*/20 * * * *", "30 2 * * *", "0 12 * * 1", "15 1-3 * * *")),
    st.sampled_from(("UTC", "Europe/Berlin", "America/New_York")),
    st.lists(st.tuples(st.booleans(), st.integers(-40, 40), st.sampled_from((0, 1, 999_999, 1_000_000, 60_000_000)))),
    st.datetimes(datetime(2026, 3, 27), datetime(2026, 3, 30))
    | st.datetimes(datetime(2026, 10, 24), datetime(2026, 10, 26)),
)
def test_what_a_grid_was_asked_before_never_changes_its_answer(
    expression: str, timezone: str, questions: list[tuple[bool, int, int]], begin: datetime
) -> None:
    used = CronGrid(expression, timezone)
    at = begin.replace(tzinfo=UTC)
    for forwards, jump, ticks in questions:
        fresh = CronGrid(expression, timezone)
        found = used.after(at) if forwards else used.before(at)
        assert found == (fresh.after(at) if forwards else fresh.before(at))
        assert found is not None
        # Close to what was answered, and now and then far from it.
        at = found + timedelta(microseconds=ticks if jump % 2 else -ticks) + timedelta(hours=jump if jump > 30 else 0)


def test_a_schedule_that_goes_on_searches_once_per_run(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = CronGrid("0 0 * * *", "UTC")
    searches: list[datetime] = []

    def counted(real: Callable[[datetime], datetime | None], wall: datetime) -> datetime | None:
        searches.append(wall)
        return real(wall)

    for name in ("after", "before"):
        monkeypatch.setattr(grid.expression, name, partial(counted, getattr(grid.expression, name)))
    tick = timedelta.resolution
    now = datetime(2026, 1, 1, tzinfo=UTC)
    for _ in range(100):  # as a timetable does for each run: the one before now, the one before that, the next
        assert grid.before(now + tick) == now
        assert grid.before(now) == now - timedelta(days=1)
        following = grid.after(now)
        assert following is not None
        now = following
    assert len(searches) <= 110
