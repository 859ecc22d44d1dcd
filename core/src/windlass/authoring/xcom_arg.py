"""References to results: what a TaskFlow call or ``operator.output`` returns, and what can be made of it.

A reference holds no value; it says where one will be found, and so makes its operator an upstream of whoever uses it.
``runtime`` resolves it inside the task's process. The kinds are plain data so that ``emit`` can read lengths from
them and ``runtime`` values.
"""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from windlass.authoring.edges import Dependable
from windlass.errors import AuthoringError

if TYPE_CHECKING:
    from windlass.authoring.mapped import ExpandInput
    from windlass.authoring.operator import BaseOperator

RETURN_VALUE = "return_value"


class XComArg(Dependable):
    """A reference to a result that exists only when the task runs."""

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self:
        """Make ``XComArg(operator)`` the plain kind."""
        return super().__new__(PlainXComArg if cls is XComArg else cls)  # type: ignore[return-value] # a subclass

    def __init__(self, operator: BaseOperator, key: str = RETURN_VALUE) -> None:
        self.operator = operator
        self.key = key

    def references(self) -> Iterator[BaseOperator]:
        """Yield the operators whose results this needs."""
        yield self.operator

    @property
    def roots(self) -> Sequence[BaseOperator]:
        """The operators that an edge into this one enters."""
        return list(self.references())

    @property
    def leaves(self) -> Sequence[BaseOperator]:
        """The operators that an edge out of this one leaves."""
        return list(self.references())

    def __iter__(self) -> Iterator[Any]:
        raise TypeError(
            f"{self!r} cannot be iterated or unpacked while the DAG file is parsed: its value exists only when the "
            "task runs. Use .expand() to map a task over it, or multiple_outputs and ['key'] to take it apart"
        )

    def __len__(self) -> int:
        raise TypeError(f"{self!r} has no length while the DAG file is parsed; use .expand() to map a task over it")

    def __bool__(self) -> bool:
        return True  # `if result:` asks whether there is a reference, and there is

    def __getitem__(self, key: str) -> XComArg:
        raise TypeError(f"{self!r} cannot be indexed; only the direct result of a task has keys")

    def map(self, function: Callable[[Any], Any]) -> XComArg:
        """Return the results changed one by one by a plain function; TaskSkipped raised in it skips that item."""
        return MapXComArg(self, [function])

    def zip(self, *others: XComArg, **fill: Any) -> XComArg:
        """Return tuples of these results and ``others``, as long as the shortest, or the longest with ``fillvalue``."""
        if set(fill) - {"fillvalue"}:
            raise AuthoringError(f"zip() has no argument {min(set(fill) - {'fillvalue'})!r}; did you mean 'fillvalue'?")
        return ZipXComArg([self, *others], **fill)

    def concat(self, *others: XComArg) -> XComArg:
        """Return these results followed by those of ``others``."""
        return ConcatXComArg([self, *others])


class PlainXComArg(XComArg):
    """The XCom ``key`` of one operator."""

    def __repr__(self) -> str:
        suffix = "" if self.key == RETURN_VALUE else f"[{self.key!r}]"
        return f"XComArg({self.operator.task_id}){suffix}"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PlainXComArg):
            return NotImplemented
        return self.operator is other.operator and self.key == other.key

    def __hash__(self) -> int:
        return hash((id(self.operator), self.key))

    def __str__(self) -> str:
        """Return the template that pulls the value: so ``f"{result}"`` works in a templated field."""
        key = "" if self.key == RETURN_VALUE else f", key={self.key!r}"
        return f"{{{{ task_instance.xcom_pull(task_ids={self.operator.task_id!r}{key}) }}}}"

    def __getitem__(self, key: str) -> XComArg:
        if not isinstance(key, str):
            raise TypeError(f"{self!r} takes text as a key, not {key!r}; use .expand() to map over a list")
        return PlainXComArg(self.operator, key)

    def __enter__(self) -> Self:
        self.operator.__enter__()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.operator.__exit__(*exc_info)

    def as_setup(self) -> Self:
        """Make the task a setup."""
        self.operator.as_setup()
        return self

    def as_teardown(self, **arguments: Any) -> Self:
        """Make the task a teardown, with the arguments of :meth:`BaseOperator.as_teardown`."""
        self.operator.as_teardown(**arguments)
        return self

    @property
    def is_setup(self) -> bool:
        """Whether the task is a setup."""
        return self.operator.is_setup

    @property
    def is_teardown(self) -> bool:
        """Whether the task is a teardown."""
        return self.operator.is_teardown


