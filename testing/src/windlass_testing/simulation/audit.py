"""The supervisor's ledger, audited: what it says of a claim or a report is what is written, and it drops nothing.

The answer to a commit may get lost, and then the same is asked again, together with others or alone. Whoever asked must
be told in the end what has really happened: a lease is that of the very process that claimed it, nobody is refused who
holds one or could, and a report is written if and only if its op id is in the log.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Final

from windlass.ports import Claim, Claimed, Gateway, Report, WorkloadKind
from windlass.store.database import Params, Row
from windlass.supervisor.ledger import Granted, Ledger, Written
from windlass.supervisor.reactor import Reactor
from windlass_testing.simulation.world import InvariantBroken

Read = Callable[[str, Params], list[Row]]

_WRITTEN: Final = "SELECT to_state FROM transition WHERE op_id = :op_id"
_ATTEMPTS: Final = (
    "SELECT lease_id, ended_at FROM attempt"
    " WHERE ti_id = :task AND epoch = :epoch AND hostname = :hostname AND pid = :pid"
)
_QUEUED: Final = "SELECT id FROM ti WHERE id = :task AND state = 'queued' AND epoch = :epoch AND ticket = :ticket"


class AuditedLedger(Ledger):
    """A ledger that raises :class:`InvariantBroken` where it says what is not so, or forgets what it was given."""

    def __init__(self, gateway: Gateway, supervisor: str, reactor: Reactor, read: Read) -> None:
        super().__init__(gateway, supervisor, reactor)
        self._read = read
        #: Tickets of claims that nobody has answered.
        self._asked: set[str] = set()
        #: Leases of reports that nobody has answered.
        self._owed: set[str] = set()

    def claim(self, claim: Claim, then: Granted) -> None:
        """Claim soon, and compare the answer with the attempts that are written."""
        self._asked.add(claim.ticket)
        super().claim(claim, functools.partial(self._on_claimed, claim, then))

    def withdraw(self, ticket: str) -> None:
        """Forget a claim, whose answer nobody waits for any more."""
        super().withdraw(ticket)
        self._asked.discard(ticket)

    def report(self, report: Report, then: Written) -> None:
        """Write ``report`` soon, and compare the answer with the log."""
        self._owed.add(report.lease_id)
        super().report(report, functools.partial(self._on_written, report, then))

    def flush(self) -> None:
        """Send what there is; what has no answer after that must still be held."""
        super().flush()
        if len(self._asked) != self.claiming:
            raise InvariantBroken("20 nothing is dropped", f"of {len(self._asked)} claims {self.claiming} are held")
        if self._owed != set(self.leases):
            raise InvariantBroken("20 nothing is dropped", f"of {len(self._owed)} reports {len(self.leases)} are held")

    def _on_claimed(self, claim: Claim, then: Granted, claimed: Claimed | None) -> None:
        self._asked.discard(claim.ticket)
        if claim.kind is WorkloadKind.TASK:
            self._check(claim, claimed)
        then(claimed)

    def _check(self, claim: Claim, claimed: Claimed | None) -> None:
        mine = {"task": claim.task, "epoch": claim.epoch, "hostname": claim.hostname, "pid": claim.pid}
        attempts: dict[str, int | None] = dict(self._read(_ATTEMPTS, mine))
        wrong = None
        if claimed is not None and claimed.lease_id not in attempts:
            wrong = "is answered with another one's lease"
        elif claimed is None and None in attempts.values():
            wrong = "is refused, though it was granted"
        elif claimed is None and self._read(_QUEUED, {**mine, "ticket": claim.ticket}):
            wrong = "is refused, though it could be granted"
        if wrong is not None:
            detail = f"the claim of process {claim.pid} for task instance {claim.task}, epoch {claim.epoch}, {wrong}"
            raise InvariantBroken("19 the answer is what happened", detail)

    def _on_written(self, report: Report, then: Written, written: bool) -> None:  # noqa: FBT001 - the ledger's
        self._owed.discard(report.lease_id)
        if report.kind is WorkloadKind.TASK and written != bool(self._read(_WRITTEN, {"op_id": report.op_id})):
            is_so = "is not written" if written else "is written"
            detail = f"the end of task instance {report.task}, epoch {report.epoch}, {is_so}, though the answer was"
            raise InvariantBroken("19 the answer is what happened", f"{detail} {written}")
        then(written)
