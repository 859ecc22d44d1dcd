"""Claims: from ``queued`` to ``running``, with a fresh lease, an open attempt and everything the child must know."""

# ruff: noqa: S608 - statements are put together from constants; values are always parameters

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from windlass.planning.attempts import Resumption, attempt_context
from windlass.ports import Claim, Claimed, RunFacts, TaskFacts
from windlass.spec import DagSpec
from windlass.states import Actor, TaskState
from windlass.store import transitions, xcoms
from windlass.store.database import Database, Row, Transaction, Ways
from windlass.store.endings import Held, decode_value
from windlass.store.facts import RUN_COLUMNS, TASK_COLUMNS, columns_of, run_facts, task_facts, to_json
from windlass.store.instants import SECOND, instant
from windlass.store.reaping import LEASE
from windlass.store.transitions import Values

_TASK_WIDTH: Final = len(TASK_COLUMNS.split(","))
#: Between the columns of the task instance and those of its run stand four more of the former.
_RUN_AT: Final = _TASK_WIDTH + 4
_CANDIDATES: Final = (
    f"SELECT {columns_of('t', TASK_COLUMNS)}, t.clears, t.continues, t.first_poke, t.callbacks,"
    f" {columns_of('r', RUN_COLUMNS)} FROM ti t JOIN run r ON r.id = t.run WHERE t.id IN IDS(:ids)"
)
_COUNTS: Final = (
    "SELECT t.id, (SELECT COUNT(*) FROM ti s WHERE s.run = t.run AND s.task_id = t.task_id AND s.state <> 'removed')"
    " FROM ti t WHERE t.id IN IDS(:ids)"
)
_WAITS: Final = "SELECT ti_id, method, resume_kwargs, event, failure FROM trigger_wait WHERE ti_id IN IDS(:ids)"
_CLAIM: Final = (
    "UPDATE ti SET state = 'running', lease_id = :lease, end_date = NULL, duration_us = NULL,"
    " start_date = CASE WHEN continues = 1 THEN start_date ELSE :now END"
    " WHERE id = :task AND state = 'queued' AND epoch = :epoch AND ticket = :ticket AND lease_id IS NULL"
)
_ATTEMPT: Final = (
    "INSERT INTO attempt (lease_id, ti_id, epoch, try_number, supervisor, hostname, pid, lease_until, claimed_at)"
    " VALUES (:lease, :task, :epoch, :try_number, :supervisor, :hostname, :pid, :until, :now)"
)
_SAME: Final = (
    "SELECT a.lease_id FROM attempt a JOIN ti t ON t.id = a.ti_id AND t.lease_id = a.lease_id"
    " WHERE a.ti_id = :task AND a.epoch = :epoch AND a.ended_at IS NULL AND a.supervisor = :supervisor"
    " AND a.hostname = :hostname AND a.pid = :pid AND t.ticket = :ticket"
)


class Candidate(msgspec.Struct, kw_only=True):
    """A claim with what was read about its task instance and run. Nothing of it is trusted but by the guard."""

    claim: Claim
    task: TaskFacts
    run: RunFacts
    clears: int
    continues: int
    first_poke: int | None
    callbacks: str
    mapped_count: int | None = None
    #: The deferral that this attempt goes on after.
    resume: Resumption | None = None

    @property
    def may_have_xcoms(self) -> bool:
        """Whether an earlier try can have left XComs that this attempt must not see."""
        return not self.continues and (self.task.try_number > 1 or self.clears > 0)

    def held(self, lease: str) -> Held:
        """Return what stays true while ``lease`` holds the task instance."""
        return Held(
            lease_id=lease,
            task=self.task.id,
            run=self.run.id,
            dag_id=self.run.dag_id,
            run_id=self.run.run_id,
            task_id=self.task.task_id,
            map_index=self.task.map_index,
            try_number=self.task.try_number,
            max_tries=self.task.max_tries,
            epoch=self.claim.epoch,
            spec_version=self.run.spec_version,
            callbacks=self.callbacks,
            continues=self.continues,
        )

    def claimed(self, lease: str, spec: DagSpec) -> Claimed:
        """Return the answer to the claim."""
        context = attempt_context(
            self.run,
            spec,
            self.task,
            lease_id=lease,
            clears=self.clears,
            mapped_count=self.mapped_count,
            first_poke=instant(self.first_poke),
            resume=self.resume,
        )
        return Claimed(
            task=self.task.id,
            lease_id=lease,
            context=context,
            execution_timeout=spec.by_id[self.task.task_id].execution_timeout,
            log_path=context.log_path or "",
        )


