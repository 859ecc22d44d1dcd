"""The server: the scheduler, the DAG files and the events of one home in one process, with a supervisor beside it.

The scheduler runs in the main thread and sleeps at the doorbell; the DAG files have a thread of their own, since a scan
of a slow disk must not hold up a decision, and so have the observers, which may take as long as they like. The
supervisor is another process. If one already serves this home it is adopted, with everything it runs; if it dies,
another is started, and the store has its attempts closed as lost.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType
from typing import Self

from windlass.app import supervisor_process
from windlass.app.artifacts import store_of
from windlass.app.clocks import SystemClock, SystemRng
from windlass.app.logs import LogShipping, log_store_of
from windlass.app.services import StoredSecrets, bell_path, open_services, prepare_home
from windlass.config import Settings
from windlass.control.alive import Alive, name_of
from windlass.control.database import database_url, file_elsewhere
from windlass.dagfiles import DagFiles
from windlass.errors import ConfigError, StoreError, WindlassError
from windlass.events import Callbacks, Observers, Trimming
from windlass.executors.local import LocalExecutor
from windlass.executors.names import EXECUTORS
from windlass.executors.sequential import SequentialExecutor
from windlass.registry import PluginModules, registry
from windlass.scheduler import Scheduler, SchedulerSettings
from windlass.secrets.policies import ConnectionPolicies, PolicedSecrets
from windlass.secrets.resolver import open_resolver
from windlass.store.doorbell import DatagramBell, JoinedBell, listening_bell
from windlass.store.sharing import Leases
from windlass.supervisor import lock
from windlass.supervisor.client import SupervisorClient
from windlass.version import __version__

log = logging.getLogger(__name__)

#: Seconds between two looks for a supervisor that this server did not start or that has ended.
_LOOK_PAUSE = 1.0
#: How long a supervisor may take to answer after its start.
_START_PATIENCE = 30.0
#: How long running tasks have to finish when a standalone server stops.
_DRAIN_PATIENCE = 10.0
#: How long a scheduler waits for more, in seconds, while its executor has enough to do.
_GATHER = 0.02
#: So many seconds of work are enough: until the next step is written and what it queues has come to the executor.
_ENOUGH = 0.03


class Server:
    """One home's scheduler and DAG files. Use it as a context manager: :meth:`run` between open and closed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._socket = settings.home / "run" / "supervisor.sock"
        self._alive = Alive(settings.home / "run")
        self._next_look = 0.0
        #: For the threads; set by the main one when it has seen a signal.
        self._stopping = threading.Event()
        self._signals = 0
        self._bell: DatagramBell | JoinedBell | None = None
        self._shipping: LogShipping | None = None
        self._resources = ExitStack()

    def __enter__(self) -> Self:
        """Take the home's lock and open everything.

        :raises AlreadyRunning: if another scheduler serves this home; the message names it.
        :raises ConfigError, PluginError: if the configured artifact or log store cannot be used.
        """
        with ExitStack() as stack:
            # From here to the very end: a signal between two blocks must not kill us and orphan the supervisor.
            stack.enter_context(_handling(self._on_signal))
            store_of(self._settings)  # one that cannot be used is refused here, where people see it
            remote_logs = log_store_of(self._settings)
            prepare_home(self._settings)
            held = lock.acquire(self._settings.home / "run" / "scheduler.lock")
            stack.callback(os.close, held)
            if (file := file_elsewhere(self._settings)) is not None:
                beside = lock.acquire(file.with_name(f"{file.name}.lock"), f"the database {file}")
                stack.callback(os.close, beside)
            bell = self._bell = listening_bell(bell_path(self._settings), database_url(self._settings))
            stack.callback(bell.close)
            self._store = open_services(self._settings, checkpoints=True)
            stack.callback(self._store.close)
            self._executor = self._open_executor()
            stack.callback(self._executor.close)
            secrets = open_resolver(self._settings, StoredSecrets(self._store))
            stack.callback(secrets.close)
            self.dag_files = DagFiles(
                self._settings,
                self._store.dags,
                code=self._settings.home / "code",
                clock=SystemClock(),
                secrets=PolicedSecrets(secrets, ConnectionPolicies(PluginModules(registry(), "policies"))),
            )
            stack.callback(self.dag_files.close)
            if remote_logs is not None:
                self._shipping = LogShipping(self._settings, self._store)
                stack.callback(self._shipping.close)
            observers = PluginModules(registry(), "observers")
            name = f"server:{socket.gethostname()}:{os.getpid()}"
            self._observers = Observers(self._store.observations, observers, by=name)
            errands = self._open_executor()  # another line to the supervisor: this one is another thread's
            stack.callback(errands.close)
            self._callbacks = Callbacks(self._store.outbox, errands, by=name)
            leases = self._leases()
            self._scheduler = Scheduler(
                self._store.scheduler if leases is None else self._store.scheduler_with(leases),
                self._executor,
                SystemClock(),
                SystemRng(),
                SchedulerSettings(
                    queued_timeout=self._settings.scheduler.task_queued_timeout,
                    lease=self._settings.scheduler.scheduler_health_check_threshold,
                ),
                leases,
            )
            job = self._store.jobs.start("scheduler", socket.gethostname(), os.getpid())
            stack.callback(self._store.jobs.end, job)
            self._ensure_supervisor()  # last: where anything above is refused, nothing is left running
            self._resources = stack.pop_all()
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close everything but the supervisor, which goes on with what runs."""
        self._resources.close()

    def run(self, ready: Callable[[], None]) -> None:
        """Serve until a signal says stop; ``ready`` is called once work can be taken."""
        threads = [
            self._thread("dagfiles", self.dag_files.step, "the DAG files cannot be read"),
            self._thread("callbacks", self._callbacks.step, "callbacks cannot be sent"),
            self._thread("trimming", Trimming(self._store.outbox).step, "delivered events cannot be removed"),
        ]
        if self._shipping is not None:
            threads.append(self._thread("logs", self._shipping.step, "logs cannot be stored elsewhere"))
        if self._observers:
            threads.append(self._thread("observers", self._observers.step, "the observers cannot be told of changes"))
        self._await_supervisor()
        for thread in threads:
            thread.start()
        gc.freeze()  # what was imported stays; a look for garbage in the midst of a step need not pass over it
        if not self._signals:
            ready()
        try:
            while not self._signals:
                self._ensure_supervisor()
                pause = self._scheduler.step()
                if pause > 0 and self._bell is not None:
                    self._bell.wait(pause)
                    if self._scheduler.can_spare(_ENOUGH):  # what else ends meanwhile makes one step with it
                        time.sleep(_GATHER)
            self._leave()
        finally:
            self._stopping.set()
            for thread in threads:
                thread.join(timeout=5.0)

    def stop_supervisor(self) -> None:
        """Have the supervisor that this server started finish what runs, then end it; an adopted one is left alone."""
        if self._supervisor is None or self._supervisor.poll() is not None:
            for stays in (owner for owner in self._alive.owners() if owner.name == "supervisor" and owner.pid):
                text = "the supervisor that was there before stays, with what it runs; `kill %d` ends it"
                log.warning(text, stays.pid)
            return
        with suppress(OSError, WindlassError):
            client = SupervisorClient(self._socket, __version__)
            client.drain()
            deadline = time.monotonic() + _DRAIN_PATIENCE
            while self._supervisor.poll() is None and time.monotonic() < deadline and self._signals < 2:
                self._wait_for_supervisor(0.05)
            if self._supervisor.poll() is None:
                log.warning("tasks still run: they are stopped now; those with a try left run again at the next start")
                client.shut_down()
            client.close()
        if not self._wait_for_supervisor(_DRAIN_PATIENCE + self._settings.core.killed_task_cleanup_time):
            self._supervisor.kill()
            self._supervisor.wait()

    def _wait_for_supervisor(self, seconds: float) -> bool:
        if self._supervisor is not None:
            with suppress(subprocess.TimeoutExpired):
                self._supervisor.wait(timeout=seconds)
        return self._supervisor is None or self._supervisor.poll() is not None

    def _leases(self) -> Leases | None:
        """Return what the scheduler shares the database with others by; None where the home's lock admits one only."""
        if not self._store.db.dialect.shared:
            return None
        lease = self._settings.scheduler.scheduler_health_check_threshold
        name, host = name_of(self._settings.home), socket.gethostname()
        return Leases(self._store.db, name, hostname=host, pid=os.getpid(), lease=lease)

    def _leave(self) -> None:
        """Have other schedulers take over what this one is leaving."""
        try:
            self._scheduler.leave()
        except StoreError as error:
            log.warning("other schedulers take over late, since they cannot be told: %s", error)

    # -- parts ------------------------------------------------------------------------------------------------------

    def _open_executor(self) -> LocalExecutor:
        name = self._settings.core.executor
        kind = EXECUTORS.get(name, name)
        code = self._settings.home / "code"
        if kind == "sequential":
            return SequentialExecutor(self._socket, __version__, monotonic=time.monotonic, code=code)
        if kind == "local":
            most = self._settings.core.parallelism
            return LocalExecutor(self._socket, __version__, parallelism=most, monotonic=time.monotonic, code=code)
        what = "a provider's, which this version cannot use yet" if name in registry().names("executors") else "unknown"
        raise ConfigError(f"core.executor is {name!r}, which is {what}; choose one of {', '.join(EXECUTORS)}")

    def _ensure_supervisor(self) -> None:
        """Start a supervisor where none serves this home; one that another server started is as good."""
        if self._supervisor is not None and self._supervisor.poll() is None:
            return
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + _LOOK_PAUSE
        if self._alive.supervisor():
            return
        if self._supervisor is not None:
            log.warning("the supervisor ended with code %s; another one is started", self._supervisor.returncode)
        self._supervisor = supervisor_process.start(self._settings)

    def _await_supervisor(self) -> None:
        """Wait until the supervisor takes orders.

        :raises ConfigError: if it ends before that, or does not answer.
        """
        deadline = time.monotonic() + _START_PATIENCE
        while not self._signals:
            try:
                SupervisorClient(self._socket, __version__).close()
            except OSError:
                ended = self._supervisor is not None and self._supervisor.poll() is not None
                if ended or time.monotonic() > deadline:
                    log_file = self._settings.home / "run" / "supervisor.log"
                    raise ConfigError(f"the supervisor does not start; {log_file} says why") from None
                time.sleep(0.01)
            else:
                return

    def _thread(self, name: str, step: Callable[[], float], trouble: str) -> threading.Thread:
        """Return a thread that takes ``step`` again and again until the server stops."""

        def steps() -> None:
            while not self._stopping.is_set():
                try:
                    pause = step()
                except WindlassError as error:
                    log.error("%s, and this is tried again: %s", trouble, error)  # noqa: TRY400 - a sentence
                    pause = 1.0
                except Exception:
                    log.exception("%s, and this is tried again", trouble)
                    pause = 1.0
                self._stopping.wait(pause)

        return threading.Thread(target=steps, name=name, daemon=True)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        # No lock here, and so no event: what the handler interrupts, another signal's handler too, may be holding it.
        self._signals += 1
        if self._bell is not None:
            self._bell.ring()


@contextmanager
def _handling(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Let ``handler`` take SIGTERM and SIGINT; what comes after the block comes too late for a process that is ending.

    After an error everything is as it was before.
    """
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, handler) for number in numbers]
    try:
        yield
    except BaseException:
        for number, previous in zip(numbers, before, strict=True):
            signal.signal(number, previous)
        raise
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)
