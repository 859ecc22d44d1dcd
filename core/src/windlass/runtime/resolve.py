"""From references to values: results of other tasks, and the arguments of one index of a mapped task.

``expand`` counts through the product of its lists like an odometer, the last keyword fastest; a dict gives pairs. Only
what one index needs is read: of a mapped upstream one result, of an unmapped one its list.
"""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from windlass.authoring.mapped import DictOfLists, ExpandInput, ListOfDicts
from windlass.authoring.param import DagParam
from windlass.authoring.xcom_arg import (
    RETURN_VALUE,
    ConcatXComArg,
    MappedArgument,
    MapXComArg,
    PlainXComArg,
    XComArg,
    ZipXComArg,
)
from windlass.errors import XComError

if TYPE_CHECKING:
    from windlass.runtime.task_instance import TaskInstance


def resolve(value: Any, ti: TaskInstance) -> Any:
    """Return ``value`` with every reference in it, at any depth, replaced by what it refers to."""
    if isinstance(value, XComArg):
        return _resolve_reference(value, ti)
    if isinstance(value, DagParam):
        return value.resolve(ti.params)
    kind = type(value)
    if kind is dict:
        return {resolve(key, ti): resolve(item, ti) for key, item in value.items()}
    if kind in (list, tuple, set, frozenset):
        return kind(resolve(item, ti) for item in value)
    return value


def _resolve_reference(reference: XComArg, ti: TaskInstance) -> Any:
    match reference:
        case PlainXComArg():
            return _pull(reference, ti)
        case MapXComArg():
            return Changed(items_of(_resolve_reference(reference.source, ti), repr(reference)), reference.functions)
        case ZipXComArg():
            parts = [items_of(_resolve_reference(part, ti), repr(part)) for part in reference.parts]
            return Zipped(parts, longest=reference.longest, fillvalue=reference.fillvalue)
        case ConcatXComArg():
            return Joined([items_of(_resolve_reference(part, ti), repr(part)) for part in reference.parts])
        case MappedArgument():
            return _group_argument(reference, ti)
        case _:
            raise XComError(f"{reference!r} is a reference of an unknown kind")


def _pull(reference: PlainXComArg, ti: TaskInstance) -> Any:
    missing = object()
    value = ti.xcom_pull(reference.operator.task_id, key=reference.key, default=missing)
    if value is not missing:
        return value
    if reference.key == RETURN_VALUE:
        return None
    raise XComError(
        f"task {reference.operator.task_id!r} has no XCom {reference.key!r}; return a dict with that key "
        "(with multiple_outputs=True), or push it with ti.xcom_push()"
    )


def _group_argument(argument: MappedArgument, ti: TaskInstance) -> Any:
    values = mapped_arguments(argument.expand_input, ti.map_index, ti, only=argument.key)
    if argument.key not in values:
        raise XComError(f"index {ti.map_index} of the mapped group gives no argument {argument.key!r}")
    return values[argument.key]


def mapped_arguments(
    expand_input: ExpandInput, index: int, ti: TaskInstance, *, only: str | None = None
) -> dict[str, Any]:
    """Return the arguments of instance ``index``; with ``only`` just that one.

    :raises XComError: if what is mapped over is not (or no longer) what it must be.
    """
    if isinstance(expand_input, ListOfDicts):
        found = item_of(_source(expand_input.value, ti), index, "expand_kwargs")
        found = resolve(found, ti)
        if not isinstance(found, Mapping):
            raise XComError(f"expand_kwargs() needs dicts, but item {index} is {type(found).__name__}")
        return {str(name): value for name, value in found.items()}
    assert isinstance(expand_input, DictOfLists)  # noqa: S101 - the two kinds there are
    sources = {name: _source(value, ti) for name, value in expand_input.values.items()}
    positions = index_of(index, [length_of(value, name) for name, value in sources.items()])
    return {
        name: resolve(item_of(value, position, name), ti)
        for (name, value), position in zip(sources.items(), positions, strict=True)
        if only is None or name == only
    }


def _source(value: Any, ti: TaskInstance) -> Any:
    return _resolve_reference(value, ti) if isinstance(value, XComArg) else value


def index_of(index: int, lengths: Sequence[int]) -> list[int]:
    """Return the position in each list of the ``index``-th combination, the last list fastest.

    :raises XComError: if there are fewer combinations.
    """
    positions: list[int] = []
    left = index
    for length in reversed(lengths):
        if length == 0:
            break
        left, position = divmod(left, length)
        positions.append(position)
    if len(positions) < len(lengths) or left or index < 0:
        raise XComError(f"there is no map index {index}: the lists mapped over have lengths {list(lengths)} now")
    return positions[::-1]


def length_of(value: Any, name: str) -> int:
    """Return how many items ``value`` gives to mapping.

    :raises XComError: if it is neither a list nor a dict.
    """
    if isinstance(value, (str, bytes)) or not isinstance(value, (Sequence, Mapping)):
        raise XComError(f"{name!r} is mapped over a {type(value).__name__}; the task must return a list or a dict")
    return len(value)


def item_of(value: Any, position: int, name: str) -> Any:
    """Return item ``position`` of a list, or pair ``position`` of a dict."""
    if position >= length_of(value, name):
        raise XComError(f"{name!r} has only {len(value)} items, item {position} is gone; clear the run to map it again")
    if isinstance(value, Mapping):
        return next(islice(value.items(), position, None))
    return value[position]


def items_of(value: Any, name: str) -> Sequence[Any]:
    """Return ``value`` as a sequence of what mapping sees."""
    length_of(value, name)
    return list(value.items()) if isinstance(value, Mapping) else value


class Changed(Sequence[Any]):
    """``.map(f)``: each item as the functions make it, when it is looked at."""

    def __init__(self, items: Sequence[Any], functions: Sequence[Any]) -> None:
        self._items = items
        self._functions = functions

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[position] for position in range(len(self))[index]]
        value = self._items[index]
        for function in self._functions:
            value = function(value)
        return value


class Zipped(Sequence[Any]):
    """``.zip(…)``: tuples, as many as the shortest part has, or the longest with a fill value."""

    def __init__(self, parts: Sequence[Sequence[Any]], *, longest: bool, fillvalue: Any) -> None:
        self._parts = parts
        self._fillvalue = fillvalue
        self._count = (max if longest else min)(len(part) for part in parts)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[position] for position in range(self._count)[index]]
        position = range(self._count)[index]
        return tuple(part[position] if position < len(part) else self._fillvalue for part in self._parts)


class Joined(Sequence[Any]):
    """``.concat(…)``: the parts one after the other."""

    def __init__(self, parts: Sequence[Sequence[Any]]) -> None:
        self._parts = parts

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[position] for position in range(len(self))[index]]
        position = range(len(self))[index]
        for part in self._parts:
            if position < len(part):
                return part[position]
            position -= len(part)
        raise IndexError(index)