class Claiming:
    """Reads candidates outside the transaction, grants them inside."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def candidates(self, claims: Sequence[Claim]) -> list[Candidate | None]:
        """Return what each claim is about; None where there is no such task instance or it has moved on."""
        if not claims:
            return []
        rows = {row[0]: row for row in self._database.rows(_CANDIDATES, {"ids": to_json([c.task for c in claims])})}
        runs: dict[int, RunFacts] = {}  # each is read once, however many tasks of it are claimed together
        found = [_candidate(claim, rows.get(claim.task), runs) for claim in claims]
        present = [c for c in found if c is not None]
        self._add_counts([c for c in present if c.task.map_index >= 0])
        self._add_resumptions([c for c in present if c.continues])
        return found

    def granting(self, candidates: Sequence[Candidate], supervisor: str) -> Ways[dict[str, str]]:
        """Return how to write the claims; the answer is the lease of each ticket that was granted."""
        now = self._database.now()
        values = [self._values(c, supervisor, now) for c in candidates]

        def straight(transaction: Transaction) -> dict[str, str]:
            transaction.each(_CLAIM, values)
            _write(transaction, candidates, values)
            return {v["ticket"]: v["lease"] for v in values}

        return Ways(straight, lambda transaction: _grant_each(transaction, candidates, values))

    def _values(self, candidate: Candidate, supervisor: str, now: int) -> Values:
        claim = candidate.claim
        return {
            "task": claim.task,
            "epoch": claim.epoch,
            "ticket": claim.ticket,
            "pid": claim.pid,
            "hostname": claim.hostname,
            "supervisor": supervisor,
            "lease": self._database.rng.key(),
            "try_number": candidate.task.try_number,
            "now": now,
            "until": now + int(LEASE * SECOND),
        }

    def _add_counts(self, mapped: Sequence[Candidate]) -> None:
        if not mapped:
            return
        counts: dict[int, int] = dict(self._database.rows(_COUNTS, {"ids": to_json([c.claim.task for c in mapped])}))
        for candidate in mapped:
            candidate.mapped_count = counts.get(candidate.claim.task)

    def _add_resumptions(self, continuing: Sequence[Candidate]) -> None:
        if not continuing:
            return
        rows = self._database.rows(_WAITS, {"ids": to_json([c.claim.task for c in continuing])})
        waits = {
            task: Resumption(method=method, kwargs=decode_value(kwargs), event=decode_value(event), failure=failure)
            for task, method, kwargs, event, failure in rows
        }
        for candidate in continuing:
            candidate.resume = waits.get(candidate.claim.task)


def _candidate(claim: Claim, row: Row | None, runs: dict[int, RunFacts]) -> Candidate | None:
    if row is None:
        return None
    task = task_facts(row[:_TASK_WIDTH])
    if task.epoch != claim.epoch:
        return None
    clears, continues, first_poke, callbacks = row[_TASK_WIDTH:_RUN_AT]
    if task.run not in runs:
        runs[task.run] = run_facts(row[_RUN_AT:])
    return Candidate(
        claim=claim,
        task=task,
        run=runs[task.run],
        clears=clears,
        continues=continues,
        first_poke=first_poke,
        callbacks=callbacks,
    )


def _write(transaction: Transaction, candidates: Sequence[Candidate], values: Sequence[Values]) -> None:
    """Write what follows from claims that hold, each kind of statement once."""
    transaction.send(_ATTEMPT, values)
    transitions.write(transaction, [_audit(v) for v in values])
    wiped = [c.claim.task for c in candidates if c.may_have_xcoms]
    if wiped:
        xcoms.wipe(transaction, wiped)


def _grant_each(transaction: Transaction, candidates: Sequence[Candidate], values: Sequence[Values]) -> dict[str, str]:
    """Grant claims one by one. One whose answer was lost finds its own open attempt and gets the same lease again."""
    granted: dict[str, str] = {}
    for candidate, row in zip(candidates, values, strict=True):
        if transaction.run(_CLAIM, row) == 1:
            _write(transaction, [candidate], [row])
            granted[row["ticket"]] = row["lease"]
        elif (same := transaction.row(_SAME, row)) is not None:
            granted[row["ticket"]] = same[0]
    return granted


def _audit(values: Values) -> Values:
    return transitions.audit(
        values["task"],
        TaskState.QUEUED,
        TaskState.RUNNING,
        Actor.TASK,
        epoch=values["epoch"],
        op_id=f"claim:{values['ticket']}",
        reason="",
        now=values["now"],
    )
