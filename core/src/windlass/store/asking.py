"""The ``query`` verb: what a running attempt may know of runs, task states and asset events.

Answers are lists of flat dicts with states as texts and instants as datetimes. Filters are named, known and combined
with "and"; an unknown one is an error, because an ignored filter is a wrong answer.
"""

# ruff: noqa: S608 - statements are put together from constants; values are always parameters

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from windlass.errors import RunNotFound, UsageError
from windlass.planning.attempts import run_fields
from windlass.ports import RunFacts
from windlass.protocol import Query
from windlass.store.database import Database, Row
from windlass.store.endings import Held
from windlass.store.facts import RUN_COLUMNS, columns_of, run_facts, to_dict, to_json
from windlass.store.instants import instant, micros

_RUN: Final = f"SELECT {RUN_COLUMNS} FROM run WHERE dag_id = :dag_id AND run_id = :run_id"
_PREVIOUS: Final = (
    f"SELECT {columns_of('p', RUN_COLUMNS)} FROM run r"
    " JOIN run p ON p.dag_id = r.dag_id AND p.logical_date < r.logical_date"
    " WHERE r.id = :run AND (:success = 0 OR p.state = 'success') ORDER BY p.logical_date DESC LIMIT 1"
)
_MOST: Final = 1000
#: Characters of extra in one answer about asset events, which has to fit into a message.
_MOST_EXTRA: Final = 500_000

#: Each filter's condition on ``run r``; a list of names arrives as a JSON array.
_RUN_FILTERS: Final = {
    "dag_id": "r.dag_id = :dag_id",
    "run_id": "r.run_id = :run_id",
    "run_ids": "r.run_id IN NAMES(:run_ids)",
    "run_types": "r.run_type IN NAMES(:run_types)",
    "states": "r.state IN NAMES(:states)",
    "logical_date": "r.logical_date = :logical_date",
    "logical_dates": "r.logical_date IN IDS(:logical_dates)",
    "logical_date_gte": "r.logical_date >= :logical_date_gte",
    "logical_date_lte": "r.logical_date <= :logical_date_lte",
}
_TASK_FILTERS: Final = {
    **{name: text for name, text in _RUN_FILTERS.items() if name != "states"},
    "states": "t.state IN NAMES(:states)",
    "task_id": "t.task_id = :task_id",
    "task_ids": "t.task_id IN NAMES(:task_ids)",
    "map_index": "t.map_index = :map_index",
}
_EVENT_FILTERS: Final = {
    "uri": "a.uri = :uri",
    "uris": "a.uri IN NAMES(:uris)",
    "alias": "e.alias = :alias",
    "after": "e.at > :after",
    "before": "e.at < :before",
    "triggered": "e.id IN (SELECT d.event FROM asset_delivery d WHERE d.run = :triggered)",
}


class Asking:
    """Answers queries of one attempt."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def run(self, dag_id: str, run_id: str) -> RunFacts:
        """Return one run.

        Raises:
            RunNotFound: there is none.
        """
        row = self._database.row(_RUN, {"dag_id": dag_id, "run_id": run_id})
        if row is None:
            raise RunNotFound(f"DAG {dag_id!r} has no run {run_id!r}; `windlass runs list {dag_id}` shows all")
        return run_facts(row)

    def answer(self, held: Held, query: Query) -> list[dict[str, Any]]:
        """Return the rows that ``query`` asks for.

        Raises:
            UsageError: there is no such question or filter.
        """
        filters = dict(query.filters)
        match query.what:
            case "runs":
                filters.setdefault("dag_id", held.dag_id)
                return self._runs(filters, query)
            case "task_states":
                filters.setdefault("dag_id", held.dag_id)
                return self._task_states(filters, query)
            case "previous":
                success = int(bool(filters.pop("success", False)))
                row = self._database.row(_PREVIOUS, {"run": held.run, "success": success})
                return [] if row is None else [run_fields(run_facts(row))]
            case "asset_events":
                # "triggered" means: this very run.
                if filters.pop("triggered", False):
                    filters["triggered"] = held.run
                return self._asset_events(filters, query)
        raise UsageError(f"no query {query.what!r}; ask for runs, task_states, previous or asset_events")

    def _runs(self, filters: Mapping[str, Any], query: Query) -> list[dict[str, Any]]:
        where, values = _conditions(filters, _RUN_FILTERS, query)
        sql = f"SELECT {columns_of('r', RUN_COLUMNS)} FROM run r WHERE {where} ORDER BY r.logical_date {_PAGE}"
        return [run_fields(run_facts(row)) for row in self._database.rows(sql, values)]

    def _task_states(self, filters: Mapping[str, Any], query: Query) -> list[dict[str, Any]]:
        where, values = _conditions(filters, _TASK_FILTERS, query)
        sql = (
            "SELECT r.dag_id, r.run_id, r.logical_date, t.task_id, t.map_index, t.state, t.start_date, t.end_date"
            f" FROM run r JOIN ti t ON t.run = r.id WHERE {where}"
            f" ORDER BY r.logical_date, t.task_id, t.map_index {_PAGE}"
        )
        return [
            {
                "dag_id": dag_id,
                "run_id": run_id,
                "logical_date": instant(logical_date),
                "task_id": task_id,
                "map_index": map_index,
                "state": state,
                "start_date": instant(start),
                "end_date": instant(end),
            }
            for dag_id, run_id, logical_date, task_id, map_index, state, start, end in self._database.rows(sql, values)
        ]

    def _asset_events(self, filters: dict[str, Any], query: Query) -> list[dict[str, Any]]:
        order = "DESC" if filters.pop("newest_first", False) else "ASC"
        where, values = _conditions(filters, _EVENT_FILTERS, query)
        sql = (
            "SELECT a.uri, e.id, e.extra, e.alias, e.source_dag_id, e.source_run_id, e.source_task_id,"
            " e.source_map_index, e.at FROM asset a JOIN asset_event e ON e.asset = a.id"
            f" WHERE {where} ORDER BY e.id {order} {_PAGE}"
        )
        answer: list[dict[str, Any]] = []
        size = 0
        for row in self._database.rows(sql, values):
            size += len(row[2])
            if answer and size > _MOST_EXTRA:  # the rest is on the next page: a message has its limit
                break
            answer.append(_event_fields(row))
        return answer


def _event_fields(row: Row) -> dict[str, Any]:
    return {
        "uri": row[0],
        "id": row[1],
        "extra": to_dict(row[2]),
        "alias": row[3],
        "source_dag_id": row[4],
        "source_run_id": row[5],
        "source_task_id": row[6],
        "source_map_index": row[7],
        "timestamp": instant(row[8]),
    }


_PAGE: Final = "LIMIT :limit OFFSET :offset"


def _conditions(filters: Mapping[str, Any], known: Mapping[str, str], query: Query) -> tuple[str, dict[str, Any]]:
    unknown = sorted(set(filters) - set(known))
    if unknown:
        raise UsageError(f"query {query.what!r} has no filter {unknown[0]!r}; it has {', '.join(sorted(known))}")
    values = {name: _stored(value) for name, value in filters.items()}
    where = " AND ".join(known[name] for name in sorted(filters)) or "1 = 1"
    return where, {**values, "limit": min(query.limit, _MOST), "offset": query.offset}


def _stored(value: object) -> object:
    if isinstance(value, datetime):
        return micros(value)
    if isinstance(value, list | tuple):
        return to_json([_stored(item) for item in value])
    return value
