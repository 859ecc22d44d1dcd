"""Choosing task instances for a command, and the row that shows one."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec

from windlass.states import TaskState
from windlass.store.database import Database, Row
from windlass.store.facts import task_state, to_json
from windlass.store.instants import SECOND, instant, micros


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which task instances of a DAG; an empty filter means all. Bounds are logical dates, inclusive."""

    dag_id: str
    run_ids: tuple[str, ...] = ()
    task_ids: tuple[str, ...] = ()
    map_indexes: tuple[int, ...] = ()
    states: tuple[TaskState, ...] = ()
    since: datetime | None = None
    until: datetime | None = None


class TaskRow(msgspec.Struct, frozen=True, kw_only=True):
    """A task instance as people see it, with the process of its newest attempt."""

    id: int
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    state: TaskState
    try_number: int
    max_tries: int
    epoch: int
    pool: str
    queue: str
    queued_at: datetime | None
    start_date: datetime | None
    end_date: datetime | None
    #: Seconds.
    duration: float | None
    not_before: datetime | None
    reason: str | None
    map_label: str | None
    pid: int | None
    hostname: str | None


TASK_ROW: Final = (
    "SELECT t.id, r.dag_id, r.run_id, t.task_id, t.map_index, t.state, t.try_number, t.max_tries, t.epoch, t.pool,"
    " t.queue, t.queued_at, t.start_date, t.end_date, t.duration_us, t.not_before, t.reason, t.map_label,"
    " a.pid, a.hostname FROM run r JOIN ti t ON t.run = r.id"
    " LEFT JOIN attempt a ON a.ti_id = t.id AND a.epoch ="
    " (SELECT MAX(epoch) FROM attempt WHERE attempt.ti_id = t.id)"
)


def select(database: Database, selection: Selection) -> list[TaskRow]:
    """Return the chosen task instances by logical date, task and map index."""
    conditions = ["r.dag_id = :dag_id"]
    values: dict[str, Any] = {"dag_id": selection.dag_id}
    filters = (
        ("run_ids", "r.run_id IN NAMES(:run_ids)", to_json(selection.run_ids) if selection.run_ids else None),
        ("task_ids", "t.task_id IN NAMES(:task_ids)", to_json(selection.task_ids) if selection.task_ids else None),
        ("indexes", "t.map_index IN IDS(:indexes)", to_json(selection.map_indexes) if selection.map_indexes else None),
        ("states", "t.state IN NAMES(:states)", to_json(selection.states) if selection.states else None),
        ("since", "r.logical_date >= :since", micros(selection.since)),
        ("until", "r.logical_date <= :until", micros(selection.until)),
    )
    for name, condition, value in filters:
        if value is not None:
            conditions.append(condition)
            values[name] = value
    where = " AND ".join(conditions)
    sql = f"{TASK_ROW} WHERE {where} ORDER BY r.logical_date, t.task_id, t.map_index"
    return [task_row(row) for row in database.rows(sql, values)]


def task_row(row: Row) -> TaskRow:
    """Return the struct of a row of :data:`TASK_ROW`."""
    return TaskRow(
        id=row[0],
        dag_id=row[1],
        run_id=row[2],
        task_id=row[3],
        map_index=row[4],
        state=task_state(row[5]),
        try_number=row[6],
        max_tries=row[7],
        epoch=row[8],
        pool=row[9],
        queue=row[10],
        queued_at=instant(row[11]),
        start_date=instant(row[12]),
        end_date=instant(row[13]),
        duration=None if row[14] is None else row[14] / SECOND,
        not_before=instant(row[15]),
        reason=row[16],
        map_label=row[17],
        pid=row[18],
        hostname=row[19],
    )
