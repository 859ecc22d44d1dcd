"""What goes wrong when ends and beginnings are written together, and when an answer gets lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import SimpleNamespace
from typing import TypeVar

from windlass.ports import Claim, Claimed, Report, WorkloadKind
from windlass.store import claiming, gateway
from windlass.store.database import Transaction, Ways
from windlass.store.gateway import SqlGateway
from windlass.supervisor.ledger import Ledger
from windlass_testing.simulation.bugs.planting import bug, replace, without

T = TypeVar("T")
Exchanged = tuple[list[bool], list[Claimed | None]]
Both = Ways[tuple[list[bool], dict[str, str]]]


@bug("the reports of an exchange are forgotten when one of its claims conflicts")
def _reports_forgotten_on_conflict(stack: ExitStack) -> None:
    def write(ending: Ways[list[bool]], beginning: Ways[dict[str, str]], reports: Sequence[Report]) -> Both:
        return Ways(
            lambda transaction: (ending.straight(transaction), beginning.straight(transaction)),
            lambda transaction: ([True] * len(reports), beginning.otherwise(transaction)),
        )

    _exchange_by(stack, write)


@bug("the claims of an exchange are refused when one of its reports conflicts")
def _claims_refused_on_conflict(stack: ExitStack) -> None:
    def write(ending: Ways[list[bool]], beginning: Ways[dict[str, str]], _reports: Sequence[Report]) -> Both:
        def otherwise(transaction: Transaction) -> tuple[list[bool], dict[str, str]]:
            written = ending.otherwise(transaction)
            return written, beginning.otherwise(transaction) if all(written) else {}

        return Ways(lambda transaction: (ending.straight(transaction), beginning.straight(transaction)), otherwise)

    _exchange_by(stack, write)


@bug("an exchange claims what is running already")
def _exchange_takes_running(stack: ExitStack) -> None:
    def unguarded(claim: Callable[[Transaction], T], transaction: Transaction) -> T:
        with ExitStack() as meanwhile:  # nobody else runs within a transaction
            without(meanwhile, claiming, "_CLAIM", " AND state = 'queued'", " AND lease_id IS NULL")
            return claim(transaction)

    def write(ending: Ways[list[bool]], beginning: Ways[dict[str, str]], _reports: Sequence[Report]) -> Both:
        return Ways(
            lambda transaction: (ending.straight(transaction), unguarded(beginning.straight, transaction)),
            lambda transaction: (ending.otherwise(transaction), unguarded(beginning.otherwise, transaction)),
        )

    _exchange_by(stack, write)


@bug("a conflict moves the answers to the claims of an exchange up")
def _answers_move_up(stack: ExitStack) -> None:
    original = SqlGateway.exchange

    def exchange(self: SqlGateway, reports: Sequence[Report], claims: Sequence[Claim], supervisor: str) -> Exchanged:
        written, claimed = original(self, reports, claims, supervisor)
        return written, sorted(claimed, key=lambda answer: answer is None)

    replace(stack, SqlGateway, "exchange", exchange)


@bug("what an exchange claims is given up when its answer is lost")
def _claims_given_up(stack: ExitStack) -> None:
    def after_failure(ledger: Ledger) -> None:
        claims, ledger._claims = ledger._claims, []  # noqa: SLF001 - what is patched
        for _, granted in claims:
            granted(None)

    _after_failed_exchange(stack, after_failure)


@bug("what an exchange reports is forgotten when its answer is lost")
def _reports_forgotten_on_failure(stack: ExitStack) -> None:
    def after_failure(ledger: Ledger) -> None:
        ledger._reports = []  # noqa: SLF001 - what is patched

    _after_failed_exchange(stack, after_failure)


@bug("what an exchange claims is forgotten when its answer is lost")
def _claims_forgotten_on_failure(stack: ExitStack) -> None:
    def after_failure(ledger: Ledger) -> None:
        ledger._claims = []  # noqa: SLF001 - what is patched

    _after_failed_exchange(stack, after_failure)


@bug("a claim whose answer was lost is refused when it is made again")
def _refused_again(stack: ExitStack) -> None:
    replace(stack, claiming, "_SAME", f"{claiming._SAME} AND 1 = 0")  # noqa: SLF001


@bug("a claim whose answer was lost is granted once more to the next process")
def _granted_twice(stack: ExitStack) -> None:
    without(stack, claiming, "_SAME", " AND a.hostname = :hostname AND a.pid = :pid")


@bug("a report whose answer was lost is a conflict when it is sent again")
def _conflict_with_itself(stack: ExitStack) -> None:
    replace(stack, gateway, "transitions", SimpleNamespace(is_done=lambda *_: False))


def _exchange_by(
    stack: ExitStack, write: Callable[[Ways[list[bool]], Ways[dict[str, str]], Sequence[Report]], Both]
) -> None:
    """Plant another way to write the ends and the beginnings of an exchange."""
    original = SqlGateway.exchange

    def exchange(self: SqlGateway, reports: Sequence[Report], claims: Sequence[Claim], supervisor: str) -> Exchanged:
        kinds = {report.kind for report in reports} | {claim.kind for claim in claims}
        if kinds != {WorkloadKind.TASK}:
            return original(self, reports, claims, supervisor)
        ending = self._reporting(reports)
        candidates = self._candidates(claims)
        beginning = self._claiming.granting([c for c in candidates if c is not None], supervisor)
        written, granted = self._database.write(*write(ending, beginning, reports))
        self._forget(reports)
        return written, self._claimed(claims, candidates, granted)

    replace(stack, SqlGateway, "exchange", exchange)


def _after_failed_exchange(stack: ExitStack, then: Callable[[Ledger], None]) -> None:
    original = Ledger._exchange  # noqa: SLF001 - what is patched

    def exchange(self: Ledger) -> None:
        original(self)
        if self._failures:
            then(self)

    replace(stack, Ledger, "_exchange", exchange)
