"""One forked child and what the supervisor knows of it.

An attempt is forked, says ``hello``, is given a workload (a spare one waits for it), is claimed, runs, says how it
ended, and is gone. This class holds that and speaks the task protocol; what follows from it is decided in ``loop``.
"""

from __future__ import annotations

import contextlib
import os
import socket
from datetime import datetime
from enum import Enum, auto
from typing import Protocol

from windlass.errors import ProtocolError, WindlassError
from windlass.ports import Claimed, StopKind, Workload
from windlass.protocol import (
    Defer,
    Finish,
    FrameReader,
    Hello,
    Mask,
    Progress,
    Rendered,
    Reply,
    Request,
    Reschedule,
    Verb,
    XComSet,
    decode_request,
    encode,
    frame,
)
from windlass.secrets.masking import Masker
from windlass.supervisor.logs import LogWriter
from windlass.supervisor.reactor import Reactor, Timer
from windlass.supervisor.zygotes import Zygote

#: Bytes read from a descriptor at once; the capacity of a pipe.
CHUNK = 64 << 10
#: How much of a log is read at the end of an attempt, lest a grandchild that keeps writing delays it.
_LAST_READ = 4 << 20


class Phase(Enum):
    """How far an attempt has come."""

    FORKING = auto()
    READY = auto()  # said hello; waits for a workload or for its claim
    RUNNING = auto()
    REFUSED = auto()  # the claim was a conflict: the child leaves
    GONE = auto()


class Owner(Protocol):
    """Who is told about an attempt: the supervisor's loop."""

    def on_ready(self, attempt: Attempt) -> None:
        """The child said hello."""

    def on_ending(self, attempt: Attempt) -> None:
        """The child said how user code ended."""

    def on_halted(self, attempt: Attempt) -> None:
        """The child broke the protocol: ``attempt.halted`` says how. It must end."""

    def on_question(self, attempt: Attempt, number: int, verb: Verb) -> None:
        """The child asked something that needs the gateway; answer with :meth:`Attempt.reply`."""


