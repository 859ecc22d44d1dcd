"""A zygote: a process that has imported one version of one DAG file and forks a child per attempt.

It does as little as possible: it is single-threaded, holds no state of any attempt, and talks to its supervisor in
datagrams (``protocol.forking``). It dies with its supervisor, its children die with it, and it adopts what their
processes leave behind, so that the supervisor can prove a process tree gone.

With ``--single`` it becomes the task itself instead of forking: a fresh interpreter per task, for DAG files that leave
threads behind, where a fork would copy a lock that nobody will ever release.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import logging
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from windlass.errors import ContextUnavailable, ProtocolError, WindlassError
from windlass.ports import session_scope
from windlass.protocol import GetConnection, Mask, Variable, Verb
from windlass.protocol.forking import (
    BIND_AT_START,
    MAX_DATAGRAM,
    MAX_FORKS,
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
    to_zygote,
)
from windlass.runtime import child, limits, loader, memory_layout
from windlass.runtime.trace import user_traceback

#: The pid of a child that could not be forked.
_NONE = -1
#: Added to the zygote's and its children's badness, so that the kernel does not choose the supervisor first.
_OOM_SCORE = b"300"
#: Of more than a few children, those that end within this time, in seconds, are reaped together.
_FEW = 4
_TOGETHER = 0.002


class Asking:
    """The session of a DAG file's top level: connections and variables, asked over the control socket."""

    context: Mapping[str, Any] | None = None

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self.asked = False

    def ask(self, verb: Verb) -> Any:  # noqa: ANN401 - JSON
        """Ask the supervisor; anything but a connection, a variable and what is to be hidden needs a running task."""
        if not isinstance(verb, GetConnection | Variable | Mask):
            msg = f"{type(verb).__name__} is available only inside a running task, not at the top level of a DAG file"
            raise ContextUnavailable(msg)
        self.asked = True
        self._control.send(datagram(Ask(verb=verb)))
        answer = to_zygote(self._control.recv(MAX_DATAGRAM))
        if not isinstance(answer, Answer):
            msg = f"expected an answer from the supervisor, got {type(answer).__name__}"
            raise ProtocolError(msg)
        if answer.error is not None:
            raise child.error_of(verb, answer.error, answer.code)
        return answer.result

    def tell(self, verb: Verb) -> None:
        """Ask and forget the answer."""
        self.ask(verb)


