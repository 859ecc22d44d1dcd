"""Which tasks a decision skips, computed from the graph alone.

A branch skips only direct downstream tasks that were not chosen, except those that a chosen one leads to: they are
joins. A short circuit skips every descendant, whatever its trigger rule. Neither skips a teardown.
"""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from windlass.authoring.arguments import closest
from windlass.errors import AuthoringError

if TYPE_CHECKING:
    from windlass.authoring.operator import BaseOperator


def branch_skips(task: BaseOperator, chosen: Any) -> tuple[str, ...]:
    """Return the ids that ``task`` skips by choosing ``chosen``: an id of a task or group, several, or None.

    :raises AuthoringError: if an id is not that of a downstream task or group.
    """
    followed = _chosen_tasks(task, chosen)
    reached = set(followed)
    dag = task.dag
    if dag is None:
        return ()
    for task_id in followed:
        reached |= dag.task_dict[task_id].get_flat_relative_ids()
    return tuple(
        sorted(task_id for task_id in task.downstream_task_ids - reached if not dag.task_dict[task_id].is_teardown)
    )


def _chosen_tasks(task: BaseOperator, chosen: Any) -> set[str]:
    if chosen is None:
        return set()
    ids = [chosen] if isinstance(chosen, str) else chosen
    if not isinstance(ids, Iterable) or not all(isinstance(item, str) for item in ids):
        raise AuthoringError(
            f"branch {task.task_id!r} returned {chosen!r}; return a task id, a group id, a list of them, or None"
        )
    dag = task.dag
    found: set[str] = set()
    for node_id in ids:
        if dag is not None and node_id in dag.group_dict:
            found.update(root.task_id for root in dag.group_dict[node_id].roots)
        elif dag is not None and node_id in dag.task_dict:
            found.add(node_id)
        else:
            raise AuthoringError(_unknown_branch(task, node_id))
    return found


def _unknown_branch(task: BaseOperator, node_id: str) -> str:
    valid = sorted(task.downstream_task_ids)
    match = closest(node_id, valid)
    hint = f"did you mean {match!r}? " if match else ""
    return (
        f"branch {task.task_id!r} chose {node_id!r}, which is no task or group of the DAG; "
        f"{hint}It can choose {', '.join(valid) or 'nothing: it has no downstream tasks'}"
    )


def descendant_skips(task: BaseOperator, *, direct_only: bool = False) -> tuple[str, ...]:
    """Return the ids of all descendants (or only the direct ones) that are no teardowns."""
    ids = task.downstream_task_ids if direct_only else task.get_flat_relative_ids()
    dag = task.dag
    return tuple(sorted(task_id for task_id in ids if dag is not None and not dag.task_dict[task_id].is_teardown))
