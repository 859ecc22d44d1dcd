"""Who runs at this moment: the cell that names the trigger whose code has the loop, and the watch over it.

The loop of a trigger host belongs to all triggers in turn. Each step of a trigger's coroutines writes the key of its
wait into the cell and takes it out again, which costs less than a microsecond. The cell is memory shared with the
supervisor, so the name outlives the process; and a thread looks at it once a second, to say which trigger has not
given way for how long, and at which line it stands.
"""

from __future__ import annotations

import asyncio
import mmap
import struct
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Generator
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import Any

import windlass
from windlass.protocol.triggering import CELL, WaitKey

#: The wait on whose behalf code runs, also in threads and tasks that a trigger starts.
current_wait: ContextVar[WaitKey | None] = ContextVar("windlass_wait", default=None)

_KEY = struct.Struct("<qq")
_NOBODY = _KEY.pack(0, 0)
#: Seconds between two looks, and without giving way that are too many.
_LOOK = 1.0
_OURS = str(Path(windlass.__file__).parent) + "/"


class Cell:
    """The shared memory, and since when it has named the same step."""

    def __init__(self, fd: int) -> None:
        self._memory = mmap.mmap(fd, CELL)
        self.key: WaitKey | None = None
        self.since = 0.0

    def enter(self, key: WaitKey) -> None:
        """Note that code of this wait runs from now on."""
        self._memory[:CELL] = _KEY.pack(*key)
        self.since = time.monotonic()
        self.key = key

    def leave(self) -> None:
        """Note that it has given way."""
        self.key = None
        self._memory[:CELL] = _NOBODY


class Stepped(Coroutine[Any, Any, Any]):
    """A coroutine whose every step is noted in the cell."""

    __slots__ = ("_cell", "_key", "_steps")

    def __init__(self, steps: Coroutine[Any, Any, Any], key: WaitKey, cell: Cell) -> None:
        self._steps = steps
        self._key = key
        self._cell = cell

    def send(self, value: Any) -> Any:  # noqa: ANN401 - passed on
        """Take the next step."""
        return self._noted(self._steps.send, value)

    def throw(
        self,
        kind: Any,  # noqa: ANN401 - as in Coroutine
        value: Any = None,  # noqa: ANN401
        traceback: TracebackType | None = None,
    ) -> Any:  # noqa: ANN401
        """Take the next step with an exception."""
        return self._noted(self._steps.throw, kind if value is None else value)

    def _noted(self, step: Callable[[Any], Any], argument: Any) -> Any:  # noqa: ANN401 - passed on
        self._cell.enter(self._key)
        try:
            result = step(argument)
        except (SystemExit, KeyboardInterrupt):
            raise  # it ends the process: its name stays in the cell
        except BaseException:
            self._cell.leave()
            raise
        self._cell.leave()
        return result

    def close(self) -> None:
        """End it."""
        self._steps.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._steps.__await__()


def task_factory(cell: Cell) -> Callable[..., asyncio.Task[Any]]:
    """Return a factory of tasks, under which those that a trigger starts count as the trigger's own."""

    def make(loop: asyncio.AbstractEventLoop, steps: Any, **options: Any) -> asyncio.Task[Any]:  # noqa: ANN401 - passed on
        key = current_wait.get()
        return asyncio.Task(steps if key is None else Stepped(steps, key, cell), loop=loop, **options)

    return make


class Watch(threading.Thread):
    """Looks at the cell from outside the loop; ``report`` gets the key, the seconds and the place."""

    def __init__(self, cell: Cell, busy: Callable[[], bool], report: Callable[[WaitKey, float, str], None]) -> None:
        super().__init__(name="watch", daemon=True)
        self._cell = cell
        #: Whether there is anything to watch: an idle host sleeps.
        self._busy = busy
        self._report = report
        self._main = threading.main_thread().ident or 0
        self.wake = threading.Event()

    def run(self) -> None:
        """Look once a second while there are triggers."""
        while True:
            if not self._busy():
                self.wake.wait()
            self.wake.clear()
            time.sleep(_LOOK)
            self.look()

    def look(self) -> None:
        """Report a step that takes too long."""
        key, since = self._cell.key, self._cell.since
        seconds = time.monotonic() - since
        if key is not None and seconds > _LOOK:
            where = place(self._main)
            if self._cell.key == key and self._cell.since == since:
                self._report(key, seconds, where)


def place(thread: int) -> str:
    """Return ``file:line`` of the innermost line of the author's that a thread stands at; "" if there is none."""
    frame = sys._current_frames().get(thread)  # noqa: SLF001 - there is no other way to look at a thread
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith((_OURS, "<frozen")):
            return f"{file}:{frame.f_lineno}"
        frame = frame.f_back
    return ""
