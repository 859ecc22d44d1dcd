"""DAGs that pause themselves: too many failed runs in a row, judged in the transaction that writes the last failure.

The runs of a backfill do not count. They work through old days, often while the DAG is paused, and what fails there, or
is cancelled, says nothing about the days to come.
"""

from __future__ import annotations

from typing import Final

from windlass.planning.runs import pauses_after_failures
from windlass.ports import SignalKind
from windlass.store.database import Transaction
from windlass.store.facts import run_state
from windlass.store.transitions import signal

#: By logical date, so that the index of that finds the few newest among any number.
_LATEST: Final = (
    "SELECT state FROM run WHERE dag_id = :dag_id AND state IN ('success','failed') AND run_type <> 'backfill'"
    " ORDER BY logical_date DESC LIMIT :limit"
)
_JUDGED: Final = "SELECT 1 FROM dag WHERE dag_id = :dag_id FOR_UPDATE"
_PAUSE: Final = (
    "UPDATE dag SET paused = 1, paused_by = 'scheduler', paused_reason = :reason, updated_at = :now"
    " WHERE dag_id = :dag_id AND paused = 0"
)


def pause_after_failures(transaction: Transaction, dag_id: str, limit: int, now: int) -> bool:
    """Pause the DAG if its ``limit`` newest ended runs have all failed; return whether that paused it.

    0 never does.
    """
    if limit <= 0:
        return False
    # Of two runs that fail at once each would count without the other.
    transaction.lock(_JUDGED, {"dag_id": dag_id})
    latest = [run_state(row[0]) for row in transaction.rows(_LATEST, {"dag_id": dag_id, "limit": limit})]
    if not pauses_after_failures(latest, limit):
        return False
    runs = "its newest run has failed" if limit == 1 else f"its {limit} newest runs have failed"
    reason = f"{runs} (max_consecutive_failed_dag_runs={limit})"
    if transaction.run(_PAUSE, {"dag_id": dag_id, "reason": reason, "now": now}) != 1:
        return False
    signal(transaction, SignalKind.DAG, dag_id=dag_id)
    return True
