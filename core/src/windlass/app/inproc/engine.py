"""The inline executor and the runs it drives: the real scheduler over memory, one attempt after the other, right here.

Time is virtual: retry delays, reschedules and deferrals pass at once, in order. An attempt is the same code that runs
in a task process (``runtime.run_attempt``), called in the caller's thread, so breakpoints work and nothing is hidden in
a child.
"""

from __future__ import annotations

import logging
import shutil
import socket
import sys
import tempfile
import weakref
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from io import StringIO
from os import getpid
from pathlib import Path
from typing import Any, TextIO

import msgspec

from windlass.app.clocks import SeededRng, VirtualClock
from windlass.app.inproc.callbacks import InlineCallbacks
from windlass.app.inproc.gateway import MemoryGateway
from windlass.app.inproc.limits import TimeLimits
from windlass.app.inproc.memory import MemoryStore
from windlass.app.inproc.triggers import InlineTriggers
from windlass.authoring.dag import DAG
from windlass.errors import Conflict
from windlass.ports import (
    Claim,
    NewRun,
    PoolFacts,
    Report,
    RunFacts,
    StopRequest,
    TaskFacts,
    WaitingEvent,
    Workload,
)
from windlass.protocol import ArtifactCommit, ArtifactOpen, AssetEvent, Finish, Rendered, Verb, XComSet
from windlass.runtime.attempt import StandIn
from windlass.runtime.trigger_watch import current_wait
from windlass.scheduler import Scheduler, SchedulerSettings
from windlass.secrets.env import EnvironmentSource
from windlass.secrets.masking import Masker
from windlass.states import RunType

_SUPERVISOR = "inproc"
#: The longest time that passes in one go, in seconds.
_LONG = 3600.0


class InlineSession:
    """The line between an attempt and the memory gateway; what is told waits for the report, as on the pipe."""

    def __init__(self, gateway: MemoryGateway, lease_id: str, artifacts: Path, clock: VirtualClock) -> None:
        self.context: Mapping[str, Any] | None = None
        self.clock = clock
        self.xcoms: list[XComSet] = []
        self.rendered: Rendered | None = None
        self._gateway = gateway
        self._lease_id = lease_id
        self._artifacts = artifacts

    def ask(self, verb: Verb) -> Any:  # noqa: ANN401 - any msgpack value
        """Answer ``verb``."""
        if isinstance(verb, ArtifactOpen | ArtifactCommit):
            return self._artifact(verb)
        return self._gateway.call(self._lease_id, verb)

    def tell(self, verb: Verb) -> None:
        """Take ``verb`` in."""
        if isinstance(verb, XComSet):
            self.xcoms.append(verb)
        elif isinstance(verb, Rendered):
            self.rendered = verb
        else:
            self._gateway.call(self._lease_id, verb)

    def _artifact(self, verb: ArtifactOpen | ArtifactCommit) -> dict[str, str]:
        if isinstance(verb, ArtifactOpen):
            name = verb.digest if verb.digest is not None else f"draft-{len(list(self._artifacts.iterdir()))}"
            return {"path": str(self._artifacts / name)}
        target = self._artifacts / verb.digest
        shutil.move(verb.path, target)
        return {"path": str(target)}


