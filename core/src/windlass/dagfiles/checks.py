"""What a spec must meet before it is stored, whoever made it: the parse child ran author code, so nothing is believed.

A DAG that does not pass is an import error of its file; the file's other DAGs are stored all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from windlass.errors import DuplicateId, ParamInvalid, SpecError
from windlass.planning.assets import condition_of, is_met, names_in
from windlass.planning.calendar import is_asked
from windlass.planning.timetables import timetable
from windlass.spec import DagSpec, NullSpec, ParamSpec, decode_spec
from windlass.spec.schemas import schema_problem

#: Every reader of a DAG decodes the whole of it.
MAX_BYTES: Final = 8 << 20
#: A run's task instances are made in one transaction.
MAX_TASKS: Final = 20_000
#: What the database holds of a name.
MAX_NAME: Final = 250


def checked(data: bytes, file: str, *, executors: Sequence[str] = ()) -> DagSpec:
    """Return the DAG in ``data``, which ``file`` defines.

    ``executors`` are the names of the one that runs everything; without them a task may name any.

    :raises SpecError: if it is no DAG, too large, its tasks do not fit together, or one asks for another executor.
    :raises AuthoringError: if its schedule cannot be, or its params do not fit their schemas.
    """
    if len(data) > MAX_BYTES:
        text = f"a DAG of {file} takes {len(data):,} bytes when serialised, the limit is {MAX_BYTES:,}"
        raise SpecError(f"{text}; split it, or move data out of its arguments")
    spec = decode_spec(data)
    if spec.file != file:
        spec = msgspec.structs.replace(spec, file=file)
    _check_names(spec)
    _check_edges(spec)
    if executors:
        _check_executors(spec, executors)
    if not is_asked(spec):
        timetable(spec.schedule, anchor=spec.start_date)
    _check_assets(spec)
    _check_params(spec)
    return spec


def _check_names(spec: DagSpec) -> None:
    if not spec.dag_id or len(spec.dag_id) > MAX_NAME:
        raise SpecError(f"DAG id {spec.dag_id[:60]!r}… has {len(spec.dag_id)} characters; it must have 1 to {MAX_NAME}")
    if len(spec.tasks) > MAX_TASKS:
        raise SpecError(
            f"DAG {spec.dag_id!r} has {len(spec.tasks):,} tasks, the limit is {MAX_TASKS:,}; map them, or split it"
        )
    for task in spec.tasks:
        if not task.task_id or len(task.task_id) > MAX_NAME:
            text = f"task id {task.task_id[:60]!r}… of DAG {spec.dag_id!r} has {len(task.task_id)} characters"
            raise SpecError(f"{text}; it must have 1 to {MAX_NAME}")


def _check_assets(spec: DagSpec) -> None:
    condition = condition_of(spec.schedule)
    names = [name.name for name in names_in(condition)]
    names += [asset.uri or asset.name for task in spec.tasks for asset in (*task.outlets, *task.inlets)]
    for name in names:
        if not name or len(name) > MAX_NAME:
            text = f"asset {name[:60]!r}… of DAG {spec.dag_id!r} has {len(name)} characters"
            raise SpecError(f"{text}; it must have 1 to {MAX_NAME}")
    if condition is not None and not is_met(condition, names_in(condition)):
        raise SpecError(f"the asset schedule of DAG {spec.dag_id!r} can never be met: a part of it names no asset")


def _check_edges(spec: DagSpec) -> None:
    groups = {group.group_id for group in spec.groups}
    before: set[str] = set()
    for task in spec.tasks:
        if task.task_id in before:
            raise DuplicateId(f"DAG {spec.dag_id!r} has two tasks called {task.task_id!r}; rename one")
        for upstream in task.upstream:
            if upstream not in before:
                raise SpecError(
                    f"task {task.task_id!r} of DAG {spec.dag_id!r} depends on {upstream!r}, which does not precede it"
                )
        if task.group is not None and task.group not in groups:
            raise SpecError(
                f"task {task.task_id!r} of DAG {spec.dag_id!r} is in group {task.group!r}, which is not there"
            )
        before.add(task.task_id)


def _check_executors(spec: DagSpec, executors: Sequence[str]) -> None:
    """Refuse what would be ignored: every task runs with the one configured executor."""
    for task in spec.tasks:
        if task.executor is not None and task.executor not in executors:
            raise SpecError(
                f"task {task.task_id!r} of DAG {spec.dag_id!r} asks for executor {task.executor!r}, which is not the "
                f"configured one (core.executor); write {' or '.join(map(repr, executors))}, or leave executor= out"
            )


def _check_params(spec: DagSpec) -> None:
    scheduled = not isinstance(spec.schedule, NullSpec)
    for name, param in spec.params.items():
        _check_param(param, f"param {name!r} of DAG {spec.dag_id!r}", required=scheduled)
    for task in spec.tasks:
        for name, param in task.params.items():
            inherited = name in spec.params and not param.has_value
            owner = f"param {name!r} of task {task.task_id!r} of DAG {spec.dag_id!r}"
            _check_param(param, owner, required=scheduled and not inherited)


def _check_param(param: ParamSpec, name: str, *, required: bool) -> None:
    """Check a param by itself; where runs start by schedule, nobody can give it a value."""
    if required and not param.has_value:
        raise ParamInvalid(f"{name} has no default, which scheduled runs need; give it one")
    if param.schema:
        problem = schema_problem(param.schema, name, [param.value] if required else [])
        if problem is not None:
            text = f"the default of {name} does not fit its schema: {problem}"
            raise ParamInvalid(f"{text}; scheduled runs use it, so give one that does")
