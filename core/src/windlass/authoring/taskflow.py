"""TaskFlow: functions that become tasks. ``@task`` and its family, and what a provider needs to add ``@task.bash``.

Calling a decorated function makes an operator and returns a reference to its result; the function itself runs in the
task's process. Decorators by other names (``@task.branch``, ``@task.bash``) are looked up when they are used: the
built-in ones in this room, the others in the manifests of the installed providers.
"""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import update_wrapper
from importlib import import_module
from typing import Any, Protocol, overload

from windlass.authoring.arguments import Signature, closest, signature
from windlass.authoring.context_keys import CONTEXT_KEYS
from windlass.authoring.mapped import DictOfLists, ExpandInput, ListOfDicts, make_mapped, refuse_duplicates
from windlass.authoring.operator import NO_PRE_EXECUTE, BaseOperator, Context, is_method, place
from windlass.authoring.operators.python import CallableOperator, PythonOperator
from windlass.authoring.xcom_arg import PlainXComArg
from windlass.errors import AuthoringError, TaskSkipped

Condition = Callable[[Context], Any]
#: Built-in decorators: module and class.
_BUILT_IN = {
    "python": ("windlass.authoring.taskflow", "PythonDecoratedOperator"),
    "branch": ("windlass.authoring.operators.decorated", "BranchDecoratedOperator"),
    "short_circuit": ("windlass.authoring.operators.decorated", "ShortCircuitDecoratedOperator"),
    "sensor": ("windlass.authoring.operators.decorated", "SensorDecoratedOperator"),
    "virtualenv": ("windlass.authoring.operators.decorated", "VirtualenvDecoratedOperator"),
    "external_python": ("windlass.authoring.operators.decorated", "ExternalPythonDecoratedOperator"),
}


