"""The trigger host: one process, one loop, many waiting triggers.

It talks to its supervisor over a socketpair (``protocol.triggering``). A thread reads, so that a trigger may ask for a
connection with the ordinary hooks, inside the loop or in a thread of its own; everything else happens in the loop. The
host keeps nothing that matters: if it dies it is started again, and told again what to run.

What a trigger prints and logs goes to the log of its task.
"""

# ruff: noqa: ANN401 - answers are JSON
from __future__ import annotations

import asyncio
import io
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

from windlass.errors import ProtocolError, WindlassError
from windlass.ports import session_scope
from windlass.protocol import Verb, recv_frame
from windlass.protocol import triggering as messages
from windlass.protocol.triggering import WaitKey
from windlass.runtime import child, limits, loader
from windlass.runtime.installed import InstalledHooks
from windlass.runtime.trace import user_traceback
from windlass.runtime.trigger_run import TriggerFailed, first_event
from windlass.runtime.trigger_watch import Cell, Stepped, Watch, current_wait, task_factory

_log = logging.getLogger(__name__)


class Line:
    """The socket to the supervisor, for the loop and for threads."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._writing = threading.Lock()
        self._asking = threading.Lock()
        self._asked = 0
        self._answers: dict[int, Any] = {}

    def send(self, message: messages.FromHost) -> None:
        """Say something."""
        data = messages.pack(message)
        with self._writing:
            self._sock.sendall(data)

    def ask(self, verb: Verb, key: WaitKey | None) -> Any:
        """Ask something and wait for the answer.

        :raises WindlassError: the error that the supervisor answered with.
        """
        answered = threading.Event()
        with self._asking:
            self._asked += 1
            number = self._asked
            self._answers[number] = answered
        self.send(messages.Question(id=number, key=key, verb=verb))
        answered.wait()
        told: messages.Told = self._answers.pop(number)
        if told.error is not None:
            raise child.error_of(verb, told.error, told.code)
        return told.result

    def read(self, take: Callable[[messages.ToHost], None]) -> None:
        """Take what the supervisor says until it closes the line, then leave."""
        try:
            while (payload := recv_frame(self._sock)) is not None:
                message = messages.to_host(payload)
                if isinstance(message, messages.Told):
                    answered = self._answers.get(message.id)
                    self._answers[message.id] = message
                    if answered is not None:
                        answered.set()
                else:
                    take(message)
        except OSError:
            pass  # the supervisor is gone
        os._exit(0)


class HostSession(InstalledHooks):
    """The session of a trigger, or (without a key) of the DAG file while it is imported."""

    context: Mapping[str, Any] | None = None

    def __init__(self, line: Line, key: WaitKey | None = None) -> None:
        self._line = line
        self._key = key

    def ask(self, verb: Verb) -> Any:
        """Ask the supervisor."""
        return self._line.ask(verb, self._key)

    def tell(self, verb: Verb) -> None:
        """Ask and forget the answer."""
        self.ask(verb)


class Host:
    """The loop and what runs in it."""

    def __init__(self, sock: socket.socket, cell: Cell) -> None:
        self._line = Line(sock)
        self._cell = cell
        self._tasks: dict[WaitKey, asyncio.Task[None]] = {}
        self._loop = asyncio.new_event_loop()
        self._loop.set_task_factory(task_factory(cell))
        self._watch = Watch(cell, lambda: bool(self._tasks), self._on_blocked)
        self._opening: messages.Open | None = None
        self._opened = threading.Event()

    def run(self) -> int:
        """Open the code, then serve until the supervisor closes the line."""
        threading.Thread(target=self._line.read, args=(self._take,), name="line", daemon=True).start()
        self._opened.wait()
        if self._opening is None or not self._open(self._opening):
            return 1
        self._watch.start()
        self._line.send(messages.Opened())
        self._loop.run_forever()
        return 0

    def _open(self, order: messages.Open) -> bool:
        logging.getLogger().setLevel(order.log_level)
        if not order.code_version:
            return True
        try:
            with session_scope(HostSession(self._line)):
                loader.load_snapshot(Path(order.code), order.code_version, order.file)
        except WindlassError as error:
            self._line.send(messages.Unopenable(error=f"{type(error).__name__}: {error}"))
        except BaseException as error:  # noqa: BLE001 - SystemExit at the top level of a file is an error in that file
            self._line.send(messages.Unopenable(error=user_traceback(error)[-_LONGEST_ERROR:]))
        else:
            return True
        return False

    # --- In the thread that reads

    def _take(self, message: messages.ToHost) -> None:
        match message:
            case messages.Open():
                self._opening = message
                self._opened.set()
            case messages.Begin():
                self._loop.call_soon_threadsafe(self._begin, message)
            case messages.End(key=key):
                self._loop.call_soon_threadsafe(self._end, key)
            case messages.Ping(number=number):
                self._loop.call_soon_threadsafe(self._line.send, messages.Pong(number=number))
            case messages.Told():
                pass  # the line's own

    # --- In the loop

    def _begin(self, order: messages.Begin) -> None:
        if order.key in self._tasks:
            return
        # Not through the factory: the step that makes the task is the host's, those of the task are the trigger's.
        steps = Stepped(self._wait(order), order.key, self._cell)
        self._tasks[order.key] = asyncio.Task(steps, loop=self._loop, name=order.name)
        self._watch.wake.set()

    async def _wait(self, order: messages.Begin) -> None:
        key = order.key
        current_wait.set(key)
        said: messages.Event | messages.Failure | None = None
        try:
            value = await first_event(order.trigger, order.kwargs, HostSession(self._line, key))
            said = messages.Event(key=key, value=value)
        except TriggerFailed as error:
            said = messages.Failure(key=key, reason=str(error))
        except asyncio.CancelledError:
            if key in self._tasks:  # nobody has ended it: the trigger has cancelled itself
                said = messages.Failure(
                    key=key, reason=f"its trigger {messages.shown(order.trigger)} was cancelled by its own code"
                )
        finally:
            self._tasks.pop(key, None)
            sys.stdout.flush()
            sys.stderr.flush()
        if said is not None:
            self._line.send(said)

    def _end(self, key: WaitKey) -> None:
        task = self._tasks.pop(key, None)
        if task is not None:
            task.cancel()

    # --- In the thread that watches

    def _on_blocked(self, key: WaitKey, seconds: float, where: str) -> None:
        self._line.send(messages.Blocked(key=key, seconds=seconds, where=where))

    # --- What triggers write

    def redirect(self) -> None:
        """Have what triggers print and log go to the logs of their tasks."""
        sys.stdout = TriggerOutput(self._line, sys.stdout)
        sys.stderr = TriggerOutput(self._line, sys.stderr)
        logging.getLogger().handlers[:] = [TriggerLogs(self._line)]


#: Characters of an import error that are sent.
_LONGEST_ERROR = 64 << 10


class TriggerLogs(child.RecordHandler):
    """Sends each record to the log of the task on whose behalf it was made; others go where a child's would."""

    def __init__(self, line: Line) -> None:
        super().__init__()
        self._line = line

    def write(self, data: bytes) -> None:
        """Send a record."""
        key = current_wait.get()
        if key is None:
            super().write(data)
        else:
            self._line.send(messages.Output(key=key, data=data))


