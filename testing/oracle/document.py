"""What came of a scenario, as JSON that either side writes in the same words.

::

    {"runs": [{"dag_id", "run_id", "run_type", "state", "logical_date", "data_interval": [start, end],
               "tasks": {"a": "success", "m[0]": "failed"}, "tries": {"a": 2},
               "xcoms": {"a": {"return_value": …}}, "rendered": {"a": {field: …}}}],
     "refused": number of triggers that were refused}

``tries`` has only what took more than one, ``rendered`` only fields that hold something. Instants are UTC; a value that
is no JSON is a dict with its type's name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

Document = dict[str, Any]
#: How the keys of XComs begin that Airflow keeps for itself: what a branch skipped, links for its web interface.
INTERNAL: Final = ("skipmixin_key", "_link_")


def label(task_id: str, map_index: int) -> str:
    """Return how documents call a task instance."""
    return task_id if map_index < 0 else f"{task_id}[{map_index}]"


def instant(value: datetime | None) -> str | None:
    """Return an instant as text, in UTC."""
    return None if value is None else value.astimezone(UTC).isoformat()


def canonical(value: Any) -> Any:  # noqa: ANN401 - any value of an author's, one line per kind
    """Return ``value`` as JSON, with the names of the types that JSON lacks."""
    match value:
        case None | bool() | int() | float() if type(value) in {type(None), bool, int, float}:
            return value
        case str() if type(value) is str:
            return value
        case dict():
            return {str(key): canonical(item) for key, item in value.items()}
        case list():
            return [canonical(item) for item in value]
        case tuple():
            return {"tuple": [canonical(item) for item in value]}
        case set() | frozenset():
            return {type(value).__name__: sorted((canonical(item) for item in value), key=repr)}
        case datetime():
            return {"datetime": value.isoformat() if value.tzinfo is None else instant(value)}
        case date() | time():
            return {type(value).__name__: value.isoformat()}
        case timedelta():
            return {"timedelta": value.total_seconds()}
        case _:
            return {type(value).__name__: str(value)}


def run_document(
    *,
    dag_id: str,
    run_id: str,
    run_type: str,
    state: str,
    logical_date: datetime | None,
    interval: tuple[datetime | None, datetime | None],
    tasks: Iterable[tuple[str, str, int]],
    xcoms: Mapping[str, Mapping[str, Any]],
    rendered: Mapping[str, Mapping[str, Any]],
) -> Document:
    """Return one run's part; ``tasks`` has label, state and number of tries of each instance."""
    found = sorted(tasks)
    pushed = {
        task: {key: canonical(value) for key, value in sorted(values.items()) if not key.startswith(INTERNAL)}
        for task, values in sorted(xcoms.items())
    }
    return {
        "dag_id": dag_id,
        "run_id": run_id,
        "run_type": run_type,
        "state": state,
        "logical_date": instant(logical_date),
        "data_interval": [instant(bound) for bound in interval],
        "tasks": {task: state for task, state, _ in found},
        "tries": {task: tries for task, _, tries in found if tries > 1},
        "xcoms": {task: values for task, values in pushed.items() if values},
        "rendered": {task: _given(fields) for task, fields in sorted(rendered.items())},
    }


def _given(fields: Mapping[str, Any]) -> Document:
    """Return the rendered fields that hold something."""
    return {name: canonical(value) for name, value in sorted(fields.items()) if value not in (None, "", [], {})}
