"""DAG: a graph of tasks with a schedule, as an object, a ``with`` block or a decorated function."""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec, Self, overload

from windlass.authoring import scope
from windlass.authoring.arguments import (
    check_callbacks,
    check_id,
    duration,
    mapping,
    moment,
    signature,
    unknown_argument,
    whole,
)
from windlass.authoring.deadline import deadline_alerts
from windlass.authoring.param import DagParam, Param, ParamsDict
from windlass.authoring.task_group import TaskGroup
from windlass.errors import AuthoringError, CycleError, DuplicateId, TaskNotFound

if TYPE_CHECKING:
    from windlass.authoring.deadline import DeadlineAlert
    from windlass.authoring.mapped import OperatorPartial
    from windlass.authoring.operator import BaseOperator, Callback
    from windlass.spec import DagSpec

_UNSET: Any = object()
_P = ParamSpec("_P")


class DAG:
    """A graph of tasks. ``with DAG("sales", schedule="@daily", start_date=…):`` makes the tasks inside its own."""

    #: Old argument names and what they are called now.
    legacy_arguments: ClassVar[dict[str, str]] = {
        "schedule_interval": "schedule",
        "timetable": "schedule",
        "concurrency": "max_active_tasks",
        "full_filepath": "fileloc",
    }

    def __init__(
        self,
        dag_id: str,
        description: str | None = None,
        schedule: Any = _UNSET,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        *,
        catchup: bool = False,
        run_on_unpause: bool = True,
        default_args: Mapping[str, Any] | None = None,
        max_active_runs: int = 16,
        max_active_tasks: int = 16,
        max_consecutive_failed_dag_runs: int = 0,
        max_map_length: int = 1024,
        dagrun_timeout: timedelta | float | None = None,
        tags: Collection[str] | None = None,
        params: Mapping[str, Any] | None = None,
        doc_md: str | None = None,
        owner_links: Mapping[str, str] | None = None,
        template_searchpath: str | Sequence[str] | None = None,
        template_undefined: type | None = None,
        user_defined_macros: Mapping[str, Any] | None = None,
        user_defined_filters: Mapping[str, Callable[..., Any]] | None = None,
        jinja_environment_kwargs: Mapping[str, Any] | None = None,
        render_template_as_native_obj: bool = False,
        on_success_callback: Callback | Sequence[Callback] | None = None,
        on_failure_callback: Callback | Sequence[Callback] | None = None,
        fail_fast: bool = False,
        is_paused_upon_creation: bool | None = None,
        access_control: Mapping[str, Any] | None = None,
        dag_display_name: str | None = None,
        auto_register: bool = True,
        min_file_process_interval: float | None = None,
        deadline: DeadlineAlert | Sequence[DeadlineAlert] | None = None,
        **other: Any,
    ) -> None:
        check_id("dag_id", dag_id)
        who = f"DAG {dag_id!r}"
        self.dag_id = dag_id
        self.description = description
        self.schedule = _schedule_argument(who, schedule, other)
        given = mapping(who, "default_args", default_args)
        self.default_args: dict[str, Any] = {name: _own(value) for name, value in given.items()}
        # There they are the DAG's, given otherwise or not: left in, they would be the own dates of every task.
        whole_start, whole_end = self.default_args.pop("start_date", None), self.default_args.pop("end_date", None)
        self.start_date = _instant(who, "start_date", start_date or whole_start)
        self.end_date = _instant(who, "end_date", end_date or whole_end)
        self.timezone: tzinfo | None = self.start_date.tzinfo if self.start_date is not None else None
        self.catchup = catchup
        self.run_on_unpause = run_on_unpause
        self.max_active_runs = whole(who, "max_active_runs", max_active_runs)
        self.max_active_tasks = whole(who, "max_active_tasks", max_active_tasks)
        self.max_consecutive_failed_dag_runs = whole(
            who, "max_consecutive_failed_dag_runs", max_consecutive_failed_dag_runs
        )
        self.max_map_length = whole(who, "max_map_length", max_map_length, low=1)
        self.dagrun_timeout = duration(who, "dagrun_timeout", dagrun_timeout, is_positive=True)
        self.tags = _tags(who, tags)
        inherited = mapping(who, "params of default_args", self.default_args.pop("params", None))
        self.params = ParamsDict({**inherited, **dict(_param_items(params, who))})
        self.doc_md = doc_md
        self.owner_links = mapping(who, "owner_links", owner_links)
        self.template_searchpath = _folders(who, template_searchpath)
        if template_undefined is not None and not isinstance(template_undefined, type):
            raise AuthoringError(f"{who}: template_undefined must be a class, such as jinja2.StrictUndefined")
        self.template_undefined = template_undefined
        self.user_defined_macros = mapping(who, "user_defined_macros", user_defined_macros)
        self.user_defined_filters = mapping(who, "user_defined_filters", user_defined_filters)
        self.jinja_environment_kwargs = mapping(who, "jinja_environment_kwargs", jinja_environment_kwargs)
        self.render_template_as_native_obj = render_template_as_native_obj
        check_callbacks(who, "on_success_callback", on_success_callback)
        check_callbacks(who, "on_failure_callback", on_failure_callback)
        self.on_success_callback = on_success_callback
        self.on_failure_callback = on_failure_callback
        self.fail_fast = fail_fast
        self.is_paused_upon_creation = is_paused_upon_creation
        self.access_control = mapping(who, "access_control", access_control)
        self.dag_display_name = dag_display_name
        self.auto_register = auto_register
        self.min_file_process_interval = min_file_process_interval
        self.deadlines = deadline_alerts(who, deadline)
        self.fileloc, self.lineno = _caller()
        self.task_dict: dict[str, BaseOperator] = {}
        self.group_dict: dict[str, TaskGroup] = {}
        self.partials: list[OperatorPartial] = []
        self.edge_labels: dict[tuple[str, str], str] = {}
        self.task_group = TaskGroup(None, dag=self)

    # --- Building ---------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        """Open the DAG: tasks made from here on are its own."""
        scope.push_dag(self)
        return self

    def __exit__(self, _kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        """Close the DAG."""
        scope.pop_dag()
        scope.blame(error, self.dag_id)

    def add_task(self, task: BaseOperator) -> None:
        """Make ``task`` one of the DAG's own.

        :raises DuplicateId: if its id is taken.
        """
        if self.task_dict.get(task.task_id, task) is not task or task.task_id in self.group_dict:
            raise DuplicateId(
                f"DAG {self.dag_id!r} already has a task or group {task.task_id!r}; give the second one another id"
            )
        if task.task_group is None or task.task_group.dag is not self:
            task.task_group = self.task_group
        task.dag = self
        self.task_dict[task.task_id] = task
        task.task_group.children[task.task_id] = task

    def add_tasks(self, tasks: Sequence[BaseOperator]) -> None:
        """Make ``tasks`` the DAG's own."""
        for task in tasks:
            self.add_task(task)

    def has_node(self, node_id: str) -> bool:
        """Return whether a task or group has this id."""
        return node_id in self.task_dict or node_id in self.group_dict

    def param(self, name: str, default: Any = _UNSET) -> DagParam:
        """Return a reference to the run's value of a param, usable as an argument of any task."""
        return DagParam(name) if default is _UNSET else DagParam(name, default)

    # --- Reading ----------------------------------------------------------------------------------------------

    @property
    def tasks(self) -> list[BaseOperator]:
        """All tasks, in the order they were made."""
        return list(self.task_dict.values())

    @property
    def task_ids(self) -> list[str]:
        """The ids of all tasks, in the order they were made."""
        return list(self.task_dict)

    def callbacks(self, kind: str) -> list[Callback]:
        """Return the run's callbacks of a kind: success or failure."""
        given = getattr(self, f"on_{kind}_callback")
        return [] if given is None else [*given] if isinstance(given, (list, tuple)) else [given]

    def has_task(self, task_id: str) -> bool:
        """Return whether a task has this id."""
        return task_id in self.task_dict

    def get_task(self, task_id: str) -> BaseOperator:
        """Return a task.

        :raises TaskNotFound: if there is none of that id.
        """
        try:
            return self.task_dict[task_id]
        except KeyError:
            from windlass.authoring.arguments import closest

            match = closest(task_id, self.task_dict)
            hint = f"did you mean {match!r}?" if match else f"it has {', '.join(sorted(self.task_dict)) or 'no tasks'}"
            raise TaskNotFound(f"DAG {self.dag_id!r} has no task {task_id!r}; {hint}") from None

    @property
    def roots(self) -> list[BaseOperator]:
        """The tasks that wait for none."""
        return [task for task in self.tasks if not task.upstream_task_ids]

    @property
    def leaves(self) -> list[BaseOperator]:
        """The tasks that none waits for."""
        return [task for task in self.tasks if not task.downstream_task_ids]

    @property
    def folder(self) -> str:
        """The folder of the file that defines the DAG."""
        return self.fileloc.rpartition("/")[0]

    def topological_sort(self) -> list[BaseOperator]:
        """Return the tasks so that each comes after its upstreams; ties in the order they were made.

        :raises CycleError: printing the circle, if there is one.
        """
        from heapq import heapify, heappop, heappush

        order = {task_id: index for index, task_id in enumerate(self.task_dict)}
        waiting = {task_id: len(task.upstream_task_ids) for task_id, task in self.task_dict.items()}
        ready = [order[task_id] for task_id, count in waiting.items() if not count]
        heapify(ready)
        tasks = self.tasks
        done: list[BaseOperator] = []
        while ready:
            task = tasks[heappop(ready)]
            done.append(task)
            for task_id in task.downstream_task_ids:
                waiting[task_id] -= 1
                if not waiting[task_id]:
                    heappush(ready, order[task_id])
        if len(done) < len(tasks):
            raise CycleError(
                f"DAG {self.dag_id!r} has a cycle: {' >> '.join(self._cycle({task.task_id for task in done}))}; "
                "remove one of these dependencies"
            )
        return done

    def _cycle(self, done: set[str]) -> list[str]:
        """Return one circle among the tasks that cannot be sorted: each of them has an upstream that is not done."""
        path = [min(self.task_dict.keys() - done)]
        while path.count(path[-1]) == 1:
            path.append(min(self.task_dict[path[-1]].upstream_task_ids - done))
        return path[path.index(path[-1]) :][::-1]

    def to_spec(self, *, file: str = "") -> DagSpec:
        """Return the DAG as data; ``file`` is its path inside the bundle.

        :raises AuthoringError: if it describes something that cannot be.
        """
        from windlass.authoring.emit import dag_spec

        try:
            return dag_spec(self, file)
        except Exception as error:
            scope.blame(error, self.dag_id, (self.fileloc, self.lineno))
            raise

    def test(self, logical_date: datetime | None = None, conf: Mapping[str, Any] | None = None, **options: Any) -> Any:
        """Run the DAG in this process, without a database or a daemon, and return what came of it."""
        from windlass.registry import lookup

        return lookup("runners", "inproc")(self, logical_date=logical_date, conf=conf, **options)

    def __repr__(self) -> str:
        return f"<DAG: {self.dag_id}>"


@overload
def dag(dag_id: Callable[_P, Any], /) -> Callable[_P, DAG]: ...


@overload
def dag(dag_id: str | None = None, **dag_kwargs: Any) -> Callable[[Callable[_P, Any]], Callable[_P, DAG]]: ...


def dag(dag_id: str | Callable[..., Any] | None = None, **dag_kwargs: Any) -> Any:
    """Make a function a DAG: call it to make (and register) the DAG; its parameters become params."""

    def decorate(function: Callable[..., Any], name: str | None = None) -> Callable[..., DAG]:
        parameters = signature(function)
        defaults = dict(zip(reversed(parameters.positional), reversed(function.__defaults__ or ()), strict=False))
        defaults |= function.__kwdefaults__ or {}

        @wraps(function)
        def make(*args: Any, **kwargs: Any) -> DAG:
            parameters.check(function.__name__, args, kwargs)
            values = {**defaults, **dict(zip(parameters.positional, args, strict=False)), **kwargs}
            arguments = {"doc_md": function.__doc__, **dag_kwargs}
            declared = dict(_param_items(arguments.get("params"), f"DAG {name or function.__name__!r}"))
            arguments["params"] = declared | {key: _given(declared.get(key), value) for key, value in values.items()}
            with DAG(name or function.__name__, **arguments) as made:
                made.fileloc, made.lineno = function.__code__.co_filename, function.__code__.co_firstlineno
                function(**{key: made.param(key) for key in parameters.names})
            return made

        return make

    if callable(dag_id):
        return decorate(dag_id)
    return lambda function: decorate(function, dag_id)


def _schedule_argument(who: str, schedule: Any, other: dict[str, Any]) -> Any:
    """Return the schedule, given under its own name or an old one, and refuse every other unknown argument."""
    legacy = DAG.legacy_arguments
    for name, value in other.items():
        if legacy.get(name) == "schedule" and schedule is _UNSET:
            schedule = value
            continue
        if legacy.get(name) == "schedule":
            raise AuthoringError(f"{who} got both {name!r} and 'schedule', which mean the same; keep 'schedule'")
        raise unknown_argument(who, name, signature(DAG.__init__).names[1:])
    return None if schedule is _UNSET else schedule


def _param_items(params: Mapping[str, Any] | None, who: str) -> list[tuple[str, Any]]:
    return (
        list(params.param_items()) if isinstance(params, ParamsDict) else list(mapping(who, "params", params).items())
    )


def _given(declared: Any, value: Any) -> Any:
    """Return the value for a param; one that is declared with a schema keeps it."""
    if isinstance(declared, Param) and not isinstance(value, Param):
        return Param(value, declared.description, schema=declared.schema)
    return value


def _own(value: Any) -> Any:
    """Return a copy of a container, so that what two DAGs were given is not shared between them."""
    return value.copy() if isinstance(value, (dict, list, set)) else value


def _instant(who: str, name: str, value: Any) -> datetime | None:
    date = moment(who, name, value)
    return date if date is None or date.tzinfo is not None else date.replace(tzinfo=default_timezone())


def default_timezone() -> tzinfo:
    """Return the zone that a naive date is in: the configured one."""
    return _default_timezone


_default_timezone: tzinfo = UTC


def set_default_timezone(zone: tzinfo) -> None:
    """Set the zone for naive dates; called once per process, before a DAG file is loaded."""
    global _default_timezone  # noqa: PLW0603 - a setting of the process
    _default_timezone = zone


def _tags(who: str, tags: Collection[object] | None) -> set[str]:
    if isinstance(tags, str):
        raise AuthoringError(f"{who}: tags must be a list of strings; write tags=[{tags!r}]")
    for tag in tags or ():
        if not isinstance(tag, str) or not 0 < len(tag) <= 100:
            raise AuthoringError(f"{who}: tag {tag!r} must be text of 1 to 100 characters")
    return {str(tag) for tag in tags or ()}


def _folders(who: str, given: object) -> list[str]:
    folders = [given] if isinstance(given, str) else [] if given is None else given
    if not isinstance(folders, (list, tuple)) or not all(isinstance(folder, str) for folder in folders):
        raise AuthoringError(f"{who}: template_searchpath must be a folder or a list of folders, not {given!r:.80}")
    return list(folders)


def _caller() -> tuple[str, int]:
    """Return file and line of the code that is making a DAG: the first frame outside this package."""
    frame = sys._getframe(1)  # noqa: SLF001 - the only way to know the caller
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("windlass.authoring"):
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


__all__ = ["DAG", "Param", "dag", "default_timezone", "set_default_timezone"]
