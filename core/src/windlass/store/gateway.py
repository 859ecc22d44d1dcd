"""A supervisor's view of the database: the Gateway over SQL.

Claims and reports that arrive together share one transaction. What is fixed about a task instance while a lease holds
it is kept from claim to report, so that the usual report needs no read at all; a report that finds its guard broken
reads afresh and is then written, recognised as done before, or refused, each on its own.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from windlass.errors import DagNotFound, SpecError
from windlass.ports import (
    Claim,
    Claimed,
    Fired,
    Report,
    StopKind,
    StopRequest,
    WaitChanges,
    WaitKey,
    WorkloadKind,
)
from windlass.protocol import Query, Verb
from windlass.store import transitions
from windlass.store.callbacks import Callbacks
from windlass.store.calls import Calls
from windlass.store.claiming import Candidate, Claiming
from windlass.store.credentials import Credentials
from windlass.store.database import Database, Transaction, Ways
from windlass.store.endings import Closing, Endings, Held, is_overruled, write_endings
from windlass.store.facts import to_json
from windlass.store.instants import SECOND
from windlass.store.questions import Questions
from windlass.store.reaping import LEASE, close_lost
from windlass.store.specs import Specs
from windlass.store.waits import Waits

log = logging.getLogger(__name__)

_RENEW: Final = (
    "UPDATE attempt SET lease_until = :until WHERE lease_id IN NAMES(:leases) AND supervisor = :supervisor"
    " AND ended_at IS NULL"
)
_STATES: Final = (
    "SELECT a.lease_id, t.id, t.run, t.stop_kind, t.stop_who, a.ended_at, t.lease_id"
    " FROM attempt a JOIN ti t ON t.id = a.ti_id WHERE a.lease_id IN NAMES(:leases)"
)
_OPEN_OF: Final = "SELECT lease_id FROM attempt WHERE ended_at IS NULL AND supervisor = :supervisor"


class SqlGateway:
    """Implements :class:`windlass.ports.Gateway`."""

    def __init__(self, database: Database, specs: Specs | None = None, credentials: Credentials | None = None) -> None:
        self._database = database
        self._specs = specs or Specs(database)
        self._endings = Endings(database, self._specs)
        self._claiming = Claiming(database)
        self._callbacks = Callbacks(database, self._specs)
        self._questions = Questions(database)
        self._calls = Calls(database, self._specs, credentials)
        self._waits = Waits(database)
        self._held: dict[str, Held] = {}

    # --- Beginning and living

    def claim(self, claims: Sequence[Claim], supervisor: str) -> list[Claimed | None]:
        """Move each ``queued`` instance to ``running`` if epoch and ticket still hold; None is a conflict."""
        tasks = [claim for claim in claims if claim.kind is WorkloadKind.TASK]
        granted = self._claim_tasks(tasks, supervisor)
        if len(tasks) == len(claims):
            return granted
        answers = iter(granted)
        return [next(answers) if claim.kind is WorkloadKind.TASK else self._claim_other(claim) for claim in claims]

    def _claim_other(self, claim: Claim) -> Claimed | None:
        """Claim what is no task instance's attempt: a callback, or a question to a timetable."""
        if claim.kind is WorkloadKind.TIMETABLE:
            return self._questions.claim(claim)
        leased = self._callbacks.claim(claim)
        if leased is None:
            return None
        claimed, self._held[claimed.lease_id] = leased
        return claimed

    def _claim_tasks(self, claims: Sequence[Claim], supervisor: str) -> list[Claimed | None]:
        candidates = self._candidates(claims)
        present = [c for c in candidates if c is not None]
        granted = self._database.write(*self._claiming.granting(present, supervisor)) if present else {}
        return self._claimed(claims, candidates, granted)

    def _candidates(self, claims: Sequence[Claim]) -> list[Candidate | None]:
        return [self._runnable(candidate) for candidate in self._claiming.candidates(claims)]

    def _claimed(
        self, claims: Sequence[Claim], candidates: Sequence[Candidate | None], granted: Mapping[str, str]
    ) -> list[Claimed | None]:
        """Return the answers to ``claims``, and keep what the reports of what was granted will need."""
        result: list[Claimed | None] = []
        for claim, candidate in zip(claims, candidates, strict=True):
            lease = granted.get(claim.ticket) if candidate is not None else None
            if candidate is None or lease is None:
                result.append(None)
                continue
            self._held[lease] = candidate.held(lease)
            spec = self._specs.get(candidate.run.dag_id, candidate.run.spec_version)
            result.append(candidate.claimed(lease, spec))
        return result

    def _runnable(self, candidate: Candidate | None) -> Candidate | None:
        """Return the candidate if its DAG can be read; else its claim is refused, and those of others go on."""
        if candidate is None:
            return None
        try:
            self._specs.get(candidate.run.dag_id, candidate.run.spec_version)
        except (SpecError, DagNotFound) as error:
            log.error("a task of run %s cannot start: %s", candidate.run.run_id, error)  # noqa: TRY400 - a sentence
            return None
        return candidate

    def heartbeat(self, leases: Sequence[str], supervisor: str) -> list[StopRequest]:
        """Renew the leases and return what must stop now."""
        if not leases:
            return []
        names = {"leases": to_json(list(leases))}
        until = self._database.now() + int(LEASE * SECOND)

        def work(transaction: Transaction) -> None:
            transaction.send(_RENEW, [{**names, "until": until, "supervisor": supervisor}])

        self._database.write(work)
        stops: list[StopRequest] = []
        known: set[str] = set()
        for lease, task, run, kind, who, ended_at, holder in self._database.rows(_STATES, names):
            known.add(lease)
            if ended_at is not None or holder != lease:
                stops.append(StopRequest(task=task, run=run, lease_id=lease, kind=StopKind.CLEAR, actor="lease lost"))
            elif kind is not None:
                stops.append(StopRequest(task=task, run=run, lease_id=lease, kind=StopKind(kind), actor=who or ""))
        unknown = [lease for lease in leases if lease not in known]
        if unknown:
            others = self._callbacks.renew(unknown) | self._questions.renew(unknown)
            unknown = [lease for lease in unknown if lease not in others]
        return stops + [
            StopRequest(task=0, run=0, lease_id=u, kind=StopKind.CLEAR, actor="lease lost") for u in unknown
        ]

    # --- Ending

    def exchange(
        self, reports: Sequence[Report], claims: Sequence[Claim], supervisor: str
    ) -> tuple[list[bool], list[Claimed | None]]:
        """Report and claim at once: one commit, and one wait for the disk, instead of two."""
        task = WorkloadKind.TASK
        if any(report.kind is not task for report in reports) or any(claim.kind is not task for claim in claims):
            return self.report(reports, supervisor), self.claim(claims, supervisor)
        ending = self._reporting(reports)
        candidates = self._candidates(claims)
        beginning = self._claiming.granting([c for c in candidates if c is not None], supervisor)
        written, granted = self._database.write(
            lambda transaction: (ending.straight(transaction), beginning.straight(transaction)),
            lambda transaction: (ending.otherwise(transaction), beginning.otherwise(transaction)),
        )
        self._forget(reports)
        return written, self._claimed(claims, candidates, granted)

    def report(self, reports: Sequence[Report], supervisor: str) -> list[bool]:
        """Write the ends of attempts, each in its own right; False is a conflict."""
        tasks = [report for report in reports if report.kind is WorkloadKind.TASK]
        written = self._report_tasks(tasks)
        if len(tasks) == len(reports):
            return written
        answers = iter(written)
        return [next(answers) if report.kind is WorkloadKind.TASK else self._report_other(report) for report in reports]

    def _report_other(self, report: Report) -> bool:
        self._held.pop(report.lease_id, None)
        if report.kind is WorkloadKind.TIMETABLE:
            return self._questions.report(report)
        return self._callbacks.report(report)

    def _report_tasks(self, reports: Sequence[Report]) -> list[bool]:
        if not reports:
            return []
        written = self._database.write(*self._reporting(reports))
        self._forget(reports)
        return written

    def _forget(self, reports: Sequence[Report]) -> None:
        for report in reports:
            self._held.pop(report.lease_id, None)

    def _reporting(self, reports: Sequence[Report]) -> Ways[list[bool]]:
        """Return how to write ``reports``; the answers are whether each holds."""
        now = self._database.now()
        missing = [r.lease_id for r in reports if r.lease_id not in self._held]
        if missing:
            self._held.update(self._endings.held(missing))
        closings = [self._decide(report, now) for report in reports]
        decided = [c for c in closings if c is not None]

        def straight(transaction: Transaction) -> list[bool]:
            write_endings(transaction, decided, now)
            return [True] * len(reports)

        def each(transaction: Transaction) -> list[bool]:
            return [self._report_one(transaction, report, now) for report in reports]

        return Ways(straight if len(decided) == len(reports) else each, each)

    def _decide(self, report: Report, now: int) -> Closing | None:
        held = self._held.get(report.lease_id)
        if held is None or held.epoch != report.epoch or held.task != report.task:
            return None
        return self._endings.decide(held, report, now)

    def _report_one(self, transaction: Transaction, report: Report, now: int) -> bool:
        """Write one report on what is true now; True as well if it was written before."""
        held = self._endings.held([report.lease_id], transaction).get(report.lease_id)
        if held is None or held.epoch != report.epoch or held.task != report.task:
            return transitions.is_done(transaction, report.op_id)
        if report.early and is_overruled(held, report):
            return False
        closing = self._endings.decide(held, report, now, knows_stop=True)
        write_endings(transaction, [closing], now)
        return True

    def recover(self, supervisor: str) -> int:
        """Close every open lease of this supervisor id as lost. Return how many."""
        leases = [row[0] for row in self._database.rows(_OPEN_OF, {"supervisor": supervisor})]
        reason = "lost: its supervisor died"
        return close_lost(self._database, self._endings, leases, reason, self._database.now())

    # --- Deferred

    def waits(self, known: Sequence[WaitKey], supervisor: str) -> WaitChanges:
        """Take the live waits that nobody holds, renew the own ones, and return what differs from ``known``."""
        return self._waits.changes(known, supervisor)

    def fire(self, fired: Sequence[Fired], supervisor: str) -> list[bool]:
        """Resume task instances whose waits are live, each in its own right; False: the wait had ended otherwise."""
        return self._waits.fire(fired)

    def answer(self, wait: WaitKey, query: Query) -> Any:  # noqa: ANN401 - rows
        """Answer what a trigger asks about runs and task states."""
        return self._waits.answer(wait, query)

    # --- Between

    def call(self, lease_id: str, verb: Verb) -> Any:  # noqa: ANN401 - what each verb answers with
        """Answer one question of a running attempt."""
        held = self._held.get(lease_id)
        if held is None:
            self._held.update(self._endings.held([lease_id]))
            held = self._held.get(lease_id)
        return self._calls.answer(lease_id, held, verb)
