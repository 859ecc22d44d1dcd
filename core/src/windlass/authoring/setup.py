"""Setups and teardowns: tasks that make and remove what the work between them needs.

A teardown is a task whose direct upstreams include its setups. Blocks (``with setup >> teardown:``) only save the
arrows: the tasks made inside come after the setups and before the teardown.
"""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, overload

from windlass.authoring import scope
from windlass.authoring.edges import Dependable, flatten
from windlass.errors import AuthoringError
from windlass.states import TriggerRule

if TYPE_CHECKING:
    from windlass.authoring.operator import BaseOperator
    from windlass.authoring.taskflow import TaskDecorator


class SetupBlock:
    """The tasks made inside one ``with`` block."""

    def __init__(self, setups: list[BaseOperator], teardowns: list[BaseOperator]) -> None:
        self.setups = setups
        self.teardowns = teardowns
        self.tasks: list[BaseOperator] = []

    def add(self, task: BaseOperator) -> None:
        """Take ``task`` in."""
        if task not in self.setups and task not in self.teardowns:
            self.tasks.append(task)

    def close(self) -> None:
        """Draw the arrows: setups before the first tasks of the block, teardowns behind the last."""
        ids = {task.task_id for task in self.tasks}
        for task in self.tasks:
            if not task.upstream_task_ids & ids:
                _missing(self.setups, [task])
            if not task.downstream_task_ids & ids and not task.is_teardown:
                _missing([task], self.teardowns)
        _missing(self.setups, self.teardowns)


def _missing(before: Iterable[BaseOperator], after: Iterable[BaseOperator]) -> None:
    for upstream in before:
        for downstream in after:
            if downstream.task_id not in upstream.downstream_task_ids:
                upstream.set_downstream(downstream)


def make_setup(task: BaseOperator) -> None:
    """Make ``task`` a setup.

    :raises AuthoringError: if it is a teardown.
    """
    if task.is_teardown:
        raise AuthoringError(f"task {task.task_id!r} is a teardown and cannot be a setup as well; make it two tasks")
    task.is_setup = True


def make_teardown(task: BaseOperator, setups: Any, *, on_failure_fail_dagrun: bool | None) -> None:
    """Make ``task`` a teardown of ``setups`` (tasks or results of tasks, which become setups).

    :raises AuthoringError: if it is a setup.
    """
    if task.is_setup:
        raise AuthoringError(f"task {task.task_id!r} is a setup and cannot be a teardown as well; make it two tasks")
    task.is_teardown = True
    task.trigger_rule = TriggerRule.ALL_DONE_SETUP_SUCCESS
    if on_failure_fail_dagrun is not None:
        task.on_failure_fail_dagrun = on_failure_fail_dagrun
    if setups is not None:
        for setup in _operators(setups):
            make_setup(setup)
            _missing([setup], [task])


def open_block(items: Iterable[Dependable]) -> None:
    """Open a block for the setups and teardowns in ``items``; a teardown brings its own setups."""
    setups: dict[str, BaseOperator] = {}
    teardowns: dict[str, BaseOperator] = {}
    for task in _operators(list(items)):
        if task.is_teardown:
            teardowns[task.task_id] = task
            setups |= {upstream.task_id: upstream for upstream in task.upstream_list if upstream.is_setup}
        elif task.is_setup:
            setups[task.task_id] = task
        else:
            raise AuthoringError(f"task {task.task_id!r} opens no block; make it a setup or a teardown first")
    if not teardowns:
        for setup in setups.values():
            teardowns |= {after.task_id: after for after in setup.downstream_list if after.is_teardown}
    scope.push_setup_block(SetupBlock(list(setups.values()), list(teardowns.values())))


def close_block() -> None:
    """Close the block opened last and draw its arrows."""
    scope.pop_setup_block().close()


def _operators(items: Any) -> list[BaseOperator]:
    return [operator for item in flatten(items) for operator in item.roots]


def setup(function: Callable[..., Any]) -> TaskDecorator:
    """Make a @task or @task_group function (or a plain one) produce setups: ``@setup`` above ``@task``."""
    return _marked(function, lambda operator: operator.as_setup())


@overload
def teardown(function: Callable[..., Any], /) -> TaskDecorator: ...


@overload
def teardown(
    *, setups: Any = None, on_failure_fail_dagrun: bool | None = None
) -> Callable[[Callable[..., Any]], TaskDecorator]: ...


def teardown(
    function: Callable[..., Any] | None = None,
    /,
    *,
    setups: Any = None,
    on_failure_fail_dagrun: bool | None = None,
) -> TaskDecorator | Callable[[Callable[..., Any]], TaskDecorator]:
    """Make a @task function (or a plain one) produce teardowns: ``@teardown`` or ``@teardown(setups=…)``."""

    def mark(operator: BaseOperator) -> None:
        operator.as_teardown(setups=setups, on_failure_fail_dagrun=on_failure_fail_dagrun)

    if function is None:
        return lambda decorated: _marked(decorated, mark)
    return _marked(function, mark)


def _marked(function: Callable[..., Any], mark: Callable[[BaseOperator], Any]) -> TaskDecorator:
    from windlass.authoring.taskflow import TaskDecorator, task

    decorator = function if isinstance(function, TaskDecorator) else task(function)
    return decorator.marked(mark)
