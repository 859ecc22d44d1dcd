"""The doorbell on one host: a datagram socket in the home that the scheduler listens at and everybody else pokes.

A ring carries nothing; what happened stands in the signal table. The socket file is readable and writable by its owner
only. Ringing never blocks: with nobody there, or a full queue, the ring is dropped, and a listener that missed one
looks by itself once a second.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from pathlib import Path
from typing import Final

_RING: Final = b"!"


class DatagramBell:
    """Implements :class:`windlass.ports.Doorbell`; with ``listen`` it is the side that waits."""

    def __init__(self, path: Path, *, listen: bool = False) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)
        self._listens = listen
        if listen:
            self._bind()

    def _bind(self) -> None:
        """Take the address over from a dead listener; a process in mid-ring loses only that ring."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        before = os.umask(0o177)
        try:
            self._socket.bind(str(self._path))
        finally:
            os.umask(before)

    def fileno(self) -> int:
        """Return the socket, for a selector."""
        return self._socket.fileno()

    def ring(self) -> None:
        """Wake whoever waits. Never blocks and never fails."""
        with contextlib.suppress(OSError):
            self._socket.sendto(_RING, str(self._path))

    def wait(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds for a ring and swallow all that have come."""
        deadline = time.monotonic() + timeout
        while True:
            ready, _, _ = select.select([self._socket], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                return False
            if self._drain():
                return True

    def _drain(self) -> bool:
        rung = False
        while True:
            try:
                self._socket.recv(16)
            except BlockingIOError:
                return rung
            rung = True

    def close(self) -> None:
        """Stop listening and remove the address."""
        if self._listens:
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()
        self._socket.close()
