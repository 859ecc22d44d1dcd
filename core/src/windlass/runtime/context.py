"""The template context: what ``{{ … }}``, ``execute(context)`` and callables see.

A value is made when it is first looked at, so that a task pays only for what it uses; one that needs a question to
the supervisor (the previous run, say) asks it then. ``**kwargs`` of a callable gets them all.
"""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from datetime import datetime
from functools import cached_property
from typing import Any

from windlass.authoring.access import Variable
from windlass.authoring.asset import Asset, AssetAlias
from windlass.authoring.schedule import scheduled_assets
from windlass.errors import ConnectionNotDefined, UsageError, VariableNotDefined
from windlass.interfaces.connection import Connection
from windlass.moment import moment
from windlass.ports import TaskSession, all_rows
from windlass.protocol import AssetEvent, AttemptContext
from windlass.runtime.artifacts import TaskArtifacts
from windlass.runtime.asset_events import InletEvents, OutletEvents, TriggeringEvents
from windlass.runtime.macros import MACROS
from windlass.runtime.task_instance import TaskInstance
from windlass.states import RunType


class DagRun:
    """The run, as user code sees it."""

    def __init__(self, attempt: AttemptContext) -> None:
        self.dag_id = attempt.dag_id
        self.run_id = attempt.run_id
        self.run_type = attempt.run_type
        self.logical_date = moment(attempt.logical_date)
        self.execution_date = self.logical_date
        self.data_interval_start = moment(attempt.data_interval_start)
        self.data_interval_end = moment(attempt.data_interval_end)
        self.run_after = moment(attempt.run_after)
        self.queued_at = moment(attempt.queued_at) if attempt.queued_at else None
        self.start_date = moment(attempt.run_start_date) if attempt.run_start_date else None
        self.conf: dict[str, Any] = attempt.conf
        self.external_trigger = attempt.run_type == "manual"
        self.state = "running"

    def get_task_states(self, *task_ids: str) -> list[dict[str, Any]]:
        """Return the states of the run's task instances, all of them or those of ``task_ids``."""
        filters: dict[str, Any] = {"run_id": self.run_id}
        if task_ids:
            filters["task_ids"] = list(task_ids)
        return all_rows("task_states", filters)

    def __repr__(self) -> str:
        return f"<DagRun {self.dag_id} {self.run_id}>"


class _Values:
    """``var.value``: variables by attribute, by item, or by ``get`` with a default."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    def __getattr__(self, key: str) -> Any:
        if key.startswith("__"):
            raise AttributeError(key)
        return Variable.get(key, deserialize_json=self._as_json)

    def __getitem__(self, key: str) -> Any:
        return Variable.get(key, deserialize_json=self._as_json)

    def get(self, key: str, default: Any = None) -> Any:
        """Return a variable, or ``default``."""
        try:
            return Variable.get(key, deserialize_json=self._as_json)
        except VariableNotDefined:
            return default


class _Variables:
    """``var``."""

    value = _Values(as_json=False)
    json = _Values(as_json=True)


class _Connections:
    """``conn``: connections by attribute, by item, or by ``get`` with a default."""

    def __getattr__(self, conn_id: str) -> Connection:
        if conn_id.startswith("__"):
            raise AttributeError(conn_id)
        return Connection.get(conn_id)

    def __getitem__(self, conn_id: str) -> Connection:
        return Connection.get(conn_id)

    def get(self, conn_id: str, default: Any = None) -> Any:
        """Return a connection, or ``default``."""
        try:
            return Connection.get(conn_id)
        except ConnectionNotDefined:
            return default


class Context(MutableMapping[str, Any]):
    """The context of one attempt. Setting a key changes it for the rest of the attempt."""

    def __init__(self, ti: TaskInstance, attempt: AttemptContext, session: TaskSession) -> None:
        self.ti = ti
        self.attempt = attempt
        self.session = session
        self._values: dict[str, Any] = {}

    @cached_property
    def outlet_events(self) -> OutletEvents:
        """What the task says about the assets it updates."""
        return OutletEvents(self.ti.task.outlets)

    def outlet_messages(self) -> tuple[AssetEvent, ...]:
        """Return the events to record when the task has succeeded."""
        return self.outlet_events.messages() if self.ti.task.outlets else ()

    def __getitem__(self, key: str) -> Any:
        try:
            return self._values[key]
        except KeyError:
            value = self._values[key] = _MAKERS[key](self)
            return value

    def __setitem__(self, key: str, value: Any) -> None:
        self._values[key] = value

    def __delitem__(self, key: str) -> None:
        raise UsageError(f"{key!r} cannot be removed from the context")

    def __contains__(self, key: object) -> bool:
        return key in _MAKERS or key in self._values

    def __iter__(self) -> Iterator[str]:
        yield from _MAKERS
        yield from (key for key in self._values if key not in _MAKERS)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<Context of {self.ti!r}>"


def _day(value: datetime) -> str:
    return value.strftime("%Y-%m-%d")


def _compact(value: datetime | None) -> str | None:
    return value.strftime("%Y%m%d") if value is not None else None


def _when(row: Mapping[str, Any], name: str) -> datetime | None:
    value = row.get(name)
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return moment(value) if isinstance(value, datetime) else None


def _logical(context: Context) -> datetime:
    return moment(context.attempt.logical_date)


def _next(context: Context) -> datetime:
    """Return the logical date of the next run: where this one's data interval ends."""
    return moment(context.attempt.data_interval_end)


