"""The executor and the supervisor of a virtual installation: it claims, runs, stops and reports attempts in process.

What happens between a claim and a report is the runtime's own code (:func:`windlass.runtime.attempt.run_attempt`), with
the secrets chain, the masking and the artifacts of a real supervisor around it. Instead of processes there is a rule:
an attempt takes no time unless a test says how long (:meth:`VirtualWorker.takes`); its code runs when its time is over.
"""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from windlass import DAG
from windlass.app.clocks import VirtualClock
from windlass.app.inproc.engine import captured
from windlass.app.inproc.triggers import InlineTriggers
from windlass.errors import WindlassError
from windlass.interfaces.connection import Connection
from windlass.ports import (
    Claim,
    Claimed,
    Gateway,
    Report,
    StopKind,
    StopRequest,
    WaitKey,
    Workload,
    WorkloadKind,
    clock_scope,
)
from windlass.protocol import (
    ArtifactCommit,
    ArtifactOpen,
    Finish,
    GetConnection,
    Mask,
    Progress,
    Query,
    Rendered,
    Reschedule,
    Variable,
    Verb,
    XComGet,
    XComInfo,
    XComSet,
)
from windlass.runtime.attempt import run_attempt
from windlass.secrets.masking import Masker, redact, secrets_of_fields, secrets_of_variable
from windlass.secrets.resolver import Resolver

_SUPERVISOR = "virtual"


class _TimedOut(BaseException):
    """The clock has passed the execution_timeout of the attempt that sleeps."""


class _Attempt:
    """A claimed attempt, and when its code is due."""

    def __init__(self, work: Workload, claimed: Claimed, start: datetime, duration: timedelta) -> None:
        self.work = work
        self.claimed = claimed
        self.start = start
        self.due = start + duration
        self.deadline = None
        if claimed.execution_timeout is not None:
            self.deadline = start + timedelta(seconds=claimed.execution_timeout)
        self.timed_out = False
        self.stopped: StopKind | None = None
        self.lost: str | None = None

    def ends_at(self) -> datetime:
        """Return when something must be done about it."""
        return self.due if self.deadline is None else min(self.due, self.deadline)


