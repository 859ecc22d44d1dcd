"""What a branch skips, from the spec alone: a simulation has no operators to ask.

In a task the decision is made over the author's own objects (``authoring.branching``); a property test holds the two
against each other.
"""

from __future__ import annotations

from collections.abc import Iterable

from windlass.errors import UsageError
from windlass.spec import DagSpec


def branch_skips(spec: DagSpec, task_id: str, chosen: Iterable[str]) -> tuple[str, ...]:
    """Return the ids that ``task_id`` skips by choosing the tasks or groups ``chosen``; none chosen skips all.

    Only direct downstream tasks are skipped, and of them neither what a chosen one leads to nor a teardown.

    :raises UsageError: if a chosen id is no task or group of the DAG.
    """
    direct = spec.downstream[task_id]
    reached: set[str] = set()
    for node_id in chosen:
        for root in _roots(spec, node_id):
            reached |= {root, *descendants(spec, root)}
    if unknown := [node_id for node_id in chosen if not list(_roots(spec, node_id))]:
        known = ", ".join(direct) or "nothing, it has no downstream tasks"
        raise UsageError(
            f"task {task_id!r} of DAG {spec.dag_id!r} cannot choose {unknown[0]!r}, which is no task or group of it; "
            f"it can choose {known}"
        )
    return tuple(sorted(name for name in direct if name not in reached and not spec.by_id[name].is_teardown))


def descendants(spec: DagSpec, task_id: str) -> set[str]:
    """Return the ids of everything downstream of a task."""
    found: set[str] = set()
    waiting = [*spec.downstream[task_id]]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += spec.downstream[name]
    return found


def _roots(spec: DagSpec, node_id: str) -> Iterable[str]:
    """Return the task of that id, or the tasks of the group that depend on none of the group."""
    if node_id in spec.by_id:
        return (node_id,)
    members = [task for task in spec.tasks if _is_inside(spec, task.group, node_id)]
    inside = {task.task_id for task in members}
    return tuple(task.task_id for task in members if inside.isdisjoint(task.upstream))


def _is_inside(spec: DagSpec, group: str | None, wanted: str) -> bool:
    while group is not None:
        if group == wanted:
            return True
        group = spec.groups_by_id[group].parent
    return False
