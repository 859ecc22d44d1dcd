"""One trigger host: its process, the line to it, and the logs of the tasks whose triggers it runs.

The process is a child like a zygote: no database, no settings of the server, dead when the supervisor is. What a
trigger asks is answered as a task is: connections and variables by the secrets chain, whose secrets are hidden in the
log of the task before the answer leaves, runs and task states by the gateway.

Two things are known of a host without its help: whether it answers (``ping``), and whose code it is running at this
moment, which it writes into a *cell* of memory that both share. So a trigger that blocks the loop, or takes the process
down with it, can be named.
"""

from __future__ import annotations

import functools
import logging
import mmap
import os
import signal
import socket
import struct
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from windlass.errors import ContextUnavailable, ProtocolError, WindlassError
from windlass.ports import Gateway, Wait, WaitKey
from windlass.protocol import ArtifactCommit, ArtifactOpen, FrameReader, GetConnection, Query, Variable, XComValue
from windlass.protocol import triggering as messages
from windlass.protocol.forking import NO_TOKEN
from windlass.secrets.masking import Masker
from windlass.supervisor import processes
from windlass.supervisor.artifacts import LocalArtifacts
from windlass.supervisor.logs import LogWriter, contained
from windlass.supervisor.questions import Questions, is_secret_question
from windlass.supervisor.reactor import Reactor, Timer
from windlass.supervisor.settings import SupervisorSettings
from windlass.supervisor.waiting import SHARED, HostKey
from windlass.supervisor.zygotes import child_environment

_log = logging.getLogger(__name__)

_CHUNK = 64 << 10
#: Bytes of the process's own output that are kept for its obituary.
_OUTPUT = 16 << 10
#: Seconds between two pings.
_PING = 5.0
_KEY = struct.Struct("<qq")


class Owner(Protocol):
    """Who is told what a host says: the waits."""

    def on_event(self, key: WaitKey, value: XComValue) -> None:
        """A trigger fired."""

    def on_failure(self, key: WaitKey, reason: str) -> None:
        """A trigger will never fire."""

    def on_unopenable(self, key: HostKey, error: str) -> None:
        """The code cannot be imported."""

    def on_gone(
        self,
        key: HostKey,
        host: Any,  # noqa: ANN401 - the host
        blamed: WaitKey | None,
        how: str,
        *,
        opened: bool = True,
    ) -> None:
        """The process has ended, by itself or by force."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every host of a supervisor is given."""

    settings: SupervisorSettings
    reactor: Reactor
    gateway: Gateway
    questions: Questions
    artifacts: LocalArtifacts
    now: Callable[[], Any]
    #: Of the supervisor: it marks the process, so that a successor finds it.
    tag: str


class _Told:
    """A wait in this host: its name, and the log that it writes to."""

    def __init__(self, wait: Wait, around: Surroundings, secrets: Sequence[str]) -> None:
        self.wait = wait
        self.masker = Masker(secrets)
        self._log = LogWriter(contained(around.settings.logs, wait.log_path), self.masker, around.now)

    def note(self, level: str, message: str) -> None:
        """Add a line of the supervisor's own; no descriptor stays open for it."""
        self._log.note(level, message)
        self._log.close()

    def write(self, data: bytes) -> None:
        """Add what the trigger wrote: whole lines."""
        self._log.feed(data)
        self._log.close()


