"""Runs one program to its end, with everything that it started.

The program leads a process group of its own. Whatever ends the call (its end, an exception, the SIGTERM of a cancelled
task) ends the group, so nothing that it left behind outlives the task or keeps the log open.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

#: Seconds between SIGTERM and SIGKILL; less than what a supervisor grants the whole attempt.
GRACE = 3.0
_LONGEST_LINE = 1 << 16


def run(arguments: Sequence[str], line: Callable[[str], object]) -> int:
    """Run a program and return its exit code, negative for a signal; ``line`` gets its output line by line.

    :raises OSError: if it cannot be started.
    """
    program = _Program(arguments, line)
    # A thread starts it, where no signal raises: in the midst of a start nobody would know the process yet.
    thread = threading.Thread(target=program.follow, name="output", daemon=True)
    try:
        thread.start()
        program.started.wait()
        if program.failure is not None:
            raise program.failure
        return program.process.wait()
    finally:
        if program.started.wait(GRACE) and program.failure is None:
            _end_group(program.process)
            thread.join(timeout=GRACE)  # a process that left the group may hold the pipe


class _Program:
    """One run of a program, as the thread sees it that starts it and reads its output."""

    process: subprocess.Popen[bytes]

    def __init__(self, arguments: Sequence[str], line: Callable[[str], object]) -> None:
        self._arguments = list(arguments)
        self._line = line
        self.failure: OSError | None = None
        #: Set once there is a process, or a failure.
        self.started = threading.Event()

    def follow(self) -> None:
        try:
            self.process = subprocess.Popen(
                self._arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            self.failure = error
            return
        finally:
            self.started.set()
        assert self.process.stdout is not None  # noqa: S101 - it is a pipe
        with self.process.stdout as output:
            while raw := output.readline(_LONGEST_LINE):
                self._line(raw.decode(errors="backslashreplace").rstrip())


def _end_group(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        _signal_group(process, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
    _signal_group(process, signal.SIGKILL)
    process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
