"""The dates of a task: which tasks are part of a run, and what the others see of those that are not.

A task with a ``start_date`` or an ``end_date`` of its own gets no instance in a run whose logical date lies outside,
but for the runs of a backfill: who fills the past wants all of it. A task that is left out lets through what stands
before it: ``a >> late >> b`` is ``a >> b`` in a run that ``late`` is no part of, so that the order stays, and nothing
waits for what never comes. Only a branch is not heard through it: where it would have skipped ``late``, what stands
below sees that the branch itself succeeded.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import msgspec

from windlass.spec import DagSpec, TaskSpec
from windlass.states import RunType


def is_within_dates(task: TaskSpec, logical_date: datetime) -> bool:
    """Return whether the date lies between the task's own start_date and end_date, both inclusive."""
    return (task.start_date is None or task.start_date <= logical_date) and (
        task.end_date is None or logical_date <= task.end_date
    )


def tasks_of_run(
    spec: DagSpec, run_type: RunType, logical_date: datetime, chosen: Collection[str] | None = None
) -> Collection[str]:
    """Return the ids of the tasks that get an instance in a run of that type and date.

    ``chosen`` names them whatever their dates: who asks for a task by its id means it.
    """
    if chosen is not None:
        return frozenset(chosen)
    left_out = _outside(spec, run_type, logical_date)
    return spec.by_id.keys() - left_out if left_out else spec.by_id.keys()


def bridged(spec: DagSpec, run_type: RunType, logical_date: datetime, present: Collection[str]) -> DagSpec:
    """Return the graph that a run goes by: its edges pass through the tasks that their dates have left out of it.

    ``present`` are the tasks that have an instance in the run. It is ``spec`` itself where nothing is left out, and
    else made once for each set of tasks that is.
    """
    left_out = _outside(spec, run_type, logical_date).difference(present)
    if not left_out:
        return spec
    known: dict[frozenset[str], DagSpec] = spec.__dict__.setdefault("bridged", {})
    if left_out not in known:
        known[left_out] = msgspec.structs.replace(spec, tasks=_bridged(spec.tasks, left_out))
    return known[left_out]


def _outside(spec: DagSpec, run_type: RunType, logical_date: datetime) -> frozenset[str]:
    if run_type is RunType.BACKFILL:
        return frozenset()
    return frozenset(task.task_id for task in spec.dated if not is_within_dates(task, logical_date))


def _bridged(tasks: tuple[TaskSpec, ...], left_out: Collection[str]) -> tuple[TaskSpec, ...]:
    """Replace each upstream that is left out by its own; ``tasks`` are topological, so those are replaced already."""
    upstream: dict[str, tuple[str, ...]] = {}
    for task in tasks:
        names: dict[str, None] = {}
        for name in task.upstream:
            names |= dict.fromkeys(upstream[name] if name in left_out else (name,))
        upstream[task.task_id] = tuple(names)
    return tuple(
        task
        if upstream[task.task_id] == task.upstream
        else msgspec.structs.replace(task, upstream=upstream[task.task_id])
        for task in tasks
    )
