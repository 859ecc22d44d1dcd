"""What tasks took in the past, for those who look ahead. Reads the newest runs of a DAG only, by an index."""

from __future__ import annotations

import statistics
from typing import Final

from windlass.store.database import Database
from windlass.store.instants import SECOND

#: How far back a task's successes are looked for, in runs of its DAG.
_RUNS: Final = 200
_SUCCESSES: Final = 20
_LATEST: Final = (
    "SELECT t.duration_us, t.result_length FROM"
    " (SELECT id, logical_date FROM run WHERE dag_id = :dag_id ORDER BY logical_date DESC LIMIT :runs) r"
    " JOIN ti t ON t.run = r.id"
    " WHERE t.task_id = :task_id AND t.state = 'success'"
    " ORDER BY r.logical_date DESC, t.map_index LIMIT :successes"
)


class TaskHistory:
    """The past of tasks, as far as it speaks for their future."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, dag_id: str, task_id: str) -> tuple[float | None, int | None]:
        """Return the median duration in seconds of the task's latest 20 successes, and the length of its last result.

        None where nothing is known: no success lately, or no result that is a list or a dict.
        """
        values = {"dag_id": dag_id, "task_id": task_id, "runs": _RUNS, "successes": _SUCCESSES}
        rows = self._database.rows(_LATEST, values)
        durations = [row[0] / SECOND for row in rows if row[0] is not None]
        length = next((row[1] for row in rows if row[1] is not None), None)
        return (statistics.median(durations) if durations else None), length
