"""From a DAG to its spec: the same graph gives the same bytes in every process.

Whatever has no order of its own (sets of ids, tags) is sorted, whatever has one (tasks, keywords of ``expand``) keeps
it. Values that travel in the spec must be JSON; one that is not is an error that names it.
"""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec

from windlass.authoring.arguments import whole
from windlass.authoring.asset import Asset, AssetAlias
from windlass.authoring.mapped import DictOfLists, ExpandInput, ListOfDicts, MappedOperator
from windlass.authoring.operator import BaseOperator
from windlass.authoring.param import ParamsDict
from windlass.authoring.schedule import schedule
from windlass.authoring.task_group import TaskGroup
from windlass.authoring.typed import check_types
from windlass.authoring.weights import rule_name, weight_of
from windlass.authoring.xcom_arg import ConcatXComArg, MapXComArg, PlainXComArg, XComArg, ZipXComArg
from windlass.errors import AuthoringError
from windlass.moment import utc
from windlass.spec import (
    AssetSpec,
    ConcatLength,
    DagSpec,
    GroupSpec,
    LengthSpec,
    LiteralLength,
    MapSpec,
    MarkSpec,
    ParamSpec,
    TaskSpec,
    TriggerRule,
    XComLength,
    ZipLength,
)

if TYPE_CHECKING:
    from windlass.authoring.dag import DAG
    from windlass.authoring.operators.external_task import ExternalTaskMarker

_S = TypeVar("_S", bound=msgspec.Struct)
_ABSENT = object()


def dag_spec(dag: DAG, file: str = "") -> DagSpec:
    """Return ``dag`` as data.

    :raises AuthoringError: if it describes something that cannot be.
    """
    for task in dag.tasks:
        task.join_references()
    for partial in dag.partials:
        if not partial.expanded:
            raise AuthoringError(
                f"partial() of task {partial.kwargs['task_id']!r} was never expanded; call .expand(…), or remove it"
            )
    tasks = dag.topological_sort()
    zone = zone_name(dag.timezone)
    timetable, summary = schedule(f"DAG {dag.dag_id!r}", dag.schedule, zone)
    max_active_runs = _max_active_runs(dag, summary)
    _check_schedulable(dag, summary)
    spec = lean(
        DagSpec,
        dag_id=dag.dag_id,
        tasks=tuple(task_spec(task) for task in tasks),
        groups=tuple(_group_spec(group) for group in dag.group_dict.values()),
        file=file,
        display_name=dag.dag_display_name,
        description=dag.description,
        doc=dag.doc_md,
        schedule=timetable,
        schedule_summary=summary,
        start_date=_utc(dag.start_date),
        end_date=_utc(dag.end_date),
        timezone=zone,
        catchup=dag.catchup,
        run_on_unpause=dag.run_on_unpause,
        max_active_runs=max_active_runs,
        max_active_tasks=dag.max_active_tasks,
        max_consecutive_failed_dag_runs=dag.max_consecutive_failed_dag_runs,
        max_map_length=dag.max_map_length,
        dagrun_timeout=_seconds(dag.dagrun_timeout),
        fail_fast=dag.fail_fast,
        is_paused_upon_creation=dag.is_paused_upon_creation,
        tags=tuple(sorted(dag.tags)),
        owner_links=dag.owner_links,
        access_control=_json(f"DAG {dag.dag_id!r}: access_control", dag.access_control),
        params=_params(f"DAG {dag.dag_id!r}", dag.params),
        edge_labels=tuple(sorted((before, after, text) for (before, after), text in dag.edge_labels.items())),
        callbacks=tuple(kind for kind in ("success", "failure") if getattr(dag, f"on_{kind}_callback")),
        render_template_as_native_obj=dag.render_template_as_native_obj,
        min_file_process_interval=dag.min_file_process_interval,
        deadlines=tuple(alert.to_spec() for alert in dag.deadlines),
    )
    return check_types(spec)


def _max_active_runs(dag: DAG, summary: str) -> int:
    """Return the bound that the DAG sets, or a narrower one of its timetable."""
    bound = 1 if summary == "@continuous" else getattr(dag.schedule, "active_runs_limit", None)
    if bound is None:
        return dag.max_active_runs
    return int(bound) if dag.max_active_runs < 0 else min(int(bound), dag.max_active_runs)


