"""What a test has instead of a task's effects: a value that stands for its result, or an error that it raises."""

# ruff: noqa: ANN401 - a result of the author's
from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from windlass.authoring.dag import DAG
from windlass.authoring.operator import BaseOperator, Context
from windlass.authoring.operators.python import BaseBranchOperator, CallableOperator
from windlass.errors import TaskNotFound
from windlass.runtime.attempt import StandIn


def fake(value: Any) -> StandIn:
    """Return what does, for an operator, as if its work had come to ``value``.

    An exception is raised. A branch takes ``value`` for its choice and a short circuit for its condition, so that they
    skip what they would skip.
    """

    def execute(task: BaseOperator, context: Context) -> Any:
        if isinstance(value, BaseException):
            raise value
        if isinstance(task, BaseBranchOperator):
            return task.follow(context, value)
        if isinstance(task, CallableOperator) and task.is_brancher:
            # This operator is the attempt's own copy. Its function is called as `execute` calls it, by `call`.
            task.python_callable, task.op_args, task.op_kwargs = lambda: value, (), {}
            return task.execute(context)
        return value

    return execute


def fakes_of(dag: DAG, given: Mapping[str, Any] | None) -> dict[str, StandIn]:
    """Return what stands in for the tasks of ``given``, by their ids.

    :raises TaskNotFound: if the DAG has no such task.
    """
    check_tasks(dag, given or ())
    return {task_id: fake(value) for task_id, value in (given or {}).items()}


def check_tasks(dag: DAG, task_ids: Iterable[str]) -> None:
    """Refuse ids of tasks that the DAG does not have.

    :raises TaskNotFound: with the closest id that there is.
    """
    for task_id in task_ids:
        if task_id not in dag.task_dict:
            close = get_close_matches(task_id, dag.task_dict, n=1)
            all_ids = ", ".join(sorted(dag.task_dict)) or "none"
            hint = f". Did you mean {close[0]!r}?" if close else f"; it has {all_ids}"
            raise TaskNotFound(f"DAG {dag.dag_id!r} has no task {task_id!r}{hint}")
