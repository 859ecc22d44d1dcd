"""``clear --latest``: a run moves to its DAG's newest version.

Tasks that are new get an instance; unfinished ones that are gone become ``removed``, and one that is back stops being
so. What has ended under the old version stays as the record of what ran.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from windlass.states import Actor, TaskState
from windlass.store import transitions
from windlass.store.creation import INSERT_TASK, task_rows
from windlass.store.database import Transaction
from windlass.store.facts import task_state, to_json
from windlass.store.specs import Specs

_NEWEST: Final = (
    "SELECT d.dag_id, d.spec_version, d.code_version, d.bundle, d.file FROM run r JOIN dag d ON d.dag_id = r.dag_id"
    " WHERE r.id = :run AND (r.spec_version <> d.spec_version OR r.code_version <> d.code_version)"
)
_PIN: Final = (
    "UPDATE run SET spec_version = :spec_version, code_version = :code_version, bundle = :bundle, file = :file"
    " WHERE id = :run"
)
_PIN_TASKS: Final = (
    "UPDATE ti SET retries = :retries, pool = :pool, pool_slots = :pool_slots, queue = :queue, executor = :executor,"
    " code_version = :code_version, callbacks = :callbacks, is_leaf = :is_leaf"
    " WHERE run = :run AND task_id = :task_id AND state <> 'running'"
)
_INSTANCES: Final = "SELECT id, task_id, state, epoch FROM ti WHERE run = :run"
DROP_WAITS: Final = "DELETE FROM trigger_wait WHERE ti_id IN IDS(:ids)"
_MOVE: Final = (
    "UPDATE ti SET state = :to, ticket = NULL, end_date = :ended, reason = :reason"
    " WHERE id = :task AND state = :before AND epoch = :epoch AND lease_id IS NULL"
)


def pin_to_newest(
    transaction: Transaction, specs: Specs, run: int, token: Callable[[], str], now: int, who: str
) -> None:
    """Move a run to the newest version of its DAG; nothing happens if it is there already."""
    newest = transaction.row(_NEWEST, {"run": run})
    if newest is None:
        return
    dag_id, spec_version, code_version, bundle, file = newest
    spec = specs.get(dag_id, spec_version)
    values = {"spec_version": spec_version, "code_version": code_version, "bundle": bundle, "file": file, "run": run}
    transaction.run(_PIN, values)
    instances = transaction.rows(_INSTANCES, {"run": run})
    present = {task_id for _, task_id, _, _ in instances}
    rows = task_rows(spec, run, code_version)
    transaction.many(INSERT_TASK, [row for row in rows if row["task_id"] not in present])
    transaction.many(_PIN_TASKS, [row for row in rows if row["task_id"] in present])
    for task, task_id, text, epoch in instances:
        before = task_state(text)
        if task_id not in spec.by_id and not before.is_terminal and before is not TaskState.RUNNING:
            to, reason = TaskState.REMOVED, "the task is not in the newest version"
        elif task_id in spec.by_id and before is TaskState.REMOVED:
            to, reason = TaskState.NONE, "the task is back in the newest version"
        else:
            continue
        ended = now if to is TaskState.REMOVED else None
        move = {"task": task, "before": text, "to": to.value, "epoch": epoch, "ended": ended, "reason": reason}
        if transaction.run(_MOVE, move) == 1:
            audit = transitions.audit(
                task, before, to, Actor.VERSION, epoch=epoch, op_id=token(), reason=reason, now=now, who=who
            )
            transitions.write(transaction, [audit])
            transaction.run(DROP_WAITS, {"ids": to_json([task])})
