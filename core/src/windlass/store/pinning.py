"""A run moves to another version of its DAG: by ``clear --latest`` to the newest, by a backfill to its own.

Tasks that are new get an instance; unfinished ones that are gone become ``removed``, and one that is back stops being
so. What has ended under the old version stays as the record of what ran. A run that a backfill made of some tasks only
keeps to those that its expression finds, and ``clear --latest`` adds no task whose own dates leave it out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final, NamedTuple

from windlass.errors import UsageError
from windlass.planning.dates import bridged, tasks_of_run
from windlass.planning.selecting import chosen_tasks
from windlass.spec import DagSpec
from windlass.states import Actor, RunType, TaskState
from windlass.store import transitions
from windlass.store.creation import INSERT_TASK, task_rows
from windlass.store.database import Transaction
from windlass.store.facts import task_state, to_json
from windlass.store.instants import instant
from windlass.store.specs import Specs

_NEWEST: Final = (
    "SELECT d.dag_id, d.spec_version, d.code_version, d.bundle, d.file, b.task_regex, r.run_type, r.logical_date"
    " FROM run r JOIN dag d ON d.dag_id = r.dag_id"
    " LEFT JOIN backfill b ON b.id = r.backfill_id AND r.run_type = 'backfill'"
    " WHERE r.id = :run AND (r.spec_version <> d.spec_version OR r.code_version <> d.code_version)"
)
_DATED: Final = "SELECT run_type, logical_date FROM run WHERE id = :run"
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


class Version(NamedTuple):
    """A version of a DAG, and the file that it stands in."""

    dag_id: str
    spec_version: str
    code_version: str
    bundle: str
    file: str


def pin_to_newest(transaction: Transaction, specs: Specs, run: int, key: Callable[[], str], now: int, who: str) -> None:
    """Move a run to the newest version of its DAG; nothing happens if it is there already."""
    newest = transaction.row(_NEWEST, {"run": run})
    if newest is None:
        return
    version, task_regex = Version(*newest[:5]), newest[5]
    spec = specs.get(version.dag_id, version.spec_version)
    wanted = tasks_of_run(spec, RunType(newest[6]), instant(newest[7]), _still_chosen(spec, task_regex))
    pin(transaction, specs, run, version, wanted, key, now, who)


def pin(
    transaction: Transaction,
    specs: Specs,
    run: int,
    version: Version,
    wanted: Collection[str] | None,
    key: Callable[[], str],
    now: int,
    who: str,
) -> None:
    """Move a run to ``version``; of the tasks that it does not have yet it gets those ``wanted``, None: all."""
    spec = specs.get(version.dag_id, version.spec_version)
    transaction.run(_PIN, {**version._asdict(), "run": run})
    instances = transaction.rows(_INSTANCES, {"run": run})
    present = {task_id for _, task_id, _, _ in instances}
    whole = present.union(spec.by_id if wanted is None else wanted)
    run_type, logical_date = transaction.rows(_DATED, {"run": run})[0]
    graph = bridged(spec, RunType(run_type), instant(logical_date), whole)
    rows = task_rows(graph, run, version.code_version, whole)
    transaction.many(INSERT_TASK, [row for row in rows if row["task_id"] not in present])
    transaction.many(_PIN_TASKS, [row for row in rows if row["task_id"] in present])
    for task, task_id, text, epoch in instances:
        before = task_state(text)
        if task_id not in spec.by_id and not before.is_terminal and before is not TaskState.RUNNING:
            to, reason = TaskState.REMOVED, "the task is not in the version that its run has now"
        elif task_id in spec.by_id and before is TaskState.REMOVED:
            to, reason = TaskState.NONE, "the task is back in the version that its run has now"
        else:
            continue
        ended = now if to is TaskState.REMOVED else None
        move = {"task": task, "before": text, "to": to.value, "epoch": epoch, "ended": ended, "reason": reason}
        if transaction.run(_MOVE, move) == 1:
            audit = transitions.audit(
                task, before, to, Actor.VERSION, epoch=epoch, op_id=key(), reason=reason, now=now, who=who
            )
            transitions.write(transaction, [audit])
            transaction.run(DROP_WAITS, {"ids": to_json([task])})


def _still_chosen(spec: DagSpec, task_regex: str | None) -> Collection[str] | None:
    """Return the tasks that the backfill's expression finds in a version of the DAG that may have none of them."""
    try:
        return chosen_tasks(spec, task_regex)
    except UsageError:
        return ()
