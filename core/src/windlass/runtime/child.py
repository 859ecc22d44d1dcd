"""The task's own process, from the fork to its exit.

A child is forked by its zygote with the DAG file already imported. It leaves the zygote's session, marks itself, says
``hello``, and blocks until the supervisor has committed the claim; a closed socket means that somebody else runs the
task, or nobody should, and the child exits 0 without having touched user code. Its last words (rendered fields, XComs,
``finish``) leave in one write, then the process ends without any cleanup of the interpreter: whatever the imports of
the zygote registered to run at exit is not this process's to run.

Whatever writes to standard output or error writes to the log pipe. ``logging`` records go there as JSON behind a
record separator (RFC 7464), so that the supervisor can tell them from text.
"""

# ruff: noqa: ANN401 - DAGs are authoring's, results are JSON
from __future__ import annotations

import importlib
import logging
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import FrameType
from typing import Any, NamedTuple, NoReturn, Protocol

import msgspec

from windlass import errors
from windlass.errors import ContextUnavailable, ProtocolError, WindlassError
from windlass.ports import TaskSession
from windlass.protocol import (
    AttemptContext,
    Defer,
    Finish,
    GetConnection,
    Hello,
    Outcome,
    Rendered,
    Request,
    Reschedule,
    Variable,
    Verb,
    XComSet,
    decode_reply,
    encode,
    frame,
    recv_frame,
)
from windlass.runtime import limits
from windlass.runtime.installed import InstalledHooks

#: ``signal.signal`` as the interpreter has it. Python's wrapper makes enums of everything; a child has to do without
#: what it need not, because each function that it runs first is a page that it copies.
_handle: Callable[[int, Any], Any] = importlib.import_module("_signal").signal
_set_wakeup_fd, _getpid, _die_with_parent = signal.set_wakeup_fd, os.getpid, limits.die_with_parent
_setsid, _dup2, _close, _closerange, _exit = os.setsid, os.dup2, os.close, os.closerange, os._exit
_UNIX, _STREAM = int(socket.AF_UNIX), int(socket.SOCK_STREAM)
_SIGCHLD, _SIGTERM, _DEFAULT, _IGNORE = map(int, (signal.SIGCHLD, signal.SIGTERM, signal.SIG_DFL, signal.SIG_IGN))

#: Exit status of a child whose own machinery, not user code, failed.
BROKEN = 70
#: Bytes of unsent messages after which they are sent without waiting for an occasion.
_SEND_AT = 256 << 10


class Dag(Protocol):
    """What this module needs to know of a DAG."""

    dag_id: str


class RunAttempt(Protocol):
    """``runtime.attempt.run_attempt``: runs user code and says how it ended."""

    def __call__(
        self, dag: Any, context: AttemptContext, session: TaskSession, /, *, last: bool
    ) -> Finish | Defer | Reschedule:
        """Run the task that ``context`` names, the last of this process."""
        ...


class _Welcome(msgspec.Struct, frozen=True, array_like=True):
    """The reply to ``hello``, decoded in one go."""

    id: int
    context: AttemptContext | None = None
    error: str | None = None
    code: str | None = None


_welcome_decoder = msgspec.msgpack.Decoder(_Welcome)