class MapXComArg(XComArg):
    """``source.map(f)``."""

    def __init__(self, source: XComArg, functions: list[Callable[[Any], Any]]) -> None:
        for function in functions:
            if hasattr(function, "operator_class") or not callable(function):
                raise AuthoringError(f".map() takes a plain function, not {function!r}; use .expand() to map a task")
        self.source = source
        self.functions = functions

    def __repr__(self) -> str:
        return f"{self.source!r}.map(…)"

    def references(self) -> Iterator[BaseOperator]:
        """Yield the operators whose results this needs."""
        return self.source.references()

    def map(self, function: Callable[[Any], Any]) -> XComArg:
        """Return the results changed once more."""
        return MapXComArg(self.source, [*self.functions, function])


_NO_FILL = object()


class ZipXComArg(XComArg):
    """``first.zip(second)``."""

    def __init__(self, parts: list[XComArg], fillvalue: Any = _NO_FILL) -> None:
        if len(parts) < 2:
            raise AuthoringError("zip() needs another result to zip with; pass at least one")
        self.parts = parts
        self.longest = fillvalue is not _NO_FILL
        self.fillvalue = fillvalue if self.longest else None

    def __repr__(self) -> str:
        return f"{self.parts[0]!r}.zip({', '.join(map(repr, self.parts[1:]))})"

    def references(self) -> Iterator[BaseOperator]:
        """Yield the operators whose results this needs."""
        for part in self.parts:
            yield from part.references()


class ConcatXComArg(XComArg):
    """``first.concat(second)``."""

    def __init__(self, parts: list[XComArg]) -> None:
        self.parts = parts

    def __repr__(self) -> str:
        return f"{self.parts[0]!r}.concat({', '.join(map(repr, self.parts[1:]))})"

    def references(self) -> Iterator[BaseOperator]:
        """Yield the operators whose results this needs."""
        for part in self.parts:
            yield from part.references()

    def concat(self, *others: XComArg) -> XComArg:
        """Return these results followed by those of ``others``, without nesting."""
        return ConcatXComArg([*self.parts, *others])


class MappedArgument(XComArg):
    """The value of one keyword of a mapped task group, as the function of the group sees it."""

    def __init__(self, expand_input: ExpandInput, key: str) -> None:
        self.expand_input = expand_input
        self.key = key

    def __repr__(self) -> str:
        return f"MappedArgument({self.key})"

    def references(self) -> Iterator[BaseOperator]:
        """Yield the operators whose results this needs."""
        return self.expand_input.references()


def references(value: Any) -> Iterator[BaseOperator]:
    """Yield the operators that ``value`` refers to, at any depth of lists, tuples, sets and dicts."""
    if isinstance(value, XComArg):
        yield from value.references()
    elif isinstance(value, (str, bytes)):
        return
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from references(key)
            yield from references(item)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from references(item)


def has_references(value: Any) -> bool:
    """Return whether ``value`` holds a reference at any depth, also one to no task (a group's literal argument)."""
    if isinstance(value, XComArg):
        return True
    if isinstance(value, Mapping):
        return any(has_references(item) for pair in value.items() for item in pair)
    return isinstance(value, (list, tuple, set, frozenset)) and any(map(has_references, value))