class DecoratedOperator(CallableOperator):
    """The operator behind a decorator. Mix it in before the operator that does the work (and its ``execute``)."""

    def __init__(
        self,
        *,
        run_conditions: Sequence[tuple[Condition, bool, str | None]] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.run_conditions = tuple(run_conditions)

    def get_ready(self) -> None:
        """See whether there are conditions, too."""
        super().get_ready()
        if not self.run_conditions and is_method(self.pre_execute, _CHECK_CONDITIONS):
            self.nothing_before = is_method(super().pre_execute, NO_PRE_EXECUTE)

    def pre_execute(self, context: Context) -> None:
        """Skip the task where ``run_if`` or ``skip_if`` says so."""
        super().pre_execute(context)
        for condition, wanted, message in self.run_conditions:
            if bool(condition(context)) is not wanted:
                raise TaskSkipped(message or f"skipped by the condition of @task.{'run_if' if wanted else 'skip_if'}")


_CHECK_CONDITIONS = DecoratedOperator.pre_execute


class PythonDecoratedOperator(DecoratedOperator, PythonOperator):
    """The operator behind ``@task``."""

    custom_operator_name = "@task"


class TaskDecorator:
    """A function that is a task: call it, map it, or give it other arguments with ``override``."""

    def __init__(
        self,
        function: object,
        operator_class: type[BaseOperator],
        kwargs: Mapping[str, Any],
        *,
        marks: Sequence[Callable[[BaseOperator], Any]] = (),
        shared: Mapping[str, Any] | None = None,
    ) -> None:
        if isinstance(function, TaskDecorator):
            raise AuthoringError(f"{function._name} is a task already; decorate it once")  # noqa: SLF001 - of this class
        if not callable(function) or isinstance(function, type):
            raise AuthoringError(f"@task decorates a function, not {function!r}")
        self.function: Callable[..., Any] = function
        self.operator_class = operator_class
        self.kwargs = dict(kwargs)
        self._marks = tuple(marks)
        self._shared = dict(shared or {})
        self.__name__: str = getattr(self.function, "__name__", type(self.function).__name__)
        update_wrapper(self, function, updated=())

    @property
    def signature(self) -> Signature:
        """The parameters of the function."""
        return signature(self.function)

    def __call__(self, *args: Any, **kwargs: Any) -> PlainXComArg:
        """Make the task with these arguments and return a reference to its result."""
        kwargs = {**self._shared, **kwargs}
        self._check(args, kwargs)
        operator = self.operator_class(
            python_callable=self.function, op_args=args, op_kwargs=kwargs, **self._operator_kwargs()
        )
        return self._finished(operator)

    def expand(self, **mapped: Any) -> PlainXComArg:
        """Make a task that runs once per combination of the items of ``mapped``."""
        refuse_duplicates(self._name, self._shared, mapped)
        self._check((), {**self._shared, **mapped})
        return self._mapped(DictOfLists(f"@task {self._name!r}", mapped))

    def expand_kwargs(self, kwargs: Any) -> PlainXComArg:
        """Make a task that runs once per dict of arguments in ``kwargs``, a list or a task's result."""
        return self._mapped(ListOfDicts(f"@task {self._name!r}", kwargs))

    def partial(self, **kwargs: Any) -> TaskDecorator:
        """Give the arguments that all instances of a mapped task share."""
        refuse_duplicates(self._name, self._shared, kwargs)
        self._check((), {**self._shared, **kwargs}, complete=False)
        return self._changed(shared={**self._shared, **kwargs})

    def override(self, **kwargs: Any) -> TaskDecorator:
        """Return the same task with other operator arguments, for example ``task_id`` or ``retries``."""
        return self._changed(kwargs={**self.kwargs, **kwargs})

    def marked(self, mark: Callable[[BaseOperator], Any]) -> TaskDecorator:
        """Return the same task, with ``mark`` called on each operator made."""
        return self._changed(marks=(*self._marks, mark))

    @property
    def _name(self) -> str:
        return str(self.kwargs.get("task_id") or self.function.__name__)

    def _changed(self, **changes: Any) -> TaskDecorator:
        parts = {"kwargs": self.kwargs, "marks": self._marks, "shared": self._shared, **changes}
        return TaskDecorator(self.function, self.operator_class, **parts)

    def _check(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], *, complete: bool = True) -> None:
        """Refuse at once what would fail when the task runs. Parameters named like context keys are filled then."""
        own = self.signature
        names = own.positional[len(args) :] + own.keyword_only
        filled = list(names) if not complete else [name for name in names if name in CONTEXT_KEYS]
        own.check(self.function.__name__, args, {**dict.fromkeys(filled), **kwargs})

    def _operator_kwargs(self) -> dict[str, Any]:
        """Return the operator's arguments, with an id that is free: ``id``, else ``id__1``, and so on."""
        kwargs = dict(self.kwargs)
        kwargs["task_id"] = _free_id(self._name, place(kwargs)[1])
        kwargs.setdefault("doc_md", self.function.__doc__)
        if kwargs.get("multiple_outputs") is None:
            kwargs["multiple_outputs"] = returns_mapping(self.function)
        return kwargs

    def _mapped(self, expand_input: ExpandInput) -> PlainXComArg:
        kwargs = {"python_callable": self.function, "op_kwargs": self._shared, **self._operator_kwargs()}
        return self._finished(make_mapped(self.operator_class, kwargs, expand_input, collect_into="op_kwargs"))

    def _finished(self, operator: BaseOperator) -> PlainXComArg:
        for mark in self._marks:
            mark(operator)
        return PlainXComArg(operator)


def _free_id(task_id: str, group: Any) -> str:
    if group is None or not group.dag.has_node(group.child_id(task_id)):
        return task_id
    stem, _, number = task_id.rpartition("__")
    if not (stem and number.isdigit()):
        stem = task_id
    count = 1
    while group.dag.has_node(group.child_id(f"{stem}__{count}")):
        count += 1
    return f"{stem}__{count}"


def returns_mapping(function: Callable[..., Any]) -> bool:
    """Return whether the function's annotation says that it returns a dict, so that its keys are outputs."""
    from collections.abc import Mapping as MappingType

    annotation = getattr(function, "__annotations__", {}).get("return")
    if isinstance(annotation, str):
        try:
            # The author's own annotation, in the author's own module: what Python itself does with it.
            annotation = eval(annotation, getattr(function, "__globals__", {}))  # noqa: S307
        except Exception:  # noqa: BLE001 - a name that exists only for type checkers says nothing
            return False
    origin = getattr(annotation, "__origin__", annotation)
    return isinstance(origin, type) and issubclass(origin, MappingType)


