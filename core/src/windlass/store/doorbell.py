"""The doorbell: what wakes the scheduler when somebody has committed work for it.

On one host that is a datagram socket in the home that the scheduler listens at and everybody else pokes. A database
that tells every host of commits by itself has a listener, which its provider brings; then the socket only wakes the
scheduler for what happens to its own process.

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

from windlass.interfaces.database import Listener
from windlass.store.dialect import scheme_of

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


class JoinedBell:
    """The scheduler's side of both doorbells: it waits for whichever rings first."""

    def __init__(self, local: DatagramBell, listener: Listener) -> None:
        self._local = local
        self._listener = listener

    def ring(self) -> None:
        """Wake this process. Never blocks and never fails."""
        self._local.ring()

    def wait(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds for a ring and swallow all that have come."""
        deadline = time.monotonic() + timeout
        while True:
            # Both are asked, so that neither keeps a ring for the next time.
            if self._listener.heard() | self._local.wait(0.0):
                return True
            sockets = [fd for fd in (self._local.fileno(), self._listener.fileno()) if fd >= 0]
            if not select.select(sockets, [], [], max(0.0, deadline - time.monotonic()))[0]:
                return False

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()
        self._local.close()


def listening_bell(path: Path, url: str) -> DatagramBell | JoinedBell:
    """Return what the scheduler of the home with the socket ``path`` and the database at ``url`` waits at."""
    local = DatagramBell(path, listen=True)
    scheme = scheme_of(url)
    if scheme == "sqlite":
        return local
    from windlass.registry import registry

    if registry().find("doorbells", scheme) is None:
        return local  # then it looks once a second
    return JoinedBell(local, registry().lookup("doorbells", scheme)(url))
