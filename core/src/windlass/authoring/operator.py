"""BaseOperator: one task of a DAG, its arguments, and how ``default_args`` reach them.

An operator is an ordinary class with keyword arguments. The metaclass does what every operator needs and no author
should write: it refuses positional arguments, translates legacy names, fills in ``default_args`` (those of the
operator's own signature, class by class, so that a value passed by a subclass wins), and joins the finished operator
to its DAG, its group and the tasks whose results it was given.

Precedence: operator argument > defaults of the innermost group > … > defaults of the DAG.
"""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

import re
from abc import ABCMeta
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, cast

from windlass.authoring import scope
from windlass.authoring.arguments import (
    check_callbacks,
    check_id,
    duration,
    mapping,
    moment,
    required_duration,
    signature,
    unknown_argument,
    whole,
)
from windlass.authoring.edges import Dependable
from windlass.authoring.nesting import watched
from windlass.authoring.param import ParamsDict
from windlass.authoring.weights import weight_rule as weight_rule_of
from windlass.authoring.xcom_arg import PlainXComArg, has_references, references
from windlass.errors import AuthoringError, TaskDeferralError, TaskDeferralTimeout, TaskDeferred
from windlass.states import TriggerRule, WeightRule

if TYPE_CHECKING:
    from logging import Logger

    from windlass.authoring.dag import DAG
    from windlass.authoring.mapped import OperatorPartial
    from windlass.authoring.task_group import TaskGroup
    from windlass.interfaces.priority import PriorityWeightStrategy

#: A template context, as ``execute`` and callbacks get it.
Context = Mapping[str, Any]
Callback = Callable[[Context], Any]
_Op = TypeVar("_Op", bound="BaseOperator")

#: Python's words for a keyword that was not given.
_MISSING = re.compile(r"(\w+)\.__init__\(\) missing \d+ required keyword-only arguments?: (.+)")
#: Where a task resumes whose deferral brought no event; the name is Airflow's.
FAILED = "__fail__"
#: The names of resources; ram and disk are in megabytes.
_RESOURCES = ("cpus", "ram", "disk", "gpus")
_CALLBACKS = ("execute", "success", "failure", "retry", "skipped")


class OperatorMeta(ABCMeta):
    """Makes operators: see the module's story."""

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **kwargs: Any) -> OperatorMeta:
        """Let the class's own ``__init__`` take default_args, and its ``execute`` notice who calls it."""
        if "__init__" in namespace:
            namespace["__init__"] = _with_defaults(namespace["__init__"])
        if "execute" in namespace:
            namespace["execute"] = watched(namespace["execute"])
        return super().__new__(mcs, name, bases, namespace, **kwargs)

    def __call__(cls: type[_Op], *args: Any, **kwargs: Any) -> _Op:  # type: ignore[misc] # the metaclass of operators
        """Make an operator and join it to its DAG, group, setup blocks and upstream results."""
        if args:
            raise TypeError(f"{cls.__name__} takes keyword arguments only; write for example task_id={args[0]!r}")
        kwargs = _translate_legacy(cls, kwargs)
        dag, group = place(kwargs)
        operator = cls.__new__(cls)
        operator.dag, operator.task_group = dag, group
        operator._default_args = inherited_defaults(dag, group, kwargs)  # noqa: SLF001 - the metaclass is the class's own
        try:
            operator.__init__(**kwargs)  # type: ignore[misc] # making an instance is what a metaclass does
        except Exception as error:
            problem = _missing_argument(cls, kwargs, error)
            if dag is not None:
                scope.blame(problem, dag.dag_id)
            if problem is error:
                raise
            raise problem from None
        if not hasattr(operator, "task_id"):
            raise AuthoringError(f"{cls.__name__}.__init__ must call super().__init__(**kwargs)")
        operator._init_kwargs = kwargs  # noqa: SLF001
        operator._join()  # noqa: SLF001
        return operator


def _missing_argument(cls: type, kwargs: Mapping[str, Any], error: Exception) -> Exception:
    """Return a sentence in place of Python's own error about an argument that was not given."""
    match = _MISSING.fullmatch(str(error)) if isinstance(error, TypeError) else None
    if match is None or match[1] not in {base.__name__ for base in cls.__mro__}:
        return error
    who = f"{cls.__name__} {kwargs['task_id']!r}" if "task_id" in kwargs else cls.__name__
    return AuthoringError(f"{who} has no {match[2].replace(chr(39), '')}, which it needs; give it")


