"""Grids of durations: absolute for seconds, on the wall for calendar parts, one grid from one anchor."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.errors import AuthoringError
from windlass.planning.timetables.delta import DeltaGrid, describe, require_positive, shift
from windlass.planning.timetables.grid import at_or_after, at_or_before
from windlass.spec import RelativeDelta

PARIS = ZoneInfo("Europe/Paris")
ANCHOR = datetime(2024, 1, 31, 9, tzinfo=UTC)


def points(grid: DeltaGrid, start: datetime, count: int) -> list[datetime]:
    found = []
    for _ in range(count):
        following = grid.after(start)
        assert following is not None
        found.append(following)
        start = following
    return found


def test_seconds_ignore_daylight_saving() -> None:
    noon = datetime(2024, 3, 30, 12, tzinfo=PARIS)
    grid = DeltaGrid(RelativeDelta(seconds=86400), noon, PARIS)
    assert [at.astimezone(PARIS).hour for at in points(grid, noon, 2)] == [13, 13]


def test_calendar_days_keep_the_time_on_the_wall() -> None:
    noon = datetime(2024, 3, 30, 12, tzinfo=PARIS)
    grid = DeltaGrid(RelativeDelta(days=1), noon, PARIS)
    assert [at.astimezone(PARIS).hour for at in points(grid, noon, 2)] == [12, 12]


def test_months_count_from_the_anchor_and_do_not_drift() -> None:
    grid = DeltaGrid(RelativeDelta(months=1), ANCHOR, ZoneInfo("UTC"))
    assert [(at.month, at.day) for at in points(grid, ANCHOR, 4)] == [(2, 29), (3, 31), (4, 30), (5, 31)]
    assert grid.before(ANCHOR) == datetime(2023, 12, 31, 9, tzinfo=UTC)


def test_a_day_that_the_zone_leaves_out_makes_no_empty_interval() -> None:
    apia = ZoneInfo("Pacific/Apia")
    grid = DeltaGrid(RelativeDelta(days=1), datetime(2011, 12, 28, tzinfo=apia), apia)
    found = points(grid, datetime(2011, 12, 28, tzinfo=apia), 4)
    assert [at.astimezone(apia).day for at in found] == [29, 31, 1, 2]
    assert grid.before(found[1]) == found[0]


def test_calendar_days_take_the_first_of_a_time_that_happens_twice() -> None:
    start = datetime(2023, 10, 28, 2, 30, tzinfo=PARIS)
    (following,) = points(DeltaGrid(RelativeDelta(days=1), start, PARIS), start, 1)
    assert following == datetime(2023, 10, 29, 0, 30, tzinfo=UTC)


def test_seconds_from_a_time_that_happens_twice_stay_exact() -> None:
    second_time = datetime(2023, 10, 29, 1, 30, tzinfo=UTC)  # 02:30 in Paris, an hour after the first 02:30
    grid = DeltaGrid(RelativeDelta(seconds=7200), second_time, PARIS)
    assert grid.after(second_time) == second_time + timedelta(hours=2)


def test_the_calendar_ends_without_an_error() -> None:
    grid = DeltaGrid(RelativeDelta(years=5000), ANCHOR, UTC)
    assert grid.after(datetime(8000, 1, 1, tzinfo=UTC)) is None
    assert grid.before(ANCHOR) is None
    assert grid.before(datetime(8000, 1, 1, tzinfo=UTC)) == datetime(7024, 1, 31, 9, tzinfo=UTC)
    assert DeltaGrid(RelativeDelta(seconds=2e11), ANCHOR, UTC).after(datetime(8500, 1, 1, tzinfo=UTC)) is None


deltas = st.builds(
    RelativeDelta,
    years=st.integers(0, 2),
    months=st.integers(0, 14),
    days=st.integers(0, 45),
    seconds=st.sampled_from([0.0, 0.5, 60.0, 5400.0, 86400.0, 1e6]),
).filter(lambda delta: delta != RelativeDelta())
instants = st.datetimes(datetime(1990, 1, 1), datetime(2037, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
zones = st.sampled_from(["UTC", "Europe/Paris", "Australia/Lord_Howe", "Pacific/Apia", "America/Sao_Paulo"]).map(
    ZoneInfo
)


@given(delta=deltas, anchor=instants, at=instants, zone=zones)
def test_neighbours_are_neighbours_wherever_one_looks_from(
    delta: RelativeDelta, anchor: datetime, at: datetime, zone: ZoneInfo
) -> None:
    grid = DeltaGrid(delta, anchor, zone)
    following, last = grid.after(at), at_or_before(grid, at)
    assert following is not None
    assert last is not None
    assert last <= at < following
    assert grid.after(last) == following
    assert grid.before(following) == last
    assert at_or_after(grid, following) == following
    # Both belong to the anchor's multiples.
    assert {shift(anchor, delta, n, zone) for n in near(delta, anchor, following)} >= {following}


def near(delta: RelativeDelta, anchor: datetime, at: datetime) -> range:
    days = 365.2425 * delta.years + 30.436875 * delta.months + delta.days + delta.seconds / 86400
    count = round((at - anchor) / timedelta(days=days))
    return range(count - 3, count + 4)


@pytest.mark.parametrize(
    "delta",
    [
        RelativeDelta(),
        RelativeDelta(seconds=-1.0),
        RelativeDelta(months=1, days=-29),
        RelativeDelta(seconds=1e-9),
    ],
)
def test_a_duration_that_does_not_move_time_on_is_refused(delta: RelativeDelta) -> None:
    with pytest.raises(AuthoringError, match="does not move time on; give a positive duration"):
        require_positive(delta)


def test_durations_in_words() -> None:
    assert describe(RelativeDelta(seconds=5400.0)) == "1:30:00"
    assert describe(RelativeDelta(months=2, days=1)) == "2 months, 1 calendar day"
    assert describe(RelativeDelta()) == "0:00:00"
