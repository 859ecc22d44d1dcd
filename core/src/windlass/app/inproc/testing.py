"""What users call: ``dag.test()``, ``run_task``, and the commands that try a DAG or a task out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from windlass.app.clocks import VirtualClock
from windlass.app.inproc.engine import InlineEngine, InlineSession, captured, manual_run
from windlass.app.inproc.fakes import check_tasks, fakes_of
from windlass.app.inproc.preset import XComs, preset_xcoms
from windlass.app.inproc.results import CallbackCall as CallbackCall
from windlass.app.inproc.results import DagTestResult as DagTestResult
from windlass.app.inproc.results import TaskResult as TaskResult
from windlass.app.inproc.results import TaskTestResult as TaskTestResult
from windlass.app.inproc.triggers import InlineTriggers
from windlass.authoring import scope
from windlass.authoring.arguments import closest
from windlass.authoring.asset import Asset
from windlass.authoring.dag import DAG
from windlass.authoring.operator import BaseOperator
from windlass.config import Settings
from windlass.errors import DagNotFound
from windlass.interfaces.connection import Connection
from windlass.interfaces.timetable import Timetable
from windlass.moment import utc
from windlass.planning.attempts import Resumption, attempt_context, resumed
from windlass.planning.calendar import manual_interval
from windlass.ports import RunFacts, TaskFacts, clock_scope
from windlass.protocol import AssetEvent, AttemptContext, Defer, Finish, Outcome, Reschedule
from windlass.registry import registry
from windlass.runtime.attempt import render_attempt
from windlass.runtime.loader import add_root, load_dag_file, use_timezone
from windlass.runtime.moments import use_factory
from windlass.runtime.timetables import declared_timetable
from windlass.runtime.xcom import unpack
from windlass.spec.params import check_conf
from windlass.states import RunType, TaskState

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


def test_dag(
    dag: DAG,
    *,
    logical_date: datetime | None = None,
    conf: Mapping[str, Any] | None = None,
    connections: Connections | None = None,
    variables: Mapping[str, str] | None = None,
    asset_events: AssetEvents | None = None,
    fakes: Mapping[str, Any] | None = None,
    clock: VirtualClock | None = None,
) -> DagTestResult:
    """Run ``dag`` once in this process and return what came of it. This is ``dag.test()``.

    No database, no daemon, no child process. Time is virtual: retry delays, reschedules and a sensor's pauses pass at
    once. Callbacks are called.

    Args:
        dag: the DAG.
        logical_date: of the run; by default the clock's now.
        conf: the run's configuration.
        connections: ids -> URIs, dicts of fields or Connections. Besides these and ``variables`` the run knows what the
            environment holds as ``WINDLASS_CONN_<ID>`` and ``WINDLASS_VAR_<KEY>``, and nothing else.
        variables: keys -> texts.
        fakes: task ids -> what the task shall return instead of doing its work; an exception is raised. A branch takes
            its fake for its choice, a short circuit for its condition.
        clock: a clock to go by; by default one that starts now.

    With ``asset_events`` the run is one that these events have triggered: assets, or their URIs, each with the extra of
    its event, or a list of extras.

    :raises ParamInvalid: if ``conf`` does not fit the DAG's params.
    :raises TaskNotFound: if ``fakes`` names a task that the DAG does not have.
    """
    stand_ins = fakes_of(dag, fakes)
    engine, run = _start(dag, logical_date, conf, connections, variables, clock, asset_events)
    engine.executor.stand_ins = stand_ins
    return DagTestResult(engine, engine.run_to_end(run))


def run_task(
    task: BaseOperator,
    *,
    logical_date: datetime | None = None,
    conf: Mapping[str, Any] | None = None,
    map_index: int = -1,
    xcoms: XComs | None = None,
    connections: Connections | None = None,
    variables: Mapping[str, str] | None = None,
    clock: VirtualClock | None = None,
) -> TaskTestResult:
    """Run one try of one operator, in a DAG of its own if it has none; what it depends on does not run.

    ``xcoms`` says what upstream tasks have left: task ids -> what they returned, of a mapped task a list by map index;
    (task id, key) -> what they pushed. The rest is as in :func:`test_dag`.
    """
    dag = task.dag
    if dag is None:
        with scope.detached():
            dag = DAG("run_task", schedule=None)
            dag.add_task(task)
    return test_task(
        dag,
        task.task_id,
        logical_date=logical_date,
        conf=conf,
        map_index=map_index,
        xcoms=xcoms,
        connections=connections,
        variables=variables,
        clock=clock,
        callbacks=True,
    )


def test_task(
    dag: DAG,
    task_id: str,
    *,
    logical_date: datetime | None = None,
    conf: Mapping[str, Any] | None = None,
    map_index: int = -1,
    xcoms: XComs | None = None,
    connections: Connections | None = None,
    variables: Mapping[str, str] | None = None,
    clock: VirtualClock | None = None,
    callbacks: bool = False,
) -> TaskTestResult:
    """Run one try of one task of ``dag`` in this process; what it depends on does not run.

    A task that reschedules itself or defers comes back at once. ``callbacks``: whether they are called.

    :raises TaskNotFound: if the DAG has no such task.
    """
    attempt = _attempt(dag, task_id, logical_date, conf, map_index, connections, variables, xcoms, clock)
    with attempt as (engine, first, session, task):
        seconds, limits = dag.to_spec().by_id[task_id].execution_timeout, engine.executor.limits
        with captured(engine.gateway.masker) as log, clock_scope(engine.clock):
            context, ending = first, limits.of(seconds).run(dag, first, session)
            while not isinstance(ending, Finish):
                if isinstance(ending, Reschedule):
                    engine.clock.travel_to(ending.at)
                    context = msgspec.structs.replace(context, first_poke=ending.first_poke)
                else:
                    context = resumed(context, _waited(ending, session))
                ending = limits.of(seconds).run(dag, context, session)
        state = _STATE[ending.outcome]
        reason = None if ending.reason is None else engine.gateway.masker.mask(ending.reason)
        if callbacks:
            engine.callbacks.task_ended(msgspec.structs.replace(task, state=state), reason or "")
        return TaskTestResult(
            task_id=task_id,
            state=state,
            reason=reason,
            xcoms={xcom.key: unpack(xcom.value, session) for xcom in session.xcoms},
            rendered={} if session.rendered is None else dict(session.rendered.fields),
            log=log.getvalue(),
            skips=ending.skip_targets,
            callbacks=tuple(engine.callbacks.calls),
        )


def _waited(defer: Defer, session: InlineSession) -> Resumption:
    """Run the trigger of a deferral to its end."""
    triggers = InlineTriggers(session.clock)
    try:
        bounded = defer.timeout is not None
        triggers.begin((1, 1), defer.trigger, defer.trigger_kwargs, session, bounded=bounded)
        fired = triggers.run(defer.timeout)
    finally:
        triggers.close()
    resume = Resumption(method=defer.method, kwargs=defer.kwargs)
    return msgspec.structs.replace(resume, event=fired[0].event, failure=fired[0].failure) if fired else resume


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
    attempt = _attempt(dag, task_id, logical_date, conf, map_index, connections, variables, None, None)
    with attempt as (engine, context, session, _), clock_scope(engine.clock):
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
    xcoms: XComs | None,
    clock: VirtualClock | None,
) -> Iterator[tuple[InlineEngine, AttemptContext, InlineSession, TaskFacts]]:
    """Yield the engine, the context, the session and the instance of one attempt that no scheduler knows of."""
    check_tasks(dag, [task_id, *(name if isinstance(name, str) else name[0] for name in xcoms or ())])
    # Whoever asks for a task runs it, whatever its dates.
    engine, run = _start(dag, logical_date, conf, connections, variables, clock, task_ids=tuple(dag.task_dict))
    try:
        spec = dag.to_spec()
        preset_xcoms(engine, run, xcoms or {})
        task = next(task for task in engine.store.tasks_of(run.id) if task.task_id == task_id)
        task = msgspec.structs.replace(task, map_index=map_index, try_number=1)
        session = engine.session(task)
        count = None if map_index < 0 else 1
        yield engine, attempt_context(run, spec, task, lease_id="test", mapped_count=count), session, task
    finally:
        engine.close()


def _start(
    dag: DAG,
    logical_date: datetime | None,
    conf: Mapping[str, Any] | None,
    connections: Connections | None,
    variables: Mapping[str, str] | None,
    clock: VirtualClock | None,
    asset_events: AssetEvents | None = None,
    task_ids: tuple[str, ...] | None = None,
) -> tuple[InlineEngine, RunFacts]:
    spec = dag.to_spec()
    check_conf(spec, conf or {})
    use_factory(registry().first("moment_factories"))
    clock = clock or VirtualClock(datetime.now(tz=UTC))
    date = utc(logical_date) if logical_date is not None else clock.now()
    table = declared_timetable(dag)
    if isinstance(table, Timetable):  # this process runs the author's code anyway
        interval = table.infer_manual_data_interval(run_after=date)
    else:
        interval = manual_interval(spec, date)
    engine = InlineEngine([dag], _connections(connections), dict(variables or {}), clock)
    new = manual_run(dag.dag_id, date, (interval.start, interval.end), dict(conf or {}))
    new = msgspec.structs.replace(new, task_ids=task_ids)
    if asset_events:
        events = engine.deliver(dag.dag_id, _events(asset_events))
        new = msgspec.structs.replace(new, run_type=RunType.ASSET_TRIGGERED, asset_events=events)
    return engine, engine.trigger(new)


def load_dag(settings: Settings, dag_id: str, file: Path | None = None) -> DAG:
    """Import the DAG file that defines ``dag_id`` into this process and return the DAG.

    Without ``file``, the files of the DAG folder that mention the id are tried, those that quote or define it first.

    :raises DagNotFound: if none of them defines it.
    """
    folder = settings.core.dags_folder
    use_timezone(settings.core.default_timezone)
    candidates = [file] if file is not None else sorted(folder.rglob("*.py"))
    defines = re.compile(rb"""(?:\bdef |["'])%s["'(]""" % re.escape(dag_id.encode()))
    if file is None:
        candidates.sort(key=lambda path: defines.search(path.read_bytes()) is None)
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
