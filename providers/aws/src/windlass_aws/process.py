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
    process = subprocess.Popen(
        list(arguments),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    reader = threading.Thread(target=_read, args=(process, line), name="output", daemon=True)
    reader.start()
    try:
        return process.wait()
    finally:
        _end_group(process)
        reader.join(timeout=GRACE)  # a program that left the group may hold the pipe


def _read(process: subprocess.Popen[bytes], line: Callable[[str], object]) -> None:
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    with process.stdout as output:
        while raw := output.readline(_LONGEST_LINE):
            line(raw.decode(errors="backslashreplace").rstrip())


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