class TriggerHost:
    """A process that runs triggers, from its start to its end."""

    def __init__(self, key: HostKey, owner: Owner, around: Surroundings) -> None:
        self._key = key
        self._owner = owner
        self._around = around
        self._reactor = around.reactor
        self._waits: dict[WaitKey, _Told] = {}
        #: What the DAG file was told while it was imported, and so every trigger of it knows.
        self._secrets: list[str] = []
        self._reader = FrameReader()
        self._unsent = bytearray()
        self._output = b""
        self._opened = False
        self._pings = 0
        self._answered_at = around.reactor.monotonic()
        self._timer: Timer | None = None
        self._how: str | None = None
        #: The wait that the process was ended for; it has been told.
        self._charged = False
        self._blocked: set[WaitKey] = set()
        self._sock, theirs = socket.socketpair()
        with tempfile.TemporaryFile() as file:
            file.truncate(messages.CELL)
            self._cell = mmap.mmap(file.fileno(), messages.CELL)
            self._output_fd, output = os.pipe()
            self._process = subprocess.Popen(
                messages.host_command(theirs.fileno(), file.fileno(), os.getpid()),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=child_environment(os.environ, f"{around.tag}.{NO_TOKEN}"),
                pass_fds=(theirs.fileno(), file.fileno()),
                start_new_session=True,
            )
        self.pid = self._process.pid
        theirs.close()
        os.close(output)
        self._sock.setblocking(False)
        os.set_blocking(self._output_fd, False)
        self._reactor.watch(self._sock.fileno(), self._read)
        self._reactor.watch(self._output_fd, self._read_output)
        self._open()

    def _open(self) -> None:
        settings = self._around.settings
        _, file, code_version = self._key
        if self._key == SHARED:
            self._send(messages.Open(log_level=settings.log_level))
        else:
            code = str(settings.code)
            self._send(messages.Open(code=code, code_version=code_version, file=file, log_level=settings.log_level))
        late = f"importing {file or 'the providers'} took longer than {settings.import_timeout:g} s"
        self._timer = self._reactor.after(settings.import_timeout, functools.partial(self._give_up, late))

    # --- What the waits want

    def begin(self, wait: Wait) -> None:
        """Run the trigger of ``wait``."""
        try:
            told = self._waits[wait.key] = _Told(wait, self._around, self._secrets)
            name = f"{wait.dag_id}.{wait.task_id}" + (f"[{wait.map_index}]" if wait.map_index >= 0 else "")
            told.note("INFO", f"the trigger {messages.shown(wait.trigger)} waits")
            self._send(messages.Begin(key=wait.key, name=name, trigger=wait.trigger, kwargs=wait.kwargs))
        except ProtocolError as error:
            self._reactor.after(0.0, functools.partial(self._owner.on_failure, wait.key, str(error)))

    def end(self, key: WaitKey, note: str | None = None) -> None:
        """Stop it, if it runs."""
        told = self._waits.pop(key, None)
        self._blocked.discard(key)
        if told is None:
            return
        if note is not None:
            told.note("INFO", note)
        self._send(messages.End(key=key))

    def close(self) -> None:
        """End the process, and listen to it no more."""
        self._waits.clear()
        self._kill()

    # --- The end of the process

    def exited(self, status: int) -> None:
        """Take note that the process was reaped."""
        code = self._process.returncode = os.waitstatus_to_exitcode(status)
        self._read()
        self._read_output()
        how = self._how or (f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with status {code}")
        if self._output and code != 0:
            _log.warning("a trigger host %s; it wrote:\n%s", how, self._output.decode(errors="backslashreplace"))
        culprit = None if self._charged else self.running
        blamed = culprit if culprit in self._waits else None
        if blamed is not None:
            self._waits[blamed].note("WARNING", f"the trigger host {how} while this trigger ran")
        self._close()
        self._owner.on_gone(self._key, self, blamed, how, opened=self._opened)

    @property
    def running(self) -> WaitKey | None:
        """The wait whose code runs at this moment, or ran when the process ended; None between two of them."""
        task, epoch = _KEY.unpack(self._cell[: messages.CELL])
        return (task, epoch) if task else None

    def _give_up(self, how: str) -> None:
        """End a process that is of no use any more."""
        if not self._opened:
            self._owner.on_unopenable(self._key, how)
        self._how = how
        self._kill()

    def _kill(self) -> None:
        if self._process.returncode is None:  # once it is reaped, its number may be somebody else's
            processes.send({self.pid}, signal.SIGKILL)

    def _charge(self, key: WaitKey, reason: str) -> None:
        """Fail the wait that stands in the way of all others, and start afresh without it."""
        told = self._waits.get(key)
        if told is not None:
            told.note("ERROR", reason)
            self._owner.on_failure(key, told.masker.mask(reason))
        self._charged = True
        self._give_up("was ended, because a trigger blocked it")

    def _ping(self) -> None:
        """See that the loop turns, whatever the process itself can tell of it."""
        limit = self._around.settings.trigger_block_limit
        silent = self._reactor.monotonic() - self._answered_at
        culprit = self.running
        if silent > limit + _PING and culprit is not None:
            self._charge(culprit, _blocking(self._waits.get(culprit), silent, ""))
            return
        if silent > limit + 2 * _PING:
            self._give_up(f"did not answer for {silent:.0f} s")
            return
        self._pings += 1
        self._send(messages.Ping(number=self._pings))
        self._timer = self._reactor.after(_PING, self._ping)

    # --- The line

    def _take(self, message: messages.FromHost) -> None:
        match message:
            case messages.Opened():
                self._answered()
                self._opened = True
                if self._timer is not None:
                    self._timer.cancel()
                self._ping()
            case messages.Unopenable(error=error):
                self._owner.on_unopenable(self._key, Masker(self._secrets).mask(error))
            case messages.Event(key=key, value=value):
                self._owner.on_event(key, value)
            case messages.Failure(key=key, reason=reason):
                self._fail(key, reason)
            case messages.Question():
                self._ask(message)
            case messages.Output(key=key, data=data):
                if key in self._waits:
                    self._waits[key].write(data)
            case messages.Blocked(key=key, seconds=seconds, where=where):
                self._on_blocked(key, seconds, where)
            case messages.Pong():
                self._answered()

    def _answered(self) -> None:
        self._answered_at = self._reactor.monotonic()

    def _fail(self, key: WaitKey, reason: str) -> None:
        told = self._waits.get(key)
        if told is not None:
            reason = told.masker.mask(reason)
            told.note("ERROR", reason)
        self._owner.on_failure(key, reason)

    def _on_blocked(self, key: WaitKey, seconds: float, where: str) -> None:
        told = self._waits.get(key)
        if told is None or self._charged:
            return
        reason = _blocking(told, seconds, where)
        if seconds > self._around.settings.trigger_block_limit:
            self._charge(key, reason)
        elif key not in self._blocked:
            self._blocked.add(key)
            told.note("WARNING", reason)
            _log.warning("task %s.%s: %s", told.wait.dag_id, told.wait.task_id, reason)

    def _ask(self, question: messages.Question) -> None:
        verb, number, key = question.verb, question.id, question.key
        try:
            if isinstance(verb, GetConnection | Variable) and is_secret_question(verb):
                self._around.questions.ask(verb, functools.partial(self._on_answered, number, key))
            elif isinstance(verb, ArtifactOpen | ArtifactCommit):
                self._tell(number, self._around.artifacts.answer(f"host-{self.pid}", verb))
            elif isinstance(verb, Query) and key is not None:
                self._tell(number, self._around.gateway.answer(key, verb))
            else:
                name = verb.__struct_config__.tag
                self._tell(number, error=ContextUnavailable(f"a trigger only watches: it cannot use `{name}`"))
        except WindlassError as error:
            self._tell(number, error=error)
        except Exception as error:  # noqa: BLE001 - logged, and the trigger gets an answer
            _log.exception("answering %s failed", type(verb).__name__)
            self._tell(number, error=ProtocolError(f"the engine failed to answer: {type(error).__name__}"))

    def _on_answered(
        self, number: int, key: WaitKey | None, value: object, masks: Sequence[str], error: WindlassError | None
    ) -> None:
        if key is None:
            self._secrets += masks
            for told in self._waits.values():
                told.masker.add(*masks)
        elif key in self._waits:
            self._waits[key].masker.add(*masks)
        self._tell(number, value, error)

    def _tell(self, number: int, result: object = None, error: WindlassError | None = None) -> None:
        if error is not None:
            self._send(messages.Told(id=number, error=str(error), code=error.code))
            return
        try:
            self._send(messages.Told(id=number, result=result))
        except (ProtocolError, TypeError) as problem:
            text = f"the answer cannot be sent: {problem}"
            self._send(messages.Told(id=number, error=text, code=ProtocolError.code))

    def _send(self, message: messages.ToHost) -> None:
        data = messages.pack(message)
        if self._sock.fileno() >= 0:
            self._unsent += data
            self._flush()

    def _flush(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: self._sock.send(self._unsent)]
        except BlockingIOError:
            self._reactor.watch(self._sock.fileno(), self._read, self._flush_on)
        except OSError:
            self._unsent.clear()  # it ends: exited() tells everybody

    def _flush_on(self) -> None:
        self._flush()
        if not self._unsent and self._sock.fileno() >= 0:
            self._reactor.watch(self._sock.fileno(), self._read)

    def _read(self) -> None:
        while self._sock.fileno() >= 0:
            try:
                data = self._sock.recv(_CHUNK)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._reactor.unwatch(self._sock.fileno())
                return  # the process ends; the kernel says how
            try:
                for payload in self._reader.feed(data):
                    self._take(messages.from_host(payload))
            except ProtocolError as error:  # user code wrote to the host's own line
                self._give_up(f"broke the protocol ({error})")
                return

    def _read_output(self) -> None:
        while self._output_fd >= 0:
            try:
                data = os.read(self._output_fd, _OUTPUT)
            except BlockingIOError:
                return
            if not data:
                self._close_output()
                return
            self._output = (self._output + data)[-_OUTPUT:]

    def _close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._reactor.unwatch(self._sock.fileno())
        self._sock.close()
        self._cell.close()
        self._close_output()
        self._around.artifacts.forget(f"host-{self.pid}")

    def _close_output(self) -> None:
        if self._output_fd >= 0:
            self._reactor.unwatch(self._output_fd)
            os.close(self._output_fd)
            self._output_fd = -1


def _blocking(told: _Told | None, seconds: float, where: str) -> str:
    name = "" if told is None else f" {messages.shown(told.wait.trigger)}"
    place = f" at {where}" if where else ""
    return (
        f"its trigger{name} has blocked all others{place} for {seconds:.0f} s; `await` what takes time, or move it into "
        "`asyncio.to_thread`"
    )


class TriggerHosts:
    """The processes of all trigger hosts, for whoever reaps."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._by_pid: dict[int, TriggerHost] = {}

    def start(self, key: HostKey, owner: Owner) -> TriggerHost:
        """Start a host."""
        host = TriggerHost(key, owner, self._around)
        self._by_pid[host.pid] = host
        return host

    def exited(self, pid: int, status: int) -> bool:
        """Take note that process ``pid`` was reaped; return whether it was a host."""
        host = self._by_pid.pop(pid, None)
        if host is None:
            return False
        host.exited(status)
        return True
