"""The structs of a serialised DAG. Durations are seconds, instants are UTC datetimes, ids are plain strings.

Every field has the default of the authoring API, and defaults are left out of the bytes, so that a small DAG has a
small spec and a new field changes no old hash.
"""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import Any

import msgspec

from windlass.spec.deadline import DeadlineSpec
from windlass.spec.mapping import MapSpec
from windlass.spec.timetable import NullSpec, TimetableSpec
from windlass.states import TriggerRule as TriggerRule
from windlass.states import WeightRule as WeightRule


class ParamSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A param: its default and the JSON schema its value must meet."""

    value: Any = None
    has_value: bool = True
    description: str | None = None
    schema: dict[str, Any] = msgspec.field(default_factory=dict)


class AssetSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A named piece of data that tasks produce (outlets) or read (inlets)."""

    name: str
    uri: str
    group: str = "asset"
    extra: dict[str, Any] = msgspec.field(default_factory=dict)
    is_alias: bool = False


class MarkSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The task of another DAG that an ExternalTaskMarker marks, as it is written: each may be a template."""

    #: None: every instance of a mapped marker has its own.
    external_dag_id: str | None = None
    external_task_id: str | None = None
    logical_date: str | None = None
    #: The other run is the one of the same logical date; then ``logical_date`` is None.
    same_date: bool = False
    #: How many markers may follow each other when this one is cleared.
    recursion_depth: int = 10


class TaskSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, dict=True):
    """One task of a DAG. ``upstream`` holds the full ids of its direct upstream tasks, sorted."""

    task_id: str
    operator: str = ""
    upstream: tuple[str, ...] = ()
    group: str | None = None
    owner: str = "windlass"
    display_name: str | None = None
    trigger_rule: TriggerRule = TriggerRule.ALL_SUCCESS
    retries: int = 0
    retry_delay: float = 300.0
    #: 0 = constant delay, else the multiplier of the exponential backoff (True in the DAG file means 2).
    retry_backoff: float = 0.0
    max_retry_delay: float = 86400.0
    execution_timeout: float | None = None
    start_date: datetime | None = None
    end_date: datetime | None = None
    depends_on_past: bool = False
    wait_for_downstream: bool = False
    ignore_first_depends_on_past: bool = True
    pool: str = "default_pool"
    pool_slots: int = 1
    priority_weight: int = 1
    #: One of the three, or the name of a strategy, which has then made ``priority_weight`` when the file was parsed.
    weight_rule: str = WeightRule.DOWNSTREAM
    queue: str = "default"
    executor: str | None = None
    executor_config: dict[str, Any] = msgspec.field(default_factory=dict)
    resources: dict[str, Any] = msgspec.field(default_factory=dict)
    max_active_tis_per_dag: int | None = None
    max_active_tis_per_dagrun: int | None = None
    do_xcom_push: bool = True
    multiple_outputs: bool = False
    params: dict[str, ParamSpec] = msgspec.field(default_factory=dict)
    inlets: tuple[AssetSpec, ...] = ()
    outlets: tuple[AssetSpec, ...] = ()
    is_setup: bool = False
    is_teardown: bool = False
    setups: tuple[str, ...] = ()
    on_failure_fail_dagrun: bool = False
    #: Set when the task itself is mapped; a task inside a mapped group is not.
    map: MapSpec | None = None
    map_index_template: str | None = None
    template_fields: tuple[str, ...] = ()
    #: Which callbacks the task has: "execute", "success", "failure", "retry", "skipped".
    callbacks: tuple[str, ...] = ()
    #: Downstreams may be skipped by this task's decision (branch, short circuit, latest only).
    is_brancher: bool = False
    is_sensor: bool = False
    #: Set for an ExternalTaskMarker.
    marks: MarkSpec | None = None
    doc: str | None = None
    ui_color: str = "#fff"


class GroupSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A task group; ``parent`` is None for one directly in the DAG."""

    group_id: str
    parent: str | None = None
    display_name: str | None = None
    tooltip: str = ""
    map: MapSpec | None = None
    ui_color: str = "CornflowerBlue"


class DagSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, dict=True):
    """A whole DAG. ``tasks`` are in topological order (ties in definition order)."""

    dag_id: str
    tasks: tuple[TaskSpec, ...] = ()
    groups: tuple[GroupSpec, ...] = ()
    #: Path of the file inside its bundle, with forward slashes.
    file: str = ""
    display_name: str | None = None
    description: str | None = None
    doc: str | None = None
    schedule: TimetableSpec = NullSpec()
    #: What ``dags list`` shows for the schedule, for example ``@daily``.
    schedule_summary: str = "None"
    start_date: datetime | None = None
    end_date: datetime | None = None
    timezone: str = "UTC"
    catchup: bool = False
    run_on_unpause: bool = True
    max_active_runs: int = 16
    max_active_tasks: int = 16
    max_consecutive_failed_dag_runs: int = 0
    max_map_length: int = 1024
    dagrun_timeout: float | None = None
    fail_fast: bool = False
    #: None = the configuration decides.
    is_paused_upon_creation: bool | None = None
    tags: tuple[str, ...] = ()
    owner_links: dict[str, str] = msgspec.field(default_factory=dict)
    access_control: dict[str, Any] = msgspec.field(default_factory=dict)
    params: dict[str, ParamSpec] = msgspec.field(default_factory=dict)
    #: (upstream task, downstream task, label)
    edge_labels: tuple[tuple[str, str, str], ...] = ()
    #: Which run callbacks the DAG has: "success", "failure".
    callbacks: tuple[str, ...] = ()
    render_template_as_native_obj: bool = False
    #: Seconds between forced parses of the file, where its DAG sets one.
    min_file_process_interval: float | None = None
    #: By when its runs must have ended. A run's missed deadline is told by its place in here.
    deadlines: tuple[DeadlineSpec, ...] = ()

    @cached_property
    def by_id(self) -> dict[str, TaskSpec]:
        """The tasks by id."""
        return {task.task_id: task for task in self.tasks}

    @cached_property
    def dated(self) -> tuple[TaskSpec, ...]:
        """The tasks that have a start_date or an end_date of their own."""
        return tuple(task for task in self.tasks if task.start_date is not None or task.end_date is not None)

    @cached_property
    def groups_by_id(self) -> dict[str, GroupSpec]:
        """The groups by id."""
        return {group.group_id: group for group in self.groups}

    @cached_property
    def downstream(self) -> dict[str, tuple[str, ...]]:
        """The direct downstream task ids of each task, in the order of ``tasks``."""
        edges: dict[str, list[str]] = {task.task_id: [] for task in self.tasks}
        for task in self.tasks:
            for upstream in task.upstream:
                edges[upstream].append(task.task_id)
        return {task_id: tuple(ids) for task_id, ids in edges.items()}

    def mapped_group_of(self, task_id: str) -> GroupSpec | None:
        """Return the innermost mapped group around the task, if any."""
        group_id = self.by_id[task_id].group
        while group_id is not None:
            group = self.groups_by_id[group_id]
            if group.map is not None:
                return group
            group_id = group.parent
        return None
