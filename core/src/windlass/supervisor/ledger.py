"""Claims, reports and events on their way to the gateway: together when they come together, kept through trouble.

Everything that arrives in one turn of the loop goes out in one call, ends and beginnings together, so that a busy
supervisor pays one transaction, and one wait for the disk, for many attempts. When the gateway fails (a full disk, a
database locked for long) nothing is killed and nothing dropped: claiming is suspended, reports and events stay here,
and all are tried again with growing pauses. An op id makes what was written but not answered harmless.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from windlass.errors import ProtocolError, SpecError, XComError
from windlass.ports import Claim, Claimed, Fired, Gateway, Report
from windlass.supervisor.reactor import Reactor

_log = logging.getLogger(__name__)

#: Pauses between two tries, in seconds; the last one repeats.
_PAUSES = (0.05, 0.2, 0.5, 1.0, 2.0, 5.0)
#: Failures in a row after which a report itself may be what cannot be written.
_SUSPICIOUS = 4
#: At most this many in one call: what is larger takes the loop away from its children for too long.
_BATCH = 100
#: The report itself is at fault: trying it again cannot help.
_UNWRITABLE = (ProtocolError, SpecError, XComError, TypeError, ValueError)

Granted = Callable[[Claimed | None], None]
Written = Callable[[bool], None]
Sent = TypeVar("Sent")
Answered = TypeVar("Answered")


class Ledger:
    """What has still to be claimed, reported and fired."""

    def __init__(self, gateway: Gateway, supervisor: str, reactor: Reactor) -> None:
        self._gateway = gateway
        self._supervisor = supervisor
        self._reactor = reactor
        self._claims: list[tuple[Claim, Granted]] = []
        self._reports: list[tuple[Report, Written]] = []
        self._fired: list[tuple[Fired, Written]] = []
        self._one_by_one = False
        self._failures = 0
        self._resume_at = 0.0

    @property
    def suspended(self) -> bool:
        """Whether the gateway failed and a pause is being kept."""
        return self._reactor.monotonic() < self._resume_at

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (self._reports or self._claims or self._fired)

    @property
    def claiming(self) -> int:
        """How many claims wait to be made."""
        return len(self._claims)

    @property
    def held(self) -> int:
        """How many reports and events wait to be written."""
        return len(self._reports) + len(self._fired)

    @property
    def leases(self) -> list[str]:
        """The leases of reports that are not written yet: they are still ours to renew."""
        return [report.lease_id for report, _ in self._reports]

    def claim(self, claim: Claim, then: Granted) -> None:
        """Claim soon; ``then`` gets the lease, or None for a conflict."""
        self._claims.append((claim, then))

    def withdraw(self, ticket: str) -> None:
        """Forget a claim that has not been made: its child is gone."""
        self._claims = [(claim, then) for claim, then in self._claims if claim.ticket != ticket]

    def report(self, report: Report, then: Written) -> None:
        """Write ``report`` soon; ``then`` gets whether it changed anything."""
        self._reports.append((report, then))

    def fire(self, fired: Fired, then: Written) -> None:
        """Resume a deferred task instance soon; ``then`` gets whether its wait was live."""
        self._fired.append((fired, then))

    def flush(self) -> None:
        """Send what there is, reports first: they make room and let the scheduler go on."""
        if self._reports and self._claims and not self._fired and not self._failures and not self._one_by_one:
            self._exchange()
        while (self._reports or self._fired or self._claims) and not self.suspended:
            self._write_reports()
            if not self.suspended:
                self._send(self._fired, self._gateway.fire, "resuming deferred tasks")
            if not self.suspended:
                self._send(self._claims, self._gateway.claim, "claiming")

    def _exchange(self) -> None:
        """Report and claim in one call, which costs one commit; where a report is at fault, each is left for later."""
        reports, claims = self._reports[:_BATCH], self._claims[:_BATCH]
        try:
            written, claimed = self._gateway.exchange(
                [report for report, _ in reports], [claim for claim, _ in claims], self._supervisor
            )
        except _UNWRITABLE:
            return
        except Exception as error:  # noqa: BLE001 - whatever the gateway's trouble is, what waits outlives it
            self._suspend("reporting and claiming", error)
            return
        del self._reports[: len(reports)], self._claims[: len(claims)]
        for (_, told), done in zip(reports, written, strict=True):
            told(done)
        for (_, granted), answer in zip(claims, claimed, strict=True):
            granted(answer)

    def _write_reports(self) -> None:
        # After a report at fault they go one by one, so that it harms no other.
        size = 1 if self._one_by_one else _BATCH
        batch, rest = self._reports[:size], self._reports[size:]
        if not batch:
            self._one_by_one = False
            return
        try:
            written = self._gateway.report([report for report, _ in batch], self._supervisor)
        except _UNWRITABLE as error:
            if len(batch) > 1:
                self._one_by_one = True
            elif batch[0][0].lost is not None:
                self._suspend("reporting", error)
            else:
                self._reports = [(_reduced(batch[0][0], error), batch[0][1]), *rest]
        except Exception as error:  # noqa: BLE001 - whatever the gateway's trouble is, results outlive it
            self._suspend("reporting", error)
            if self._failures >= _SUSPICIOUS:  # it may be the fault of one of them: the others go before it
                self._one_by_one = True
                self._reports = [*rest, *batch]
        else:
            self._reports = rest
            self._failures = 0
            for (_, then), done in zip(batch, written, strict=True):
                then(done)

    def _send(
        self,
        queue: list[tuple[Sent, Callable[[Answered], None]]],
        send: Callable[[Sequence[Sent], str], Sequence[Answered]],
        doing: str,
    ) -> None:
        batch = queue[:_BATCH]
        if not batch:
            return
        try:
            answers = send([sent for sent, _ in batch], self._supervisor)
        except Exception as error:  # noqa: BLE001 - whatever the gateway's trouble is, what waits outlives it
            self._suspend(doing, error)
            return
        del queue[: len(batch)]
        self._failures = 0
        for (_, then), answer in zip(batch, answers, strict=True):
            then(answer)

    def _suspend(self, doing: str, error: Exception) -> None:
        pause = _PAUSES[min(self._failures, len(_PAUSES) - 1)]
        self._failures += 1
        self._resume_at = self._reactor.monotonic() + pause
        self._reactor.after(pause, lambda: None)
        _log.warning("%s failed (%s: %s); trying again in %g s", doing, type(error).__name__, error, pause)


def _reduced(report: Report, error: Exception) -> Report:
    """Return ``report`` without what cannot be written: the attempt is lost, and says why."""
    reason = f"the result of the task cannot be stored: {error}"
    return msgspec.structs.replace(
        report, ending=None, timed_out=None, stopped=None, lost=reason, xcoms=(), rendered=None
    )
