"""Which DAG, groups and setup blocks are open while a DAG file runs, and which DAGs registered themselves.

A DAG file is executed from top to bottom in one thread, so plain stacks are enough. :func:`detached` hides them, for
the moments when an operator is made that belongs to no DAG of the file: a mapped task's instance inside its process.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from windlass.authoring.dag import DAG
    from windlass.authoring.operator import BaseOperator
    from windlass.authoring.setup import SetupBlock
    from windlass.authoring.task_group import TaskGroup

_dags: list[DAG] = []
_groups: list[TaskGroup] = []
_setup_blocks: list[SetupBlock] = []
_registered: list[DAG] = []

#: Whether a new operator takes its place in a DAG; see :func:`unjoined`.
_joining = True


def blame(error: BaseException | None, dag_id: str, place: tuple[str, int] | None = None) -> None:
    """Note on an error which DAG was being made when it was raised, for whoever shows it; the innermost DAG stays.

    ``place`` is where the DAG was made, for an error that comes when the author's code has ended.
    """
    if error is not None and not hasattr(error, "windlass_dag"):
        error.windlass_dag = dag_id  # type: ignore[attr-defined] # an exception takes any attribute
        if place is not None:
            error.windlass_place = place  # type: ignore[attr-defined] # as above


def current_dag() -> DAG | None:
    """Return the DAG whose ``with`` block is open, if any."""
    return _dags[-1] if _dags else None


def push_dag(dag: DAG) -> None:
    """Open ``dag``; register it for :func:`collect` unless it does not want to be."""
    _dags.append(dag)
    if dag.auto_register and dag not in _registered:
        _registered.append(dag)


def pop_dag() -> None:
    """Close the DAG opened last."""
    _dags.pop()


def current_group(dag: DAG | None) -> TaskGroup | None:
    """Return the innermost open group of ``dag``, else its root group; None without a DAG."""
    if dag is None:
        return None
    if _groups and _groups[-1].dag is dag:
        return _groups[-1]
    return dag.task_group


def push_group(group: TaskGroup) -> None:
    """Open ``group``, and its DAG if that is not open."""
    _groups.append(group)
    _dags.append(group.dag)


def pop_group() -> None:
    """Close the group opened last."""
    _groups.pop()
    _dags.pop()


def push_setup_block(block: SetupBlock) -> None:
    """Open a block between setups and teardowns."""
    _setup_blocks.append(block)


def pop_setup_block() -> SetupBlock:
    """Close the block opened last and return it."""
    return _setup_blocks.pop()


def joined_setup_blocks(task: BaseOperator) -> None:
    """Tell every open setup block that ``task`` was made inside it."""
    for block in _setup_blocks:
        block.add(task)


@contextmanager
def detached() -> Iterator[None]:
    """Hide every open DAG, group and block for the duration of the block."""
    saved = _dags[:], _groups[:], _setup_blocks[:]
    for stack in (_dags, _groups, _setup_blocks):
        stack.clear()
    try:
        yield
    finally:
        _dags[:], _groups[:], _setup_blocks[:] = saved


@contextmanager
def unjoined() -> Iterator[None]:
    """Let operators that are made in the block take no place in any DAG, whatever their arguments refer to."""
    global _joining  # noqa: PLW0603 - as the open DAGs, one per process
    with detached():
        _joining, before = False, _joining
        try:
            yield
        finally:
            _joining = before


def is_joining() -> bool:
    """Return whether a new operator takes its place in a DAG."""
    return _joining


def collect(module: ModuleType | None = None) -> list[DAG]:
    """Return the DAGs that ``module`` defines and forget them: its global ones, then those that registered themselves.

    Called once, right after the module was executed. Call it without a module to forget what an earlier one left.

    :raises DuplicateId: if two of them have the same dag_id.
    """
    from windlass.authoring.dag import DAG
    from windlass.errors import DuplicateId

    found: list[DAG] = []
    candidates = [] if module is None else [value for value in vars(module).values() if isinstance(value, DAG)]
    for dag in (*candidates, *(_registered if module is not None else ())):
        if any(dag is other for other in found):
            continue
        if any(dag.dag_id == other.dag_id for other in found):
            raise DuplicateId(f"the file defines two DAGs with the id {dag.dag_id!r}; rename one of them")
        found.append(dag)
    for stack in (_registered, _dags, _groups, _setup_blocks):
        stack.clear()
    return found
