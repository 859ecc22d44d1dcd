"""Task groups: a prefix for ids, an indentation for people, and one thing to draw arrows to.

An arrow into a group enters its roots, an arrow out leaves its leaves; teardowns inside do not hold up what comes
after the group. A mapped group (``@task_group`` with ``.expand``) runs once per item, every task in it with the same
map index.
"""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, Self, overload

from windlass.authoring import scope
from windlass.authoring.arguments import check_id, signature, unknown_argument
from windlass.authoring.edges import Dependable, connect
from windlass.errors import AuthoringError, DuplicateId

if TYPE_CHECKING:
    from windlass.authoring.dag import DAG
    from windlass.authoring.mapped import ExpandInput
    from windlass.authoring.operator import BaseOperator


class TaskGroup(Dependable):
    """A group of tasks, used as ``with TaskGroup("load") as load:``."""

    def __init__(
        self,
        group_id: str | None = None,
        *,
        prefix_group_id: bool = True,
        parent_group: TaskGroup | None = None,
        dag: DAG | None = None,
        default_args: Mapping[str, Any] | None = None,
        tooltip: str = "",
        group_display_name: str = "",
        ui_color: str = "CornflowerBlue",
        ui_fgcolor: str = "#000",
        add_suffix_on_collision: bool = False,
        **unknown: Any,
    ) -> None:
        if unknown:
            raise unknown_argument(f"TaskGroup {group_id!r}", min(unknown), signature(TaskGroup.__init__).names[1:])
        self.prefix_group_id = prefix_group_id
        self.default_args = dict(default_args or {})
        self.tooltip = tooltip
        self.group_display_name = group_display_name
        self.ui_color = ui_color
        self.ui_fgcolor = ui_fgcolor
        self.children: dict[str, BaseOperator | TaskGroup] = {}
        self.expand_input: ExpandInput | None = None
        self._open = False
        self._at_close: list[Callable[[], None]] = []
        self._before: list[Dependable] = []
        self._after: list[Dependable] = []
        self.parent_group: TaskGroup | None = None
        self._label = group_id or ""
        self.group_id: str | None = None
        if group_id is None:  # the root group of `dag`
            if dag is None:
                raise AuthoringError("a TaskGroup needs a group_id; write for example TaskGroup('load')")
            self.dag: DAG = dag
            return
        check_id("group_id", group_id, dots=False)
        found = parent_group.dag if parent_group is not None else dag or scope.current_dag()
        if found is None:
            raise AuthoringError(f"TaskGroup {group_id!r} belongs to no DAG; create it inside `with DAG(…):`")
        self.dag = found
        self.parent_group = parent_group or scope.current_group(found) or found.task_group
        self.group_id = self.parent_group.claim_id(group_id, suffix=add_suffix_on_collision)
        self.parent_group.children[self.group_id] = self
        self.dag.group_dict[self.group_id] = self

    @property
    def node_id(self) -> str | None:
        """The group_id, as groups call their children; None for a DAG's root group."""
        return self.group_id

    @property
    def label(self) -> str:
        """The group_id without the prefixes of the groups around it."""
        return self._label

    @property
    def is_root(self) -> bool:
        """Whether it is the DAG itself, seen as a group."""
        return self.group_id is None

    @property
    def all_default_args(self) -> dict[str, Any]:
        """Its default_args over those of the groups around it."""
        outer = self.parent_group.all_default_args if self.parent_group is not None else {}
        return {**outer, **self.default_args}

    def child_id(self, label: str) -> str:
        """Return the id of a child called ``label``: a group that prefixes nothing hides those around it as well."""
        return f"{self.group_id}.{label}" if self.prefix_group_id and self.group_id else label

    def claim_id(self, label: str, *, suffix: bool = False) -> str:
        """Return the id for a new child; with ``suffix`` a taken one gets a number (``__1``).

        :raises DuplicateId: if it is taken.
        """
        node_id = self.child_id(label)
        if suffix and self.dag.has_node(node_id):
            count = 1
            while self.dag.has_node(f"{node_id}__{count}"):
                count += 1
            node_id = f"{node_id}__{count}"
        if self.dag.has_node(node_id):
            raise DuplicateId(
                f"DAG {self.dag.dag_id!r} already has a task or group {node_id!r}; give the second one another id"
            )
        return node_id

    def __enter__(self) -> Self:
        """Open the group: tasks made from here on are its children."""
        self._open = True
        scope.push_group(self)
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close the group and draw the arrows that waited for its tasks."""
        self._open = False
        scope.pop_group()
        waiting, self._at_close = self._at_close, []
        if exc_info[0] is None:
            if self.expand_input is not None:
                for upstream in self.expand_input.references():
                    self.set_upstream(upstream)
            for draw in waiting:
                draw()

    @property
    def _open_group(self) -> TaskGroup | None:
        return self if self._open else None

    def when_closed(self, draw: Callable[[], None]) -> None:
        """Call ``draw`` when the group is complete."""
        self._at_close.append(draw)

    def came_after(self, before: Dependable) -> None:
        """Hand an arrow on to what comes after, where the group has no tasks that would."""
        if not self.children:
            for after in self._after:
                connect(before, after)
            self._before.append(before)

    def came_before(self, after: Dependable) -> None:
        """Hand an arrow on to what comes before, where the group has no tasks that would."""
        if not self.children:
            for before in self._before:
                connect(before, after)
            self._after.append(after)

    def tasks(self) -> Iterator[BaseOperator]:
        """Yield the tasks in it and in the groups inside it, in the order they were made."""
        for child in self.children.values():
            if isinstance(child, TaskGroup):
                yield from child.tasks()
            else:
                yield child

    def iter_tasks(self) -> Iterator[BaseOperator]:
        """Yield the tasks in it and in the groups inside it."""
        return self.tasks()

    def has_task(self, task: BaseOperator) -> bool:
        """Return whether ``task`` is in it or in a group inside it."""
        return any(task is other for other in self.tasks())

    @property
    def roots(self) -> Sequence[BaseOperator]:
        """The tasks that wait for none inside the group."""
        ids = {task.task_id for task in self.tasks()}
        return [task for task in self.tasks() if not task.upstream_task_ids & ids]

    @property
    def leaves(self) -> Sequence[BaseOperator]:
        """The tasks that none inside the group waits for; in place of a teardown, the work before it."""
        members = {task.task_id: task for task in self.tasks()}
        found: dict[str, BaseOperator] = {}
        waiting = [task for task in members.values() if not task.downstream_task_ids & members.keys()]
        while waiting:
            task = waiting.pop(0)
            if not task.is_teardown:
                found[task.task_id] = task
                continue
            before = [members[task_id] for task_id in sorted(task.upstream_task_ids & members.keys())]
            waiting += [upstream for upstream in before if not upstream.is_setup]
        return list(found.values())

    def get_roots(self) -> Sequence[BaseOperator]:
        """Return the tasks that wait for none inside the group."""
        return self.roots

    def get_leaves(self) -> Sequence[BaseOperator]:
        """Return the tasks that none inside the group waits for."""
        return self.leaves

    def mapped_ancestor(self) -> TaskGroup | None:
        """Return the innermost mapped group around (or at) this one."""
        group: TaskGroup | None = self
        while group is not None and group.expand_input is None:
            group = group.parent_group
        return group

    def __repr__(self) -> str:
        return f"<TaskGroup: {self.group_id or self.dag.dag_id}>"


class TaskGroupDecorator:
    """What ``@task_group`` makes of a function: call it, or map it with ``.partial`` and ``.expand``."""

    def __init__(
        self,
        function: Callable[..., Any],
        group_kwargs: Mapping[str, Any],
        partial_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.function = function
        self._group_kwargs = dict(group_kwargs)
        self._partial_kwargs = dict(partial_kwargs or {})
        wraps(function)(self)

    def _group(self) -> TaskGroup:
        arguments = {"group_id": self.function.__name__, "add_suffix_on_collision": True, **self._group_kwargs}
        if not arguments.get("tooltip") and self.function.__doc__:
            arguments["tooltip"] = self.function.__doc__.strip()
        return TaskGroup(**arguments)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Make the group; return what the function returned, or the group if that was nothing."""
        with self._group() as group:
            result = self.function(*args, **{**self._partial_kwargs, **kwargs})
        return group if result is None else result

    def override(self, **group_kwargs: Any) -> TaskGroupDecorator:
        """Return the same with other arguments of the group, for example ``group_id``."""
        return TaskGroupDecorator(self.function, {**self._group_kwargs, **group_kwargs}, self._partial_kwargs)

    def partial(self, **kwargs: Any) -> TaskGroupDecorator:
        """Give the arguments that all instances share."""
        from windlass.authoring.mapped import refuse_duplicates

        refuse_duplicates(self.function.__name__, self._partial_kwargs, kwargs)
        return TaskGroupDecorator(self.function, self._group_kwargs, {**self._partial_kwargs, **kwargs})

    def expand(self, **kwargs: Any) -> Any:
        """Make a group that runs once per combination of the items of ``kwargs``."""
        from windlass.authoring.mapped import DictOfLists, refuse_duplicates
        from windlass.authoring.xcom_arg import MappedArgument

        name = self.function.__name__
        refuse_duplicates(name, self._partial_kwargs, kwargs)
        signature(self.function).check(name, (), [*self._partial_kwargs, *kwargs])
        expand_input = DictOfLists(f"task group {name!r}", kwargs)
        return self._mapped(expand_input, {key: MappedArgument(expand_input, key) for key in kwargs})

    def expand_kwargs(self, kwargs: Any) -> Any:
        """Make a group that runs once per dict of arguments in ``kwargs``, a list or a result."""
        from windlass.authoring.mapped import ListOfDicts
        from windlass.authoring.xcom_arg import MappedArgument

        expand_input = ListOfDicts(f"task group {self.function.__name__!r}", kwargs)
        names = [name for name in signature(self.function).names if name not in self._partial_kwargs]
        return self._mapped(expand_input, {key: MappedArgument(expand_input, key) for key in names})

    def _mapped(self, expand_input: ExpandInput, arguments: Mapping[str, Any]) -> Any:
        group = self._group()
        if group.parent_group is not None and group.parent_group.mapped_ancestor() is not None:
            raise AuthoringError(f"task group {group.group_id!r} is mapped inside a mapped group; map only one of them")
        group.expand_input = expand_input
        with group:
            result = self.function(**self._partial_kwargs, **arguments)
        return group if result is None else result


@overload
def task_group(function: Callable[..., Any], /) -> TaskGroupDecorator: ...


@overload
def task_group(**group_kwargs: Any) -> Callable[[Callable[..., Any]], TaskGroupDecorator]: ...


def task_group(
    function: Callable[..., Any] | None = None, /, **group_kwargs: Any
) -> TaskGroupDecorator | Callable[[Callable[..., Any]], TaskGroupDecorator]:
    """Make a function a task group: ``@task_group`` or ``@task_group(group_id="load", tooltip="…")``."""
    if function is not None:
        return TaskGroupDecorator(function, group_kwargs)
    return lambda decorated: TaskGroupDecorator(decorated, group_kwargs)
