"""What every change of state writes besides the state: the audit row, the outbox row, the signal.

The exactly-once transition is one guarded ``UPDATE`` and one audit row whose ``op_id`` is unique, in one transaction.
One row changed: it is done. None: the op_id tells a repeat of what was done before (the answer was lost) from a
conflict. The caller makes the op_id, so any commit may be sent again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from windlass.errors import StoreError
from windlass.planning.endings import CALLBACK_OF as CALLBACK_OF
from windlass.planning.endings import RUN_CALLBACK_OF as RUN_CALLBACK_OF
from windlass.ports import SignalKind
from windlass.states import RUN_TRANSITIONS, TASK_TRANSITIONS, Actor, RunState, TaskState
from windlass.store.database import Transaction
from windlass.store.observations import owe_run_change, owe_task_changes

Values = dict[str, Any]

_INSERT: Final = (
    "INSERT INTO transition (ti_id, from_state, to_state, epoch, actor, who, op_id, reason, at)"
    " VALUES (:task, :before, :to, :epoch, :actor, :who, :op_id, :reason, :now)"
)
_INSERT_RUN: Final = (
    "INSERT INTO run_transition (run, from_state, to_state, actor, who, op_id, reason, at)"
    " VALUES (:run, :before, :to, :actor, :who, :op_id, :reason, :now)"
)
INSERT_SIGNAL: Final = 'INSERT INTO "signal" (kind, dag_id, run, task) VALUES (:kind, :dag_id, :run, :task)'
INSERT_OUTBOX: Final = (
    "INSERT INTO outbox (event, run, ti_id, try_number, op_id, reason, created_at)"
    " VALUES (:event, :run, :task, :try_number, :op_id, :reason, :now)"
)


def audit(
    task: int,
    before: TaskState,
    to: TaskState,
    actor: Actor,
    *,
    epoch: int,
    op_id: str,
    reason: str,
    now: int,
    who: str = "",
) -> Values:
    """Return the audit row of a task instance's transition.

    Raises:
        StoreError: the law of states forbids it; a mistake in the engine, never written.
    """
    if actor not in TASK_TRANSITIONS.get((before, to), ()):
        raise StoreError(f"{actor} may not move task instance {task} from {before} to {to}; please report this")
    return {
        "task": task,
        "before": before.value,
        "to": to.value,
        "epoch": epoch,
        "actor": actor.value,
        "who": who,
        "op_id": op_id,
        "reason": reason,
        "now": now,
    }


def run_audit(
    run: int, before: RunState, to: RunState, actor: Actor, *, op_id: str, reason: str, now: int, who: str = ""
) -> Values:
    """Return the audit row of a run's transition.

    Raises:
        StoreError: the law of states forbids it.
    """
    if actor not in RUN_TRANSITIONS.get((before, to), ()):
        raise StoreError(f"{actor} may not move run {run} from {before} to {to}; please report this")
    return {
        "run": run,
        "before": before.value,
        "to": to.value,
        "actor": actor.value,
        "who": who,
        "op_id": op_id,
        "reason": reason,
        "now": now,
    }


def write(transaction: Transaction, audits: Sequence[Values]) -> None:
    """Write the audit rows of transitions that were just made, and what observers are owed for them."""
    transaction.send(_INSERT, audits)
    owe_task_changes(transaction, audits)


def write_run(transaction: Transaction, audit: Values) -> None:
    """Write the audit row of a run's transition that was just made, and what observers are owed for it."""
    transaction.send(_INSERT_RUN, [audit])
    owe_run_change(transaction, audit)


def is_done(transaction: Transaction, op_id: str) -> bool:
    """Whether a task instance's transition of this op_id was written before."""
    return transaction.row("SELECT 1 FROM transition WHERE op_id = :op_id", {"op_id": op_id}) is not None


def is_run_done(transaction: Transaction, op_id: str) -> bool:
    """Whether a run's transition of this op_id was written before."""
    return transaction.row("SELECT 1 FROM run_transition WHERE op_id = :op_id", {"op_id": op_id}) is not None


def signal(transaction: Transaction, kind: SignalKind, *, dag_id: str = "", run: int = 0, task: int = 0) -> None:
    """Put a row into the scheduler's inbox and ring once it is committed."""
    transaction.send(INSERT_SIGNAL, [{"kind": kind.value, "dag_id": dag_id, "run": run, "task": task}])
    transaction.ring()


def run_outbox(run: int, to: RunState, callbacks: str, *, op_id: str, reason: str, now: int) -> Values | None:
    """Return the outbox row that a run's end owes its callback, None if it has none."""
    event = RUN_CALLBACK_OF.get(to)
    if event is None or event not in callbacks.split(","):
        return None
    return {
        "event": f"run_{event}",
        "run": run,
        "task": None,
        "try_number": 0,
        "op_id": f"run:{op_id}",
        "reason": reason,
        "now": now,
    }
