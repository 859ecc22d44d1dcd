"""Backfills as people command and see them: recorded, listed, cancelled. ``filling`` is the scheduler's side.

A backfill is created with nothing but its row and a signal; its runs are made by the scheduler. Cancelling ends the
runs of it that wait for their start, in the transaction that forbids new ones; those that run go on to their end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from windlass.errors import Conflict, DagNotFound, NotFound
from windlass.ports import BackfillFacts, NewBackfill, Reprocess, SignalKind
from windlass.states import RunState
from windlass.store import transitions
from windlass.store.commands import Step
from windlass.store.database import Database, Row, Transaction
from windlass.store.facts import run_state, to_dict, to_json
from windlass.store.idempotency import once
from windlass.store.instants import instant, micros
from windlass.store.queries import Page, decode_cursor, encode_cursor
from windlass.store.questions import forget_questions

BACKFILL: Final = (
    "SELECT id, dag_id, from_date, to_date, max_active_runs, reprocess, backwards, task_regex, conf, created_by,"
    " created_at, cancelled_at, completed_at, spec_version, code_version, intervals, dealt, reached,"
    " (SELECT COUNT(*) FROM run WHERE run.backfill_id = backfill.id AND run.state IN ('queued','running'))"
    " FROM backfill"
)
_INSERT: Final = (
    "INSERT INTO backfill (dag_id, from_date, to_date, max_active_runs, reprocess, backwards, task_regex, conf,"
    " created_by, created_at, spec_version, code_version, intervals)"
    " VALUES (:dag_id, :from_date, :to_date, :max_active_runs, :reprocess, :backwards, :task_regex, :conf,"
    " :created_by, :created_at, :spec_version, :code_version, :intervals)"
)
#: Locked, so that of two backfills that are created at once the second sees the first.
_STALE: Final = "SELECT stale, file FROM dag WHERE dag_id = :dag_id FOR_UPDATE"
_OVERLAPPING: Final = (
    "SELECT id FROM backfill WHERE dag_id = :dag_id AND completed_at IS NULL AND cancelled_at IS NULL"
    " AND from_date <= :to_date AND to_date >= :from_date LIMIT 1"
)
_CANCEL: Final = (
    "UPDATE backfill SET cancelled_at = :now WHERE id = :id AND cancelled_at IS NULL AND completed_at IS NULL"
)
_WAITING: Final = (
    "SELECT id, state, dag_id, spec_version FROM run WHERE backfill_id = :id AND state = 'queued'"
    " ORDER BY id FOR_UPDATE"
)
#: Who completes a backfill, reopens or cancels it takes this first: what they judge by stands in other tables.
LOCK: Final = "SELECT 1 FROM backfill WHERE id = :id FOR_UPDATE"
_TASKS: Final = "SELECT id, run, task_id, state, epoch FROM ti WHERE run = :run ORDER BY id FOR_UPDATE"
COMPLETE: Final = (
    "UPDATE backfill SET completed_at = :now WHERE id = :id AND completed_at IS NULL"
    " AND (cancelled_at IS NOT NULL OR dealt >= intervals) AND NOT EXISTS"
    " (SELECT 1 FROM run WHERE run.backfill_id = :id AND run.state IN ('queued','running'))"
)
_COUNTS: Final = (
    "SELECT backfill_id, state, COUNT(*) FROM run WHERE backfill_id IN IDS(:ids) GROUP BY backfill_id, state"
)


class Cancelled(msgspec.Struct, frozen=True, kw_only=True):
    """What a cancel did: how many waiting runs it ended, and how many running ones go on."""

    ended: int
    running: int


class Backfills:
    """Commands and queries about backfills."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, new: NewBackfill, *, key: str | None = None) -> BackfillFacts:
        """Record a backfill.

        Raises:
            DagNotFound: there is no such DAG.
            Conflict: the DAG is in no file, or another backfill of it is filling some of these dates.
        """
        values = _values(new)

        def work(transaction: Transaction) -> BackfillFacts:
            _check(transaction, new, values)
            number = transaction.insert(_INSERT, values)
            transitions.signal(transaction, SignalKind.BACKFILL, dag_id=new.dag_id)
            return backfill_facts(transaction.rows(f"{BACKFILL} WHERE id = :id", {"id": number})[0])

        # Of a repeated command only the clock differs, and what was counted by it.
        request = [value for name, value in values.items() if name not in {"created_at", "intervals"}]
        return self._database.write(
            lambda t: once(t, key, "create_backfill", request, lambda: work(t), BackfillFacts, self._database.now())
        )

    def cancel(self, backfill: int, *, who: str, key: str | None = None) -> Cancelled:
        """End a backfill: its waiting runs now, its running ones by themselves. Repeating it is harmless.

        Raises:
            NotFound: there is no such backfill.
            Conflict: it is completed.
        """

        def work(transaction: Transaction) -> Cancelled:
            return _cancel(self._database, transaction, backfill, who)

        return self._database.write(
            lambda t: once(t, key, "cancel_backfill", [backfill], lambda: work(t), Cancelled, self._database.now())
        )

    def get(self, backfill: int) -> BackfillFacts:
        """Return one backfill.

        Raises:
            NotFound: there is none.
        """
        row = self._database.row(f"{BACKFILL} WHERE id = :id", {"id": backfill})
        if row is None:
            raise _unknown(backfill)
        return backfill_facts(row)

    def list(self, dag_id: str | None = None, *, after: str | None = None, limit: int = 100) -> Page[BackfillFacts]:
        """Return backfills, newest first."""
        conditions, values = ["1 = 1"], dict[str, Any](limit=limit + 1)
        if dag_id is not None:
            conditions.append("dag_id = :dag_id")
            values["dag_id"] = dag_id
        if after is not None:
            conditions.append("id < :last")
            values["last"] = decode_cursor(after, int)
        sql = f"{BACKFILL} WHERE {' AND '.join(conditions)} ORDER BY id DESC LIMIT :limit"
        rows = self._database.rows(sql, values)
        items = tuple(backfill_facts(row) for row in rows[:limit])
        return Page(items, encode_cursor(items[-1].id) if len(rows) > limit else None)

    def run_counts(self, backfills: Sequence[int]) -> dict[int, dict[RunState, int]]:
        """Return how many runs of these backfills are in which state."""
        counts: dict[int, dict[RunState, int]] = {backfill: {} for backfill in backfills}
        for backfill, state, count in self._database.rows(_COUNTS, {"ids": to_json([*backfills])}):
            counts[backfill][run_state(state)] = count
        return counts