class _AttemptClock:
    """The clock of the code of one attempt: a wait moves it on, but not beyond the attempt's execution_timeout."""

    def __init__(self, clock: VirtualClock, attempt: _Attempt) -> None:
        self.now = clock.now
        self.monotonic = clock.monotonic
        self._clock = clock
        self._attempt = attempt

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass."""
        deadline = self._attempt.deadline
        left = seconds if deadline is None else (deadline - self.now()).total_seconds()
        self._clock.advance(min(seconds, left))
        if left < seconds:
            self._attempt.timed_out = True
            raise _TimedOut


class _Session:
    """What a supervisor answers an attempt, and what it keeps for the report."""

    def __init__(self, worker: VirtualWorker, attempt: _Attempt) -> None:
        self.context: Mapping[str, Any] | None = None
        self.xcoms: list[XComSet] = []
        self.rendered: Rendered | None = None
        self.masker = Masker()
        self._worker = worker
        self._lease = attempt.claimed.lease_id
        self._task_id = attempt.claimed.context.task_id

    def ask(self, verb: Verb) -> Any:  # noqa: ANN401 - any msgpack value
        """Answer ``verb``."""
        match verb:
            case GetConnection(conn_id=conn_id):
                found = self._worker.resolver.get_connection(conn_id)
                assert isinstance(found, Connection)  # noqa: S101 - what the chain returns
                fields = found.to_fields()
                self.masker.add(*secrets_of_fields(fields))
                return fields
            case Variable(op="get", key=key):
                text = self._worker.resolver.get_variable(key)
                self.masker.add(*secrets_of_variable(key, text))
                return text
            case ArtifactOpen() | ArtifactCommit():
                return self._artifact(verb)
            case Mask(values=values):
                self.masker.add(*values)
                return None
            case XComGet() | XComInfo() if verb.task_id == self._task_id:
                while self.xcoms:
                    self._worker.gateway.call(self._lease, self.xcoms.pop(0))
        return self._worker.gateway.call(self._lease, verb)

    def tell(self, verb: Verb) -> None:
        """Take ``verb`` in."""
        match verb:
            case XComSet():
                self.xcoms.append(verb)
            case Rendered():
                self.rendered = verb
            case Progress():
                pass
            case _:
                self._worker.gateway.call(self._lease, verb)

    def shown(self) -> Rendered | None:
        """Return the rendered fields as people may see them."""
        if self.rendered is None:
            return None
        fields = self.masker.mask_data(redact(self.rendered.fields))
        return msgspec.structs.replace(self.rendered, fields=fields)

    def masked_xcoms(self) -> tuple[XComSet, ...]:
        """Return the XComs with their previews masked."""
        replace = msgspec.structs.replace
        return tuple(
            replace(xcom, value=replace(xcom.value, preview=self.masker.mask(xcom.value.preview)))
            for xcom in self.xcoms
        )

    def _artifact(self, verb: ArtifactOpen | ArtifactCommit) -> dict[str, str]:
        folder = self._worker.artifacts
        folder.mkdir(parents=True, exist_ok=True)
        if isinstance(verb, ArtifactOpen):
            name = verb.digest if verb.digest is not None else f"draft-{len(list(folder.iterdir()))}"
            return {"path": str(folder / name)}
        target = folder / verb.digest
        shutil.move(verb.path, target)
        return {"path": str(target)}


class _WaitSession:
    """What a supervisor answers a trigger."""

    context: Mapping[str, Any] | None = None

    def __init__(self, worker: VirtualWorker, key: WaitKey) -> None:
        self._worker = worker
        self._key = key

    def ask(self, verb: Verb) -> Any:  # noqa: ANN401 - any msgpack value
        """Answer ``verb``."""
        match verb:
            case Query():
                return self._worker.gateway.answer(self._key, verb)
            case GetConnection(conn_id=conn_id):
                return self._worker.resolver.get_connection(conn_id).to_fields()
            case Variable(op="get", key=key):
                return self._worker.resolver.get_variable(key)
        raise WindlassError(f"a trigger may not use {type(verb).__name__}")

    def tell(self, verb: Verb) -> None:
        """Ask and forget the answer."""
        self.ask(verb)


class VirtualWorker:
    """Takes workloads as an executor does, and runs them when :meth:`turn` is called."""

    def __init__(
        self,
        code: Mapping[str, DAG],
        gateway: Gateway,
        resolver: Resolver,
        clock: VirtualClock,
        artifacts: Path,
    ) -> None:
        #: As an executor's; 0 is unlimited.
        self.parallelism = 0
        self.backlog = 0
        self.gateway = gateway
        self.resolver = resolver
        self.artifacts = artifacts
        #: Logs by task instance, all tries together; those of callbacks one after the other.
        self.logs: dict[int, str] = {}
        self.callback_logs: list[str] = []
        self._code = code
        self._clock = clock
        self._waiting: deque[Workload] = deque()
        self._running: list[_Attempt] = []
        self._held: dict[str, list[Workload]] = {}
        self._durations: dict[str, timedelta] = {}
        self._killed: dict[str, str] = {}
        self._contact_lost = False
        self._triggers = InlineTriggers(clock)

    # --- What a test decides

    def takes(self, task_id: str, duration: timedelta) -> None:
        """Let every attempt of a task that starts from now on run for ``duration``."""
        self._durations[task_id] = duration

    def hold(self, task_id: str) -> None:
        """Leave the instances of a task queued until they are released."""
        self._held.setdefault(task_id, [])

    def release(self, task_id: str) -> None:
        """Let them run."""
        self._waiting.extend(self._held.pop(task_id, ()))

    def kill(self, task_id: str, why: str = "the task's process was killed by signal 9 (SIGKILL)") -> None:
        """Let the next attempt of a task, or the one that runs now, end without a word."""
        for attempt in self._running:
            if attempt.work.task_id == task_id:
                attempt.lost = why
                return
        self._killed[task_id] = why

    def crash(self) -> None:
        """Let the supervisor die with all its processes, and its successor find that out."""
        self._running.clear()
        self._waiting.clear()
        self.close()
        self._contact_lost = True
        self.gateway.recover(_SUPERVISOR)

    # --- As an executor

    def submit(self, workloads: Sequence[Workload]) -> None:
        """Take these."""
        for workload in workloads:
            is_task = workload.kind is WorkloadKind.TASK
            (self._held.get(workload.task_id, self._waiting) if is_task else self._waiting).append(workload)

    def stop(self, requests: Sequence[StopRequest]) -> None:
        """Stop what runs under these leases."""
        for request in requests:
            for attempt in self._running:
                if attempt.claimed.lease_id == request.lease_id:
                    attempt.stopped = attempt.stopped or request.kind

    def prepare(self, code_versions: Sequence[tuple[str, str, str]]) -> None:
        """The code is loaded already."""

    def lost_contact(self) -> bool:
        """Return, once, whether the other side was restarted."""
        lost, self._contact_lost = self._contact_lost, False
        return lost

    # --- As a supervisor

    def heartbeat(self) -> None:
        """Renew what runs, and learn what must stop."""
        leases = [attempt.claimed.lease_id for attempt in self._running]
        if leases:
            self.stop(self.gateway.heartbeat(leases, _SUPERVISOR))

    def next_due(self) -> datetime | None:
        """Return when the next of what runs has ended."""
        return min((attempt.ends_at() for attempt in self._running), default=None)

    def let_pass(self, seconds: float) -> None:
        """Let triggers wait, until one fires or ``seconds`` have passed."""
        changes = self.gateway.waits(self._triggers.keys, _SUPERVISOR)
        for key in changes.ended:
            self._triggers.end(key)
        for wait in changes.begun:
            self._triggers.begin(wait.key, wait.trigger, wait.kwargs, _WaitSession(self, wait.key), bounded=True)
        if not self._triggers.keys:
            self._clock.advance(seconds)
            return
        self.gateway.fire(self._triggers.run(seconds), _SUPERVISOR)

    def close(self) -> None:
        """End all triggers."""
        self._triggers.close()

    def turn(self) -> bool:
        """Do one thing that is due: end an attempt, or claim one; return False if there is nothing."""
        now = self._clock.now()
        for attempt in self._running:
            if attempt.stopped is not None or attempt.lost is not None or attempt.ends_at() <= now:
                self._running.remove(attempt)
                self._end(attempt)
                return True
        if not self._waiting:
            return False
        work = self._waiting.popleft()
        claim = Claim(task=work.id, epoch=work.epoch, ticket=work.ticket, pid=1, hostname="virtual", kind=work.kind)
        [claimed] = self.gateway.claim([claim], _SUPERVISOR)
        if claimed is not None:
            is_task = work.kind is WorkloadKind.TASK
            duration = self._durations.get(work.task_id, timedelta(0)) if is_task else timedelta(0)
            attempt = _Attempt(work, claimed, now, duration)
            attempt.lost = self._killed.pop(work.task_id, None) if is_task else None
            self._running.append(attempt)
        return True

    def _end(self, attempt: _Attempt) -> None:
        work = attempt.work
        report = Report(
            task=work.id,
            lease_id=attempt.claimed.lease_id,
            epoch=work.epoch,
            op_id=f"report-{attempt.claimed.lease_id}",
            kind=work.kind,
        )
        if attempt.stopped is not None:
            report = msgspec.structs.replace(report, stopped=attempt.stopped)
        elif attempt.lost is not None:
            report = msgspec.structs.replace(report, lost=attempt.lost)
        elif attempt.deadline is not None and attempt.deadline < attempt.due:
            report = self._too_late(attempt, report)
        else:
            report = self._run(attempt, report)
        self.gateway.report([report], _SUPERVISOR)

    def _too_late(self, attempt: _Attempt, report: Report) -> Report:
        limit = attempt.claimed.execution_timeout
        return msgspec.structs.replace(report, timed_out=f"it ran longer than its execution_timeout of {limit:g} s")

    def _run(self, attempt: _Attempt, report: Report) -> Report:
        """Run the code, and return the report with what came of it."""
        session = _Session(self, attempt)

        with captured(session.masker) as log, clock_scope(_AttemptClock(self._clock, attempt)):
            ending = run_attempt(self._code[attempt.work.code_version], attempt.claimed.context, session)
        self._keep_log(attempt.work, session.masker.mask(log.getvalue()))
        if attempt.timed_out:
            return self._too_late(attempt, report)
        ending = msgspec.structs.replace(ending, started_at=attempt.start, ended_at=self._clock.now())
        if isinstance(ending, Finish):
            took = (self._clock.now() - attempt.start).total_seconds()
            reason = None if ending.reason is None else session.masker.mask(ending.reason)
            ending = msgspec.structs.replace(ending, duration=took, reason=reason)
        elif isinstance(ending, Reschedule):
            first = attempt.claimed.context.first_poke or attempt.start
            ending = msgspec.structs.replace(ending, first_poke=first)
        return msgspec.structs.replace(report, ending=ending, xcoms=session.masked_xcoms(), rendered=session.shown())

    def _keep_log(self, work: Workload, text: str) -> None:
        if work.kind is WorkloadKind.CALLBACK:
            self.callback_logs.append(text)
        else:
            self.logs[work.id] = self.logs.get(work.id, "") + text


class Decoding:
    """A session that only reads artifacts, for a test that decodes what was stored."""

    context: Mapping[str, Any] | None = None

    def __init__(self, artifacts: Path) -> None:
        self._artifacts = artifacts

    def ask(self, verb: Verb) -> Any:  # noqa: ANN401 - any msgpack value
        """Answer where an artifact is."""
        if isinstance(verb, ArtifactOpen) and verb.digest is not None:
            return {"path": str(self._artifacts / verb.digest)}
        raise WindlassError(f"a test only decodes here; {type(verb).__name__} is not answered")

    def tell(self, verb: Verb) -> None:
        """Refuse to write."""
        raise WindlassError(f"a test only decodes here; {type(verb).__name__} is not taken")
