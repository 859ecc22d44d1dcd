"""What people do to runs and task instances: trigger, clear, mark.

A command moves what stands still at once and only asks what runs to stop: the state of a running instance changes when
its process tree is gone. It raises the generation of every run it touches, so that no decision made before it can be
written after it, and signals the run, so that the scheduler reads it anew. The audit rows name the person.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import msgspec

from windlass.errors import RunExists, RunNotFound, UsageError
from windlass.planning.runs import make_run_id
from windlass.ports import NewRun, RunFacts, SignalKind, StopKind
from windlass.states import TERMINAL_RUN_STATES, TERMINAL_TASK_STATES, Actor, RunState, RunType, TaskState
from windlass.store import transitions
from windlass.store.changes import owe_run_callback
from windlass.store.creation import Creation
from windlass.store.database import Database, Row, Transaction
from windlass.store.facts import run_state, task_state, to_json
from windlass.store.idempotency import once
from windlass.store.instants import micros
from windlass.store.pausing import pause_after_failures
from windlass.store.pinning import DROP_WAITS, pin_to_newest
from windlass.store.selection import Selection, TaskRow, select
from windlass.store.specs import Specs

_CHOSEN: Final = "SELECT id, run, task_id, state, epoch FROM ti WHERE id IN IDS(:ids) ORDER BY id FOR_UPDATE"
_OF_RUN: Final = "SELECT id, run, task_id, state, epoch FROM ti WHERE run = :run ORDER BY id FOR_UPDATE"
#: Runs before their task instances: the order in which the scheduler locks them.
_RUNS_OF: Final = "SELECT id FROM run WHERE id IN (SELECT run FROM ti WHERE ti.id IN IDS(:ids)) ORDER BY id FOR_UPDATE"
_STOP: Final = "UPDATE ti SET stop_kind = :kind, stop_who = :who WHERE id = :task AND state = 'running'"
_CLEAR: Final = (
    "UPDATE ti SET state = 'none', max_tries = try_number + retries, clears = clears + 1, ticket = NULL,"
    " queued_at = NULL, start_date = NULL, end_date = NULL, duration_us = NULL, not_before = NULL,"
    " result_length = NULL, skip_targets = NULL, reason = NULL, continues = 0, first_poke = NULL"
    " WHERE id = :task AND state = :before AND epoch = :epoch AND lease_id IS NULL"
)
_MARK: Final = (
    "UPDATE ti SET state = :to, ticket = NULL, end_date = :now, not_before = NULL, reason = :reason, continues = 0"
    " WHERE id = :task AND state = :before AND epoch = :epoch AND lease_id IS NULL"
)
_RUN: Final = "SELECT id, state, dag_id, spec_version FROM run WHERE id = :run FOR_UPDATE"
_FIND_RUN: Final = (
    "SELECT id, state, dag_id, spec_version, run_type FROM run WHERE dag_id = :dag_id AND run_id = :run_id FOR_UPDATE"
)
_REQUEUE: Final = (
    "UPDATE run SET state = 'queued', queued_at = :now, start_date = NULL, end_date = NULL, ending = NULL,"
    " ending_reason = NULL, generation = generation + 1 WHERE id = :run AND state = :before"
)
#: A run that is open again takes back that its backfill was completed.
_ITS_BACKFILL: Final = "SELECT 1 FROM backfill WHERE id = (SELECT backfill_id FROM run WHERE id = :run) FOR_UPDATE"
_REOPEN: Final = (
    "UPDATE backfill SET completed_at = NULL"
    " WHERE id = (SELECT backfill_id FROM run WHERE id = :run) AND completed_at IS NOT NULL"
)
_TOUCH: Final = "UPDATE run SET generation = generation + 1 WHERE id = :run"
_FINISH: Final = (
    "UPDATE run SET state = :to, end_date = :now, ending = NULL, ending_reason = :reason, generation = generation + 1"
    " WHERE id = :run AND state = :before"
)
_END_LATER: Final = "UPDATE run SET ending = :to, ending_reason = :reason, generation = generation + 1 WHERE id = :run"
_MARKS: Final = {TaskState.SUCCESS: StopKind.MARK_SUCCESS, TaskState.FAILED: StopKind.MARK_FAILED}
_BROKEN: Final = frozenset({TaskState.FAILED, TaskState.UPSTREAM_FAILED})

T = TypeVar("T")


class Affected(msgspec.Struct, frozen=True, kw_only=True):
    """How many task instances changed, how many running ones were asked to stop, and the runs they belong to."""

    tasks: int = 0
    stopping: int = 0
    runs: int = 0


class RunCommands:
    """Commands about runs and task instances."""

    def __init__(self, database: Database, specs: Specs) -> None:
        self._database = database
        self._specs = specs

    def create(self, new: NewRun, *, key: str | None = None) -> RunFacts:
        """Create a run.

        Raises:
            DagNotFound: there is no such DAG.
            RunExists: its id or logical date is taken.
        """
        creation = Creation(self._database, self._specs, new)

        def work(transaction: Transaction) -> RunFacts:
            facts = creation.write(transaction)
            if facts is None:
                raise RunExists(_taken(transaction, new))
            return facts

        # Of a repeated command only the clock differs, so the instants that were read from it are no part of it.
        request = [new.dag_id, new.run_id, None if new.bump else new.logical_date, new.conf]
        return self._write(key, "create_run", request, work, RunFacts)

    def select(self, selection: Selection) -> list[TaskRow]:
        """Return the task instances that ``selection`` means."""
        return select(self._database, selection)

    def clear(self, tasks: Sequence[int], *, who: str, latest: bool = False, key: str | None = None) -> Affected:
        """Let task instances run again; ``latest`` pins their runs to the DAG's newest version first."""

        def work(transaction: Transaction) -> Affected:
            step = Step(self._database, transaction, who)
            transaction.lock(_RUNS_OF, {"ids": to_json(list(tasks))})
            rows = transaction.rows(_CHOSEN, {"ids": to_json(list(tasks))})
            runs = list(dict.fromkeys(row[1] for row in rows))
            if latest:
                for run in runs:
                    pin_to_newest(transaction, self._specs, run, step.key, step.now, who)
                rows = transaction.rows(_CHOSEN, {"ids": to_json(list(tasks))})
            step.clear(rows)
            for run in runs:
                step.requeue(transaction.rows(_RUN, {"run": run})[0])
            return step.affected(runs)

        return self._write(key, "clear", [list(tasks), latest], work, Affected)

    def mark(self, tasks: Sequence[int], state: TaskState, *, who: str, key: str | None = None) -> Affected:
        """End task instances in ``state``. After a success what failed for want of it runs again."""
        if state not in _MARKS:
            raise UsageError(f"a task is marked success or failed, not {state.value}")

        def work(transaction: Transaction) -> Affected:
            step = Step(self._database, transaction, who)
            transaction.lock(_RUNS_OF, {"ids": to_json(list(tasks))})
            rows = transaction.rows(_CHOSEN, {"ids": to_json(list(tasks))})
            step.mark(rows, state)
            runs = list(dict.fromkeys(row[1] for row in rows))
            for run in runs:
                facts = transaction.rows(_RUN, {"run": run})[0]
                marked = {row[2] for row in rows if row[1] == run}
                if state is TaskState.SUCCESS:
                    step.clear(self._blocked_by(transaction, facts, marked))
                step.requeue(facts, only_ended=True)
            return step.affected(runs)

        return self._write(key, "mark", [list(tasks), state], work, Affected)

    def mark_run(self, dag_id: str, run_id: str, state: RunState, *, who: str, key: str | None = None) -> Affected:
        """End a run in ``state``: at once, or when the processes that it has to stop are gone.

        Raises:
            RunNotFound: there is no such run.
        """
        if state not in TERMINAL_RUN_STATES:
            raise UsageError(f"a run is marked success or failed, not {state.value}")

        def work(transaction: Transaction) -> Affected:
            found = transaction.row(_FIND_RUN, {"dag_id": dag_id, "run_id": run_id})
            if found is None:
                raise RunNotFound(f"DAG {dag_id!r} has no run {run_id!r}; `windlass runs list {dag_id}` shows all")
            step = Step(self._database, transaction, who)
            step.mark_all(transaction.rows(_OF_RUN, {"run": found[0]}), state)
            step.finish(found, state)
            if state is RunState.FAILED and found[4] != RunType.BACKFILL:
                self._pause_after_failures(transaction, found[2])
            return step.affected([found[0]])

        return self._write(key, "mark_run", [dag_id, run_id, state], work, Affected)

    def _pause_after_failures(self, transaction: Transaction, dag_id: str) -> None:
        """Let a run that is marked failed count as any failure does; one of a backfill does not."""
        dag = transaction.row("SELECT spec_version FROM dag WHERE dag_id = :dag_id", {"dag_id": dag_id})
        if dag is not None:
            limit = self._specs.get(dag_id, dag[0]).max_consecutive_failed_dag_runs
            pause_after_failures(transaction, dag_id, limit, self._database.now())

    def _blocked_by(self, transaction: Transaction, run: Row, marked: set[str]) -> list[Row]:
        """Return the rows downstream of the marked tasks that failed, or could not run."""
        downstream = self._specs.get(run[2], run[3]).downstream
        reached: set[str] = set()
        waiting = list(marked)
        while waiting:
            for name in downstream.get(waiting.pop(), ()):
                if name not in reached:
                    reached.add(name)
                    waiting.append(name)
        rows = transaction.rows(_OF_RUN, {"run": run[0]})
        return [row for row in rows if row[2] in reached - marked and task_state(row[3]) in _BROKEN]

    def _write(
        self, key: str | None, command: str, request: object, work: Callable[[Transaction], T], reply: type[T]
    ) -> T:
        now = self._database.now()
        return self._database.write(lambda t: once(t, key, command, request, lambda: work(t), reply, now))


