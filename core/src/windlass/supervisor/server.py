"""The supervisor's front door: the unix socket through which servers give their orders.

Only processes of the same user may speak, and only after a handshake in which the versions agree. A server that goes
away changes nothing: the attempts go on, and the next server finds the same supervisor.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path

from windlass.errors import ProtocolError
from windlass.protocol import FrameReader, frame
from windlass.supervisor import wire
from windlass.supervisor.reactor import Reactor

_CHUNK = 64 << 10

Obey = Callable[[wire.Order], wire.Answer | None]


class Server:
    """Listens on the socket and passes orders on."""

    def __init__(
        self, path: Path, reactor: Reactor, welcome: wire.Welcome, obey: Obey, on_greeted: Callable[[], None]
    ) -> None:
        self._on_greeted = on_greeted
        self._path = path
        self._reactor = reactor
        self._welcome = welcome
        self._obey = obey
        self._connections: set[_Connection] = set()
        # The lock is ours, so whoever made this file is dead.
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        umask = os.umask(0o177)
        try:
            self._listener.bind(str(path))
        finally:
            os.umask(umask)
        self._listener.listen(16)
        self._listener.setblocking(False)
        reactor.watch(self._listener.fileno(), self._accept)

    def close(self) -> None:
        """Stop listening and close every connection."""
        self._reactor.unwatch(self._listener.fileno())
        self._listener.close()
        self._path.unlink(missing_ok=True)
        for connection in list(self._connections):
            connection.close()

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return  # it went away before it was accepted
        if _user_of(sock) not in (os.getuid(), None):
            sock.close()
            return
        self._connections.add(_Connection(sock, self._reactor, self._answer, self._connections.discard))

    def _answer(self, connection: _Connection, order: wire.Order) -> wire.Answer | None:
        if isinstance(order, wire.Greeting):
            if (order.version, order.wire) != (self._welcome.version, wire.WIRE_VERSION):
                reason = (
                    f"the supervisor is of version {self._welcome.version} (wire {wire.WIRE_VERSION}), the server of "
                    f"{order.version} (wire {order.wire}); end the old supervisor with `kill {self._welcome.pid}` (its "
                    "tasks are stopped, and run again), then start the server again"
                )
                return wire.Refused(reason=reason)
            connection.greeted = True
            self._on_greeted()
            return self._welcome
        if not connection.greeted:
            return wire.Refused(reason="the first message must be a greeting")
        return self._obey(order)


class _Connection:
    """One server's end of the line."""

    def __init__(
        self,
        sock: socket.socket,
        reactor: Reactor,
        answer: Callable[[_Connection, wire.Order], wire.Answer | None],
        closed: Callable[[_Connection], None],
    ) -> None:
        self.greeted = False
        self._sock = sock
        self._reactor = reactor
        self._answer = answer
        self._closed = closed
        self._frames = FrameReader()
        self._open = True
        sock.setblocking(False)
        reactor.watch(sock.fileno(), self._read)

    def close(self) -> None:
        """Hang up."""
        if self._open:
            self._open = False
            self._reactor.unwatch(self._sock.fileno())
            self._sock.close()
            self._closed(self)

    def _read(self) -> None:
        try:
            data = self._sock.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        try:
            for payload in self._frames.feed(data):
                self._take(payload)
        except ProtocolError as error:
            self._say(wire.Refused(reason=str(error)))
            self.close()

    def _take(self, payload: bytes) -> None:
        if not self._open:
            return
        answer = self._answer(self, wire.order(payload))
        if answer is not None:
            self._say(answer)
        if isinstance(answer, wire.Refused):
            self.close()

    def _say(self, answer: wire.Answer) -> None:
        # Answers are small and rare: one that does not fit into an empty socket buffer has no reader.
        with contextlib.suppress(OSError):
            self._sock.send(frame(wire.pack(answer)))


def _user_of(sock: socket.socket) -> int | None:
    """Return the user id of the process at the other end, None where the system does not tell."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, user, _ = struct.unpack("3i", credentials)
    return int(user)
