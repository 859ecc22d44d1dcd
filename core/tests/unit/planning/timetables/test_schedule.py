"""What may stand at ``schedule=``, and what lists show for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from dateutil.relativedelta import MO, relativedelta

from windlass.errors import AuthoringError, ConfigError
from windlass.planning.timetables import schedule_spec
from windlass.planning.timetables.schedule import relative_delta
from windlass.spec import (
    ContinuousSpec,
    CronIntervalSpec,
    DeltaIntervalSpec,
    NullSpec,
    OnceSpec,
    RelativeDelta,
)


@pytest.mark.parametrize(
    ("preset", "expression"),
    [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@quarterly", "0 0 1 */3 *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
    ],
)
def test_presets_are_cron_intervals_shown_as_written(preset: str, expression: str) -> None:
    assert schedule_spec(preset, "Europe/Paris") == (
        CronIntervalSpec(expression=expression, timezone="Europe/Paris"),
        preset,
    )


def test_plain_schedules() -> None:
    assert schedule_spec(None) == (NullSpec(), "None")
    assert schedule_spec("@once") == (OnceSpec(), "@once")
    assert schedule_spec("@continuous") == (ContinuousSpec(), "@continuous")
    assert schedule_spec(" 30 6 * * MON-FRI ") == (CronIntervalSpec(expression="30 6 * * MON-FRI"), "30 6 * * MON-FRI")


def test_a_timedelta_counts_in_seconds() -> None:
    assert schedule_spec(timedelta(days=1, hours=6), "Asia/Tokyo") == (
        DeltaIntervalSpec(delta=RelativeDelta(seconds=108000.0), timezone="Asia/Tokyo"),
        "1 day, 6:00:00",
    )


def test_a_relativedelta_keeps_its_calendar_parts() -> None:
    delta = relativedelta(years=1, months=2, weeks=1, days=1, hours=25, minutes=1, seconds=30)
    assert relative_delta(delta) == RelativeDelta(years=1, months=2, days=9, seconds=3690.0)
    half = relativedelta(days=1.5)  # type: ignore[arg-type]  # the stubs know less than dateutil
    assert relative_delta(half) == RelativeDelta(days=1, seconds=43200.0)
    assert schedule_spec(relativedelta(months=1))[1] == "1 month"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("@dayly", "schedule '@dayly' is not a preset; did you mean '@daily'?"),
        ("@xyz", "choose one of @hourly, @daily"),
        ("every day", "cron expression 'every day' has 2 fields"),
        ("61 * * * *", "minute '61'"),
        (timedelta(0), "does not move time on"),
        (timedelta(hours=-1), "does not move time on"),
        (relativedelta(hour=6), "sets 'hour' and so is no duration"),
        (relativedelta(days=1, weekday=MO), "sets 'weekday'"),
        (relativedelta(leapdays=1), "sets 'leapdays'"),
        (datetime(2024, 1, 1, tzinfo=UTC), "is a datetime; give a cron string"),
        (5, "schedule 5 is a int; give"),
    ],
)
def test_what_is_no_schedule_is_refused_with_a_remedy(value: object, message: str) -> None:
    with pytest.raises(AuthoringError) as caught:
        schedule_spec(value)  # type: ignore[arg-type]
    assert message in str(caught.value)


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(ConfigError, match="Mars/Olympus"):
        schedule_spec("@daily", "Mars/Olympus")