class PipeSession(InstalledHooks):
    """The child's line to its supervisor: questions in turn, statements gathered until the next occasion to send.

    User threads may use it too. A process that user code forked may not: its words would mix with ours.
    """

    #: A process has one line at most, so one lock will do: made before the fork.
    _lock = threading.Lock()

    def __init__(self, sock: socket.SocketType) -> None:
        self.context: Mapping[str, Any] | None = None
        self._sock = sock
        self.fd = sock.fileno()
        self._unsent = bytearray()
        self._asked = 0
        #: The process whose line it is: that which made it, until another has said hello.
        self.owner = _getpid()

    def hello(self) -> AttemptContext | None:
        """Report for duty; None when there is nothing to do."""
        self.owner = _getpid()
        self._sock.sendall(frame(encode(Request(1, Hello(pid=self.owner)))))
        self._asked = 1
        try:
            payload = recv_frame(self._sock)
        except ConnectionError:
            return None
        return None if payload is None else _welcome_decoder.decode(payload).context

    def ask(self, verb: Verb) -> Any:
        """Send ``verb``, wait for its result and return it; what was told before is applied first."""
        with self._lock:
            self._check_owner()
            self._asked += 1
            self._unsent += frame(encode(Request(self._asked, verb)))
            self._send()
            payload = recv_frame(self._sock)
            if payload is None:
                msg = "the supervisor closed the connection of this attempt"
                raise ProtocolError(msg)
            reply = decode_reply(payload)
        if reply.error is not None:
            raise error_of(verb, reply.error, reply.code)
        return reply.result

    def tell(self, verb: Verb) -> None:
        """Send ``verb`` without waiting; results and rendered fields wait for company, anything else leaves at once."""
        with self._lock:
            self._check_owner()
            self._unsent += frame(encode(Request(0, verb)))
            if not isinstance(verb, XComSet | Rendered) or len(self._unsent) > _SEND_AT:
                self._send()

    def end(self, ending: Finish | Defer | Reschedule) -> None:
        """Send everything that is left, with the ending last."""
        last = frame(encode(Request(0, ending)))
        with self._lock:
            if self._unsent:
                self._unsent += last
                self._send()
            else:
                self._sock.sendall(last)

    def _send(self) -> None:
        data, self._unsent = self._unsent, bytearray()
        self._sock.sendall(data)

    def close(self) -> None:
        """Close the line in a process that is not its own: the zygote, once it has forked."""
        self._sock.close()

    def _check_owner(self) -> None:
        if os.getpid() != self.owner:
            msg = (
                "a process started by the task cannot use the task's connections, variables and XComs; "
                "read them before starting it and pass them on"
            )
            raise ContextUnavailable(msg)


def error_of(verb: Verb, text: str, code: str | None) -> WindlassError:
    """Return the exception that an error reply stands for."""
    if code == errors.NotFound.code:
        if isinstance(verb, GetConnection):
            return errors.ConnectionNotDefined(text)
        if isinstance(verb, Variable):
            return errors.VariableNotDefined(text)
    kind = _ERRORS.get(code or "", ProtocolError)
    return kind(text)


#: Error code -> the class at the top of its branch. The branch of signals is raised by user code only.
_ERRORS: dict[str, type[WindlassError]] = {
    kind.code: kind for kind in WindlassError.__subclasses__() if kind is not errors.TaskSignal
}


class RecordHandler(logging.Handler):
    """Writes each record to standard error as one line of JSON behind a record separator."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write ``record``; a record that cannot be formatted is reported by logging's own rules."""
        try:
            line: dict[str, Any] = {
                "ts": datetime.fromtimestamp(record.created, tz=UTC).isoformat(timespec="microseconds"),
                "level": record.levelname,
                "logger": record.name,
                "msg": record.getMessage(),
            }
            if record.exc_info:
                line["exc"] = logging.Formatter().formatException(record.exc_info)
            self.write(b"\x1e" + msgspec.json.encode(line) + b"\n")
        except Exception:  # noqa: BLE001 - logging never breaks the code that logs
            self.handleError(record)

    def write(self, data: bytes) -> None:
        """Write one line."""
        write_all(2, data)


def write_all(fd: int, data: bytes) -> None:
    """Write all of ``data`` to a blocking descriptor."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def open_text_output() -> None:
    """Have stdout and stderr written line by line, so that what a child prints comes in order, whatever the locale."""
    for name, fd in (("stdout", 1), ("stderr", 2)):
        stream = open(fd, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115 - for life
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def prepare_output(level: int = logging.INFO) -> None:
    """Set up text output and ``logging`` in the zygote, so that a child needs only to redirect the descriptors."""
    open_text_output()
    root = logging.getLogger()
    root.handlers[:] = [RecordHandler()]
    root.setLevel(level)
    logging.captureWarnings(capture=True)


def flush_output() -> None:
    """Write what is held in the text buffers; a closed stream has nothing."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            continue


