"""The zygotes: one process per version of a DAG file in use, started, asked to fork, and let go.

A zygote is started when a run is created (``prepare``) or when work for it comes, stays while it is used, and leaves
when it has been idle for long, has forked often, holds values that grow stale, or is the least recently used of too
many. A zygote with living children is never stopped: they would die with it. One *blank* zygote, which has imported
everything but a file, is kept ready for the next file that is needed.
"""

from __future__ import annotations

import functools
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from windlass.errors import ProtocolError
from windlass.protocol import GetConnection, Mask, Variable
from windlass.protocol.forking import (
    BIND_AT_START,
    LEASE_VARIABLE,
    MAX_DATAGRAM,
    NO_TOKEN,
    Answer,
    Ask,
    Exited,
    Fork,
    Forked,
    FromZygote,
    Load,
    Ready,
    Unforked,
    Unloadable,
    datagram,
    from_zygote,
)
from windlass.secrets.masking import Masker
from windlass.supervisor import processes
from windlass.supervisor.output import ChildOutput
from windlass.supervisor.reactor import Reactor, Timer
from windlass.supervisor.settings import SupervisorSettings

#: (bundle, file, code_version)
Key = tuple[str, str, str]
#: Seconds after which a blank zygote that was used is replaced: its own first tasks come before the next file's.
_REFILL = 0.3


def child_environment(environ: Mapping[str, str], mark: str) -> dict[str, str]:
    """Return ``environ`` without the server's settings, connections and variables, and with the lease mark."""
    hidden = ("WINDLASS_CONN_", "WINDLASS_VAR_", "WINDLASS__")
    return {name: value for name, value in environ.items() if not name.startswith(hidden)} | {LEASE_VARIABLE: mark}


class Owner(Protocol):
    """Who is told what zygotes say: the supervisor's loop."""

    def on_zygote_ready(self, zygote: Zygote, ready: Ready) -> None:
        """The file is imported."""

    def on_zygote_failed(self, zygote: Zygote, error: str) -> None:
        """The file cannot be imported, or the process died while it tried."""

    def on_forked(self, token: str, pid: int) -> None:
        """A child lives."""

    def on_unforked(self, token: str, error: str) -> None:
        """A child could not be made."""

    def on_exited(self, pid: int, status: int, *, orphans: bool) -> None:
        """A child is gone."""

    def on_zygote_gone(self, zygote: Zygote) -> None:
        """The process has ended after it was ready; its children die with it."""

    def on_zygote_retired(self, zygote: Zygote) -> None:
        """No new work goes to it: its spare children are to be sent away."""

    def on_zygote_ask(self, verb: GetConnection | Variable, then: Callable[[Answer, Sequence[str]], None]) -> None:
        """Answer what a DAG file asks while it is imported; ``then`` takes the answer and what of it is secret."""


@dataclass(slots=True)
class _Outgoing:
    data: bytes
    fds: tuple[int, ...] = ()