def task_decorator_factory(
    python_callable: Callable[..., Any] | None = None,
    *,
    decorated_operator_class: type[BaseOperator],
    multiple_outputs: bool | None = None,
    **kwargs: Any,
) -> Any:
    """Make a decorator from an operator class; works bare and with arguments. Providers write their own with it."""
    kwargs["multiple_outputs"] = multiple_outputs
    if python_callable is not None:
        return TaskDecorator(python_callable, decorated_operator_class, kwargs)
    return lambda function: TaskDecorator(function, decorated_operator_class, kwargs)


class DecoratorFactory(Protocol):
    """A decorator that works bare and with arguments."""

    @overload
    def __call__(self, python_callable: Callable[..., Any], /) -> TaskDecorator: ...

    @overload
    def __call__(self, /, **kwargs: Any) -> Callable[[Callable[..., Any]], TaskDecorator]: ...


class TaskDecorators:
    """``task``: a decorator itself, and the family of decorators by name."""

    # Looked up by __getattr__ when they are used.
    branch: DecoratorFactory
    external_python: DecoratorFactory
    python: DecoratorFactory
    sensor: DecoratorFactory
    short_circuit: DecoratorFactory
    virtualenv: DecoratorFactory

    @overload
    def __call__(self, python_callable: Callable[..., Any], /) -> TaskDecorator: ...

    @overload
    def __call__(self, /, **kwargs: Any) -> Callable[[Callable[..., Any]], TaskDecorator]: ...

    def __call__(self, python_callable: Callable[..., Any] | None = None, /, **kwargs: Any) -> Any:
        """Make a function a task: ``@task`` or ``@task(retries=3)``."""
        return task_decorator_factory(python_callable, decorated_operator_class=PythonDecoratedOperator, **kwargs)

    @staticmethod
    def setup(function: Callable[..., Any]) -> TaskDecorator:
        """Make a function a setup task; the same as ``@setup``."""
        from windlass.authoring.setup import setup

        return setup(function)

    @staticmethod
    def teardown(function: Callable[..., Any] | None = None, **kwargs: Any) -> Any:
        """Make a function a teardown task; the same as ``@teardown``."""
        from windlass.authoring.setup import teardown

        return teardown(**kwargs) if function is None else teardown(function)

    @staticmethod
    def run_if(condition: Condition, skip_message: str | None = None) -> Callable[[TaskDecorator], TaskDecorator]:
        """Run the task only if ``condition(context)`` is true, else skip it. Goes above ``@task``."""
        return lambda decorated: _conditional(decorated, condition, wanted=True, message=skip_message)

    @staticmethod
    def skip_if(condition: Condition, skip_message: str | None = None) -> Callable[[TaskDecorator], TaskDecorator]:
        """Skip the task if ``condition(context)`` is true. Goes above ``@task``."""
        return lambda decorated: _conditional(decorated, condition, wanted=False, message=skip_message)

    def __getattr__(self, name: str) -> Any:
        """Return the decorator called ``name``, a built-in or a provider's."""
        if name.startswith("__"):
            raise AttributeError(name)
        found = getattr(import_module(_BUILT_IN[name][0]), _BUILT_IN[name][1]) if name in _BUILT_IN else _provided(name)
        if isinstance(found, type):

            def decorator(python_callable: Callable[..., Any] | None = None, **kwargs: Any) -> Any:
                return task_decorator_factory(python_callable, decorated_operator_class=found, **kwargs)

            return decorator
        return found


def _conditional(decorated: Any, condition: Condition, *, wanted: bool, message: str | None) -> TaskDecorator:
    if not isinstance(decorated, TaskDecorator):
        name = "run_if" if wanted else "skip_if"
        raise AuthoringError(f"@task.{name} goes above another @task decorator, not on {decorated!r}")
    conditions = (*decorated.kwargs.get("run_conditions", ()), (condition, wanted, message))
    return decorated.override(run_conditions=conditions)


def _provided(name: str) -> Any:
    from windlass.registry import lookup, registry

    known = registry().names("task_decorators")
    if name not in known:
        match = closest(name, [*_BUILT_IN, *known, "run_if", "skip_if", "setup", "teardown"])
        remedy = f"did you mean @task.{match}?" if match else f"install the provider: pip install windlass-{name}"
        raise AuthoringError(f"there is no decorator @task.{name}; {remedy}")
    return lookup("task_decorators", name)


task = TaskDecorators()