class Zygote:
    """The loaded file and the children forked from it."""

    def __init__(self, control: socket.socket, mark: limits.LeaseMark, *, single: bool) -> None:
        self._control = control
        self._mark = mark
        self._single = single
        self._children: set[int] = set()
        self._pid = os.getpid()
        self._own = limits.OwnChildren()
        #: What every child takes over, once the file is loaded.
        self._origin: child.Origin | None = None

    def load(self) -> bool:
        """Import what the supervisor names; return whether there is anything to fork."""
        # Before the order comes, so that a zygote started ahead of need has only the file itself to import then.
        attempt = importlib.import_module("windlass.runtime.attempt")
        authoring = importlib.import_module("windlass.authoring")
        attempt.preload()
        rehearsal = importlib.import_module("windlass.runtime.rehearsal").Rehearsal(self._mark)
        rehearsal.play()
        handlers: limits.ForkHandlers = []
        if not self._single:
            handlers = limits.fork_handlers()
            memory_layout.complete_pools()  # nobody waits for it yet, as somebody does for the next time
            memory_layout.collapse()
        data = self._control.recv(MAX_DATAGRAM)
        message = to_zygote(data) if data else None
        if not isinstance(message, Load):
            return False
        logging.getLogger().setLevel(message.log_level)
        if message.moment_factory:
            importlib.import_module("windlass.runtime.moments").use_factory(message.moment_factory)
        session = Asking(self._control)
        try:
            with session_scope(session):
                module = loader.load_snapshot(Path(message.code), message.code_version, message.file)
                dags = {dag.dag_id: dag for dag in authoring.collect(module)}
                attempt.prepare(dags.values())
        except WindlassError as error:
            self._fail(f"{type(error).__name__}: {error}\n{user_traceback(error)}")
            return False
        except BaseException as error:  # noqa: BLE001 - SystemExit at the top level of a file is an error in that file
            self._fail(user_traceback(error))
            return False
        self._origin = child.Origin(
            zygote=0 if self._single else self._pid,
            control=self._control.fileno(),
            # Python reseeds `random` by itself after a fork; numpy does not.
            reseed=getattr(sys.modules.get("numpy.random"), "seed", None),
            dags=dags,
            run=attempt.run_attempt,
            set_mark=self._mark.set,
        )
        rehearsal.play(rounds=2)  # the import has put other things into Python's caches
        child.flush_output()
        threads = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
        if not self._single and not threads:
            limits.lighten_fork(handlers)
        gc.collect()
        if not self._single:
            memory_layout.complete_pools()
        gc.freeze()
        self._send(Ready(dags=sorted(dags), threads=threads, asked=session.asked))
        return True

    def serve(self) -> None:
        """Fork and reap until the supervisor closes the line."""
        wakeup, ring = os.pipe()
        os.set_blocking(wakeup, False)
        os.set_blocking(ring, False)
        signal.signal(signal.SIGCHLD, _wake)
        signal.set_wakeup_fd(ring, warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(wakeup, select.POLLIN)
        reap_at: float | None = None
        while True:
            left = None if reap_at is None else max(0.0, reap_at - time.monotonic()) * 1000
            for fd, _ in poll.poll(left):
                if fd == wakeup:
                    os.read(wakeup, 4096)
                    if reap_at is None:  # else the first of them has set the time already
                        reap_at = time.monotonic() + (_TOGETHER if len(self._children) > _FEW else 0.0)
                elif not self._obey():
                    return
            if reap_at is not None and time.monotonic() >= reap_at:
                self._reap()
                reap_at = None

    def _obey(self) -> bool:
        data, fds, _, _ = socket.recv_fds(self._control, MAX_DATAGRAM, 2 * MAX_FORKS, socket.MSG_CMSG_CLOEXEC)
        if not data:
            return False
        message = to_zygote(data)
        if isinstance(message, Fork):
            if len(fds) == 2 * len(message.tokens):  # a socket and a log for each
                self._fork_all(message.tokens, fds)
            else:
                for fd in fds:
                    os.close(fd)
                for token in message.tokens:
                    self._send(Unforked(token=token, error="its descriptors did not arrive: too many files are open"))
        return True

    def _fork_all(self, tokens: list[str], fds: list[int]) -> None:
        # Whatever can be made ready is, before the first fork: after each, every page that is written to is copied.
        logs = fds[1::2]
        lines = [child.PipeSession(child.line(fd)) for fd in fds[::2]]
        marks = [self._mark.of(token) for token in tokens]
        first, end = min(fds), max(fds) + 1
        scattered = fds if end - first != len(fds) else None
        pids: list[int] = []
        assert self._origin is not None  # noqa: S101 - nothing is forked before it is loaded
        origin, fork, become = self._origin, _stay if self._single else os.fork, child.become
        try:
            for token, line, log, mark in zip(tokens, lines, logs, marks, strict=True):
                try:
                    pid = fork()
                except OSError as error:
                    self._send(Unforked(token=token, error=str(error)))
                    pid = _NONE
                if pid == 0:
                    become(origin, line, log, mark, first, end, scattered)
                pids.append(pid)
        finally:
            if os.getpid() != self._pid or self._single:  # whatever fails, a child never goes on as a zygote
                os._exit(child.BROKEN)
        for line in lines:
            line.close()
        for log in logs:
            os.close(log)
        forked = {token: pid for token, pid in zip(tokens, pids, strict=True) if pid != _NONE}
        self._children.update(forked.values())
        if forked:
            self._send(Forked(pids=forked))

    def _reap(self) -> None:
        ended: dict[int, int] = {}
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if pid in self._children:
                self._children.discard(pid)
                ended[pid] = status
        if ended:
            self._send(Exited(statuses=ended, orphans=bool(self._own.besides(self._children))))

    def _fail(self, error: str) -> None:
        child.flush_output()
        self._send(Unloadable(error=error[-MAX_DATAGRAM // 2 :]))

    def _send(self, message: FromZygote) -> None:
        self._control.send(datagram(message))


def _wake(*_: object) -> None:
    """Take SIGCHLD: its number has come through the pipe. A function that stays, so that no child has to free it."""


def _stay() -> int:
    """Be the child without a fork."""
    return 0


def main(fd: int, parent: int, *, single: bool = False) -> int:
    """Run a zygote on the inherited control socket ``fd`` until its supervisor ``parent`` is done with it."""
    limits.die_with_parent(parent)
    limits.adopt_orphans()
    limits.run_as_batch()
    for name, value in BIND_AT_START.items():
        if os.environ.get(name) == value:
            del os.environ[name]
    child.inherit_signals()
    with contextlib.suppress(OSError):  # not Linux: nothing depends on it
        Path("/proc/self/oom_score_adj").write_bytes(_OOM_SCORE)
    child.prepare_output()
    # By the lowest number that is free, so that the descriptors that come for children lie side by side.
    control = socket.socket(fileno=os.dup(fd))
    os.close(fd)
    zygote = Zygote(control, limits.LeaseMark(), single=single)
    try:
        if zygote.load():
            zygote.serve()
    except (BrokenPipeError, ConnectionResetError):
        return 0  # the supervisor is gone
    except Exception:  # noqa: BLE001 - the output of a zygote is kept by the supervisor for its log
        traceback.print_exc()
        return child.BROKEN
    finally:
        sys.stdout.flush()
    return 0
