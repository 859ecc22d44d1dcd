"""Dependencies: ``>>`` and ``<<``, ``set_upstream`` and ``set_downstream``, chains, and labels on edges.

Everything that can stand beside ``>>`` is a :class:`Dependable`: an operator, a group, a reference to a result, a
label. An edge always joins two operators in the end: of a group its leaves (as the upstream side) or its roots.
"""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

from windlass.errors import AuthoringError

if TYPE_CHECKING:
    from windlass.authoring.operator import BaseOperator
    from windlass.authoring.task_group import TaskGroup

_T = TypeVar("_T")


class Dependable(ABC):
    """Something that stands in a dependency. The right operand of ``>>`` is its value, so that chains read on."""

    @property
    @abstractmethod
    def roots(self) -> Sequence[BaseOperator]:
        """The operators that an edge into this one enters."""

    @property
    @abstractmethod
    def leaves(self) -> Sequence[BaseOperator]:
        """The operators that an edge out of this one leaves."""

    @property
    def _open_group(self) -> TaskGroup | None:
        """The group that this is, while it is still being filled."""
        return None

    def came_before(self, after: Dependable) -> None:  # noqa: B027 - most have no use for it
        """Take note of an arrow out of this; only a group without tasks has a use for it."""

    def came_after(self, before: Dependable) -> None:  # noqa: B027 - most have no use for it
        """Take note of an arrow into this; only a group without tasks has a use for it."""

    def set_upstream(self, other: Dependable | Iterable[Any], edge_modifier: Label | None = None) -> None:
        """Make this wait for ``other``, one thing or a list."""
        for item in flatten(other):
            if isinstance(item, Label):
                item.set_downstream(self)
            else:
                connect(item, self, edge_modifier)

    def set_downstream(self, other: Dependable | Iterable[Any], edge_modifier: Label | None = None) -> None:
        """Make ``other``, one thing or a list, wait for this."""
        for item in flatten(other):
            if isinstance(item, Label):
                item.set_upstream(self)
            else:
                connect(self, item, edge_modifier)

    def __rshift__(self, other: _T) -> _T:
        self.set_downstream(other)  # type: ignore[arg-type]
        return other

    def __lshift__(self, other: _T) -> _T:
        self.set_upstream(other)  # type: ignore[arg-type]
        return other

    def __rrshift__(self, other: Iterable[Any]) -> Dependable:
        self.set_upstream(other)
        return self

    def __rlshift__(self, other: Iterable[Any]) -> Dependable:
        self.set_downstream(other)
        return self


class Label(Dependable):
    """The text on an edge: ``a >> Label("empty") >> b``."""

    def __init__(self, label: str) -> None:
        self.label = label
        self._upstream: list[Dependable] = []
        self._downstream: list[Dependable] = []

    @property
    def roots(self) -> Sequence[BaseOperator]:
        """The tasks after the label."""
        return [task for item in self._downstream for task in item.roots]

    @property
    def leaves(self) -> Sequence[BaseOperator]:
        """The tasks before the label."""
        return [task for item in self._upstream for task in item.leaves]

    def set_upstream(self, other: Dependable | Iterable[Any], edge_modifier: Label | None = None) -> None:
        """Put ``other`` before the label."""
        for item in flatten(other):
            self._upstream.append(item)
            for after in self._downstream:
                connect(item, after, self)

    def set_downstream(self, other: Dependable | Iterable[Any], edge_modifier: Label | None = None) -> None:
        """Put ``other`` behind the label."""
        for item in flatten(other):
            self._downstream.append(item)
            for before in self._upstream:
                connect(before, item, self)


def flatten(items: Dependable | Iterable[Any]) -> list[Dependable]:
    """Return the dependable things in ``items``, one thing or nested lists of them.

    :raises TypeError: if something else is among them.
    """
    if isinstance(items, Dependable):
        return [items]
    if isinstance(items, (list, tuple, set, frozenset)):
        return [found for item in items for found in flatten(item)]
    raise TypeError(
        f"a dependency joins tasks, groups and results, not {type(items).__name__} ({items!r}); "
        "did you forget to call a @task function?"
    )


