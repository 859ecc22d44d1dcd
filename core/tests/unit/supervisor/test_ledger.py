"""Claims, reports and events: together, kept through trouble, and one bad report harms no other."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from windlass.errors import StoreBusy, XComError
from windlass.ports import Claim, Claimed, Fired, Report
from windlass.supervisor.ledger import Ledger
from windlass.supervisor.reactor import Reactor


class Gateway:
    """Counts calls and fails as told; the other methods are not called here."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, list[int]]] = []
        self.trouble: Exception | None = None
        self.bad: set[int] = set()
        self.lost: dict[int, str] = {}

    def claim(self, claims: Sequence[Claim], supervisor: str) -> list[Claimed | None]:
        self.calls.append(("claim", [claim.task for claim in claims]))
        if self.trouble:
            raise self.trouble
        return [None for _ in claims]

    def fire(self, fired: Sequence[Fired], supervisor: str) -> list[bool]:
        self.calls.append(("fire", [one.task for one in fired]))
        if self.trouble:
            raise self.trouble
        return [True for _ in fired]

    def exchange(
        self, reports: Sequence[Report], claims: Sequence[Claim], supervisor: str
    ) -> tuple[list[bool], list[Claimed | None]]:
        self.calls.append(("exchange", [*(report.task for report in reports), *(claim.task for claim in claims)]))
        called = len(self.calls)
        try:
            return self.report(reports, supervisor), self.claim(claims, supervisor)
        finally:
            del self.calls[called:]

    def report(self, reports: Sequence[Report], supervisor: str) -> list[bool]:
        self.calls.append(("report", [report.task for report in reports]))
        if self.trouble:
            raise self.trouble
        for report in reports:
            if report.task in self.bad and report.lost is None:
                raise XComError("no codec")
            if report.lost:
                self.lost[report.task] = report.lost
        return [True for _ in reports]


class Time:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
def ledger(gateway: Gateway, time: Time) -> Ledger:
    return Ledger(gateway, "me", Reactor(time))  # type: ignore[arg-type]


def claim(task: int) -> Claim:
    return Claim(task=task, epoch=1, ticket=str(task), pid=1, hostname="h")


def report(task: int) -> Report:
    return Report(task=task, lease_id=f"l{task}", epoch=1, op_id=f"o{task}")


def test_one_turn_is_one_call_each_reports_first(ledger: Ledger, gateway: Gateway) -> None:
    heard: list[object] = []
    for task in (1, 2):
        ledger.claim(claim(task), heard.append)
        ledger.report(report(task + 10), heard.append)
        ledger.fire(Fired(task=task + 20, epoch=1), heard.append)
    ledger.flush()
    ledger.flush()
    assert gateway.calls == [("report", [11, 12]), ("fire", [21, 22]), ("claim", [1, 2])]
    assert heard == [True, True, True, True, None, None]


def test_reports_and_claims_of_a_turn_share_a_call(ledger: Ledger, gateway: Gateway) -> None:
    heard: list[object] = []
    for task in (1, 2):
        ledger.claim(claim(task), heard.append)
        ledger.report(report(task + 10), heard.append)
    ledger.flush()
    ledger.flush()
    assert gateway.calls == [("exchange", [11, 12, 1, 2])]
    assert heard == [True, True, None, None]


def test_a_report_at_fault_does_not_keep_claims_from_being_made(ledger: Ledger, gateway: Gateway) -> None:
    gateway.bad = {12}
    heard: list[object] = []
    for task in (11, 12):
        ledger.report(report(task), heard.append)
    ledger.claim(claim(1), heard.append)
    ledger.flush()
    assert (heard.count(True), heard.count(None)) == (2, 1)
    assert set(gateway.lost) == {12}


def test_trouble_suspends_everything_and_drops_nothing(ledger: Ledger, gateway: Gateway, time: Time) -> None:
    heard: list[object] = []
    gateway.trouble = StoreBusy("locked")
    ledger.report(report(1), heard.append)
    ledger.claim(claim(2), heard.append)
    for _ in range(10):
        ledger.flush()
    assert gateway.calls == [("exchange", [1, 2])]
    assert (ledger.suspended, ledger.held, ledger.leases) == (True, 1, ["l1"])
    time.now += 60
    ledger.flush()
    assert gateway.calls[1:] == [("report", [1])]  # which of the two it was
    time.now += 60
    gateway.trouble = None
    ledger.flush()
    assert gateway.calls[2:] == [("report", [1]), ("claim", [2])]
    assert heard == [True, None]


def test_an_event_is_kept_until_it_is_written(ledger: Ledger, gateway: Gateway, time: Time) -> None:
    heard: list[object] = []
    gateway.trouble = StoreBusy("locked")
    ledger.fire(Fired(task=1, epoch=1), heard.append)
    ledger.flush()
    assert (ledger.suspended, ledger.held) == (True, 1)
    gateway.trouble = None
    time.now += 60
    ledger.flush()
    assert (gateway.calls, heard, ledger.held) == ([("fire", [1]), ("fire", [1])], [True], 0)


def test_the_pauses_grow_to_five_seconds(ledger: Ledger, gateway: Gateway, time: Time) -> None:
    gateway.trouble = StoreBusy("locked")
    ledger.report(report(1), lambda _: None)
    pauses = []
    for _ in range(8):
        ledger.flush()
        start = time.now
        while ledger.suspended:
            time.now += 0.01
        pauses.append(round(time.now - start, 1))
    assert pauses == [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 5.0, 5.0]


def test_a_report_that_cannot_be_written_becomes_a_loss_and_harms_no_other(ledger: Ledger, gateway: Gateway) -> None:
    gateway.bad = {2}
    heard: list[bool] = []
    for task in (1, 2, 3):
        ledger.report(report(task), heard.append)
    ledger.flush()
    assert heard == [True, True, True]
    assert gateway.lost == {2: "the result of the task cannot be stored: no codec"}


def test_a_claim_of_a_dead_child_is_withdrawn(ledger: Ledger, gateway: Gateway) -> None:
    ledger.claim(claim(1), lambda _: None)
    ledger.withdraw("1")
    ledger.flush()
    assert gateway.calls == []


def test_more_than_a_batch_goes_in_several_calls(ledger: Ledger, gateway: Gateway) -> None:
    for task in range(250):
        ledger.claim(claim(task), lambda _: None)
    ledger.flush()
    assert [len(tasks) for _, tasks in gateway.calls] == [100, 100, 50]