class InlineExecutor:
    """Keeps workloads until :meth:`run_next` runs one."""

    parallelism = 0
    backlog = 0

    def __init__(self, dags: Mapping[str, DAG], gateway: MemoryGateway, clock: VirtualClock, artifacts: Path) -> None:
        self._dags = dags
        self._gateway = gateway
        self._clock = clock
        self._artifacts = artifacts
        self.limits = TimeLimits(clock)
        self._waiting: deque[Workload] = deque()
        #: The log of each task instance, all tries together.
        self.logs: dict[int, str] = {}
        #: How long the last attempt of each took, in seconds.
        self.durations: dict[int, float] = {}
        #: What runs instead of tasks, by task id.
        self.stand_ins: Mapping[str, StandIn] = {}
        #: The instance whose attempt ended last.
        self.ended = 0

    def submit(self, workloads: Sequence[Workload]) -> None:
        """Take these."""
        self._waiting.extend(workloads)

    def stop(self, requests: Sequence[StopRequest]) -> None:
        """Nothing runs between two steps, so there is nothing to stop."""

    def prepare(self, code_versions: Sequence[tuple[str, str, str]]) -> None:
        """The code is loaded already."""

    def lost_contact(self) -> bool:
        """Return False: there is nobody to lose."""
        return False

    def run_next(self) -> bool:
        """Run one workload to its end; return False if none waits."""
        if not self._waiting:
            return False
        work = self._waiting.popleft()
        claim = Claim(task=work.id, epoch=work.epoch, ticket=work.ticket, pid=getpid(), hostname=socket.gethostname())
        [claimed] = self._gateway.claim([claim], _SUPERVISOR)
        if claimed is None:
            return True
        session = InlineSession(self._gateway, claimed.lease_id, self._artifacts, self._clock)
        stand_in = self.stand_ins.get(work.task_id)
        masker = self._gateway.masker
        with captured(masker) as log:
            limit = self.limits.of(claimed.execution_timeout)
            ending = limit.run(self._dags[work.dag_id], claimed.context, session, stand_in=stand_in)
        if isinstance(ending, Finish) and ending.reason is not None:
            ending = msgspec.structs.replace(ending, reason=masker.mask(ending.reason))
        self.ended = work.id
        self.logs[work.id] = self.logs.get(work.id, "") + log.getvalue()
        self.durations[work.id] = (ending.ended_at - ending.started_at).total_seconds()
        report = Report(
            task=work.id,
            lease_id=claimed.lease_id,
            epoch=work.epoch,
            op_id=f"report-{claimed.lease_id}",
            ending=ending,
            xcoms=tuple(session.xcoms),
            rendered=session.rendered,
        )
        self._gateway.report([report], _SUPERVISOR)
        return True


class InlineEngine:
    """The engine of one test: some DAGs, memory, a virtual clock. Close it to remove what it wrote."""

    def __init__(
        self,
        dags: Sequence[DAG],
        connections: Mapping[str, Mapping[str, Any]],
        variables: Mapping[str, str],
        clock: VirtualClock | None = None,
    ) -> None:
        self.clock = clock or VirtualClock(datetime.now(tz=UTC))
        self.store = MemoryStore(self.clock)
        rng = SeededRng(0)
        given = _Given(connections, variables)
        self.gateway = MemoryGateway(self.store, rng, given.connection, given.variable)
        # A result may be kept for long and read late, so the folder goes with the engine, without a complaint.
        self._artifacts = Path(tempfile.mkdtemp(prefix="windlass-test-"))
        self._remove = weakref.finalize(self, shutil.rmtree, self._artifacts, ignore_errors=True)
        self.executor = InlineExecutor({dag.dag_id: dag for dag in dags}, self.gateway, self.clock, self._artifacts)
        self.triggers = InlineTriggers(self.clock)
        self.callbacks = InlineCallbacks(self, {dag.dag_id: dag for dag in dags})
        # Nobody else changes anything here, so there is nothing to look for by itself.
        settings = SchedulerSettings(executor=_SUPERVISOR, poll_interval=_LONG)
        self._scheduler = Scheduler(self.store, self.executor, self.clock, rng, settings)
        for dag in dags:
            spec = dag.to_spec()
            # Stale, so that its schedule makes no run beside the one that is asked for.
            self.store.add_dag(spec, stale=True)
            for name in {task.pool for task in spec.tasks}:  # there is nobody to share them with
                self.store.set_pool(PoolFacts(name=name, slots=-1))

    def trigger(self, new: NewRun) -> RunFacts:
        """Create a run.

        :raises Conflict: if it exists.
        """
        run = self.store.create_run(new)
        if run is None:
            msg = f"DAG `{new.dag_id}` already has a run of that logical date"
            raise Conflict(msg)
        return run

    def deliver(self, dag_id: str, events: Sequence[AssetEvent]) -> tuple[int, ...]:
        """Let asset events wait for the next run of a DAG, and return their ids for it to consume."""
        before = len(self.store.assets.events)
        for event in events:
            self.store.record_asset_event(event)
        recorded = self.store.assets.events[before:]
        for found in recorded:
            self.store.assets.deliver(dag_id, WaitingEvent(id=found.id, uri=found.uri, alias=found.alias, at=found.at))
        return tuple(found.id for found in recorded)

    def run_to_end(self, run: RunFacts) -> RunFacts:
        """Step until ``run`` has ended, letting time pass whenever nothing else is left to do."""
        try:
            return self._run_to_end(run)
        finally:
            self.triggers.close()

    def _run_to_end(self, run: RunFacts) -> RunFacts:
        while True:
            pause = self._scheduler.step()
            now = self.store.run(run.id)
            if now is not None:
                self.callbacks.deadlines_missed(now)
            if now is not None and now.state.is_terminal:
                self.callbacks.run_ended(now)
                return now
            if self.executor.run_next():
                self._call_back()
            elif pause > 0:
                self._let_time_pass(pause)

    def _let_time_pass(self, seconds: float) -> None:
        """Let triggers wait, until one fires or ``seconds`` have passed."""
        changes = self.gateway.waits(self.triggers.keys, _SUPERVISOR)
        for key in changes.ended:
            self.triggers.end(key)
        for wait in changes.begun:
            task = self.store.task(wait.task)
            bounded = task.not_before is not None
            self.triggers.begin(wait.key, wait.trigger, wait.kwargs, self.session(task), bounded=bounded)
        if not self.triggers.keys:
            self.clock.advance(seconds)
            return
        with captured(self.gateway.masker, _ByWait(self.executor.logs)):
            fired = self.triggers.run(seconds)
        self.gateway.fire(fired, _SUPERVISOR)

    def _call_back(self) -> None:
        """Call the callbacks of the instance whose attempt has just ended."""
        if self.executor.ended:
            self.callbacks.task_ended(self.store.task(self.executor.ended), self.store.transitions[-1].reason)
            self.executor.ended = 0

    def session(self, task: TaskFacts | None = None) -> InlineSession:
        """Return a session that answers like that of an attempt of ``task``."""
        lease_id = "" if task is None else self.gateway.lend(task)
        return InlineSession(self.gateway, lease_id, self._artifacts, self.clock)

    def close(self) -> None:
        """Remove the artifacts."""
        self.triggers.close()
        self._remove()


