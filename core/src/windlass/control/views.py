"""What queries and commands return: frozen structs of plain values, never database rows.

Field names are the ones that people see in ``-o json``; they are part of the contract with scripts, so a field may be
added but not renamed.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from windlass.ports import BackfillState, Reprocess, Treatment
from windlass.protocol import TimetablePage, TimetableQuestion
from windlass.states import RunState, RunType, TaskState

if TYPE_CHECKING:
    from windlass.store import Affected as Affected

T = TypeVar("T")


class Page(msgspec.Struct, Generic[T], frozen=True):
    """Some of the items; ``next`` is the cursor to ask for the rest with, None at the end."""

    items: tuple[T, ...]
    next: str | None = None


class DagRow(msgspec.Struct, frozen=True, kw_only=True):
    """A DAG in a list. A ``stale`` one is no longer in any file."""

    dag_id: str
    file: str
    bundle: str
    schedule: str
    paused: bool
    stale: bool
    owners: tuple[str, ...]
    tags: tuple[str, ...]
    description: str | None


class NextRun(msgspec.Struct, frozen=True, kw_only=True):
    """The run that the schedule wants next; the fields are None when it wants none, and ``reason`` says why."""

    dag_id: str
    run_after: datetime | None = None
    logical_date: datetime | None = None
    data_interval_start: datetime | None = None
    data_interval_end: datetime | None = None
    reason: str | None = None


class DagDetails(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is known of a DAG, but its tasks."""

    dag_id: str
    display_name: str | None
    description: str | None
    doc: str | None
    bundle: str
    file: str
    schedule: str
    timezone: str
    start_date: datetime | None
    end_date: datetime | None
    catchup: bool
    paused: bool
    stale: bool
    max_active_runs: int
    max_active_tasks: int
    dagrun_timeout: float | None
    tags: tuple[str, ...]
    owners: tuple[str, ...]
    params: dict[str, Any]
    tasks: int
    spec_version: str
    code_version: str
    next_run: NextRun
    #: Who paused it, and why where that was not a person's wish.
    paused_by: str | None = None
    paused_reason: str | None = None


class GraphTask(msgspec.Struct, frozen=True, kw_only=True):
    """A task of a DAG's graph."""

    task_id: str
    operator: str
    trigger_rule: str
    upstream: tuple[str, ...]
    downstream: tuple[str, ...]
    group: str | None
    retries: int
    pool: str
    queue: str
    mapped: bool


class Graph(msgspec.Struct, frozen=True, kw_only=True):
    """A DAG's tasks in topological order."""

    dag_id: str
    spec_version: str
    tasks: tuple[GraphTask, ...]


class RunRow(msgspec.Struct, frozen=True, kw_only=True):
    """A run."""

    dag_id: str
    run_id: str
    run_type: RunType
    logical_date: datetime
    #: None while a plugin's timetable is still to say.
    data_interval_start: datetime | None
    data_interval_end: datetime | None
    state: RunState
    queued_at: datetime
    start_date: datetime | None
    end_date: datetime | None
    run_after: datetime
    conf: dict[str, Any]
    spec_version: str
    code_version: str
    #: The backfill that made it or runs it again.
    backfill_id: int | None = None


class BackfillRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants filled. Both dates are logical dates, and included."""

    dag_id: str
    from_date: datetime
    to_date: datetime
    #: None: as many as the DAG's own runs; the two are counted apart.
    max_active_runs: int | None = None
    reprocess: Reprocess = Reprocess.NONE
    backwards: bool = False
    #: Only tasks whose id it finds run (with their setups and teardowns); the others are no part of the runs.
    task_regex: str | None = None
    conf: dict[str, Any] = msgspec.field(default_factory=dict)


#: Has a plugin's timetable answer a question, in a process that may run its code, and judges the answer.
AskPage = Callable[[TimetableQuestion], TimetablePage]


class BackfillRow(msgspec.Struct, frozen=True, kw_only=True):
    """A backfill, and how far it has come."""

    id: int
    dag_id: str
    state: BackfillState
    #: Bounds of the logical dates, inclusive.
    from_date: datetime
    to_date: datetime
    #: How many intervals there are (None until a plugin's timetable has said the last one), and with how many it has
    #: dealt: their runs were made, cleared, or left alone.
    intervals: int | None
    dealt: int
    #: Its runs by state.
    runs: dict[str, int]
    max_active_runs: int
    reprocess: str
    backwards: bool
    task_regex: str | None
    conf: dict[str, Any]
    created_by: str
    created_at: datetime
    cancelled_at: datetime | None
    completed_at: datetime | None
    spec_version: str
    code_version: str
    #: Why it cannot go on: what is wrong with the plugin's timetable that says its intervals. It is asked again.
    error: str | None


class PlannedRun(msgspec.Struct, frozen=True, kw_only=True):
    """What a backfill would do about an interval; ``state`` is that of the run that exists."""

    run_id: str
    action: Treatment
    state: RunState | None
    logical_date: datetime
    data_interval_start: datetime
    data_interval_end: datetime


class BackfillPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a backfill would do if it were created now."""

    runs: tuple[PlannedRun, ...]
    #: The tasks that would run, None means all.
    task_ids: tuple[str, ...] | None

    def count(self, action: Treatment) -> int:
        """Return of how many intervals it would do that."""
        return sum(run.action is action for run in self.runs)


