"""Database time is counted from a distance to the database's clock that is measured now and then."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from windlass.errors import StoreError
from windlass.store.clock import DatabaseClock
from windlass.store.instants import micros

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Hosts:
    """The database's clock and this host's, and how long an answer takes."""

    def __init__(self) -> None:
        self.here = 100.0
        self.there = NOON
        self.trip = 0.0
        self.asked = 0

    def ask(self) -> int:
        self.asked += 1
        self.here += self.trip / 2
        answer = micros(self.there)
        self.here += self.trip / 2
        return answer

    def pass_time(self, seconds: float) -> None:
        self.here += seconds
        self.there += timedelta(seconds=seconds)

    def clock(self) -> DatabaseClock:
        return DatabaseClock(self.ask, lambda: self.here)


def test_it_is_the_databases_time_and_goes_on_without_asking() -> None:
    hosts = Hosts()
    clock = hosts.clock()
    assert clock.now() == NOON
    hosts.pass_time(9.0)
    assert clock.now() == NOON + timedelta(seconds=9)
    assert clock.monotonic() == hosts.here
    assert hosts.asked == 1


def test_an_answer_was_true_halfway_between_question_and_answer() -> None:
    hosts = Hosts()
    hosts.trip = 2.0
    assert hosts.clock().now() == NOON + timedelta(seconds=1)


def test_a_database_whose_clock_was_set_is_believed_after_ten_seconds() -> None:
    hosts = Hosts()
    clock = hosts.clock()
    clock.now()
    hosts.there += timedelta(hours=1)
    hosts.pass_time(5.0)
    assert clock.now() == NOON + timedelta(seconds=5)
    hosts.pass_time(5.0)
    assert clock.now() == NOON + timedelta(hours=1, seconds=10)
    assert hosts.asked == 2


def test_without_an_answer_there_is_no_time() -> None:
    def refuse() -> int:
        raise StoreError("gone")

    with pytest.raises(StoreError, match="gone"):
        DatabaseClock(refuse).now()