def manual_run(
    dag_id: str, logical_date: datetime, interval: tuple[datetime, datetime], conf: dict[str, Any]
) -> NewRun:
    """Return the manual run that a test makes."""
    return NewRun(
        dag_id=dag_id,
        run_type=RunType.MANUAL,
        logical_date=logical_date,
        data_interval_start=interval[0],
        data_interval_end=interval[1],
        run_after=logical_date,
        conf=conf,
        triggered_by="test",
    )


class _Given:
    """The connections and variables of a test: what the caller gave, then the environment, as in Airflow."""

    def __init__(self, connections: Mapping[str, Mapping[str, Any]], variables: Mapping[str, str]) -> None:
        self._connections = connections
        self._variables = variables
        self._environment = EnvironmentSource()

    def connection(self, conn_id: str) -> dict[str, Any] | None:
        """Return a connection's fields, None if it is not known."""
        if (fields := self._connections.get(conn_id)) is not None:
            return dict(fields)
        found = self._environment.get_connection(conn_id)
        return None if found is None else found.to_fields()

    def variable(self, key: str) -> str | None:
        """Return a variable's text, None if it is not known."""
        value = self._variables.get(key)
        return self._environment.get_variable(key) if value is None else value


class _Tee(StringIO):
    """Keeps what is written, masked, and passes it on, so that a debugger's prompt is still seen."""

    def __init__(self, masker: Masker, log: StringIO, stream: TextIO | None = None) -> None:
        super().__init__()
        self._masker = masker
        self._log = log
        self._stream = stream

    def write(self, text: str) -> int:
        masked = self._masker.mask(text)
        self._log.write(masked)
        if self._stream is not None:
            self._stream.write(masked)
        return len(text)

    def flush(self) -> None:
        if self._stream is not None:
            self._stream.flush()


class _ByWait(StringIO):
    """Adds what each trigger writes to the log of its task."""

    def __init__(self, logs: dict[int, str]) -> None:
        super().__init__()
        self._logs = logs

    def write(self, text: str) -> int:
        """Add ``text`` to the log of the task on whose behalf it is written."""
        wait = current_wait.get()
        if wait is not None:
            self._logs[wait[0]] = self._logs.get(wait[0], "") + text
        return len(text)


@contextmanager
def captured(masker: Masker, log: StringIO | None = None) -> Iterator[StringIO]:
    """Collect what is printed and logged during the block in ``log``, masked write by write, and show it as well."""
    log = StringIO() if log is None else log
    handler = logging.StreamHandler(_Tee(masker, log))
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(min(level, logging.INFO) or logging.INFO)
    try:
        with redirect_stdout(_Tee(masker, log, sys.stdout)), redirect_stderr(_Tee(masker, log, sys.stderr)):
            yield log
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
