"""Claims: from ``queued`` to ``running``, with a fresh lease, an open attempt and everything the child must know."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import msgspec

from windlass.ports import Claim
from windlass.protocol import AttemptContext
from windlass.spec import DagSpec
from windlass.states import Actor, TaskState
from windlass.store import transitions, xcoms
from windlass.store.database import Database, Row, Transaction
from windlass.store.endings import Held, decode_value
from windlass.store.facts import to_dict, to_json
from windlass.store.instants import SECOND, instant
from windlass.store.reaping import LEASE
from windlass.store.specs import Specs
from windlass.store.transitions import Values

_CANDIDATES: Final = (
    "SELECT t.id, t.run, t.task_id, t.map_index, t.epoch, t.try_number, t.max_tries, t.clears, t.continues, t.first_poke,"
    " t.callbacks, r.dag_id, r.run_id, r.run_type, r.logical_date, r.interval_start, r.interval_end, r.run_after,"
    " r.queued_at, r.start_date, r.conf, r.spec_version"
    " FROM ti t JOIN run r ON r.id = t.run WHERE t.id IN IDS(:ids)"
)
_COUNTS: Final = (
    "SELECT t.id, (SELECT COUNT(*) FROM ti s WHERE s.run = t.run AND s.task_id = t.task_id AND s.state <> 'removed')"
    " FROM ti t WHERE t.id IN IDS(:ids)"
)
_WAITS: Final = "SELECT ti_id, method, resume_kwargs, event FROM trigger_wait WHERE ti_id IN IDS(:ids)"
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


class _Mismatch(Exception):  # noqa: N818 - control flow inside this module
    """A guard found fewer rows than there are claims."""


class Candidate(msgspec.Struct, kw_only=True):
    """A claim with what was read about its task instance and run. Nothing of it is trusted but by the guard."""

    claim: Claim
    run: int
    task_id: str
    map_index: int
    try_number: int
    max_tries: int
    clears: int
    continues: int
    first_poke: int | None
    callbacks: str
    dag_id: str
    run_id: str
    spec_version: str
    #: run_type, logical_date, interval_start, interval_end, run_after, queued_at, start_date, conf
    about_run: Row
    mapped_count: int | None = None
    #: method, kwargs, event
    resume: Row | None = None

    @property
    def may_have_xcoms(self) -> bool:
        """Whether an earlier try can have left XComs that this attempt must not see."""
        return not self.continues and (self.try_number > 1 or self.clears > 0)

    @property
    def log_path(self) -> str:
        """The file of this try's log, below the log folder. Ids are hostile: each is one quoted part."""
        parts = [f"dag_id={_part(self.dag_id)}", f"run_id={_part(self.run_id)}", f"task_id={_part(self.task_id)}"]
        if self.map_index >= 0:
            parts.append(f"map_index={self.map_index}")
        return "/".join([*parts, f"attempt={self.try_number}.log"])

    def held(self, lease: str) -> Held:
        """Return what stays true while ``lease`` holds the task instance."""
        return Held(
            lease_id=lease,
            task=self.claim.task,
            run=self.run,
            dag_id=self.dag_id,
            run_id=self.run_id,
            task_id=self.task_id,
            map_index=self.map_index,
            try_number=self.try_number,
            max_tries=self.max_tries,
            epoch=self.claim.epoch,
            spec_version=self.spec_version,
            callbacks=self.callbacks,
            continues=self.continues,
        )

    def context(self, lease: str, spec: DagSpec) -> AttemptContext:
        """Return what the child must know."""
        run_type, logical_date, start, end, run_after, queued_at, run_start, conf = self.about_run
        values = to_dict(conf)
        method, kwargs, event = self.resume or (None, None, None)
        return AttemptContext(
            dag_id=self.dag_id,
            run_id=self.run_id,
            task_id=self.task_id,
            map_index=self.map_index,
            try_number=self.try_number,
            max_tries=self.max_tries,
            epoch=self.claim.epoch,
            lease_id=lease,
            run_type=run_type,
            logical_date=instant(logical_date),
            data_interval_start=instant(start),
            data_interval_end=instant(end),
            run_after=instant(run_after),
            queued_at=instant(queued_at),
            run_start_date=instant(run_start),
            conf=values,
            params=params_of(spec, self.task_id, values),
            idempotency_key=self._idempotency_key(),
            mapped_count=self.mapped_count,
            first_poke=instant(self.first_poke),
            resume_method=method,
            resume_kwargs=decode_value(kwargs),
            resume_event=decode_value(event),
            log_path=self.log_path,
        )

    def _idempotency_key(self) -> str:
        parts = (self.dag_id, self.run_id, self.task_id, str(self.map_index), str(self.clears))
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


