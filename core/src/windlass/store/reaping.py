"""Ending what is dead: leases that nobody renews, and task instances that nobody picked up.

Leases are compared with database time only. When that clock jumps forward against the monotonic one (a laptop woke up,
somebody set the date), every lease looks expired though its process may live: reaping then pauses for one lease, so
that the living can renew first. So it does, for long enough that every supervisor has tried, when nothing could be
written or nobody reaped for a while: then the living could not renew either.
"""

from __future__ import annotations

from typing import Final

from windlass.errors import StoreError
from windlass.ports import Report, SignalKind
from windlass.states import Actor, TaskState
from windlass.store import transitions
from windlass.store.database import Database, Transaction
from windlass.store.endings import Closing, Endings, write_endings
from windlass.store.facts import to_json
from windlass.store.instants import SECOND

LEASE: Final = 60.0
_JUMP: Final = 30.0
#: Seconds within which a living supervisor renews, with some to spare.
_RENEWAL: Final = 15.0

_EXPIRED: Final = (
    "SELECT lease_id FROM attempt WHERE ended_at IS NULL AND lease_until < :now ORDER BY lease_until LIMIT 500"
)
_STILL: Final = (
    "SELECT lease_id FROM attempt WHERE lease_id IN NAMES(:leases) AND ended_at IS NULL AND lease_until < :now"
    " ORDER BY lease_id FOR_UPDATE"
)
_STUCK: Final = (
    "SELECT t.id, t.run, t.epoch, r.dag_id FROM ti t JOIN run r ON r.id = t.run"
    " WHERE t.state = 'queued' AND t.queued_at < :before ORDER BY t.queued_at LIMIT 500"
)
_UNQUEUE: Final = (
    "UPDATE ti SET state = 'scheduled', ticket = NULL, queued_at = NULL"
    " WHERE id = :task AND state = 'queued' AND epoch = :epoch AND lease_id IS NULL"
)


class Reaper:
    """Remembers the clocks between calls; one per process."""

    def __init__(self, database: Database, endings: Endings) -> None:
        self._database = database
        self._endings = endings
        self._last: tuple[int, float] | None = None
        self._paused_until = 0.0

    def reap(self, queued_timeout: float) -> int:
        """End what is dead and return how many task instances changed."""
        now = self._database.now()
        if self._must_wait(now):
            return 0
        try:
            return self._reap_leases(now) + self._reap_queued(now, queued_timeout)
        except StoreError:
            self._pause(_RENEWAL)
            raise

    def _must_wait(self, now: int) -> bool:
        monotonic = self._database.clock.monotonic()
        if self._last is not None:
            passed, elapsed = (now - self._last[0]) / SECOND, monotonic - self._last[1]
            if passed - elapsed > _JUMP:
                self._pause(LEASE)
            elif elapsed > _JUMP:
                self._pause(_RENEWAL)
        self._last = (now, monotonic)
        return monotonic < self._paused_until

    def _pause(self, seconds: float) -> None:
        self._paused_until = max(self._paused_until, self._database.clock.monotonic() + seconds)

    def _reap_leases(self, now: int) -> int:
        expired = [row[0] for row in self._database.rows(_EXPIRED, {"now": now})]
        return close_lost(self._database, self._endings, expired, "lost: its lease expired", now, expired_only=True)

    def _reap_queued(self, now: int, timeout: float) -> int:
        stuck = self._database.rows(_STUCK, {"before": now - int(timeout * SECOND)})
        if not stuck:
            return 0
        reason = f"nobody picked it up within {timeout:g} s"

        def work(transaction: Transaction) -> int:
            count = 0
            for task, run, epoch, dag_id in stuck:
                if transaction.run(_UNQUEUE, {"task": task, "epoch": epoch}) != 1:
                    continue
                audit = transitions.audit(
                    task,
                    TaskState.QUEUED,
                    TaskState.SCHEDULED,
                    Actor.REAPER,
                    epoch=epoch,
                    op_id=f"unqueue:{task}:{epoch}",
                    reason=reason,
                    now=now,
                )
                transitions.write(transaction, [audit])
                transitions.signal(transaction, SignalKind.TASK, dag_id=dag_id, run=run, task=task)
                count += 1
            return count

        return self._database.write(work)


def close_lost(
    database: Database, endings: Endings, leases: list[str], reason: str, now: int, *, expired_only: bool = False
) -> int:
    """Close these leases as lost and return how many; with ``expired_only`` not those that were renewed meanwhile."""
    if not leases:
        return 0
    names = {"leases": to_json(leases)}

    def work(transaction: Transaction) -> int:
        # First the task instances, then the leases: the order in which a report takes them.
        found = endings.held(leases, transaction)
        if expired_only:
            still = {row[0] for row in transaction.rows(_STILL, {**names, "now": now})}
            found = {lease: held for lease, held in found.items() if lease in still}
        closings: list[Closing] = []
        for held in found.values():
            report = Report(
                task=held.task, lease_id=held.lease_id, epoch=held.epoch, op_id=f"lost:{held.lease_id}", lost=reason
            )
            closings.append(endings.decide(held, report, now, knows_stop=True))
        if closings:
            write_endings(transaction, closings, now)
        return len(closings)

    return database.write(work)
