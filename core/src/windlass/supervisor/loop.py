"""The supervisor: takes workloads, has them forked, claimed, watched and ended, and reports what became of them.

One thread, one loop. A turn handles whatever arrived, then makes all claims and writes all reports of that turn
together (``ledger``). The order of a light task: a workload takes the zygote's spare child (or a new one), which has
said ``hello``; the claim is committed; the child gets its context and runs; its ``finish`` is reported at once when it
is a success, and after the whole process tree is gone when it is anything else.

Invariants: a child runs user code only after its claim; a lease is reported once (an op id makes a repeat harmless);
no state but success is reported while a process of the attempt lives; nothing that a gateway, a server or a zygote
does, or fails to do, kills an attempt, except a stop that was asked for.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import os
import resource
import signal
import socket
import time
from collections.abc import Callable, Sequence

from windlass.errors import ProtocolError, WindlassError
from windlass.ports import Claim, Claimed, Clock, Gateway, Report, Rng, StopRequest, Workload, WorkloadKind
from windlass.protocol import (
    ArtifactCommit,
    ArtifactOpen,
    Defer,
    Finish,
    GetConnection,
    Outcome,
    Variable,
    Verb,
    XComGet,
    XComInfo,
)
from windlass.protocol.forking import Answer
from windlass.registry import registry
from windlass.secrets.masking import Masker
from windlass.supervisor import endings, lock, processes, wire
from windlass.supervisor.artifacts import LOCAL, Artifacts, LocalArtifacts, ProvidedArtifacts
from windlass.supervisor.attempt import Attempt, Phase
from windlass.supervisor.cores import Cores
from windlass.supervisor.gathering import Gathering
from windlass.supervisor.launcher import Launcher
from windlass.supervisor.ledger import Ledger
from windlass.supervisor.logs import LogWriter, contained
from windlass.supervisor.questions import Lookups, Policy, Questions, is_secret_question
from windlass.supervisor.reactor import Reactor
from windlass.supervisor.server import Server
from windlass.supervisor.settings import SupervisorSettings
from windlass.supervisor.shipping import announce
from windlass.supervisor.slots import Slots
from windlass.supervisor.stopping import Stopper
from windlass.supervisor.trigger_host import Surroundings, TriggerHosts
from windlass.supervisor.waiting import Waiting

_log = logging.getLogger(__name__)

#: Seconds between two looks at a dead predecessor's leftovers.
_LOOK = 0.02
#: How long leftovers of a dead predecessor may take to die, in seconds.
_SWEEP = 10.0
#: Kinds of workload that a zygote's child runs.
_FORKED = frozenset({WorkloadKind.TASK, WorkloadKind.CALLBACK, WorkloadKind.TIMETABLE})
#: Descriptors wanted: three per attempt.
_FILES = 65536


class Supervisor:
    """Owns the children of one host for one home. Create it and call :meth:`run` in a process of its own."""

    def __init__(
        self,
        settings: SupervisorSettings,
        *,
        supervisor: str,
        gateway: Gateway,
        lookups: Lookups,
        clock: Clock,
        rng: Rng,
        policy: Policy = lambda *_: None,
    ) -> None:
        self._settings = settings
        self._id = supervisor
        self._gateway = gateway
        self._clock = clock
        self._rng = rng
        self._host = socket.gethostname()
        self._reactor = Reactor(clock.monotonic)
        self._tag = hashlib.sha256(f"{supervisor}\0{settings.run}".encode()).hexdigest()[:16]
        self._questions = Questions(lookups, self._reactor, policy)
        self._artifacts = _artifacts_of(settings, rng)
        self._ledger = Ledger(gateway, supervisor, self._reactor)
        self._launcher = Launcher(settings, self, self._reactor, rng, self._tag)
        self._slots = Slots(self._launcher.launch, clock.monotonic)
        self._gathering = Gathering(self._reactor, self._slots, self._ledger, Cores(clock.monotonic))
        self._stopper = Stopper(self._reactor, self._tag, settings.grace, self._settle)
        around = Surroundings(settings, self._reactor, gateway, self._questions, self._artifacts, clock.now, self._tag)
        self._trigger_hosts = TriggerHosts(around)
        self._waiting = Waiting(
            gateway, self._ledger, self._reactor, supervisor, self._trigger_hosts.start, functools.cache(_is_listed)
        )
        self._by_lease: dict[str, Attempt] = {}
        self._forks = 0
        self._ooms = processes.out_of_memory_kills()
        self._draining = False
        self._leaving_at: float | None = None
        self._renewed_at = clock.monotonic()
        self._recovered = False

    def run(self) -> None:
        """Serve until drained or shut down.

        :raises AlreadyRunning: if another supervisor holds the lock of this home.
        """
        held = lock.acquire(self._settings.lock)
        processes.adopt_orphans()
        _raise_file_limit()
        self._sweep()
        self._listen_to_signals()
        welcome = wire.Welcome(
            version=self._settings.version, supervisor=self._id, instance=self._rng.token(), pid=os.getpid()
        )
        server = Server(self._settings.socket, self._reactor, welcome, self.obey, self._on_greeted)
        self._recover()
        self._heartbeat()
        self._tidy()
        try:
            while not self._is_done():
                try:
                    self._turn()
                except Exception:  # noqa: BLE001 - an error of ours must not end everybody's tasks; nor may it spin
                    _log.exception("a turn of the supervisor failed")
                    time.sleep(_LOOK)
        finally:
            self._launcher.pool.kill_all()
            self._waiting.close()
            server.close()
            os.close(held)

    def _turn(self) -> None:
        self._reactor.turn()
        self._gathering.wait()
        self._slots.fill()
        if self._gathering.is_worth_while:
            self._launcher.refill()  # the zygote forks while this process waits for the disk
        if self._recovered:
            self._ledger.flush()
            self._waiting.catch_up()
        self._launcher.refill()

    def _on_greeted(self) -> None:
        """Stay: a server has come that counts on us, and the one that wanted us to drain is gone."""
        if self._leaving_at is None:
            self._draining = False

    def obey(self, order: wire.Order) -> wire.Answer | None:
        """Do what a server asks."""
        match order:
            case wire.Submit(workloads=workloads, parallelism=parallelism):
                self._slots.limit = parallelism
                self._submit(workloads)
            case wire.Stop(requests=requests):
                self._stop_all(requests)
            case wire.Prepare(code=code):
                for bundle, file, version in code:
                    self._launcher.prepare((bundle, file, version))
            case wire.Drain():
                self._drain()
            case wire.Shutdown():
                self.shut_down()
            case wire.GetStats():
                return wire.Stats(
                    running=len(self._by_lease),
                    waiting=self._launcher.waiting + self._slots.waiting,
                    zygotes=self._launcher.pool.counts(),
                    forks=self._forks,
                    reports_held=self._ledger.held,
                    claiming=self._recovered and not self._ledger.suspended,
                )
            case wire.Greeting():
                return wire.Refused(reason="greeted twice")
        return None

    def shut_down(self) -> None:
        """Stop every attempt, report it as lost, and leave."""
        if self._leaving_at is None:
            self._drain()
            self._leaving_at = self._reactor.monotonic() + 2 * self._settings.grace
            for attempt in list(self._by_lease.values()):
                if attempt.ending is None and not attempt.stopping:
                    attempt.halted = "the supervisor was stopped, and the task with it"
                    self._stopper.stop(attempt)

    def _drain(self) -> None:
        self._draining = True
        self._slots.clear()

    def _submit(self, workloads: list[Workload]) -> None:
        if self._draining:
            return  # they stay queued, and go to the next supervisor
        for workload in workloads:
            if workload.kind not in _FORKED:
                _log.error("workloads of kind %s are not supported by this supervisor", workload.kind)
            elif not self._launcher.has(workload.ticket) and not self._slots.has(workload.ticket):
                self._slots.submit(workload)

    def _is_done(self) -> bool:
        if self._leaving_at is not None and self._reactor.monotonic() > self._leaving_at:
            return True
        return self._draining and not self._by_lease and not self._launcher.waiting and not self._ledger.held

    # From hello to the end.

    def on_ready(self, attempt: Attempt) -> None:
        """Claim what the child is for; a spare one waits."""
        workload = attempt.workload
        if workload is not None:
            claim = Claim(
                task=workload.id,
                epoch=workload.epoch,
                ticket=workload.ticket,
                pid=attempt.pid or 0,
                hostname=self._host,
                kind=workload.kind,
            )
            self._ledger.claim(claim, functools.partial(self._on_claimed, attempt))

    def _on_claimed(self, attempt: Attempt, claimed: Claimed | None) -> None:
        if claimed is None:
            attempt.refuse()
            return
        masker = Masker(attempt.zygote.secrets)
        log = LogWriter(contained(self._settings.logs, claimed.log_path), masker, self._clock.now)
        self._forks += 1
        self._by_lease[claimed.lease_id] = attempt
        if claimed.execution_timeout is not None:
            expire = functools.partial(self._on_timeout, attempt, claimed.execution_timeout)
            attempt.timers.append(self._reactor.after(claimed.execution_timeout, expire))
        attempt.begin(claimed, log, masker)

    def on_ending(self, attempt: Attempt) -> None:
        """Report a success now; give anything else, and a child that lingers, the grace to end."""
        if endings.is_success(attempt):
            attempt.drain_all()
            self._report(attempt, early=True)
            if attempt.workload is not None:
                self._slots.free(attempt.workload.ticket)
        if not attempt.stopping:
            self._stopper.expect_end(attempt)

    def on_halted(self, attempt: Attempt) -> None:
        """End a child that broke the protocol."""
        self._stopper.stop(attempt)

    def on_question(self, attempt: Attempt, number: int, verb: Verb) -> None:
        """Answer from the secrets chain or the gateway; an error is an answer."""
        try:
            if isinstance(verb, GetConnection | Variable) and is_secret_question(verb):
                dag_id, task_id = attempt.task
                answered = functools.partial(self._on_answered, attempt, number)
                self._questions.ask(verb, answered, dag_id=dag_id, task_id=task_id)
            elif isinstance(verb, ArtifactOpen | ArtifactCommit):
                attempt.reply(number, self._artifacts.answer(attempt.token, verb))
            else:
                self._write_own_xcoms(attempt, verb)
                attempt.reply(number, self._gateway.call(attempt.lease, verb))
        except WindlassError as error:
            attempt.reply(number, error=error)
        except Exception as error:  # noqa: BLE001 - logged, and the child gets an answer
            _log.exception("answering %s failed", type(verb).__name__)
            attempt.reply(number, error=ProtocolError(f"the engine failed to answer: {type(error).__name__}"))

    def _write_own_xcoms(self, attempt: Attempt, verb: Verb) -> None:
        """Before a task looks for its own XComs, store those that would else wait for its end."""
        own = attempt.claimed.context.task_id if attempt.claimed is not None else None
        if isinstance(verb, XComGet | XComInfo) and verb.task_id == own:
            while attempt.xcoms:
                self._gateway.call(attempt.lease, endings.masked_xcom(attempt, attempt.xcoms[0]))
                del attempt.xcoms[0]

    @staticmethod
    def _on_answered(
        attempt: Attempt, number: int, value: object, masks: Sequence[str], error: WindlassError | None
    ) -> None:
        if attempt.masker is not None:
            attempt.masker.add(*masks)
        attempt.reply(number, value, error)

    def on_zygote_ask(self, verb: GetConnection | Variable, then: Callable[[Answer, Sequence[str]], None]) -> None:
        """Answer a DAG file's top level."""

        def answered(value: object, masks: Sequence[str], error: WindlassError | None) -> None:
            then(Answer(result=value) if error is None else Answer(error=str(error), code=error.code), masks)

        self._questions.ask(verb, answered)

    def on_gone(self, attempt: Attempt, *, orphans: bool) -> None:
        """Take the last words of a child that was reaped; then see that nothing of it is left."""
        attempt.read()
        attempt.drain_all()
        if orphans or attempt.stopping:
            self._stopper.clear(attempt)
        else:
            self._settle(attempt)

    def on_stillborn(self, workload: Workload, error: str, *, lost: bool) -> None:
        """Claim a workload that has no child, to report why."""
        self._slots.free(workload.ticket)
        claim = Claim(
            task=workload.id,
            epoch=workload.epoch,
            ticket=workload.ticket,
            pid=os.getpid(),
            hostname=self._host,
            kind=workload.kind,
        )
        self._ledger.claim(claim, functools.partial(self._on_stillborn_claimed, workload, error, lost=lost))

    def _on_stillborn_claimed(self, workload: Workload, error: str, claimed: Claimed | None, *, lost: bool) -> None:
        if claimed is None:
            return
        log = LogWriter(contained(self._settings.logs, claimed.log_path), Masker(), self._clock.now)
        log.note("ERROR", error)
        log.close()
        announce(self._settings.log_notes, claimed.log_path, final=not lost)
        now = self._clock.now()
        reason = f"the DAG file cannot be imported: {error.strip().splitlines()[-1]}"
        ending = None if lost else Finish(outcome=Outcome.FAIL, started_at=now, ended_at=now, reason=reason)
        report = Report(
            task=workload.id,
            lease_id=claimed.lease_id,
            epoch=workload.epoch,
            op_id=self._rng.key(),
            ending=ending,
            lost=error if lost else None,
            log_size=log.size,
            kind=workload.kind,
        )
        self._ledger.report(report, lambda _: None)

    # Stopping.

    def _stop_all(self, requests: list[StopRequest]) -> None:
        for request in requests:
            attempt = self._by_lease.get(request.lease_id)
            if attempt is not None and not attempt.stopping and not attempt.reported:
                attempt.stopped = request.kind
                if attempt.log is not None:
                    attempt.log.note("WARNING", f"stopped by {request.actor}: {request.kind}")
                self._stopper.stop(attempt)

    def _on_timeout(self, attempt: Attempt, seconds: float) -> None:
        if attempt.ending is None and not attempt.stopping:
            attempt.timed_out = f"it ran longer than its execution_timeout of {seconds:g} s"
            if attempt.log is not None:
                attempt.log.note("ERROR", attempt.timed_out)
            self._stopper.stop(attempt)

    def _settle(self, attempt: Attempt) -> None:
        """Report what must still be said of a child whose tree is gone, and forget it."""
        attempt.drain_all()
        refused = attempt.phase is Phase.REFUSED
        if attempt.claimed is not None and not attempt.reported:
            self._report(attempt)
        attempt.close()
        self._artifacts.forget(attempt.token)
        if attempt.claimed is not None:
            ended = isinstance(attempt.ending, Finish) and not attempt.stopping
            announce(self._settings.log_notes, attempt.claimed.log_path, final=ended)
            self._by_lease.pop(attempt.lease, None)
        elif attempt.workload is not None:
            self._ledger.withdraw(attempt.workload.ticket)
            if not refused and not self._draining:
                self._launcher.relaunch(attempt)
                return
        if attempt.workload is not None:
            self._slots.free(attempt.workload.ticket)
        self._launcher.forget(attempt)

    def _report(self, attempt: Attempt, *, early: bool = False) -> None:
        lost = None
        if attempt.stopped is None and attempt.timed_out is None and (attempt.ending is None or attempt.halted):
            killed = processes.out_of_memory_kills()
            lost = endings.loss(attempt, out_of_memory=killed > self._ooms)
            self._ooms = killed
            if attempt.log is not None:
                attempt.log.note("ERROR", lost)
        attempt.reported = True
        report = endings.report_of(attempt, self._rng.key(), lost, early=early)
        self._ledger.report(report, functools.partial(self._on_reported, attempt, early=early))

    def _on_reported(self, attempt: Attempt, written: bool, *, early: bool) -> None:  # noqa: FBT001 - of the ledger
        """Report once more what came too early for somebody's stop, when the process tree is gone."""
        if isinstance(attempt.ending, Defer):
            self._waiting.soon()
        if early and not written:
            attempt.reported = False
            if attempt.phase is Phase.GONE:
                self._report(attempt)

    # Housekeeping.

    def _heartbeat(self) -> None:
        self._reactor.after(self._settings.heartbeat, self._heartbeat)
        if self._recovered:
            self._waiting.soon()
        leases = [lease for lease, attempt in self._by_lease.items() if not attempt.reported] + self._ledger.leases
        now = self._reactor.monotonic()
        if not leases:
            self._renewed_at = now
            return
        try:
            requests = self._gateway.heartbeat(leases, self._id)
        except Exception as error:  # noqa: BLE001 - where the lock is the lease, a failed renewal harms nobody
            _log.warning("renewing %d leases failed (%s: %s)", len(leases), type(error).__name__, error)
            limit = self._settings.fence_after
            if limit is not None and now - self._renewed_at > limit:
                self._fence()
            return
        self._renewed_at = now
        self._stop_all(requests)

    def _fence(self) -> None:
        """Kill everything: without a renewed lease, somebody else may be running these tasks by now."""
        for attempt in list(self._by_lease.values()):
            if not attempt.reported:
                attempt.halted = "the supervisor could not renew its leases and killed its tasks"
                self._stopper.kill(attempt)

    def _tidy(self) -> None:
        self._reactor.after(self._settings.tidy, self._tidy)
        self._launcher.pool.prewarm()
        self._launcher.tidy()
        self._waiting.tidy()

    def _sweep(self) -> None:
        """Kill what a dead predecessor left behind; its own death has killed nearly all of it already."""
        deadline = time.monotonic() + _SWEEP
        while left := processes.marked(self._tag):
            if time.monotonic() > deadline:
                _log.error("processes %s of a dead supervisor do not end", sorted(left))
                return
            processes.send(left, signal.SIGKILL)
            time.sleep(_LOOK)

    def _recover(self) -> None:
        """Close the leases of the predecessor: its processes are proven dead. Nothing is claimed before."""
        try:
            lost = self._gateway.recover(self._id)
        except Exception as error:  # noqa: BLE001 - the database may come later than we do
            _log.warning("closing the leases of an earlier supervisor failed (%s); trying again", error)
            self._reactor.after(0.5, self._recover)
            return
        if lost:
            _log.warning("%d attempts of an earlier supervisor were lost", lost)
        self._recovered = True
        self._waiting.soon()

    def _listen_to_signals(self) -> None:
        wakeup, ring = os.pipe()
        os.set_blocking(wakeup, False)
        os.set_blocking(ring, False)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        # The terminal's Ctrl-C is for the server, which decides what becomes of its supervisor.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.set_wakeup_fd(ring, warn_on_full_buffer=False)
        self._reactor.watch(wakeup, functools.partial(self._on_signal, wakeup))

    def _on_signal(self, wakeup: int) -> None:
        if signal.SIGTERM in os.read(wakeup, 4096):
            self.shut_down()
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if not self._trigger_hosts.exited(pid, status):
                self._launcher.reaped(pid, status)


def _artifacts_of(settings: SupervisorSettings, rng: Rng) -> Artifacts:
    local = LocalArtifacts(settings.artifacts, rng)
    if settings.artifact_store == LOCAL:
        return local
    return ProvidedArtifacts(local, settings.artifact_store, settings.artifact_arguments)


def _is_listed(trigger: str) -> bool:
    """Return whether a provider lists the trigger of this name; nothing of the provider is imported."""
    return registry().find("triggers", trigger) is not None


def _raise_file_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
