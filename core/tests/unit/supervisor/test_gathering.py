"""A commit waits for company only while company is to be expected."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from windlass.ports import Claim, Report, Workload, WorkloadKind
from windlass.supervisor.cores import Cores
from windlass.supervisor.gathering import Gathering
from windlass.supervisor.ledger import Ledger
from windlass.supervisor.reactor import Reactor
from windlass.supervisor.slots import Slots


class Turns(Reactor):
    """Turns that take as long as they may, or until the next event, which they handle."""

    def __init__(self) -> None:
        self.now = 100.0
        super().__init__(lambda: self.now)
        self.events: list[tuple[float, Callable[[], None]]] = []
        self.turns = 0

    def turn(self, longest: float = 60.0) -> None:
        self.turns += 1
        due = min((at for at, _ in self.events), default=float("inf"))
        if due > self.now + longest:
            self.now += longest
            return
        self.now = max(self.now, due)
        for event in [event for event in self.events if event[0] <= self.now]:
            self.events.remove(event)
            event[1]()


class BusyCores(Cores):
    """Cores that are busy, unless a test says something else."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        super().__init__(monotonic)
        self.are_busy = True
        self.looks = 0

    def look(self) -> None:
        self.looks += 1


class Busy:
    """A supervisor with eight slots, all taken, and a report to write."""

    def __init__(self) -> None:
        self.reactor = Turns()
        self.slots = Slots(lambda _: None, self.reactor.monotonic)
        self.slots.limit = 8
        self.ledger = Ledger(None, "me", self.reactor)  # type: ignore[arg-type]
        self.cores = BusyCores(self.reactor.monotonic)
        self.gathering = Gathering(self.reactor, self.slots, self.ledger, self.cores)
        for number in range(8):
            self.take(number)

    def take(self, number: int) -> None:
        self.slots.submit(
            Workload(
                kind=WorkloadKind.TASK, id=number, epoch=1, ticket=f"t{number}", queue="q", code_version="c",
                bundle="b", file="f",
            )
        )  # fmt: skip

    def end(self, number: int) -> None:
        self.slots.free(f"t{number}")
        self.ledger.report(Report(task=number, lease_id=f"l{number}", epoch=1, op_id=f"o{number}"), lambda _: None)

    def many_have_ended(self, number: int = 25) -> None:
        self.slots.pace.ended(number, self.reactor.now)

    def waited(self) -> float:
        before = self.reactor.now
        self.gathering.wait()
        return round((self.reactor.now - before) * 1000, 3)


@pytest.fixture
def busy() -> Busy:
    return Busy()


def test_all_that_run_and_end_one_after_the_other_are_waited_for(busy: Busy) -> None:
    busy.many_have_ended()
    busy.end(0)
    busy.reactor.events = [(100 + number / 1000, lambda n=number: busy.end(n)) for number in range(1, 8)]  # type: ignore[misc]
    assert busy.waited() == 7
    assert busy.ledger.held == 8


def test_nothing_is_waited_for_where_few_end(busy: Busy) -> None:
    busy.many_have_ended(23)
    busy.end(0)  # the twenty-fourth
    assert (busy.waited(), busy.reactor.turns) == (0, 0)


def test_nothing_is_waited_for_where_cores_have_time_to_spare(busy: Busy) -> None:
    busy.cores.are_busy = False
    busy.many_have_ended()
    busy.end(0)
    assert (busy.waited(), busy.reactor.turns) == (0, 0)


def test_cores_are_watched_before_many_have_ended_and_left_alone_where_few_do(busy: Busy) -> None:
    busy.many_have_ended(1)
    busy.end(0)
    busy.gathering.wait()
    assert busy.cores.looks == 0
    busy.many_have_ended(1)
    busy.gathering.wait()
    assert busy.cores.looks == 1


def test_nothing_is_waited_for_with_nothing_to_write(busy: Busy) -> None:
    busy.many_have_ended()
    assert (busy.waited(), busy.reactor.turns) == (0, 0)


def test_those_that_take_longer_are_not_waited_for(busy: Busy) -> None:
    busy.many_have_ended()
    busy.end(0)
    busy.reactor.events = [(100.001, lambda: busy.end(1)), (100.0085, lambda: busy.end(2))]
    assert busy.waited() == 4


def test_other_events_do_not_count_as_ends(busy: Busy) -> None:
    busy.many_have_ended()
    busy.end(0)
    busy.reactor.events = [(100 + number / 1000, lambda: None) for number in range(20)]
    assert busy.waited() == 3


def test_there_is_a_limit(busy: Busy) -> None:
    busy.many_have_ended()
    busy.end(0)
    for number in range(8, 40):
        busy.slots.limit += 1
        busy.take(number)
    busy.reactor.events = [(100 + number / 1000, lambda n=number: busy.end(n)) for number in range(1, 40)]  # type: ignore[misc]
    assert busy.waited() == 20


def test_what_waits_for_its_claim_does_not_run_yet(busy: Busy) -> None:
    busy.many_have_ended()
    for number in range(8):
        busy.ledger.claim(Claim(task=number, epoch=1, ticket=f"t{number}", pid=1, hostname="h"), lambda _: None)
    assert busy.waited() == 0