class Zygote:
    """One zygote process and the line to it."""

    def __init__(self, owner: Owner, reactor: Reactor, tag: str, *, token: str | None = None) -> None:
        #: Nothing, until :meth:`load`.
        self.key: Key = ("", "", "")
        #: It becomes the attempt marked by ``token`` instead of forking.
        self.single = token is not None
        #: What the file was told while it was imported, and so every child knows: hidden in all of their output.
        self.secrets: list[str] = []
        self.ready = False
        self.gone = False
        self.retired = False
        self.stale = False
        self.status: int | None = None
        #: Tokens of the children that wait for work, the oldest first.
        self.spares: dict[str, None] = {}
        self.forks = 0
        #: Tokens of the living children.
        self.children: set[str] = set()
        self.started = self.used = reactor.monotonic()
        self._failure: str | None = None
        self._owner = owner
        self._reactor = reactor
        self._outgoing: deque[_Outgoing] = deque()
        self._timer: Timer | None = None
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._output = ChildOutput(reactor)
        command = [sys.executable, "-P", "-m", "windlass.runtime", "zygote", str(theirs.fileno()), str(os.getpid())]
        try:
            self._process = subprocess.Popen(
                [*command, "--single"] if self.single else command,
                stdin=subprocess.DEVNULL,
                stdout=self._output.theirs,
                stderr=self._output.theirs,
                env=BIND_AT_START | child_environment(os.environ, f"{tag}.{token or NO_TOKEN}"),
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        except OSError:
            self._control.close()
            self._output.close()
            raise
        finally:
            theirs.close()
            self._output.started()
        self.pid = self._process.pid
        self._control.setblocking(False)
        reactor.watch(self._control.fileno(), self._read)

    def load(self, key: Key, settings: SupervisorSettings) -> None:
        """Have it import the file of ``key``; the owner hears what came of it."""
        self.key = key
        self.started = self.used = self._reactor.monotonic()
        self._timer = self._reactor.after(
            settings.import_timeout, functools.partial(self._too_slow, settings.import_timeout)
        )
        load = Load(
            code=str(settings.code),
            code_version=key[2],
            file=key[1],
            log_level=settings.log_level,
            moment_factory=settings.moment_factory,
        )
        self._send(_Outgoing(datagram(load)))

    def fork(self, children: Mapping[str, tuple[socket.socket, int]]) -> None:
        """Ask for a child per token, with its socket and log, which are closed here once they are sent.

        At most :data:`MAX_FORKS` at once.
        """
        self.forks += len(children)
        self.children.update(children)
        self.used = self._reactor.monotonic()
        fds = tuple(fd for sock, log in children.values() for fd in (sock.detach(), log))
        self._send(_Outgoing(datagram(Fork(tokens=list(children))), fds))

    def take_spare(self) -> str:
        """Return the token of the spare that has waited longest, which is none from now on."""
        token = next(iter(self.spares))
        del self.spares[token]
        return token

    def child_gone(self, token: str) -> None:
        """Take note that a child has ended."""
        self.children.discard(token)
        self.leave_if_unused()

    def leave_if_unused(self) -> None:
        """End a retired zygote that has no children left; one that still imports may have work waiting for it."""
        if self.retired and self.ready and not self.children:
            self.kill()

    def kill(self) -> None:
        """End the process (and its children) now."""
        if not self.gone:
            processes.send({self.pid}, signal.SIGKILL)

    def exited(self, status: int) -> None:
        """Take note that the process was reaped."""
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self.status = status
        self._read()
        self._output.read()
        self.gone = True
        self._close()
        if self.ready:
            self._owner.on_zygote_gone(self)
        else:
            reason = self._failure or self._obituary(status)
            self._owner.on_zygote_failed(self, Masker(self.secrets).mask(reason))

    def _obituary(self, status: int) -> str:
        code = os.waitstatus_to_exitcode(status)
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with status {code}"
        text = f"the process that imported {self.key[1]} {how} before the import was done"
        said = self._output.text
        return f"{text}; it wrote:\n{said}" if said else text

    def _too_slow(self, seconds: float) -> None:
        self._failure = f"importing {self.key[1]} took longer than {seconds:g} s"
        self.kill()

    def _read(self) -> None:
        while self._control.fileno() >= 0:
            try:
                data = self._control.recv(MAX_DATAGRAM)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._reactor.unwatch(self._control.fileno())
                return  # the process ends; the kernel says how
            try:
                message = from_zygote(data)
            except ProtocolError as error:  # user code wrote to the zygote's own line
                self._failure = str(error)
                self.kill()
                return
            self._take(message)

    def _take(self, message: FromZygote) -> None:
        match message:
            case Forked(pids=pids):
                for token, pid in pids.items():
                    self._owner.on_forked(token, pid)
            case Unforked(token=token, error=error):
                self._owner.on_unforked(token, error)
            case Exited(statuses=statuses, orphans=orphans):
                for pid, status in statuses.items():
                    self._owner.on_exited(pid, status, orphans=orphans)
            case Ready():
                self._cancel_timer()
                self.ready = True
                self.stale = message.asked
                self._owner.on_zygote_ready(self, message)
            case Unloadable(error=error):
                self._cancel_timer()
                self._failure = error
            case Ask(verb=Mask(values=values)):
                self._answer(Answer(), values)
            case Ask(verb=GetConnection() | Variable() as verb):
                self._owner.on_zygote_ask(verb, self._answer)

    def _answer(self, answer: Answer, secrets: Sequence[str]) -> None:
        self.secrets += secrets
        if self.gone:
            return
        try:
            data = datagram(answer)
        except ProtocolError as error:
            data = datagram(Answer(error=f"the answer cannot be sent to a DAG file: {error}", code=error.code))
        self._send(_Outgoing(data))

    def _send(self, outgoing: _Outgoing) -> None:
        self._outgoing.append(outgoing)
        self._flush()

    def _flush(self) -> None:
        while self._outgoing:
            first = self._outgoing[0]
            try:
                if first.fds:
                    socket.send_fds(self._control, [first.data], first.fds)
                else:
                    self._control.send(first.data)
            except BlockingIOError:
                self._reactor.watch(self._control.fileno(), self._read, self._flush_on)
                return
            except OSError:
                pass  # it ends: exited() tells everybody
            for fd in self._outgoing.popleft().fds:
                os.close(fd)

    def _flush_on(self) -> None:
        self._flush()
        if not self._outgoing:
            self._reactor.watch(self._control.fileno(), self._read)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _close(self) -> None:
        self._cancel_timer()
        self._reactor.unwatch(self._control.fileno())
        self._control.close()
        self._output.close()
        while self._outgoing:
            for fd in self._outgoing.popleft().fds:
                os.close(fd)


class ZygotePool:
    """All zygotes of a supervisor."""

    def __init__(self, settings: SupervisorSettings, owner: Owner, reactor: Reactor, tag: str) -> None:
        self._settings = settings
        self._owner = owner
        self._reactor = reactor
        self._tag = tag
        self._by_key: dict[Key, Zygote] = {}
        self._by_pid: dict[int, Zygote] = {}
        self._blank: Zygote | None = None
        #: Keys whose file leaves threads behind: each task gets a fresh interpreter.
        self.threaded: set[Key] = set()

    def get(self, key: Key) -> Zygote:
        """Return the zygote of ``key``, started if need be; it may still be importing."""
        zygote = self._by_key.get(key)
        if zygote is not None and self._is_worn(zygote):
            self.retire(zygote)
            zygote = None
        if zygote is None:
            self._make_room()
            zygote, self._blank = self._blank or self._start(), None
            self._reactor.after(_REFILL, self.prewarm)
            zygote.load(key, self._settings)
            self._by_key[key] = zygote
        return zygote

    def prewarm(self) -> None:
        """Start a zygote ahead of need, if none is waiting."""
        if self._settings.blank and self._blank is None:
            self._blank = self._start()

    def single(self, key: Key, token: str) -> Zygote:
        """Start a fresh interpreter that becomes the attempt marked by ``token``."""
        zygote = self._start(token)
        zygote.load(key, self._settings)
        return zygote

    def exited(self, pid: int, status: int) -> bool:
        """Take note that process ``pid`` was reaped here; return whether it was a zygote."""
        zygote = self._by_pid.pop(pid, None)
        if zygote is None:
            return False
        if self._blank is zygote:
            self._blank = None
        if self._by_key.get(zygote.key) is zygote:
            del self._by_key[zygote.key]
        zygote.exited(status)
        return True

    def retire(self, zygote: Zygote) -> None:
        """Take no new work to it; it ends with its last child (at once when there is none)."""
        if self._by_key.get(zygote.key) is zygote:
            del self._by_key[zygote.key]
        zygote.retired = True
        self._owner.on_zygote_retired(zygote)
        zygote.leave_if_unused()

    def tidy(self, idle: Callable[[Zygote], bool]) -> None:
        """Let go of zygotes that have been idle for long, and of idle ones while all together are too large.

        ``idle`` says whether a zygote has no work (a spare child is none).
        """
        now = self._reactor.monotonic()
        resting = sorted((z for z in self._by_key.values() if z.ready and idle(z)), key=lambda z: z.used)
        total = sum(processes.resident(zygote.pid) for zygote in self._by_pid.values())
        for zygote in resting:
            if now - zygote.used > self._settings.zygote_idle:
                self.retire(zygote)
            elif total > self._settings.zygote_memory:
                total -= processes.resident(zygote.pid)
                self.retire(zygote)

    def kill_all(self) -> None:
        """End every zygote and with it every child."""
        for zygote in list(self._by_pid.values()):
            zygote.kill()

    def counts(self) -> dict[str, int]:
        """Return how many forks each zygote has made, by its file and code version."""
        return {f"{zygote.key[1]}@{zygote.key[2][:8]}": zygote.forks for zygote in self._by_key.values()}

    def _start(self, token: str | None = None) -> Zygote:
        zygote = Zygote(self._owner, self._reactor, self._tag, token=token)
        self._by_pid[zygote.pid] = zygote
        return zygote

    def _is_worn(self, zygote: Zygote) -> bool:
        if zygote.gone or zygote.forks >= self._settings.zygote_forks:
            return True
        return zygote.stale and self._reactor.monotonic() - zygote.started > self._settings.secrets_ttl

    def _make_room(self) -> None:
        while len(self._by_key) >= self._settings.max_zygotes:
            oldest = min(self._by_key.values(), key=lambda zygote: (not zygote.ready, zygote.used))
            self.retire(oldest)
