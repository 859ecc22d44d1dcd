"""What observer hooks are told: frozen facts, never a database row and never an object of the engine."""

from __future__ import annotations

from datetime import datetime

import msgspec

from windlass.states import Actor, RunState, RunType, TaskState


class RunChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A run moved from one state to another."""

    dag_id: str
    run_id: str
    run_type: RunType
    logical_date: datetime
    data_interval_start: datetime
    data_interval_end: datetime
    before: RunState
    after: RunState
    actor: Actor
    reason: str = ""
    at: datetime


class TaskChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A task instance moved from one state to another."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int
    before: TaskState
    after: TaskState
    actor: Actor
    reason: str = ""
    at: datetime


class AssetUpdated(msgspec.Struct, frozen=True, kw_only=True):
    """A task, or somebody outside, updated an asset. The task fields are None in the second case."""

    uri: str
    dag_id: str | None = None
    run_id: str | None = None
    task_id: str | None = None
    map_index: int = -1
    at: datetime


class ImportErrorChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A DAG file can no longer be parsed, or can again (``message`` is None then)."""

    bundle: str
    file: str
    message: str | None
    at: datetime
