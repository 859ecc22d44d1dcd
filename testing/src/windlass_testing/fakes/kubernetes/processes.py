"""One run of a container as a local process: its log, its memory, its end."""

from __future__ import annotations

import bisect
import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

_CHUNK: Final = 1 << 16
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
#: How often a container with a memory limit is looked at.
_LOOK: Final = 0.01
#: How many lines a reader gets at once, and how often it is asked whether it is still there.
_BATCH: Final = 1000
_PATIENCE: Final = 0.5


def stamp(nanoseconds: int) -> str:
    """Return an instant as logs and statuses have it, to the nanosecond."""
    second, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{datetime.fromtimestamp(second, tz=UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


class Log:
    """The lines that a container wrote, each with its instant; readers may wait for more."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._times: list[int] = []
        self._lines: list[bytes] = []
        self._ended = False

    def append(self, lines: Sequence[bytes]) -> None:
        """Take lines in, as written now."""
        with self._changed:
            for line in lines:
                last = self._times[-1] if self._times else 0
                self._times.append(max(time.time_ns(), last))
                self._lines.append(line)
            self._changed.notify_all()

    def end(self) -> None:
        """Say that nothing more will come."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def read(
        self,
        *,
        since: int = 0,
        tail: int | None = None,
        follow: bool = False,
        is_alive: Callable[[], bool] = lambda: True,
    ) -> Iterator[list[tuple[int, bytes]]]:
        """Yield batches of (instant, line) from ``since`` on, at most the last ``tail`` of what is there.

        With ``follow`` it waits for more, until the container has ended or the reader is no longer alive.
        """
        with self._changed:
            at = bisect.bisect_left(self._times, since)
            if tail is not None:
                at = max(at, len(self._times) - tail)
        while True:
            with self._changed:
                while follow and at >= len(self._lines) and not self._ended and is_alive():
                    self._changed.wait(_PATIENCE)
                batch = list(zip(self._times[at : at + _BATCH], self._lines[at : at + _BATCH], strict=True))
                at += len(batch)
                done = (self._ended or not follow or not is_alive()) and at >= len(self._lines)
            if batch:
                yield batch
            if done:
                return


class Process:
    """A container that runs. It leads a process group of its own, and its end is the end of the whole group."""

    def __init__(
        self, arguments: Sequence[str], env: Mapping[str, str], folder: Path, memory: int | None, log: Log
    ) -> None:
        """Start it.

        :raises OSError: if there is no such program, or it cannot be run.
        """
        self.log = log
        self.started = time.time_ns()
        self.was_out_of_memory = False
        self._popen = subprocess.Popen(
            list(arguments),
            env=dict(env),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, name="container-log", daemon=True)
        self._reader.start()
        if memory is not None:
            threading.Thread(target=self._watch_memory, args=(memory,), name="container-memory", daemon=True).start()

    @property
    def pid(self) -> int:
        """The process's number, also its group's."""
        return self._popen.pid

    def wait(self, timeout: float | None = None) -> int | None:
        """Return the exit code (128 and more for a signal) when the process has ended, None if it has not by then."""
        try:
            code = self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        self._signal(signal.SIGKILL)  # what it left behind goes with its container
        self._reader.join()
        return code if code >= 0 else 128 - code

    def terminate(self) -> None:
        """Ask it to end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, number)

    def _read(self) -> None:
        assert self._popen.stdout is not None  # noqa: S101 - it is a pipe
        rest = b""
        with self._popen.stdout as output:
            while data := os.read(output.fileno(), _CHUNK):
                *whole, rest = (rest + data).split(b"\n")
                self.log.append(whole)
        if rest:
            self.log.append([rest])

    def _watch_memory(self, limit: int) -> None:
        while self._popen.poll() is None:
            if resident(self._popen.pid) > limit:
                self.was_out_of_memory = True
                self.kill()
                return
            time.sleep(_LOOK)


def resident(group: int) -> int:
    """Return how many bytes of memory the processes of a group hold."""
    total = 0
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        if int(fields[2]) == group:
            total += int(fields[21]) * _PAGE
    return total
