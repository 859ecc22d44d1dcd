"""``exec``: another command beside a running container, its streams on one WebSocket."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from typing import IO

from windlass_testing.fakes.kubernetes.containers import Container
from windlass_testing.fakes.kubernetes.faults import Fault
from windlass_testing.fakes.kubernetes.mounts import relocate
from windlass_testing.fakes.kubernetes.requests import Cut, Request
from windlass_testing.fakes.kubernetes.websocket import CLOSE, STDERR, STDIN, STDOUT, Channels

_CHUNK = 1 << 15


def execute(container: Container, request: Request, channels: Channels, fault: Fault | None) -> None:
    """Run the command of a request in a container's folder and environment, until it ends or the client leaves.

    :raises Cut: after ``fault.after`` pieces of output.
    """
    command = [relocate(part, container.paths) for part in request.query.get("command", [])]
    try:
        process = subprocess.Popen(
            command,
            cwd=container.home,
            env=container.env,
            stdin=subprocess.PIPE if request.flag("stdin") else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        text = f'exec failed: starting container process caused: exec: "{command[0]}": {error.strerror}'
        channels.fail(text, 126)
        channels.close()
        return
    sent = _Sent(None if fault is None else fault.after)
    readers = [
        threading.Thread(target=_pump, args=(stream, channel, channels, sent, process), daemon=True)
        for stream, channel in ((process.stdout, STDOUT), (process.stderr, STDERR))
    ]
    for reader in readers:
        reader.start()
    threading.Thread(target=_feed, args=(process, channels), daemon=True).start()
    for reader in readers:
        reader.join()
    code = process.wait()
    if sent.is_cut:
        raise Cut
    with contextlib.suppress(OSError):
        if code == 0:
            channels.succeed()
        else:
            code = code if code > 0 else 128 - code
            channels.fail(f"command terminated with non-zero exit code: exit status {code}", code)
        channels.close()


class _Sent:
    """Counts the pieces of output, to cut the connection after so many."""

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self.count = 0
        self.is_cut = False


def _pump(
    stream: IO[bytes] | None, channel: int, channels: Channels, sent: _Sent, process: subprocess.Popen[bytes]
) -> None:
    assert stream is not None  # noqa: S101 - it is a pipe
    with stream:
        while data := os.read(stream.fileno(), _CHUNK):
            if sent.limit is not None and sent.count >= sent.limit:
                sent.is_cut = True
                _end(process)
                return
            sent.count += 1
            try:
                channels.send(channel, data)
            except OSError:
                _end(process)
                return


def _feed(process: subprocess.Popen[bytes], channels: Channels) -> None:
    """Give the process what the client sends; when the client leaves, the process ends."""
    with contextlib.suppress(OSError, ValueError):
        for channel, data in channels.receive():
            if process.stdin is None:
                continue
            if channel == STDIN and data:
                process.stdin.write(data)
                process.stdin.flush()
            elif channel == CLOSE:
                process.stdin.close()
    if process.poll() is None:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