def _triggering(context: Context) -> TriggeringEvents:
    by_assets = context.attempt.run_type == RunType.ASSET_TRIGGERED.value
    return TriggeringEvents(scheduled_assets(context.ti.dag.schedule), any_at_all=by_assets)


def _inlets(context: Context) -> list[Asset | AssetAlias]:
    return list(context.ti.task.inlets)


_MAKERS: dict[str, Callable[[Context], Any]] = {
    "artifacts": lambda c: TaskArtifacts(c.session),
    "conn": lambda _: _Connections(),
    "dag": lambda c: c.ti.dag,
    "dag_run": lambda c: c.ti.dag_run,
    "data_interval_end": lambda c: moment(c.attempt.data_interval_end),
    "data_interval_start": lambda c: moment(c.attempt.data_interval_start),
    "ds": lambda c: _day(_logical(c)),
    "ds_nodash": lambda c: _compact(_logical(c)),
    "exception": lambda _: None,
    "execution_date": _logical,
    "expanded_ti_count": lambda c: c.attempt.mapped_count,
    "inlet_events": lambda c: InletEvents(c.ti.task.inlets),
    "inlets": _inlets,
    "logical_date": _logical,
    "macros": lambda _: MACROS,
    "map_index_template": lambda c: c.ti.task.map_index_template,
    "next_ds": lambda c: _day(_next(c)),
    "next_ds_nodash": lambda c: _compact(_next(c)),
    "next_execution_date": _next,
    "outlet_events": lambda c: c.outlet_events,
    "outlets": lambda c: list(c.ti.task.outlets),
    "params": lambda c: c.ti.params,
    "prev_data_interval_end_success": lambda c: _when(c.ti.previous_success, "data_interval_end"),
    "prev_data_interval_start_success": lambda c: _when(c.ti.previous_success, "data_interval_start"),
    "prev_ds": lambda c: _day(c["prev_execution_date"]) if c["prev_execution_date"] else None,
    "prev_ds_nodash": lambda c: _compact(c["prev_execution_date"]),
    "prev_end_date_success": lambda c: _when(c.ti.previous_success, "end_date"),
    "prev_execution_date": lambda c: _when(c.ti.previous, "logical_date"),
    "prev_execution_date_success": lambda c: _when(c.ti.previous_success, "logical_date"),
    "prev_start_date_success": lambda c: _when(c.ti.previous_success, "start_date"),
    "reason": lambda _: None,
    "run_id": lambda c: c.attempt.run_id,
    "task": lambda c: c.ti.task,
    "task_instance": lambda c: c.ti,
    "task_instance_key_str": lambda c: f"{c.attempt.dag_id}__{c.attempt.task_id}__{_compact(_logical(c))}",
    "templates_dict": lambda c: getattr(c.ti.task, "templates_dict", None),
    "ti": lambda c: c.ti,
    "triggering_asset_events": _triggering,
    "triggering_dataset_events": lambda c: c["triggering_asset_events"],
    "try_number": lambda c: c.attempt.try_number,
    "ts": lambda c: _logical(c).isoformat(),
    "ts_nodash": lambda c: _logical(c).strftime("%Y%m%dT%H%M%S"),
    "ts_nodash_with_tz": lambda c: iso_basic(_logical(c)),
    "var": lambda _: _Variables(),
}


def iso_basic(value: datetime) -> str:
    """Return the basic ISO form with the offset: 20260301T000000+0000."""
    return value.strftime("%Y%m%dT%H%M%S%z")