def _with_defaults(init: Callable[..., None]) -> Callable[..., None]:
    own = signature(init)
    names = frozenset(own.names[1:])

    @wraps(init)
    def wrapper(self: BaseOperator, *args: Any, **kwargs: Any) -> None:
        if args:
            raise TypeError(f"{type(self).__name__} takes keyword arguments only; name {args[0]!r}")
        for name, value in self._default_args.items():
            if name in names and name not in kwargs:
                kwargs[name] = value
        init(self, **kwargs)

    wrapper.__signature_of__ = own  # type: ignore[attr-defined] # spares the import of inspect to look behind it
    return wrapper


def _translate_legacy(cls: type[BaseOperator], kwargs: dict[str, Any]) -> dict[str, Any]:
    legacy = {old: new for base in reversed(cls.__mro__) for old, new in vars(base).get("legacy_arguments", {}).items()}
    translated: dict[str, Any] = {}
    for name, value in kwargs.items():
        new = legacy.get(name, name)
        if new in translated or (new != name and new in kwargs):
            raise AuthoringError(f"{cls.__name__} got both {name!r} and {new!r}, which mean the same; keep {new!r}")
        translated[new] = value
    return translated


def place(kwargs: Mapping[str, Any]) -> tuple[DAG | None, TaskGroup | None]:
    """Return the DAG and the group that an operator with these arguments belongs to."""
    group: TaskGroup | None = kwargs.get("task_group")
    dag: DAG | None = kwargs.get("dag") or (group.dag if group is not None else scope.current_dag())
    return dag, group or scope.current_group(dag)