def _check_schedulable(dag: DAG, summary: str) -> None:
    if dag.start_date is not None and dag.end_date is not None and dag.end_date < dag.start_date:
        raise AuthoringError(f"DAG {dag.dag_id!r} ends before it starts; swap start_date and end_date")
    if summary != "None":
        missing = [name for name, param in dag.params.param_items() if not param.has_value]
        if missing:
            raise AuthoringError(
                f"DAG {dag.dag_id!r} is scheduled, but its param {missing[0]!r} has no default; give it one"
            )
    if dag.fail_fast:
        for task in dag.tasks:
            if task.trigger_rule != TriggerRule.ALL_SUCCESS and not task.is_teardown:
                raise AuthoringError(
                    f"DAG {dag.dag_id!r} has fail_fast, so task {task.task_id!r} must keep trigger_rule 'all_success'"
                )


def task_spec(task: BaseOperator) -> TaskSpec:
    """Return ``task`` as data."""
    who = f"task {task.task_id!r}"
    for field in task.template_fields:
        if not isinstance(task, MappedOperator) and not hasattr(task, str(field)):
            raise AuthoringError(
                f"{who}: {task.operator_name} lists {field!r} in template_fields and has no such attribute"
            )
    dag = task.dag
    setups = sorted(i for i in task.upstream_task_ids if dag is not None and dag.task_dict[i].is_setup)
    return lean(
        TaskSpec,
        task_id=task.task_id,
        operator=task.operator_name,
        upstream=tuple(sorted(task.upstream_task_ids)),
        group=task.task_group.group_id if task.task_group is not None else None,
        owner=task.owner,
        display_name=task.task_display_name,
        trigger_rule=TriggerRule(task.trigger_rule),
        retries=task.retries,
        retry_delay=task.retry_delay.total_seconds(),
        retry_backoff=task.retry_exponential_backoff,
        max_retry_delay=86400.0 if task.max_retry_delay is None else task.max_retry_delay.total_seconds(),
        execution_timeout=_seconds(task.execution_timeout),
        start_date=_utc(task.start_date),
        end_date=_utc(task.end_date),
        depends_on_past=task.depends_on_past,
        wait_for_downstream=task.wait_for_downstream,
        ignore_first_depends_on_past=task.ignore_first_depends_on_past,
        pool=task.pool,
        pool_slots=task.pool_slots,
        priority_weight=weight_of(task),
        weight_rule=rule_name(task.weight_rule),
        queue=task.queue,
        executor=task.executor,
        executor_config=_json(f"{who}: executor_config", task.executor_config),
        resources=_json(f"{who}: resources", task.resources),
        max_active_tis_per_dag=task.max_active_tis_per_dag,
        max_active_tis_per_dagrun=task.max_active_tis_per_dagrun,
        do_xcom_push=task.do_xcom_push,
        multiple_outputs=task.multiple_outputs,
        params=_params(who, task.params),
        inlets=_assets(who, task.inlets),
        outlets=_assets(who, task.outlets),
        is_setup=task.is_setup,
        is_teardown=task.is_teardown,
        setups=tuple(setups) if task.is_teardown else (),
        on_failure_fail_dagrun=task.on_failure_fail_dagrun,
        map=map_spec(task.expand_input) if isinstance(task, MappedOperator) else None,
        map_index_template=task.map_index_template,
        template_fields=tuple(task.template_fields),
        callbacks=task.callback_kinds(),
        is_brancher=task.is_brancher,
        is_sensor=task.is_sensor,
        marks=_mark(who, task),
        doc=next((text for text in (task.doc_md, task.doc, task.doc_rst, task.doc_json, task.doc_yaml) if text), None),
        ui_color=task.ui_color,
    )


def _mark(who: str, task: BaseOperator) -> MarkSpec | None:
    """Return what an ExternalTaskMarker marks; what the instances of a mapped one mark is known when they have run."""
    if isinstance(task, MappedOperator):
        depth = task.partial_kwargs.get("recursion_depth", 10)
        return MarkSpec(recursion_depth=whole(who, "recursion_depth", depth, low=1)) if task.is_marker else None
    return cast("ExternalTaskMarker", task).mark() if task.is_marker else None


