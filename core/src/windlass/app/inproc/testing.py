"""What users call: ``dag.test()``, ``run_task``, and the commands that try a DAG or a task out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from windlass.app.inproc.engine import InlineEngine, InlineSession, captured, manual_run
from windlass.authoring import scope
from windlass.authoring.arguments import closest
from windlass.authoring.asset import Asset
from windlass.authoring.dag import DAG
from windlass.authoring.operator import BaseOperator
from windlass.config import Settings
from windlass.errors import DagNotFound, TaskNotFound
from windlass.interfaces.connection import Connection
from windlass.moment import utc
from windlass.planning.attempts import attempt_context
from windlass.planning.calendar import manual_interval
from windlass.planning.endings import RESULT_KEY
from windlass.ports import RunFacts, TaskFacts
from windlass.protocol import AssetEvent, AttemptContext, Finish, Outcome
from windlass.runtime.attempt import render_attempt, run_attempt
from windlass.runtime.loader import add_root, load_dag_file
from windlass.runtime.xcom import unpack
from windlass.spec.params import check_conf
from windlass.states import RunState, RunType, TaskState

_STATE = {
    Outcome.SUCCESS: TaskState.SUCCESS,
    Outcome.SKIP: TaskState.SKIPPED,
    Outcome.FAIL: TaskState.FAILED,
    Outcome.FAIL_NO_RETRY: TaskState.FAILED,
}

AssetEvents = Mapping[Asset | str, Mapping[str, Any] | Sequence[Mapping[str, Any]]]
Connections = Mapping[str, str | Mapping[str, Any] | Connection]

#: A DAG's id where it stands as text.
_ID: Final = re.compile(rb"""\bDAG\(\s*(?:dag_id\s*=\s*)?["']([^"'\n]{1,250})["']""")


class TaskResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a task instance. ``duration`` is that of its last attempt, in seconds."""

    task_id: str
    map_index: int
    state: TaskState
    try_number: int
    duration: float | None = None


class DagTestResult:
    """What became of a run: states, results and logs, to look at and to assert on."""

    def __init__(self, engine: InlineEngine, run: RunFacts) -> None:
        self._engine = engine
        order = list(engine.store.spec(run.dag_id, run.spec_version).by_id)
        tasks = sorted(engine.store.tasks_of(run.id), key=lambda task: (order.index(task.task_id), task.map_index))
        self._tasks = {(task.task_id, task.map_index): task for task in tasks}
        self.dag_id = run.dag_id
        self.run_id = run.run_id
        self.state: RunState = run.state
        self.tasks = tuple(
            TaskResult(
                task_id=task.task_id,
                map_index=task.map_index,
                state=task.state,
                try_number=task.try_number,
                duration=engine.executor.durations.get(task.id),
            )
            for task in self._tasks.values()
        )
        #: Variables that tasks have set; None means deleted.
        self.variables = dict(engine.gateway.variables)
        #: What the run's tasks said about their outlets, oldest first.
        self.asset_events = tuple(e for e in engine.store.assets.events if e.source_run_id == run.run_id)

    @property
    def states(self) -> dict[str, str]:
        """The states by task id; a mapped instance is ``task[index]``."""
        return {_label(task.task_id, task.map_index): str(task.state) for task in self.tasks}

    def task(self, task_id: str, map_index: int = -1) -> TaskResult:
        """Return what became of one task instance.

        :raises TaskNotFound: if the run has none of that name.
        """
        found = self._find(task_id, map_index)
        return next(task for task in self.tasks if (task.task_id, task.map_index) == (found.task_id, found.map_index))

    def xcom(self, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:  # noqa: ANN401 - any value
        """Return an XCom, None if the task pushed none under that key.

        :raises TaskNotFound: if the run has no such task instance.
        """
        task = self._find(task_id, map_index)
        value = self._engine.store.xcoms.get((task.id, key))
        return None if value is None else unpack(value, self._engine.session())

    def log(self, task_id: str, map_index: int = -1) -> str:
        """Return what the task printed and logged in all its tries.

        :raises TaskNotFound: if the run has no such task instance.
        """
        return self._engine.executor.logs.get(self._find(task_id, map_index).id, "")

    def __repr__(self) -> str:
        return f"<{self.dag_id} {self.run_id}: {self.state} {self.states}>"

    def _find(self, task_id: str, map_index: int) -> TaskFacts:
        try:
            return self._tasks[task_id, map_index]
        except KeyError:
            known = ", ".join(self.states)
            raise TaskNotFound(f"the run has no {_label(task_id, map_index)!r}; it has {known}") from None


def test_dag(
    dag: DAG,
    *,
    logical_date: datetime | None = None,
    conf: Mapping[str, Any] | None = None,
    connections: Connections | None = None,
    variables: Mapping[str, str] | None = None,
    asset_events: AssetEvents | None = None,
) -> DagTestResult:
    """Run ``dag`` once in this process and return what came of it. This is ``dag.test()``.

    No database, no daemon, no child process; retry delays pass at once. ``connections`` maps ids to URIs, dicts of
    fields or Connections, ``variables`` keys to texts; besides them the run knows what the environment holds as
    ``WINDLASS_CONN_<ID>`` and ``WINDLASS_VAR_<KEY>``, and nothing else.

    With ``asset_events`` the run is one that these events have triggered: assets, or their URIs, each with the extra of
    its event, or a list of extras.

    :raises ParamInvalid: if ``conf`` does not fit the DAG's params.
    """
    engine, run = _start(dag, logical_date, conf, connections, variables, asset_events)
    return DagTestResult(engine, engine.run_to_end(run))


class TaskTestResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one try of one task did: its state, what it returned and pushed, its rendered fields and its log."""

    task_id: str
    state: TaskState
    reason: str | None
    xcoms: dict[str, Any]
    rendered: dict[str, Any]
    log: str

    @property
    def result(self) -> Any:  # noqa: ANN401 - any value
        """What the task returned."""
        return self.xcoms.get(RESULT_KEY)


def run_task(
    task: BaseOperator,
    *,
    logical_date: datetime | None = None,
    conf: Mapping[str, Any] | None = None,
    connections: Connections | None = None,
    variables: Mapping[str, str] | None = None,
) -> TaskTestResult:
    """Run one try of one operator, in a DAG of its own if it has none; what it depends on does not run."""
    dag = task.dag
    if dag is None:
        with scope.detached():
            dag = DAG("run_task", schedule=None)
            dag.add_task(task)
    return test_task(
        dag, task.task_id, logical_date=logical_date, conf=conf, connections=connections, variables=variables
    )


def test_task(
    dag: DAG,
    task_id: str,
    *,
    logical_date: datetime | None = None,
    conf: Mapping[str, Any] | None = None,
    map_index: int = -1,
    connections: Connections | None = None,
    variables: Mapping[str, str] | None = None,
) -> TaskTestResult:
    """Run one try of one task of ``dag`` in this process; what it depends on does not run.

    :raises TaskNotFound: if the DAG has no such task.
    """
    with _attempt(dag, task_id, logical_date, conf, map_index, connections, variables) as (context, session):
        with captured() as log:
            ending = run_attempt(dag, context, session)
        return TaskTestResult(
            task_id=task_id,
            state=_STATE[ending.outcome] if isinstance(ending, Finish) else TaskState.UP_FOR_RESCHEDULE,
            reason=ending.reason if isinstance(ending, Finish) else None,
            xcoms={xcom.key: unpack(xcom.value, session) for xcom in session.xcoms},
            rendered={} if session.rendered is None else dict(session.rendered.fields),
            log=log.getvalue(),
        )


def render_task(
    dag: DAG,
    task_id: str,
    *,
    logical_date: datetime | None = None,
    conf: Mapping[str, Any] | None = None,
    map_index: int = -1,
    connections: Connections | None = None,
    variables: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the rendered template fields of a task as they would be in a run of that date.

    :raises TaskNotFound: if the DAG has no such task.
    """
    with _attempt(dag, task_id, logical_date, conf, map_index, connections, variables) as (context, session):
        return render_attempt(dag, context, session)


@contextmanager
def _attempt(
    dag: DAG,
    task_id: str,
    logical_date: datetime | None,
    conf: Mapping[str, Any] | None,
    map_index: int,
    connections: Connections | None,
    variables: Mapping[str, str] | None,
) -> Iterator[tuple[AttemptContext, InlineSession]]:
    """Yield the context and the session of one attempt that no scheduler knows of."""
    engine, run = _start(dag, logical_date, conf, connections, variables)
    try:
        spec = dag.to_spec()
        task = next((task for task in engine.store.tasks_of(run.id) if task.task_id == task_id), None)
        if task is None:
            hint = _hint(task_id, spec.by_id)
            raise TaskNotFound(f"DAG {dag.dag_id!r} has no task {task_id!r}; it has {', '.join(spec.by_id)}{hint}")
        task = msgspec.structs.replace(task, map_index=map_index, try_number=1)
        session = engine.session(task)
        yield attempt_context(run, spec, task, lease_id="test", mapped_count=None if map_index < 0 else 1), session
    finally:
        engine.close()


def _start(
    dag: DAG,
    logical_date: datetime | None,
    conf: Mapping[str, Any] | None,
    connections: Connections | None,
    variables: Mapping[str, str] | None,
    asset_events: AssetEvents | None = None,
) -> tuple[InlineEngine, RunFacts]:
    spec = dag.to_spec()
    check_conf(spec, conf or {})
    date = utc(logical_date) if logical_date is not None else datetime.now(tz=UTC)
    interval = manual_interval(spec, date)
    engine = InlineEngine([dag], _connections(connections), dict(variables or {}))
    new = manual_run(dag.dag_id, date, (interval.start, interval.end), dict(conf or {}))
    if asset_events:
        events = engine.deliver(dag.dag_id, _events(asset_events))
        new = msgspec.structs.replace(new, run_type=RunType.ASSET_TRIGGERED, asset_events=events)
    return engine, engine.trigger(new)


def load_dag(settings: Settings, dag_id: str, file: Path | None = None) -> DAG:
    """Import the DAG file that defines ``dag_id`` into this process and return the DAG.

    Without ``file``, the files of the DAG folder that mention the id are tried.

    :raises DagNotFound: if none of them defines it.
    """
    folder = settings.core.dags_folder
    candidates = [file] if file is not None else sorted(folder.rglob("*.py"))
    tried: list[str] = []
    for path in candidates:
        source = path.read_bytes()
        if file is None and dag_id.encode() not in source:
            continue
        root = folder if path.is_relative_to(folder) else path.absolute().parent
        add_root(str(root))
        scope.collect()  # forget what this process has defined before
        dags = scope.collect(load_dag_file(str(root), str(path.absolute().relative_to(root.absolute())), source))
        for dag in dags:
            if dag.dag_id == dag_id:
                return dag
        tried.append(f"{path} (defines {', '.join(dag.dag_id for dag in dags) or 'no DAG'})")
    where = "; ".join(tried) or f"no file below {folder} mentions it"
    raise DagNotFound(f"DAG {dag_id!r} was not found: {where}{_hint(dag_id, _written_ids(candidates))}")


def _hint(name: str, known: Iterable[str]) -> str:
    match = closest(name, known)
    return "" if match is None else f". Did you mean {match!r}?"


def _written_ids(files: Iterable[Path]) -> set[str]:
    """Return the ids that stand as text in calls of DAG, without importing any of these files."""
    return {match[1].decode(errors="replace") for file in files for match in _ID.finditer(file.read_bytes())}


def _events(given: AssetEvents) -> list[AssetEvent]:
    """Return one event per extra."""
    return [
        AssetEvent(uri=asset.uri if isinstance(asset, Asset) else asset, extra=dict(extra))
        for asset, extras in given.items()
        for extra in ([extras] if isinstance(extras, Mapping) else extras)
    ]


def _connections(given: Connections | None) -> dict[str, dict[str, Any]]:
    """Return the fields of each connection, whatever form it was given in."""
    found: dict[str, dict[str, Any]] = {}
    for conn_id, value in (given or {}).items():
        if isinstance(value, Connection):
            found[conn_id] = value.to_fields()
        elif isinstance(value, str):
            found[conn_id] = Connection.parse(conn_id, value).to_fields()
        else:
            found[conn_id] = Connection.from_fields(conn_id, value).to_fields()
    return found


def _label(task_id: str, map_index: int) -> str:
    return task_id if map_index < 0 else f"{task_id}[{map_index}]"