class Claiming:
    """Reads candidates outside the transaction, grants them inside."""

    def __init__(self, database: Database, specs: Specs) -> None:
        self._database = database
        self._specs = specs

    def candidates(self, claims: Sequence[Claim]) -> list[Candidate | None]:
        """Return what each claim is about; None where there is no such task instance or it has moved on."""
        if not claims:
            return []
        rows = {row[0]: row for row in self._database.rows(_CANDIDATES, {"ids": to_json([c.task for c in claims])})}
        found = [_candidate(claim, rows.get(claim.task)) for claim in claims]
        present = [c for c in found if c is not None]
        self._add_counts([c for c in present if c.map_index >= 0])
        self._add_resumptions([c for c in present if c.continues])
        return found

    def grant(self, candidates: Sequence[Candidate], supervisor: str) -> dict[str, str]:
        """Write the claims; return the lease of each ticket that was granted."""
        if not candidates:
            return {}
        now = self._database.now()
        values = [self._values(c, supervisor, now) for c in candidates]

        def work(transaction: Transaction) -> dict[str, str]:
            try:
                with transaction.savepoint():
                    if not _write(transaction, candidates, values):
                        raise _Mismatch
            except _Mismatch:
                return _grant_each(transaction, candidates, values)
            return {v["ticket"]: v["lease"] for v in values}

        return self._database.write(work)

    def _values(self, candidate: Candidate, supervisor: str, now: int) -> Values:
        claim = candidate.claim
        return {
            "task": claim.task,
            "epoch": claim.epoch,
            "ticket": claim.ticket,
            "pid": claim.pid,
            "hostname": claim.hostname,
            "supervisor": supervisor,
            "lease": self._database.rng.token(),
            "try_number": candidate.try_number,
            "now": now,
            "until": now + int(LEASE * SECOND),
        }

    def _add_counts(self, mapped: Sequence[Candidate]) -> None:
        if not mapped:
            return
        counts = dict(self._database.rows(_COUNTS, {"ids": to_json([c.claim.task for c in mapped])}))
        for candidate in mapped:
            candidate.mapped_count = counts.get(candidate.claim.task)

    def _add_resumptions(self, continuing: Sequence[Candidate]) -> None:
        if not continuing:
            return
        rows = self._database.rows(_WAITS, {"ids": to_json([c.claim.task for c in continuing])})
        waits = {task: rest for task, *rest in rows}
        for candidate in continuing:
            wait = waits.get(candidate.claim.task)
            candidate.resume = None if wait is None else tuple(wait)


def params_of(spec: DagSpec, task_id: str, conf: Mapping[str, Any]) -> dict[str, Any]:
    """Return the params a task sees: the DAG's, overlaid by the task's, overlaid by the run's conf."""
    declared = dict(spec.params)
    task = spec.by_id.get(task_id)
    if task is not None:
        declared.update(task.params)
    values = {name: param.value for name, param in declared.items() if param.has_value}
    values.update({name: value for name, value in conf.items() if name in declared})
    return values


def _candidate(claim: Claim, row: Row | None) -> Candidate | None:
    if row is None or row[4] != claim.epoch:
        return None
    return Candidate(
        claim=claim,
        run=row[1],
        task_id=row[2],
        map_index=row[3],
        try_number=row[5],
        max_tries=row[6],
        clears=row[7],
        continues=row[8],
        first_poke=row[9],
        callbacks=row[10],
        dag_id=row[11],
        run_id=row[12],
        about_run=row[13:21],
        spec_version=row[21],
    )


def _write(transaction: Transaction, candidates: Sequence[Candidate], values: Sequence[Values]) -> bool:
    """Write these claims, each kind of statement once; False, and the caller must undo, if a guard found too few."""
    if transaction.many(_CLAIM, values) != len(values):
        return False
    transaction.many(_ATTEMPT, values)
    transaction.many(transitions.INSERT_TRANSITION, [_audit(v) for v in values])
    wiped = [c.claim.task for c in candidates if c.may_have_xcoms]
    if wiped:
        xcoms.wipe(transaction, wiped)
    return True


def _grant_each(
    transaction: Transaction, candidates: Sequence[Candidate], values: Sequence[Values]
) -> dict[str, str]:
    """Grant claims one by one. One whose answer was lost finds its own open attempt and gets the same lease again."""
    granted: dict[str, str] = {}
    for candidate, row in zip(candidates, values, strict=True):
        if _write(transaction, [candidate], [row]):
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


def _part(name: str) -> str:
    return quote(name, safe="")
