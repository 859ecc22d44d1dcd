from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass.planning.pace import Pace


def test_what_ended_within_the_last_tenth_of_a_second_may_wait() -> None:
    pace = Pace()
    pace.ended(3, now=10.0)
    pace.ended(2, now=10.05)
    assert pace.ahead(10.09) == 5
    assert pace.ahead(10.11) == 2
    assert pace.ahead(10.16) == 0


def test_where_nothing_has_ended_nothing_may_wait() -> None:
    assert Pace().ahead(5.0) == 0


def test_how_many_will_end_is_told_by_the_time_since_the_first_that_counts() -> None:
    pace = Pace()
    assert pace.within(9.0, now=1.0) == 0, "none has ended"
    pace.ended(4, now=1.0)
    assert pace.within(0.001, now=1.0) == math.inf, "four in no time"
    assert pace.within(0.03, now=1.02) == pytest.approx(6)
    pace.ended(4, now=1.04)
    assert pace.within(0.03, now=1.08) == pytest.approx(3)
    assert pace.within(0.03, now=1.11) == pytest.approx(4 * 0.03 / 0.07), "of the second time only"
    assert pace.within(0.03, now=1.15) == 0


def test_too_much_is_too_much_only_when_it_has_been_for_a_second() -> None:
    pace = Pace()
    pace.ended(8, now=1.0)
    assert not pace.is_too_much(8, now=1.0)
    assert not pace.is_too_much(8, now=1.2), "from here on it is"
    assert not pace.is_too_much(8, now=2.1)
    assert pace.is_too_much(8, now=2.2)


def test_tasks_that_end_in_between_begin_the_second_anew() -> None:
    pace = Pace()
    assert not pace.is_too_much(2, now=1.0)
    pace.ended(2, now=1.5)
    assert not pace.is_too_much(2, now=1.5)
    assert not pace.is_too_much(2, now=2.4)
    assert pace.is_too_much(2, now=3.5)


def test_nothing_in_excess_is_never_too_much() -> None:
    pace = Pace()
    assert not any(pace.is_too_much(number, now) for now in (0.0, 5.0) for number in (-3, 0))


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 0.2), st.integers(1, 5)), max_size=30), st.floats(0, 0.3))
def test_it_counts_exactly_the_ends_of_the_window(ends: list[tuple[float, int]], later: float) -> None:
    pace, now, known = Pace(), 0.0, []
    for pause, number in ends:
        now += pause
        pace.ended(number, now)
        known.append((now, number))
        pace.ahead(now)
    now += later
    assert pace.ahead(now) == sum(number for at, number in known if at > now - 0.1)
