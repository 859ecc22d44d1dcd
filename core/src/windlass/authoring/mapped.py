"""Mapping: ``partial`` and ``expand``, and the operator that stands for all instances until one of them runs.

A :class:`MappedOperator` is a BaseOperator as far as scheduling goes (it is made from the shared arguments that a
BaseOperator knows), so the engine sees one task with a :class:`~windlass.spec.MapSpec`. In the task's process
``unmap`` makes the real operator from the shared arguments and those of one index.
"""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from windlass.authoring import scope
from windlass.authoring.arguments import unknown_argument
from windlass.authoring.operator import BaseOperator, argument_names, inherited_defaults, place
from windlass.authoring.xcom_arg import (
    RETURN_VALUE,
    ConcatXComArg,
    MapXComArg,
    PlainXComArg,
    XComArg,
    ZipXComArg,
    references,
)
from windlass.errors import AuthoringError

#: What the arguments of a mapped task may vary over.
Mappable = Any


class ExpandInput:
    """The arguments that differ between the instances of a mapped task or group."""

    def references(self) -> Iterator[BaseOperator]:
        """Yield the operators whose results decide the arguments."""
        raise NotImplementedError


class DictOfLists(ExpandInput):
    """``expand(x=…, y=…)``: the product of the lists, the last keyword fastest."""

    def __init__(self, who: str, values: Mapping[str, Mappable]) -> None:
        if not values:
            raise AuthoringError(f"{who}: expand() needs at least one argument to map over")
        for name, value in values.items():
            _check_mappable(who, name, value)
        self.values = dict(values)

    def references(self) -> Iterator[BaseOperator]:
        """Yield the operators whose results decide the arguments."""
        return references(self.values)


class ListOfDicts(ExpandInput):
    """``expand_kwargs([{…}, …])``: one dict of arguments per instance."""

    def __init__(self, who: str, value: Any) -> None:
        if not isinstance(value, XComArg):
            if not isinstance(value, (list, tuple)) or not all(isinstance(item, (Mapping, XComArg)) for item in value):
                raise AuthoringError(f"{who}: expand_kwargs() takes a list of dicts or a task's result, not {value!r}")
        else:
            _check_mappable(who, "expand_kwargs", value)
        self.value = value

    def references(self) -> Iterator[BaseOperator]:
        """Yield the operators whose results decide the arguments."""
        return references(self.value)


def _check_mappable(who: str, name: str, value: Any) -> None:
    """Refuse what has no length, or none that the engine can know."""
    match value:
        case PlainXComArg() if value.key != RETURN_VALUE:
            raise AuthoringError(
                f"{who}: cannot map {name!r} over {value!r}: only a task's return_value can be mapped over, "
                "not one of its keys; return the list from a task of its own"
            )
        case MapXComArg():
            _check_mappable(who, name, value.source)
        case ZipXComArg() | ConcatXComArg():
            for part in value.parts:
                _check_mappable(who, name, part)
        case XComArg() | list() | tuple() | dict():
            return
        case _:
            raise AuthoringError(f"{who}: {name!r} is mapped over {value!r}; give a list, a dict or a task's result")


def refuse_duplicates(who: str, shared: Mapping[str, Any], mapped: Iterable[str]) -> None:
    """Refuse an argument that is given twice."""
    twice = sorted(set(shared) & set(mapped))
    if twice:
        raise AuthoringError(f"{who}: argument {twice[0]!r} is given twice; keep it in partial() or in expand()")


class OperatorPartial:
    """``Operator.partial(…)``: waits for ``.expand(…)`` or ``.expand_kwargs(…)``."""

    def __init__(self, operator_class: type[BaseOperator], kwargs: Mapping[str, Any]) -> None:
        known = argument_names(operator_class)
        for name in kwargs:
            if name not in known:
                raise unknown_argument(f"{operator_class.__name__}.partial()", name, known)
        if "task_id" not in kwargs:
            raise AuthoringError(f"{operator_class.__name__}.partial() needs a task_id")
        self.operator_class = operator_class
        self.kwargs = dict(kwargs)
        self.expanded = False
        dag = place(kwargs)[0]
        if dag is not None:
            dag.partials.append(self)

    def expand(self, **mapped: Mappable) -> MappedOperator:
        """Make the task run once per combination of the items of ``mapped``."""
        who = self._check(mapped)
        return self._make(DictOfLists(who, mapped))

    def expand_kwargs(self, kwargs: Any) -> MappedOperator:
        """Make the task run once per dict of arguments in ``kwargs``."""
        who = self._check({})
        return self._make(ListOfDicts(who, kwargs))

    def _check(self, mapped: Mapping[str, Any]) -> str:
        who = f"{self.operator_class.__name__} {self.kwargs['task_id']!r}"
        known = argument_names(self.operator_class)
        refuse_duplicates(who, self.kwargs, mapped)
        for name in mapped:
            if name not in known:
                raise unknown_argument(f"{who}: expand()", name, known)
            if name in _SCHEDULING and name not in _MAPPABLE_BASE:
                raise AuthoringError(f"{who}: {name!r} cannot be mapped, all instances share it; move it to partial()")
        return who

    def _make(self, expand_input: ExpandInput) -> MappedOperator:
        self.expanded = True
        return make_mapped(self.operator_class, self.kwargs, expand_input)