def inherited_defaults(dag: DAG | None, group: TaskGroup | None, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the default_args for an operator there, the nearest winning."""
    defaults: dict[str, Any] = dict(dag.default_args) if dag is not None else {}
    if group is not None:
        defaults |= group.all_default_args
    defaults |= kwargs.get("default_args") or {}
    return defaults


class BaseOperator(Dependable, metaclass=OperatorMeta):
    """A task. Subclass it and write ``execute(context)``; see the reference for the arguments."""

    #: Attributes that are templates; ``runtime`` renders them before ``execute``.
    template_fields: Sequence[str] = ()
    #: Endings of file names: a template field whose text ends so is loaded from that file.
    template_ext: Sequence[str] = ()
    template_fields_renderers: ClassVar[dict[str, str]] = {}
    ui_color: str = "#fff"
    ui_fgcolor: str = "#000"
    #: Old argument names of this class and what they are called now.
    legacy_arguments: ClassVar[dict[str, str]] = {}
    #: Shown instead of the class's name.
    custom_operator_name: str | None = None
    #: Whether its decision may skip downstream tasks.
    is_brancher: ClassVar[bool] = False
    is_sensor: ClassVar[bool] = False
    #: Whether it marks a task of another DAG, which is cleared with it.
    is_marker: ClassVar[bool] = False
    is_mapped: ClassVar[bool] = False
    #: Whether it is known, before any attempt, that no field has anything to render.
    nothing_to_render = False
    #: Likewise, that ``pre_execute`` and ``post_execute`` do nothing.
    nothing_before = nothing_after = False

    dag: DAG | None
    task_group: TaskGroup | None
    _default_args: dict[str, Any]
    _init_kwargs: dict[str, Any]
    _reference_fields: tuple[str, ...] | None = None

    def __init__(
        self,
        *,
        task_id: str,
        dag: DAG | None = None,
        task_group: TaskGroup | None = None,
        owner: str = "windlass",
        retries: int | None = 0,
        retry_delay: timedelta | float = 300.0,
        retry_exponential_backoff: bool | float = False,
        max_retry_delay: timedelta | float | None = 86400.0,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        depends_on_past: bool = False,
        ignore_first_depends_on_past: bool = True,
        wait_for_downstream: bool = False,
        default_args: Mapping[str, Any] | None = None,
        trigger_rule: str = TriggerRule.ALL_SUCCESS,
        params: Mapping[str, Any] | None = None,
        pool: str | None = None,
        pool_slots: int = 1,
        priority_weight: int = 1,
        weight_rule: str | PriorityWeightStrategy | type[PriorityWeightStrategy] = WeightRule.DOWNSTREAM,
        queue: str = "default",
        executor: str | None = None,
        executor_config: Mapping[str, Any] | None = None,
        execution_timeout: timedelta | float | None = None,
        resources: Mapping[str, Any] | None = None,
        max_active_tis_per_dag: int | None = None,
        max_active_tis_per_dagrun: int | None = None,
        do_xcom_push: bool = True,
        multiple_outputs: bool = False,
        inlets: Any = None,
        outlets: Any = None,
        doc: str | None = None,
        doc_md: str | None = None,
        doc_json: str | None = None,
        doc_yaml: str | None = None,
        doc_rst: str | None = None,
        task_display_name: str | None = None,
        on_execute_callback: Callback | Sequence[Callback] | None = None,
        on_success_callback: Callback | Sequence[Callback] | None = None,
        on_failure_callback: Callback | Sequence[Callback] | None = None,
        on_retry_callback: Callback | Sequence[Callback] | None = None,
        on_skipped_callback: Callback | Sequence[Callback] | None = None,
        map_index_template: str | None = None,
        allow_nested_operators: bool = True,
        **unknown: Any,
    ) -> None:
        kind = type(self).__name__
        if unknown:
            raise unknown_argument(f"{kind} {task_id!r}", min(unknown), argument_names(type(self)))
        check_id("task_id", task_id)
        self._label = task_id
        self.task_id = self.task_group.claim_id(task_id) if self.task_group is not None else task_id
        self.upstream_task_ids: set[str] = set()
        self.downstream_task_ids: set[str] = set()
        who = f"task {self.task_id!r}"
        self.owner = owner
        self.retries = whole(who, "retries", retries or 0)
        self.retry_delay = required_duration(who, "retry_delay", retry_delay)
        self.retry_exponential_backoff = _backoff(who, retry_exponential_backoff)
        self.max_retry_delay = duration(who, "max_retry_delay", max_retry_delay)
        self.start_date = moment(who, "start_date", start_date)
        self.end_date = moment(who, "end_date", end_date)
        self.depends_on_past = depends_on_past or wait_for_downstream
        self.ignore_first_depends_on_past = ignore_first_depends_on_past
        self.wait_for_downstream = wait_for_downstream
        self.trigger_rule = _one_of(who, "trigger_rule", trigger_rule, list(TriggerRule))
        self.params = ParamsDict(params if isinstance(params, ParamsDict) else mapping(who, "params", params))
        self.pool = pool or "default_pool"
        self.pool_slots = whole(who, "pool_slots", pool_slots, low=1)
        self.priority_weight = priority_weight
        self.weight_rule = weight_rule_of(who, weight_rule)
        self.queue = queue
        self.executor = executor
        self.executor_config = mapping(who, "executor_config", executor_config)
        self.execution_timeout = duration(who, "execution_timeout", execution_timeout, is_positive=True)
        self.resources = _resources(who, mapping(who, "resources", resources))
        self.max_active_tis_per_dag = _limit(who, "max_active_tis_per_dag", max_active_tis_per_dag)
        self.max_active_tis_per_dagrun = _limit(who, "max_active_tis_per_dagrun", max_active_tis_per_dagrun)
        self.do_xcom_push = do_xcom_push
        self.multiple_outputs = multiple_outputs
        self.inlets = _as_list(inlets)
        self.outlets = _as_list(outlets)
        self.doc, self.doc_md, self.doc_json, self.doc_yaml, self.doc_rst = doc, doc_md, doc_json, doc_yaml, doc_rst
        self.task_display_name = task_display_name
        given = (on_execute_callback, on_success_callback, on_failure_callback, on_retry_callback, on_skipped_callback)
        for kind, callback in zip(_CALLBACKS, given, strict=True):
            check_callbacks(who, f"on_{kind}_callback", callback)
        self.on_execute_callback = on_execute_callback
        self.on_success_callback = on_success_callback
        self.on_failure_callback = on_failure_callback
        self.on_retry_callback = on_retry_callback
        self.on_skipped_callback = on_skipped_callback
        self.map_index_template = map_index_template
        self.allow_nested_operators = allow_nested_operators
        self.is_setup = False
        self.is_teardown = False
        self.on_failure_fail_dagrun = False

    # --- What a subclass may write ----------------------------------------------------------------------------

    @property
    def log(self) -> Logger:
        """The logger of the running task; its records go to the task's log."""
        from logging import getLogger

        return getLogger("windlass.task")

    def execute(self, context: Context) -> Any:
        """Do the work and return the result, which becomes the task's ``return_value``."""
        raise NotImplementedError(f"{type(self).__name__} does not define execute(context)")

    def pre_execute(self, context: Context) -> None:
        """Run right before ``execute``, with the rendered fields."""

    def post_execute(self, context: Context, result: Any = None) -> None:
        """Run right after ``execute`` returned ``result``."""

    def on_kill(self) -> None:
        """Clean up what a killed attempt leaves outside its process tree; runs on SIGTERM."""

    def defer(
        self,
        *,
        trigger: Any,
        method_name: str,
        kwargs: dict[str, Any] | None = None,
        timeout: timedelta | None = None,
    ) -> None:
        """Leave the process and let ``trigger`` wait; the task resumes at ``method_name`` with the trigger's event.

        That method is called as ``method_name(context, event=payload, **kwargs)``, in a new process, on an operator
        made afresh: what must be remembered goes into ``kwargs``. ``timeout`` bounds the wait.
        """
        raise TaskDeferred(trigger=trigger, method_name=method_name, kwargs=kwargs, timeout=timeout)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on after a deferral; called instead of :meth:`execute`.

        :raises TaskDeferralTimeout: if no event came within the timeout of the deferral.
        :raises TaskDeferralError: if the trigger failed.
        """
        kwargs = next_kwargs or {}
        if next_method == FAILED:
            raise (TaskDeferralTimeout if kwargs.get("timed_out") else TaskDeferralError)(str(kwargs.get("error", "")))
        function = getattr(self, next_method, None)
        if function is None or next_method.startswith("__"):
            raise AuthoringError(f"{self.task_type} has no method {next_method!r} to resume at; clear the task")
        return function(context, **kwargs)

    # --- Its place in the DAG ---------------------------------------------------------------------------------

    @property
    def roots(self) -> Sequence[BaseOperator]:
        """Itself."""
        return [self]

    @property
    def leaves(self) -> Sequence[BaseOperator]:
        """Itself."""
        return [self]

    @property
    def dag_id(self) -> str:
        """The id of its DAG; ``adhoc`` while it has none."""
        return self.dag.dag_id if self.dag is not None else "adhoc"

    @property
    def label(self) -> str:
        """The task_id without the prefixes of its groups."""
        return self._label

    @property
    def task_type(self) -> str:
        """The name of its class."""
        return type(self).__name__

    @property
    def operator_name(self) -> str:
        """What people see as its kind, for example ``@task``."""
        return self.custom_operator_name or self.task_type

    @property
    def node_id(self) -> str:
        """The task_id, as groups call their children."""
        return self.task_id

    @property
    def output(self) -> PlainXComArg:
        """A reference to its result."""
        return PlainXComArg(self)

    @property
    def upstream_list(self) -> list[BaseOperator]:
        """The direct upstream tasks, by id."""
        return [self._owner_dag().task_dict[task_id] for task_id in sorted(self.upstream_task_ids)]

    @property
    def downstream_list(self) -> list[BaseOperator]:
        """The direct downstream tasks, by id."""
        return [self._owner_dag().task_dict[task_id] for task_id in sorted(self.downstream_task_ids)]

    def get_flat_relative_ids(self, *, upstream: bool = False) -> set[str]:
        """Return the ids of all its descendants, or of all its ancestors."""
        tasks = self._owner_dag().task_dict
        found: set[str] = set()
        waiting = [self.task_id]
        while waiting:
            task = tasks[waiting.pop()]
            for task_id in (task.upstream_task_ids if upstream else task.downstream_task_ids) - found:
                found.add(task_id)
                waiting.append(task_id)
        return found

    def _owner_dag(self) -> DAG:
        if self.dag is None:
            raise AuthoringError(f"task {self.task_id!r} belongs to no DAG; create it inside `with DAG(…):`")
        return self.dag

    def _join(self) -> None:
        """Take the place in the DAG; called once, when ``__init__`` is through."""
        if not scope.is_joining():
            return
        if self.dag is not None:
            self.dag.add_task(self)
        self.join_references()
        scope.joined_setup_blocks(self)

    def join_references(self) -> None:
        """Wait for every task whose result is among the arguments or in a templated field."""
        values = [*self._init_kwargs.values(), *(getattr(self, name, None) for name in self.template_fields)]
        for upstream in references(values):
            if upstream is not self and upstream.task_id not in self.upstream_task_ids:
                self.set_upstream(upstream)

    def get_ready(self) -> None:
        """Find what each attempt would have to find again; a zygote has every operator do so before it forks.

        A ``pre_execute`` or ``post_execute`` that the operator is given later is not called if it had none before.
        """
        self.nothing_to_render = not self.filled_fields()
        self.nothing_before = is_method(self.pre_execute, NO_PRE_EXECUTE)
        self.nothing_after = is_method(self.post_execute, NO_POST_EXECUTE)

    def filled_fields(self) -> list[str]:
        """Return the names of the fields to be rendered in which there is something."""
        filled = []
        for name in self.reference_fields():
            value = getattr(self, name, None)
            if value is not None and not (isinstance(value, (str, list, tuple, dict)) and not value):
                filled.append(name)
        return filled

    def reference_fields(self) -> tuple[str, ...]:
        """Return the attributes to resolve before ``execute``: templated ones, and arguments that hold references.

        Found once.
        """
        if self._reference_fields is None:
            extra = [
                name
                for name, value in self._init_kwargs.items()
                if name not in self.template_fields and name in self.__dict__ and has_references(value)
            ]
            self._reference_fields = (*self.template_fields, *extra)
        return self._reference_fields

    # --- Setup and teardown -----------------------------------------------------------------------------------

    def as_setup(self) -> Self:
        """Make it a setup: clearing a task that needs it runs it again."""
        from windlass.authoring.setup import make_setup

        make_setup(self)
        return self

    def as_teardown(self, *, setups: Any = None, on_failure_fail_dagrun: bool | None = None) -> Self:
        """Make it a teardown of ``setups``: it runs if one of them ran, and its failure does not fail the run."""
        from windlass.authoring.setup import make_teardown

        make_teardown(self, setups, on_failure_fail_dagrun=on_failure_fail_dagrun)
        return self

    def __enter__(self) -> Self:
        """Put the tasks of the block between this setup (or this teardown's setups) and its teardown."""
        from windlass.authoring.setup import open_block

        open_block([self])
        return self

    def __exit__(self, *exc_info: object) -> None:
        from windlass.authoring.setup import close_block

        close_block()

    # --- Mapping ----------------------------------------------------------------------------------------------

    @classmethod
    def partial(cls, **kwargs: Any) -> OperatorPartial:
        """Give the arguments that all instances of a mapped task share; then call ``.expand`` or ``.expand_kwargs``."""
        from windlass.authoring.mapped import OperatorPartial

        return OperatorPartial(cls, kwargs)

    def unmap(self, resolved: Mapping[str, Any] | None = None) -> BaseOperator:
        """Return the operator that runs: itself, as it is not mapped."""
        return self

    def callbacks(self, kind: str) -> list[Callback]:
        """Return the callbacks of a kind: execute, success, failure, retry or skipped."""
        return [cast("Callback", item) for item in _as_list(getattr(self, f"on_{kind}_callback"))]

    def callback_kinds(self) -> tuple[str, ...]:
        """Return the kinds of callbacks it has."""
        return tuple(kind for kind in _CALLBACKS if self.callbacks(kind))

    def __repr__(self) -> str:
        return f"<Task({self.operator_name}): {self.task_id}>"


#: The two that do nothing, as they are here: whatever a library puts in their place does something.
NO_PRE_EXECUTE, NO_POST_EXECUTE = BaseOperator.pre_execute, BaseOperator.post_execute


def is_method(bound: Callable[..., Any], function: Callable[..., Any]) -> bool:
    """Return whether ``bound`` is ``function`` of a class, and neither a subclass's nor put in its place."""
    return getattr(bound, "__func__", None) is function


def argument_names(cls: type[BaseOperator]) -> list[str]:
    """Return the names of all arguments that ``cls`` takes, its own first."""
    names: dict[str, None] = {}
    for base in cls.__mro__:
        init = vars(base).get("__init__")
        if init is not None and isinstance(base, OperatorMeta):
            own = signature(init)
            names |= dict.fromkeys(name for name in own.names if name != "self")
            if not own.has_var_keywords:
                break
    return list(names)


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=repr)  # the order of a set differs between processes
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _limit(who: str, name: str, value: object) -> int | None:
    return None if value is None else whole(who, name, value)


def _resources(who: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return what a task says it needs; it is recorded, and nothing is set apart for it."""
    for name, amount in given.items():
        if name not in _RESOURCES:
            raise AuthoringError(f"{who}: resources has no {name!r}; it knows {', '.join(_RESOURCES)}")
        if amount is not None and (isinstance(amount, bool) or not isinstance(amount, (int, float)) or amount < 0):
            raise AuthoringError(f"{who}: {name} of resources must be a number of at least 0, not {amount!r}")
    return given


def _backoff(who: str, value: object) -> float:
    """Return the multiplier: 0 for none, 2 for True."""
    if isinstance(value, bool):
        return 2.0 if value else 0.0
    if not isinstance(value, (int, float)) or value < 0 or 0 < value < 1:
        raise AuthoringError(
            f"{who}: retry_exponential_backoff must be True, False or a multiplier from 1, not {value!r}"
        )
    return float(value)


def _one_of(who: str, name: str, value: object, choices: Collection[str]) -> str:
    if value not in choices:
        raise AuthoringError(f"{who}: {name} {value!r} is not one of {', '.join(str(c) for c in choices)}")
    return str(value)
