"""One scheduler works on a database: the second is refused, and a seat that was lost is taken again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from windlass.app.clocks import SystemRng
from windlass.errors import AlreadyRunning
from windlass.store import Store, open_store, seat
from windlass.store.seat import Seat
from windlass_testing.stores import URL_FIXTURES


@pytest.fixture
def opened(url: str) -> Iterator[Store]:
    with closing(open_store(url, clock=None, rng=SystemRng())) as store:
        yield store


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seat, "_PATIENCE", 0.1)
    monkeypatch.setattr(seat, "_PAUSE", 0.0)


def seat_of(store: Store) -> Seat:
    return Seat(store.db.dialect, store.jobs)


@pytest.mark.sqlite_only("a database of one host has no seats")
def test_a_database_of_one_host_has_no_seats(opened: Store) -> None:
    first, second = seat_of(opened), seat_of(opened)  # the home's lock admits one scheduler
    first.keep()
    second.leave()


@pytest.mark.services
@pytest.mark.parametrize("kind", URL_FIXTURES, indirect=True)
class TestSeatOfADatabaseThatHostsShare:
    def test_the_second_is_refused_by_the_name_of_the_first_until_that_leaves(self, opened: Store) -> None:
        opened.jobs.start("scheduler", "elsewhere", 4711)
        first = seat_of(opened)
        with pytest.raises(AlreadyRunning, match=r"a scheduler on elsewhere \(pid 4711\) already works on this"):
            seat_of(opened)
        first.leave()
        seat_of(opened).leave()

    def test_a_seat_whose_session_broke_is_taken_again(self, opened: Store) -> None:
        first = seat_of(opened)
        self.end_session(opened)
        first.keep()
        with pytest.raises(AlreadyRunning):
            seat_of(opened)
        first.leave()

    def test_who_finds_another_on_its_seat_gives_up(self, opened: Store) -> None:
        first = seat_of(opened)
        self.end_session(opened)
        second = seat_of(opened)
        with pytest.raises(AlreadyRunning):
            first.keep()
        first.leave()
        second.leave()

    @staticmethod
    def end_session(store: Store) -> None:
        if store.db.dialect.name == "postgresql":
            ended = store.db.rows(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory' AND granted"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
            assert ended == [(True,)]
            return
        holder = "IS_USED_LOCK(CONCAT('windlass seat ', SHA1(CONCAT(DATABASE(), ' scheduler'))))"
        [(session,)] = store.db.rows(f"SELECT {holder}")
        store.db.write(lambda transaction: transaction.run(f"KILL {session}"))
        while store.db.rows(f"SELECT {holder}") == [(session,)]:
            time.sleep(0.01)