def connect(before: Dependable, after: Dependable, label: Label | None = None) -> None:
    """Make ``after`` wait for ``before``. An edge of a group that is still open is drawn when the group closes."""
    for side in (before, after):
        group = side._open_group  # noqa: SLF001 - the one question that only this module asks
        if group is not None:
            group.when_closed(lambda: connect(before, after, label))
            return
    for upstream in before.leaves:
        for downstream in after.roots:
            join(upstream, downstream, label)
    before.came_before(after)
    after.came_after(before)


def join(upstream: BaseOperator, downstream: BaseOperator, label: Label | None = None) -> None:
    """Draw one edge between two operators; a task without a DAG joins the other one's.

    :raises AuthoringError: if they belong to different DAGs, or are the same task.
    """
    if upstream is downstream:
        raise AuthoringError(f"task {upstream.task_id!r} cannot depend on itself; remove it from one side of `>>`")
    dag = upstream.dag or downstream.dag
    if dag is None:
        raise AuthoringError(
            f"tasks {upstream.task_id!r} and {downstream.task_id!r} belong to no DAG yet; "
            "create them inside `with DAG(…):`, or give one of them dag=…"
        )
    for task in (upstream, downstream):
        if task.dag is None:
            dag.add_task(task)
        elif task.dag is not dag:
            raise AuthoringError(
                f"task {task.task_id!r} belongs to DAG {task.dag.dag_id!r} and cannot depend on a task of "
                f"{dag.dag_id!r}; use TriggerDagRunOperator, ExternalTaskSensor or an asset between DAGs"
            )
    upstream.downstream_task_ids.add(downstream.task_id)
    downstream.upstream_task_ids.add(upstream.task_id)
    if label is not None:
        dag.edge_labels[upstream.task_id, downstream.task_id] = label.label


def chain(*items: Any) -> None:
    """Put ``items`` in a row. Two neighbouring lists of the same length are joined pair by pair.

    :raises AuthoringError: if two neighbouring lists differ in length.
    """
    for before, after in pairwise(items):
        if isinstance(before, (list, tuple)) and isinstance(after, (list, tuple)):
            if len(before) != len(after):
                raise AuthoringError(
                    f"chain() joins neighbouring lists pair by pair, but these have {len(before)} and {len(after)} "
                    "items; make them equally long, or use chain_linear() to join each with each"
                )
            for left, right in zip(before, after, strict=True):
                _arrow(left, right)
        else:
            _arrow(before, after)


def chain_linear(*items: Any) -> None:
    """Put ``items`` in a row, where a list waits as a whole for the one before it: each is joined with each.

    :raises AuthoringError: if there are fewer than two things to join.
    """
    rows = [item for item in items if not isinstance(item, (list, tuple)) or item]
    if len(rows) < 2:
        raise AuthoringError("chain_linear() needs at least two tasks or lists of tasks to join")
    for before, after in pairwise(rows):
        cross_downstream(flatten(before), flatten(after))


def cross_downstream(from_tasks: Sequence[Dependable], to_tasks: Dependable | Sequence[Dependable]) -> None:
    """Join each of ``from_tasks`` with each of ``to_tasks``."""
    for before in flatten(list(from_tasks)):
        _arrow(before, flatten(to_tasks))


def _arrow(before: Any, after: Any) -> None:
    if isinstance(before, Dependable):
        before.set_downstream(after)
    else:
        for item in flatten(after):
            item.set_upstream(before)


def explain(error: BaseException) -> None:
    """Add a remedy to Python's own error for ``[…] >> […]``, which no operator can catch: lists do not know us."""
    text = str(error)
    if isinstance(error, TypeError) and "unsupported operand type(s) for" in text and "'list' and 'list'" in text:
        error.add_note(
            "`[…] >> […]` joins nothing in Python; use cross_downstream([…], […]) to join each with each, "
            "or chain([…], […]) to join them pair by pair"
        )