class Step:
    """One command inside its transaction: what it has changed so far, and in whose name."""

    def __init__(self, database: Database, transaction: Transaction, who: str) -> None:
        self.now = database.now()
        self.key = database.rng.key
        self._transaction = transaction
        self._who = who
        self._changed = 0
        self._stopping = 0

    def affected(self, runs: Sequence[int]) -> Affected:
        """Return the counts."""
        return Affected(tasks=self._changed, stopping=self._stopping, runs=len(runs))

    def clear(self, rows: Sequence[Row]) -> None:
        """Set these to ``none``, or ask them to stop first."""
        idle = [row for row in rows if row[3] not in {"running", "none"}]
        self._stop([row[0] for row in rows if row[3] == "running"], StopKind.CLEAR)
        self._move(_CLEAR, [(row, TaskState.NONE) for row in idle], Actor.CLEAR, "cleared")

    def mark(self, rows: Sequence[Row], state: TaskState) -> None:
        """Set these to ``state``, or ask them to stop first."""
        self._stop([row[0] for row in rows if row[3] == "running"], _MARKS[state])
        idle = [row for row in rows if row[3] not in {"running", state.value}]
        self._move(_MARK, [(row, state) for row in idle], Actor.MARK, f"marked {state.value}")

    def mark_all(self, rows: Sequence[Row], state: RunState, *, reason: str = "") -> None:
        """End a run's task instances: a success turns failures into successes, a failure skips the rest."""
        kind = StopKind.MARK_SUCCESS if state is RunState.SUCCESS else StopKind.MARK_FAILED
        self._stop([row[0] for row in rows if row[3] == "running"], kind)
        idle = [(row, task_state(row[3])) for row in rows if row[3] != "running"]
        if state is RunState.SUCCESS:
            left = [row for row, now in idle if now not in TERMINAL_TASK_STATES or now in _BROKEN]
            to = TaskState.SUCCESS
        else:
            left = [row for row, now in idle if now not in TERMINAL_TASK_STATES]
            to = TaskState.SKIPPED
        self._move(_MARK, [(row, to) for row in left], Actor.MARK, reason or f"run marked {state.value}")

    def requeue(self, run: Row, *, only_ended: bool = False) -> None:
        """Put the run back into the queue, and void every decision made about it so far."""
        number, state = run[0], run_state(run[1])
        if state is RunState.QUEUED or (only_ended and state not in TERMINAL_RUN_STATES):
            self._transaction.run(_TOUCH, {"run": number})
        else:
            self._transaction.run(_REQUEUE, {"run": number, "before": state.value, "now": self.now})
            self._transaction.lock(_ITS_BACKFILL, {"run": number})
            self._transaction.run(_REOPEN, {"run": number})
            self._audit_run(number, state, RunState.QUEUED, Actor.CLEAR, "task instances were cleared")
        transitions.signal(self._transaction, SignalKind.RUN, dag_id=run[2], run=number)

    def finish(self, run: Row, to: RunState, *, reason: str = "") -> None:
        """End the run now, or note how it is to end when its processes are gone."""
        number, before = run[0], run_state(run[1])
        reason = reason or f"marked {to.value} by {self._who}"
        values = {"run": number, "before": before.value, "to": to.value, "reason": reason, "now": self.now}
        if self._stopping:
            self._transaction.run(_END_LATER, values)
        elif before is to:
            self._transaction.run(_TOUCH, values)
        else:
            self._transaction.run(_FINISH, values)
            op_id = self._audit_run(number, before, to, Actor.MARK, reason)
            owe_run_callback(self._transaction, number, to, op_id=op_id, reason=reason, now=self.now)
        transitions.signal(self._transaction, SignalKind.RUN, dag_id=run[2], run=number)

    def _stop(self, tasks: Sequence[int], kind: StopKind) -> None:
        values = [{"task": task, "kind": kind.value, "who": self._who} for task in tasks]
        self._stopping += self._transaction.many(_STOP, values)

    def _move(self, sql: str, moves: Sequence[tuple[Row, TaskState]], actor: Actor, reason: str) -> None:
        values = []
        audits = []
        for (task, _, _, before, epoch), to in moves:
            common = {"task": task, "before": before, "to": to.value, "epoch": epoch, "reason": reason, "now": self.now}
            values.append(common)
            audits.append(
                transitions.audit(
                    task,
                    task_state(before),
                    to,
                    actor,
                    epoch=epoch,
                    op_id=self.key(),
                    reason=reason,
                    now=self.now,
                    who=self._who,
                )
            )
        self._changed += self._transaction.many(sql, values)
        transitions.write(self._transaction, audits)
        # Of the deferred, and of those that resume: what begins anew has nothing to go on after.
        waiting = [row[0] for row, _ in moves if task_state(row[3]) not in TERMINAL_TASK_STATES]
        if waiting:
            self._transaction.run(DROP_WAITS, {"ids": to_json(waiting)})

    def _audit_run(self, run: int, before: RunState, to: RunState, actor: Actor, reason: str) -> str:
        op_id = self.key()
        audit = transitions.run_audit(run, before, to, actor, op_id=op_id, reason=reason, now=self.now, who=self._who)
        transitions.write_run(self._transaction, audit)
        return op_id


def _taken(transaction: Transaction, new: NewRun) -> str:
    """Return the sentence that names the run in the way."""
    wanted = new.run_id or make_run_id(new.run_type, new.logical_date)
    by_id = transaction.row(
        "SELECT run_id FROM run WHERE dag_id = :dag_id AND run_id = :run_id", {"dag_id": new.dag_id, "run_id": wanted}
    )
    if by_id is not None:
        return f"DAG {new.dag_id!r} already has run {wanted!r}; choose another id or logical date, or clear it"
    by_date = transaction.row(
        "SELECT run_id FROM run WHERE dag_id = :dag_id AND logical_date = :date",
        {"dag_id": new.dag_id, "date": micros(new.logical_date)},
    )
    other = wanted if by_date is None else by_date[0]
    return (
        f"DAG {new.dag_id!r} already has run {other!r} for logical date {new.logical_date.isoformat()}; "
        "choose another logical date, or clear that run"
    )