def _check(transaction: Transaction, new: NewBackfill, values: dict[str, Any]) -> None:
    dag = transaction.row(_STALE, {"dag_id": new.dag_id})
    if dag is None:
        raise DagNotFound(f"DAG {new.dag_id!r} is not known; `windlass dags list` shows what is")
    if dag[0]:
        raise Conflict(f"DAG {new.dag_id!r} is no longer in any file; put {dag[1]} back first")
    bounds = {name: values[name] for name in ("dag_id", "from_date", "to_date")}
    other = transaction.row(_OVERLAPPING, bounds)
    if other is not None:
        raise Conflict(
            f"backfill {other[0]} of DAG {new.dag_id!r} is filling some of these dates already; wait for it "
            f"(`windlass backfill show {other[0]}`) or end it (`windlass backfill cancel {other[0]}`)"
        )


def _cancel(database: Database, transaction: Transaction, backfill: int, who: str) -> Cancelled:
    now = database.now()
    transaction.lock(LOCK, {"id": backfill})
    row = transaction.row(f"{BACKFILL} WHERE id = :id", {"id": backfill})
    if row is None:
        raise _unknown(backfill)
    facts = backfill_facts(row)
    if facts.cancelled_at is None and facts.completed_at is not None:
        raise Conflict(f"backfill {backfill} is completed; there is nothing left to cancel")
    transaction.run(_CANCEL, {"id": backfill, "now": now})
    waiting = transaction.rows(_WAITING, {"id": backfill})
    for run in waiting:
        step = Step(database, transaction, who)
        reason = f"backfill {backfill} was cancelled by {who}"
        step.mark_all(transaction.rows(_TASKS, {"run": run[0]}), RunState.FAILED, reason=reason)
        step.finish(run, RunState.FAILED, reason=reason)
    transaction.run(COMPLETE, {"id": backfill, "now": now})
    forget_questions(transaction, -backfill)
    transitions.signal(transaction, SignalKind.BACKFILL, dag_id=facts.dag_id)
    return Cancelled(ended=len(waiting), running=facts.open_runs - len(waiting))


def _unknown(backfill: int) -> NotFound:
    return NotFound(f"there is no backfill {backfill}; `windlass backfill list` shows all")


def _values(new: NewBackfill) -> dict[str, Any]:
    return {
        "dag_id": new.dag_id,
        "from_date": micros(new.from_date),
        "to_date": micros(new.to_date),
        "max_active_runs": new.max_active_runs,
        "reprocess": new.reprocess.value,
        "backwards": int(new.backwards),
        "task_regex": new.task_regex,
        "conf": to_json(new.conf),
        "created_by": new.created_by,
        "created_at": micros(new.created_at),
        "spec_version": new.spec_version,
        "code_version": new.code_version,
        "intervals": new.intervals,
    }


def backfill_facts(row: Row) -> BackfillFacts:
    """Return the struct of a row of :data:`BACKFILL`."""
    return BackfillFacts(
        id=row[0],
        dag_id=row[1],
        from_date=instant(row[2]),
        to_date=instant(row[3]),
        max_active_runs=row[4],
        reprocess=Reprocess(row[5]),
        backwards=bool(row[6]),
        task_regex=row[7],
        conf=to_dict(row[8]),
        created_by=row[9],
        created_at=instant(row[10]),
        cancelled_at=instant(row[11]),
        completed_at=instant(row[12]),
        spec_version=row[13],
        code_version=row[14],
        intervals=row[15],
        dealt=row[16],
        reached=instant(row[17]),
        open_runs=row[18],
    )
