"""The ``query`` verb over memory: the same questions and filters that the real store answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from windlass.app.inproc.assets import RecordedEvent
from windlass.app.inproc.memory import MemoryStore
from windlass.errors import UsageError
from windlass.planning.attempts import run_fields
from windlass.ports import RunFacts, TaskFacts
from windlass.protocol import Query
from windlass.states import RunState

Row = dict[str, Any]

#: Filter -> whether a row passes it.
_RUN_FILTERS: Final[dict[str, Callable[[Row, Any], bool]]] = {
    "dag_id": lambda row, value: row["dag_id"] == value,
    "run_id": lambda row, value: row["run_id"] == value,
    "run_ids": lambda row, value: row["run_id"] in value,
    "run_types": lambda row, value: row["run_type"] in value,
    "logical_date": lambda row, value: row["logical_date"] == value,
    "logical_dates": lambda row, value: row["logical_date"] in value,
    "logical_date_gte": lambda row, value: row["logical_date"] >= value,
    "logical_date_lte": lambda row, value: row["logical_date"] <= value,
    "states": lambda row, value: row["state"] in value,
}
_TASK_FILTERS: Final[dict[str, Callable[[Row, Any], bool]]] = {
    **_RUN_FILTERS,
    "task_id": lambda row, value: row["task_id"] == value,
    "task_ids": lambda row, value: row["task_id"] in value,
    "map_index": lambda row, value: row["map_index"] == value,
}
_EVENT_FILTERS: Final[dict[str, Callable[[Row, Any], bool]]] = {
    "uri": lambda row, value: row["uri"] == value,
    "uris": lambda row, value: row["uri"] in value,
    "alias": lambda row, value: row["alias"] == value,
    "after": lambda row, value: row["timestamp"] > value,
    "before": lambda row, value: row["timestamp"] < value,
}


def answer(store: MemoryStore, here: RunFacts, query: Query) -> list[Row]:
    """Return the rows that a task of run ``here`` asks for.

    :raises UsageError: if there is no such question or filter.
    """
    filters = {"dag_id": here.dag_id, **query.filters}
    match query.what:
        case "runs":
            runs = [run_fields(run) for run in _by_date(store.runs())]
            return _page(_passing(runs, filters, _RUN_FILTERS, query), query)
        case "task_states":
            tasks = [_task_row(run, task) for run in _by_date(store.runs()) for task in store.tasks_of(run.id)]
            return _page(_passing(tasks, filters, _TASK_FILTERS, query), query)
        case "previous":
            only_success = bool(query.filters.get("success", False))
            earlier = [
                run
                for run in _by_date(store.runs())
                if run.dag_id == here.dag_id
                and run.logical_date < here.logical_date
                and (run.state is RunState.SUCCESS or not only_success)
            ]
            return [run_fields(run) for run in earlier[-1:]]
        case "asset_events":
            wanted = dict(query.filters)
            newest_first, mine = wanted.pop("newest_first", False), wanted.pop("triggered", False)
            events = store.assets.of_run(here.dag_id, here.id) if mine else iter(store.assets.events)
            rows = _passing([_event_row(event) for event in events], wanted, _EVENT_FILTERS, query)
            return _page(rows[::-1] if newest_first else rows, query)
    raise UsageError(f"no query {query.what!r}; ask for runs, task_states, previous or asset_events")


def _passing(
    rows: list[Row], filters: Mapping[str, Any], known: Mapping[str, Callable[[Row, Any], bool]], query: Query
) -> list[Row]:
    unknown = sorted(set(filters) - set(known))
    if unknown:
        raise UsageError(f"query {query.what!r} has no filter {unknown[0]!r}; it has {', '.join(sorted(known))}")
    return [row for row in rows if all(known[name](row, value) for name, value in filters.items())]


def _page(rows: list[Row], query: Query) -> list[Row]:
    return rows[query.offset : query.offset + query.limit]


def _by_date(runs: list[RunFacts]) -> list[RunFacts]:
    return sorted(runs, key=lambda run: run.logical_date)


def _task_row(run: RunFacts, task: TaskFacts) -> Row:
    return {
        "dag_id": run.dag_id,
        "run_id": run.run_id,
        "logical_date": run.logical_date,
        "run_type": run.run_type.value,
        "task_id": task.task_id,
        "map_index": task.map_index,
        "state": task.state.value,
        "start_date": None,
        "end_date": None,
    }


def _event_row(event: RecordedEvent) -> Row:
    row = msgspec.structs.asdict(event)
    return {**row, "timestamp": row.pop("at")}