class Attempt:
    """A child process, its pipes, and what it said."""

    def __init__(
        self, token: str, sock: socket.socket, log: int, zygote: Zygote, owner: Owner, reactor: Reactor
    ) -> None:
        self.token = token
        self.zygote = zygote
        self.phase = Phase.FORKING
        self.workload: Workload | None = None
        self.claimed: Claimed | None = None
        self.pid: int | None = None
        self.status: int | None = None
        self.ending: Finish | Defer | Reschedule | None = None
        self.xcoms: list[XComSet] = []
        self.rendered: Rendered | None = None
        self.started_at: datetime | None = None
        self.reported = False
        #: Why it is being stopped, if it is.
        self.stopped: StopKind | None = None
        self.timed_out: str | None = None
        #: Why it is lost, where the supervisor itself ended it.
        self.halted: str | None = None
        #: When the rest of its process tree is killed, by the monotonic clock.
        self.kill_at = 0.0
        self.timers: list[Timer] = []
        self.log: LogWriter | None = None
        self.masker: Masker | None = None
        self._hello = 0
        self._sock: socket.socket | None = sock
        self._log: int | None = log
        self._reader = FrameReader()
        self._unsent = bytearray()
        self._owner = owner
        self._reactor = reactor
        sock.setblocking(False)
        os.set_blocking(log, False)
        reactor.watch(sock.fileno(), self.read)

    @property
    def lease(self) -> str:
        """The lease id; the attempt must be claimed."""
        if self.claimed is None:
            msg = f"attempt {self.token} has no lease"
            raise ProtocolError(msg)
        return self.claimed.lease_id

    @property
    def task(self) -> tuple[str, str | None]:
        """The ids of the DAG and of the task; no task for the callback of a run, nothing before the claim."""
        if self.claimed is None:
            return "", None
        return self.claimed.context.dag_id, self.claimed.context.task_id or None

    @property
    def stopping(self) -> bool:
        """Whether it was told to end, for whatever reason."""
        return self.stopped is not None or self.timed_out is not None or self.halted is not None

    def begin(self, claimed: Claimed, log: LogWriter, masker: Masker) -> None:
        """Let the child go: its claim is committed."""
        self.claimed = claimed
        self.log = log
        self.masker = masker
        self.phase = Phase.RUNNING
        if self._log is not None:
            self._reactor.watch(self._log, self.drain)
        self.reply(self._hello, claimed.context)

    def refuse(self) -> None:
        """Send the child away."""
        self.phase = Phase.REFUSED
        self._close_socket()

    def reply(self, number: int, result: object = None, error: WindlassError | None = None) -> None:
        """Answer question ``number``; 0 expects none."""
        if number == 0 or self._sock is None:
            return
        answer = Reply(number, result) if error is None else Reply(number, None, str(error), error.code)
        try:
            data = frame(encode(answer))
        except (ProtocolError, TypeError) as problem:
            data = frame(encode(Reply(number, None, f"the answer cannot be sent: {problem}", ProtocolError.code)))
        self._unsent += data
        self._send()

    def read(self) -> None:
        """Take what the child said, as far as it has arrived."""
        while self._sock is not None:
            try:
                data = self._sock.recv(CHUNK)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._close_socket()
                return
            try:
                for payload in self._reader.feed(data):
                    self._take(decode_request(payload))
            except ProtocolError as error:
                self.halted = f"the task's process broke the protocol and was killed: {error}"
                self._close_socket()
                self._owner.on_halted(self)

    def drain(self, limit: int = CHUNK) -> None:
        """Write what has arrived on the log pipe to the log, at most about ``limit`` bytes of it."""
        while self._log is not None and limit > 0:
            try:
                data = os.read(self._log, CHUNK)
            except BlockingIOError:
                return
            if not data:
                self._close_log()
                return
            limit -= len(data)
            if self.log is not None:
                self.log.feed(data)

    def drain_all(self) -> None:
        """Write everything that the log pipe holds now."""
        self.drain(_LAST_READ)

    def close(self) -> None:
        """Close every descriptor and cancel every timer: the process is gone."""
        self.phase = Phase.GONE
        for timer in self.timers:
            timer.cancel()
        self.timers.clear()
        self._close_socket()
        self._close_log()
        if self.log is not None:
            self.log.close()

    def _take(self, request: Request) -> None:
        verb = request.verb
        if isinstance(verb, Hello):
            if self.phase is not Phase.FORKING:
                msg = "it said hello twice"
                raise ProtocolError(msg)
            self._hello, self.pid, self.phase = request.id, verb.pid, Phase.READY
            self._owner.on_ready(self)
            return
        if self.phase is not Phase.RUNNING or self.ending is not None:
            self.reply(request.id, error=ProtocolError("this attempt does not run"))
        elif isinstance(verb, Finish | Defer | Reschedule):
            self.ending = verb
            self._owner.on_ending(self)
        elif not self._keep(verb):
            self._owner.on_question(self, request.id, verb)
        else:
            self.reply(request.id)

    def _keep(self, verb: Verb) -> bool:
        """Keep what is needed only here, or only at the end; return whether ``verb`` was such."""
        if isinstance(verb, XComSet):
            self.xcoms.append(verb)
        elif isinstance(verb, Rendered):
            self.rendered = verb
        elif isinstance(verb, Mask):
            if self.masker is not None:
                self.masker.add(*verb.values)
        elif isinstance(verb, Progress):
            self.started_at = verb.started_at or self.started_at
        else:
            return False
        return True

    def _send(self) -> None:
        if self._sock is None:
            return
        try:
            while self._unsent:
                del self._unsent[: self._sock.send(self._unsent)]
        except BlockingIOError:
            self._reactor.watch(self._sock.fileno(), self.read, self._send_on)
        except OSError:
            self._close_socket()

    def _send_on(self) -> None:
        self._send()
        if self._sock is not None and not self._unsent:
            self._reactor.watch(self._sock.fileno(), self.read)

    def _close_socket(self) -> None:
        if self._sock is not None:
            self._reactor.unwatch(self._sock.fileno())
            self._sock.close()
            self._sock = None

    def _close_log(self) -> None:
        if self._log is not None:
            self._reactor.unwatch(self._log)
            with contextlib.suppress(OSError):
                os.close(self._log)
            self._log = None