def line(fd: int) -> socket.SocketType:
    """Return the child's end of its line; ``socket.socket`` would ask the kernel first what kind it is."""
    return socket.SocketType(_UNIX, _STREAM, 0, fd)


class Origin(NamedTuple):
    """What every child of a zygote takes over from it."""

    #: The zygote's pid; 0 if it becomes the task itself.
    zygote: int
    #: Its own line, which is not the child's.
    control: int
    #: Makes chance begin anew, where something needs to be told.
    reseed: Callable[[], object] | None
    dags: Mapping[str, Any]
    run: RunAttempt
    #: :meth:`limits.LeaseMark.set`
    set_mark: Callable[[bytes], None]


def become(
    origin: Origin, session: PipeSession, log: int, mark: bytes, first: int, end: int, scattered: Sequence[int] | None
) -> NoReturn:
    """Turn this process into the task's with this line, log and mark: never returns, and runs no code of the zygote.

    Of the descriptors that came, from ``first`` to before ``end`` or all those that are ``scattered``, only the line
    stays open. One function, since each that a child runs first is a page or two that it copies.
    """
    status = BROKEN
    try:
        zygote, control, reseed, dags, run, set_mark = origin
        if zygote:
            _die_with_parent(zygote)
            _setsid()
        if reseed is not None:
            reseed()
        _dup2(log, 1)
        _dup2(log, 2)
        _close(control)
        own = session.fd
        if scattered is None:  # as a rule they lie side by side: two calls instead of two for each other child
            _closerange(first, own)
            _closerange(own + 1, end)
        else:
            for fd in scattered:
                if fd != own:
                    _close(fd)
        _set_wakeup_fd(-1)
        _handle(_SIGCHLD, _DEFAULT)
        set_mark(mark)
        attend(dags, run, session)
        status = 0
    except BaseException:  # noqa: BLE001 - the last line of defence of a process that must not return
        write_all(2, traceback.format_exc().encode(errors="backslashreplace"))
    finally:
        _exit(status)


def attend(dags: Mapping[str, Any], run: RunAttempt, session: PipeSession) -> None:
    """Report for duty on ``session``, run what comes, and say how it ended. From then on SIGTERM is ignored."""
    context = session.hello()
    if context is None:
        return
    ending = _run(dags, run, context, session)
    if _getpid() != session.owner:  # a process that user code forked came back here: it may not speak for the task
        flush_output()
        os._exit(0 if isinstance(ending, Finish) and ending.outcome is Outcome.SUCCESS else 1)
    _handle(_SIGTERM, _IGNORE)
    flush_output()
    session.end(ending)


def _run(
    dags: Mapping[str, Any], run: RunAttempt, context: AttemptContext, session: PipeSession
) -> Finish | Defer | Reschedule:
    dag = dags.get(context.dag_id)
    started = time.time()
    if dag is None:
        known = ", ".join(sorted(dags)) or "none"
        reason = f"the file defined no DAG {context.dag_id!r} when it was imported to run it (it defined: {known})"
    else:
        try:
            return run(dag, context, session, last=True)
        except SystemExit as leaving:
            reason = f"it called sys.exit({leaving.code!r}), or was told to end"
        except BaseException as error:
            logging.getLogger("windlass").exception("the attempt ended with an error that was not user code's")
            reason = f"{type(error).__name__}: {error}"
    began = datetime.fromtimestamp(started, UTC)
    return Finish(outcome=Outcome.FAIL, started_at=began, ended_at=datetime.now(UTC), reason=reason)


def inherit_signals() -> None:
    """Handle signals in the zygote as its children shall, so that none of them has to set that up.

    SIGTERM unwinds user code; SIGINT is Python's own. A zygote itself gets neither: it is ended by closing its line.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _terminated)


def _terminated(number: int, _: FrameType | None) -> NoReturn:
    """Unwind user code, so that its ``finally`` blocks run before the grace is over."""
    raise SystemExit(128 + number)
