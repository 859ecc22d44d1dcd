"""Which tasks of a DAG a person means: by a regular expression, with what lies around them and what they need."""

from __future__ import annotations

from collections.abc import Callable, Collection

from windlass.errors import UsageError
from windlass.spec import DagSpec

_Neighbours = Callable[[str], Collection[str]]


def matching(spec: DagSpec, task_regex: str) -> frozenset[str]:
    """Return the tasks whose id the expression finds.

    :raises UsageError: if it is no expression, or none that can be matched in linear time.
    """
    from windlass.spec.patterns import PatternRefused, pattern

    try:
        wanted = pattern(task_regex)
    except PatternRefused as error:
        raise UsageError(f"task regex {error}") from None
    return frozenset(task_id for task_id in spec.by_id if wanted.search(task_id))


def upstream_of(spec: DagSpec, task_ids: Collection[str]) -> frozenset[str]:
    """Return everything that these tasks depend on, directly or not."""
    return _reached(task_ids, lambda task_id: spec.by_id[task_id].upstream)


def downstream_of(spec: DagSpec, task_ids: Collection[str]) -> frozenset[str]:
    """Return everything that depends on these tasks, directly or not."""
    return _reached(task_ids, lambda task_id: spec.downstream[task_id])


def setups_of(spec: DagSpec, task_ids: Collection[str]) -> frozenset[str]:
    """Return the setups in whose scope these tasks stand, with the teardowns that end it; not the tasks themselves."""
    setups = {task.task_id for task in spec.tasks if task.is_setup}
    needed: set[str] = set()
    for task_id in set(task_ids) & spec.by_id.keys() if setups else ():
        after = downstream_of(spec, {task_id})
        for setup in setups & upstream_of(spec, {task_id}):
            teardowns = {task.task_id for task in spec.tasks if setup in task.setups}
            if not teardowns or teardowns & after:
                needed |= {setup, *teardowns}
    return frozenset(needed - set(task_ids))


def chosen_tasks(spec: DagSpec, task_regex: str | None) -> tuple[str, ...] | None:
    """Return the tasks that the expression finds, with their setups and teardowns, in the order of the graph.

    Without an expression it is None, which means all of them.

    :raises UsageError: if it is no expression, or finds nothing.
    """
    if task_regex is None:
        return None
    found = matching(spec, task_regex)
    if not found:
        raise UsageError(
            f"no task of DAG {spec.dag_id!r} matches {task_regex!r}; `windlass tasks list {spec.dag_id}` shows all"
        )
    found |= setups_of(spec, found)
    return tuple(task.task_id for task in spec.tasks if task.task_id in found)


def _reached(start: Collection[str], neighbours: _Neighbours) -> frozenset[str]:
    reached: set[str] = set()
    waiting = list(start)
    while waiting:
        for task_id in neighbours(waiting.pop()):
            if task_id not in reached:
                reached.add(task_id)
                waiting.append(task_id)
    return frozenset(reached)