class TriggerOutput(io.TextIOBase):
    """Standard output or error, cut into lines that each belong to a trigger, or to the host itself."""

    def __init__(self, line: Line, own: TextIO) -> None:
        super().__init__()
        self._line = line
        self._own = own
        self._started: dict[WaitKey, str] = {}

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, text: str) -> int:
        """Write whole lines; what has no end yet waits for it."""
        key = current_wait.get()
        if key is None:
            return self._own.write(text)
        lines, newline, rest = (self._started.pop(key, "") + text).rpartition("\n")
        if rest:
            self._started[key] = rest
        if newline:
            self._send(key, lines + newline)
        return len(text)

    def flush(self) -> None:
        """Write what the trigger has begun."""
        key = current_wait.get()
        if key is None:
            self._own.flush()
        elif key in self._started:
            self._send(key, self._started.pop(key) + "\n")

    def _send(self, key: WaitKey, text: str) -> None:
        self._line.send(messages.Output(key=key, data=text.encode(errors="backslashreplace")))


def main(sock: int, cell: int, parent: int) -> int:
    """Run a trigger host on the inherited socket until its supervisor ``parent`` is done with it."""
    limits.die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    child.prepare_output()
    host = Host(socket.socket(fileno=sock), Cell(cell))
    host.redirect()
    try:
        return host.run()
    except (BrokenPipeError, ConnectionResetError):
        return 0  # the supervisor is gone
    except ProtocolError:
        _log.exception("the trigger host cannot go on")
        return child.BROKEN
