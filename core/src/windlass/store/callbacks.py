"""Callbacks at their supervisor: claimed, kept alive and ended as attempts are, over rows of the outbox.

``events`` takes a row for a minute and sends it as a workload whose ticket names both. The supervisor's claim turns
that hold into a lease of its own, which heartbeats renew; whoever dies in between leaves the row to be taken again. A
callback that ended well is delivered; any other end counts as a failure, and the row is called again until it has
failed too often. No task instance changes, and none need exist: the callback of a run has no task.
"""

# ruff: noqa: S608 - statements are put together from constants; values are always parameters

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from windlass.planning.attempts import callback_context
from windlass.ports import Claim, Claimed, Report, RunFacts, TaskFacts
from windlass.protocol import Finish, Outcome
from windlass.store.database import Database, Row
from windlass.store.endings import Held
from windlass.store.facts import RUN_COLUMNS, TASK_COLUMNS, columns_of, run_facts, task_facts, to_json
from windlass.store.instants import SECOND
from windlass.store.outbox import Outbox, holder_of
from windlass.store.reaping import LEASE
from windlass.store.specs import Specs

#: Seconds that one row's callbacks may take together.
TIMEOUT: Final = 300.0

_RUN_WIDTH: Final = len(RUN_COLUMNS.split(","))
_READ: Final = (
    f"SELECT o.event, o.reason, o.try_number, {columns_of('r', RUN_COLUMNS)}, {columns_of('t', TASK_COLUMNS)}"
    " FROM outbox o JOIN run r ON r.id = o.run LEFT JOIN ti t ON t.id = o.ti_id"
    " WHERE o.id = :id AND o.claimed_by = :by AND o.delivered_at IS NULL"
)
_LEASE: Final = (
    "UPDATE outbox SET claimed_by = :lease, claimed_until = :until"
    " WHERE id = :id AND claimed_by = :by AND delivered_at IS NULL"
)
_PENDING: Final = "consumer = '' AND delivered_at IS NULL AND claimed_by IN NAMES(:leases)"
_RENEW: Final = f"UPDATE outbox SET claimed_until = :until WHERE {_PENDING}"
_OURS: Final = f"SELECT claimed_by FROM outbox WHERE {_PENDING}"


class _Owed(msgspec.Struct):
    """A callback that may be claimed."""

    event: str
    reason: str
    run: RunFacts
    task: TaskFacts | None


class Callbacks:
    """A supervisor's view of the callbacks."""

    def __init__(self, database: Database, specs: Specs) -> None:
        self._database = database
        self._specs = specs
        self._outbox = Outbox(database)

    def claim(self, claim: Claim) -> tuple[Claimed, Held] | None:
        """Lease the callback to its supervisor; None if somebody else has it, or nobody can call it any more."""
        by = holder_of(claim.ticket)
        row = self._database.row(_READ, {"id": claim.task, "by": by})
        if row is None:
            return None
        owed = _owed(row)
        spec = self._specs.get(owed.run.dag_id, owed.run.spec_version)
        if owed.task is not None and owed.task.task_id not in spec.by_id:
            self._outbox.failed(claim.task, by)  # the run was moved to a version without the task
            return None
        lease = self._database.rng.token()
        until = self._database.now() + int(LEASE * SECOND)
        values = {"id": claim.task, "by": by, "lease": lease, "until": until}
        if self._database.write(lambda transaction: transaction.run(_LEASE, values)) != 1:
            return None
        context = callback_context(owed.run, spec, owed.task, lease_id=lease, event=owed.event, reason=owed.reason)
        claimed = Claimed(
            task=claim.task,
            lease_id=lease,
            context=context,
            execution_timeout=TIMEOUT,
            log_path=context.log_path or "",
        )
        return claimed, _held(owed, lease)

    def renew(self, leases: Sequence[str]) -> set[str]:
        """Renew those of ``leases`` that are of callbacks and still held; return them."""
        values = {"leases": to_json(list(leases)), "until": self._database.now() + int(LEASE * SECOND)}
        if self._database.write(lambda transaction: transaction.run(_RENEW, values)) == 0:
            return set()
        return {row[0] for row in self._database.rows(_OURS, values)}

    def report(self, report: Report) -> bool:
        """Note that a callback was called, or was not; False if the lease had ended."""
        done = report.ending
        if isinstance(done, Finish) and done.outcome is Outcome.SUCCESS:
            return self._outbox.delivered([report.task], report.lease_id) == 1
        return self._outbox.failed(report.task, report.lease_id)


def _owed(row: Row) -> _Owed:
    event, reason, try_number, *rest = row
    task = None
    if rest[_RUN_WIDTH] is not None:
        # The instance may have gone on to another try since.
        task = msgspec.structs.replace(task_facts(tuple(rest[_RUN_WIDTH:])), try_number=try_number)
    return _Owed(event, reason, run_facts(tuple(rest[:_RUN_WIDTH])), task)


def _held(owed: _Owed, lease: str) -> Held:
    """Return what questions of the callback are answered by; it holds no task instance, so it may write nothing."""
    run, task = owed.run, owed.task
    return Held(
        lease_id=lease,
        task=task.id if task is not None else 0,
        run=run.id,
        dag_id=run.dag_id,
        run_id=run.run_id,
        task_id=task.task_id if task is not None else "",
        map_index=task.map_index if task is not None else -1,
        try_number=task.try_number if task is not None else 0,
        max_tries=task.max_tries if task is not None else 0,
        epoch=task.epoch if task is not None else 0,
        spec_version=run.spec_version,
        callbacks="",
        continues=0,
    )