_SCHEDULING = frozenset(argument_names(BaseOperator))
_MAPPABLE_BASE = frozenset({"params", "inlets", "outlets", "executor_config"})


class MappedOperator(BaseOperator):
    """All instances of a mapped task, as one node of the DAG."""

    is_mapped = True

    operator_class: type[BaseOperator]
    partial_kwargs: dict[str, Any]
    expand_input: ExpandInput
    #: The argument that collects the mapped values (``op_kwargs`` of @task); None: they are arguments themselves.
    collect_into: str | None = None

    @property
    def task_type(self) -> str:
        """The name of the class of its instances."""
        return self.operator_class.__name__

    @property
    def operator_name(self) -> str:
        """What people see as its kind."""
        return self.operator_class.custom_operator_name or self.task_type

    def references(self) -> Iterator[BaseOperator]:
        """Yield the operators whose results its arguments need."""
        yield from references(self.partial_kwargs)
        yield from self.expand_input.references()

    def join_references(self) -> None:
        """Wait for every task whose result is among the shared or the mapped arguments."""
        for upstream in self.references():
            if upstream is not self and upstream.task_id not in self.upstream_task_ids:
                self.set_upstream(upstream)

    def unmap(self, resolved: Mapping[str, Any] | None = None) -> BaseOperator:
        """Return the operator of one instance, with the mapped arguments ``resolved``."""
        kwargs = {name: value for name, value in self.partial_kwargs.items() if name not in {"dag", "task_group"}}
        mapped = dict(resolved or {})
        who = f"task {self.task_id!r}"
        if self.collect_into is not None:
            shared = kwargs.get(self.collect_into) or {}
            refuse_duplicates(who, shared, mapped)
            kwargs[self.collect_into] = {**shared, **mapped}
        else:
            refuse_duplicates(who, kwargs, mapped)
            kwargs |= mapped
        with scope.unjoined():
            operator = self.operator_class(**kwargs)
        operator.task_id, operator.dag, operator.task_group = self.task_id, self.dag, self.task_group
        operator.upstream_task_ids = self.upstream_task_ids
        operator.downstream_task_ids = self.downstream_task_ids
        return operator


def make_mapped(
    operator_class: type[BaseOperator],
    kwargs: dict[str, Any],
    expand_input: ExpandInput,
    *,
    collect_into: str | None = None,
) -> MappedOperator:
    """Make the node for a mapped task; ``kwargs`` are shared, default_args fill what neither gives."""
    dag, group = place(kwargs)
    if group is not None and group.mapped_ancestor() is not None:
        raise AuthoringError(
            f"task {kwargs['task_id']!r} is mapped inside the mapped group {group.group_id!r}; map only one of them"
        )
    mapped = MappedOperator.__new__(MappedOperator)
    mapped.dag, mapped.task_group = dag, group
    defaults = inherited_defaults(dag, group, kwargs)
    taken = expand_input.values if isinstance(expand_input, DictOfLists) else {}
    known = set(argument_names(operator_class)) - set(taken)
    shared = {**{name: value for name, value in defaults.items() if name in known}, **kwargs}
    mapped._default_args = {}  # noqa: SLF001 - the same room makes it
    mapped.operator_class = operator_class
    mapped.partial_kwargs = shared
    mapped.expand_input = expand_input
    mapped.collect_into = collect_into
    BaseOperator.__init__(mapped, **{name: value for name, value in shared.items() if name in _SCHEDULING})
    for name in ("template_fields", "template_ext", "template_fields_renderers", "ui_color", "ui_fgcolor"):
        setattr(mapped, name, getattr(operator_class, name))
    for name in ("is_brancher", "is_sensor", "is_marker"):
        setattr(mapped, name, getattr(operator_class, name))
    mapped._init_kwargs = shared  # noqa: SLF001
    mapped._join()  # noqa: SLF001
    return mapped
