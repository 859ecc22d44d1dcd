"""Runs one Bash command: its environment, its output line by line, and its end, with everything it started.

Bash leads a process group of its own. Whatever ends the call (an exit, an exception, the SIGTERM of a cancelled task)
ends the group: nothing that the command left in the background outlives its task, and nothing of that kind can keep
the task waiting, since the end of Bash itself is what is waited for, not the end of its output.

What has left the group, with ``setsid`` say, is known by a mark in its environment. A supervisor looks for its own;
where there is none, as in ``dag.test()``, the processes of a command get one here, and are looked for here.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final
from uuid import uuid4

#: Marks every process of an attempt, so that none of them is ever lost sight of.
LEASE_VARIABLE: Final = "WINDLASS_LEASE_ID"
#: An argument of a program has at most 128 KiB; a longer command is run from a file.
_LONGEST_ARGUMENT = 100_000
#: Between SIGTERM and SIGKILL; less than what a supervisor grants the whole attempt.
_GRACE = 3.0
_CHUNK = 1 << 16
#: More than a pipe can hold.
_DRAIN = 1 << 17


class BashCommandFailed(Exception):
    """The command ended with ``exit_code``; a negative one is the signal that ended it."""

    def __init__(self, exit_code: int) -> None:
        how = f"exit code {exit_code}" if exit_code >= 0 else f"signal {-exit_code} ({signal.Signals(-exit_code).name})"
        super().__init__(f"bash ended with {how}; its output above says why")
        self.exit_code = exit_code


def environment(
    given: Mapping[str, str] | None, *, append: bool, context: Mapping[str, str], inherited: Mapping[str, str]
) -> dict[str, str]:
    """Return the environment of a command.

    Args:
        given: replaces ``inherited``, or is added to it with ``append``; None leaves it.
        append: see ``given``.
        context: names what runs; ``given`` wins over it.
        inherited: this process's. Its lease is always passed on, so that the supervisor finds what is left behind.
    """
    base = dict(inherited) if given is None or append else {}
    merged = base | dict(context) | dict(given or {})
    if LEASE_VARIABLE in inherited:
        merged[LEASE_VARIABLE] = inherited[LEASE_VARIABLE]
    return merged


def run(command: str, *, env: Mapping[str, str], cwd: str | None, line: Callable[[bytes], object]) -> int:
    """Run ``command`` and return its exit code, negative for a signal; ``line`` is called with each line of output.

    Without ``cwd`` it runs in a folder of its own that is removed afterwards.

    :raises FileNotFoundError: if ``cwd`` or bash is not there.
    :raises NotADirectoryError: if ``cwd`` is a file.
    """
    with contextlib.ExitStack() as stack:
        if cwd is None:
            cwd = stack.enter_context(tempfile.TemporaryDirectory(prefix="windlass-bash-", ignore_cleanup_errors=True))
        arguments = ["bash", "-c", command]
        if len(command.encode("utf-8", "surrogateescape")) > _LONGEST_ARGUMENT:
            script = stack.enter_context(tempfile.NamedTemporaryFile("w", prefix="windlass-", suffix=".sh"))
            script.write(command)
            script.flush()
            arguments = ["bash", script.name]
        mark = None if LEASE_VARIABLE in os.environ else f"bash.{uuid4().hex}"
        process: subprocess.Popen[bytes] | None = None
        graceful = True
        try:
            with _cancelled_afterwards():
                process = subprocess.Popen(
                    arguments,
                    env={**env, LEASE_VARIABLE: mark} if mark is not None else dict(env),
                    cwd=cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            for text in _lines(process):
                line(text)
            graceful = False
            return process.wait()
        finally:
            if process is not None:
                _end(process, mark, graceful=graceful)


@contextlib.contextmanager
def _cancelled_afterwards() -> Iterator[None]:
    """Keep a SIGTERM that comes during the block until it is over.

    Bash may run already while its start is still going on here. An exception in that moment would leave it behind,
    because nobody knew its process yet.
    """
    if threading.current_thread() is not threading.main_thread():  # only there do handlers run
        yield
        return
    came: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)
        if came:
            signal.raise_signal(signal.SIGTERM)


def _lines(process: subprocess.Popen[bytes]) -> Iterator[bytes]:
    """Yield the lines of output until bash has ended and everything written by then is read."""
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    output = process.stdout.fileno()
    os.set_blocking(output, False)
    buffer = b""
    # What was written before the end is in the pipe; what a background process goes on writing is not waited for.
    remaining = _DRAIN
    while remaining > 0:
        ended = _wait(process, output)
        try:
            data = os.read(output, _CHUNK)
        except BlockingIOError:
            if ended:
                break
            continue
        if not data:
            break
        *whole, buffer = (buffer + data).split(b"\n")
        yield from whole
        if ended:
            remaining -= len(data)
    if buffer:
        yield buffer


def _wait(process: subprocess.Popen[bytes], output: int) -> bool:
    """Wait for output or the end of bash; return whether it has ended."""
    if hasattr(os, "pidfd_open"):
        # waitid with WNOWAIT leaves the exit status for Popen, which also keeps the pid from being used again.
        descriptor = os.pidfd_open(process.pid)
        try:
            ready, _, _ = select.select([output, descriptor], [], [])
        finally:
            os.close(descriptor)
        return descriptor in ready
    while not select.select([output], [], [], 0.1)[0]:
        if process.poll() is not None:
            return True
    return process.poll() is not None


def _end(process: subprocess.Popen[bytes], mark: str | None, *, graceful: bool) -> None:
    """End every process of bash's group or with ``mark``; ``graceful`` asks first and waits a little."""
    if graceful and process.returncode is None:
        _signal_group(process, signal.SIGTERM)
        _signal_marked(mark, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
    _signal_group(process, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + _GRACE
    while _signal_marked(mark, signal.SIGKILL) and time.monotonic() < deadline:  # one may have forked before it died
        time.sleep(0.01)
    if process.stdout is not None:
        process.stdout.close()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _signal_marked(mark: str | None, number: signal.Signals) -> bool:
    """Signal every process that has ``mark`` in its environment, and return whether there was one.

    Without ``/proc``, on macOS, there is no telling.
    """
    if mark is None:
        return False
    wanted = f"{LEASE_VARIABLE}={mark}".encode()
    found = False
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended in between, or is somebody else's
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                os.kill(int(folder.name), number)
                found = True
    return found
