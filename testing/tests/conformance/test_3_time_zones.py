"""SEMANTICS, section 3: time zones and daylight saving time.

Every zone and every change of its clocks is scanned in ``core/tests/unit/planning/timetables/test_zones.py``; here are
the examples that people ask about, through the engine. Berlin's clocks go forward on 29 March 2026 at 2:00 to 3:00, and
back on 25 October at 3:00 to 2:00.
"""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from testing.tests.conformance.steps import good

from windlass import DAG
from windlass_testing.virtual import VirtualInstallation

BERLIN = ZoneInfo("Europe/Berlin")


def berlin(windlass: VirtualInstallation, schedule: Any, start: datetime, days: int) -> list[str]:
    """Return the ends of the intervals in some days from ``start`` on, as Berlin's clocks show them."""
    windlass.jump_to(start)
    with DAG("d", schedule=schedule, start_date=start, catchup=True, max_active_runs=100) as dag:
        good()
    windlass.add(dag)
    windlass.pass_time(timedelta(days=days))
    found = windlass.intervals("d")
    assert all(earlier[1] == later[0] for earlier, later in pairwise(found))
    assert all(begin < end for begin, end in found)
    return [end.astimezone(BERLIN).strftime("%d %H:%M%z") for _, end in found]


def test_a_dags_time_zone_is_that_of_its_start_date(windlass: VirtualInstallation) -> None:
    ends = berlin(windlass, "@daily", datetime(2026, 3, 10, tzinfo=BERLIN), 2)
    assert ends == ["11 00:00+0100", "12 00:00+0100"]


def test_a_naive_start_date_is_in_the_default_time_zone(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule="@daily", start_date=datetime(2026, 2, 28), catchup=True) as dag:  # noqa: DTZ001 - that is it
        good()
    windlass.add(dag)
    windlass.settle()
    assert [run.logical_date for run in windlass.runs("d")] == [datetime(2026, 2, 28, tzinfo=UTC)]


def test_a_daily_run_stays_at_its_local_time_across_both_changes(windlass: VirtualInstallation) -> None:
    spring = berlin(windlass, "0 6 * * *", datetime(2026, 3, 28, 6, tzinfo=BERLIN), 2)
    assert spring == ["29 06:00+0200", "30 06:00+0200"]


def test_a_missing_local_time_runs_at_the_first_valid_instant(windlass: VirtualInstallation) -> None:
    ends = berlin(windlass, "30 2 * * *", datetime(2026, 3, 28, 2, 30, tzinfo=BERLIN), 2)
    assert ends == ["29 03:00+0200", "30 02:30+0200"]


def test_a_repeated_local_time_runs_once_for_a_fixed_time(windlass: VirtualInstallation) -> None:
    ends = berlin(windlass, "30 2 * * *", datetime(2026, 10, 24, 2, 30, tzinfo=BERLIN), 4)
    assert [end[:8] for end in ends] == ["25 02:30", "26 02:30", "27 02:30"]


def test_a_repeated_local_time_runs_at_each_instant_for_a_step(windlass: VirtualInstallation) -> None:
    ends = berlin(windlass, "*/30 * * * *", datetime(2026, 10, 25, 1, 30, tzinfo=BERLIN), 0)
    windlass.pass_time(timedelta(hours=3))
    ends = [end.astimezone(BERLIN).strftime("%H:%M%z") for _, end in windlass.intervals("d")]
    assert ends == ["02:00+0200", "02:30+0200", "02:00+0100", "02:30+0100", "03:00+0100", "03:30+0100"]


def test_a_timedelta_is_absolute(windlass: VirtualInstallation) -> None:
    ends = berlin(windlass, timedelta(days=1), datetime(2026, 3, 28, 6, tzinfo=BERLIN), 2)
    assert ends == ["29 07:00+0200", "30 07:00+0200"]