class MissedDeadline(msgspec.Struct, frozen=True, kw_only=True):
    """A deadline that a run has missed, in words, and when it was due."""

    deadline: str
    due_at: datetime
    missed_at: datetime


class TaskRow(msgspec.Struct, frozen=True, kw_only=True):
    """A task instance: the state, and its latest attempt."""

    task_id: str
    map_index: int
    state: TaskState
    try_number: int
    max_tries: int
    queued_at: datetime | None
    start_date: datetime | None
    end_date: datetime | None
    #: Seconds.
    duration: float | None
    pid: int | None
    hostname: str | None


class ClearedTask(msgspec.Struct, frozen=True, kw_only=True):
    """A task instance that a clear takes, or with ``dry_run`` would take, with the state it is in."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    state: TaskState


class ImportErrorRow(msgspec.Struct, frozen=True, kw_only=True):
    """A DAG file that could not be read."""

    bundle: str
    file: str
    error: str
    at: datetime


class FileRow(msgspec.Struct, frozen=True, kw_only=True):
    """A DAG file, and what came of parsing it."""

    bundle: str
    file: str
    dags: tuple[str, ...]
    parsed_at: datetime | None
    #: Seconds.
    duration: float | None
    errors: int


class PoolRow(msgspec.Struct, frozen=True, kw_only=True):
    """A pool and what it holds now; -1 slots are unlimited."""

    name: str
    slots: int
    include_deferred: bool
    description: str
    running: int
    queued: int
    deferred: int


class ConnectionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A stored connection without its secrets: whether it has a password, and the names of its extra fields."""

    conn_id: str
    conn_type: str
    description: str | None
    host: str | None
    port: int | None
    login: str | None
    schema: str | None
    has_password: bool
    extra: tuple[str, ...]


class VariableRow(msgspec.Struct, frozen=True, kw_only=True):
    """A stored variable without its value."""

    key: str
    description: str | None


class AssetRow(msgspec.Struct, frozen=True, kw_only=True):
    """An asset, or an alias, whose ``uri`` is its name. Producers are tasks (``dag.task``), consumers DAGs."""

    uri: str
    name: str
    group: str
    is_alias: bool
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    updated_at: datetime | None


class AssetWait(msgspec.Struct, frozen=True, kw_only=True):
    """A DAG that an asset schedules; ``waits_for`` is what it still lacks, None if nothing."""

    dag_id: str
    paused: bool
    waits_for: str | None


class AssetDetails(AssetRow, frozen=True, kw_only=True):
    """Everything that is known of an asset or alias."""

    waits: tuple[AssetWait, ...]


class AssetEventRow(msgspec.Struct, frozen=True, kw_only=True):
    """An event of an asset: where it came from, a task or a person, and which run of each DAG consumed it.

    In ``consumed`` a DAG has None while the event waits for its next run.
    """

    id: int
    uri: str
    alias: str | None
    extra: dict[str, Any]
    source_dag_id: str | None
    source_run_id: str | None
    source_task_id: str | None
    source_map_index: int | None
    created_by: str | None
    timestamp: datetime
    consumed: dict[str, str | None]


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """A node of an explanation: a fact that keeps something from running, why so, and the cheapest way out.

    ``kind`` says what sort of fact it is, for programs; the reference lists them.
    """

    fact: str
    kind: str
    #: What to do about this fact: a command, or a few words; None where there is nothing but to wait.
    remedy: str | None = None
    causes: tuple[Cause, ...] = ()


class Explanation(Cause, frozen=True, kw_only=True):
    """The root of the tree. ``cheapest`` is, of all remedies in it, the one to begin with."""

    cheapest: str | None = None