def _group_spec(group: TaskGroup) -> GroupSpec:
    parent = group.parent_group
    return lean(
        GroupSpec,
        group_id=str(group.group_id),
        parent=parent.group_id if parent is not None else None,
        display_name=group.group_display_name or None,
        tooltip=group.tooltip,
        map=map_spec(group.expand_input) if group.expand_input is not None else None,
        ui_color=group.ui_color,
    )


def map_spec(expand_input: ExpandInput) -> MapSpec:
    """Return how many instances ``expand_input`` makes, as an expression."""
    if isinstance(expand_input, DictOfLists):
        return MapSpec(factors=tuple((name, _length(value)) for name, value in expand_input.values.items()))
    assert isinstance(expand_input, ListOfDicts)  # noqa: S101 - the two kinds there are
    return MapSpec(factors=(("expand_kwargs", _length(expand_input.value)),), kind="kwargs")


def _length(value: Any) -> LengthSpec:
    match value:
        case PlainXComArg():
            return XComLength(task_id=value.operator.task_id)
        case MapXComArg():
            return _length(value.source)
        case ZipXComArg():
            return ZipLength(parts=tuple(_length(part) for part in value.parts), longest=value.longest)
        case ConcatXComArg():
            return ConcatLength(parts=tuple(_length(part) for part in value.parts))
        case XComArg():
            raise AuthoringError(f"{value!r} cannot be mapped over inside its own group; map over the group's argument")
        case _:
            return LiteralLength(len(value))


def _params(who: str, params: ParamsDict) -> dict[str, ParamSpec]:
    return {
        name: lean(
            ParamSpec,
            value=_json(f"{who}: param {name!r}", param.value),
            has_value=param.has_value,
            description=param.description,
            schema=_json(f"{who}: schema of param {name!r}", param.schema),
        )
        for name, param in params.param_items()
    }


def _assets(who: str, assets: Iterable[Any]) -> tuple[AssetSpec, ...]:
    return tuple(_asset(who, asset) for asset in assets if not isinstance(asset, XComArg))


def _asset(who: str, asset: Any) -> AssetSpec:
    if isinstance(asset, AssetAlias):
        return AssetSpec(name=asset.name, uri="", group=asset.group, is_alias=True)
    if not isinstance(asset, Asset):
        raise AuthoringError(f"{who}: inlets and outlets are assets, not {asset!r}; write Asset({str(asset)!r})")
    extra = _json(f"{who}: extra of {asset!r}", asset.extra)
    return AssetSpec(name=asset.name, uri=asset.uri, group=asset.group, extra=extra)


def lean(kind: type[_S], **fields: Any) -> _S:
    """Make a struct without the fields that equal their defaults.

    What is left out of the bytes must not depend on which of two equal objects a DAG file happened to use.
    """
    names, defaults = kind.__struct_fields__, kind.__struct_defaults__
    known = dict(zip(names[len(names) - len(defaults) :], defaults, strict=True))
    return kind(**{name: value for name, value in fields.items() if not _same(known.get(name, _ABSENT), value)})


def _same(default: Any, value: Any) -> bool:
    if isinstance(default, str) and isinstance(value, str):
        return default == value
    return type(default) is type(value) and bool(default == value)


def _json(what: str, value: Any) -> Any:
    try:
        return msgspec.to_builtins(value, order="deterministic")
    except (TypeError, ValueError, OverflowError) as error:
        kind = "a mapping" if isinstance(value, Mapping) else repr(value)[:80]
        raise AuthoringError(f"{what} must be JSON, but {kind} is not: {error}") from None


def _seconds(value: timedelta | None) -> float | None:
    return None if value is None else value.total_seconds()


def _utc(value: datetime | None) -> datetime | None:
    from windlass.authoring.dag import default_timezone

    return None if value is None else utc(value, default_timezone())


def zone_name(zone: tzinfo | None) -> str:
    """Return the IANA name of ``zone``: of ZoneInfo, pendulum and dateutil zones; a fixed offset is ``UTC``."""
    from windlass.authoring.dag import default_timezone

    zone = zone if zone is not None else default_timezone()
    for attribute in ("key", "name", "zone"):
        name = getattr(zone, attribute, None)
        if isinstance(name, str) and name:
            return name
    return "UTC"
