"""A counting way to a server: how often a client waits for an answer, seen on the wire.

Whatever a client sends before it has heard back is one trip, however many statements that are. So the count says what a
slow network will cost, and does not depend on the machine.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

_CHUNK = 65536


class Trips:
    """What :func:`counting_trips` counts."""

    def __init__(self, url: str) -> None:
        #: Leads to the server by way of the counter.
        self.url = url
        #: So far, over all connections.
        self.count = 0


@contextmanager
def counting_trips(url: str) -> Iterator[Trips]:
    """Stand between clients and the server of a database's ``url``, and count their trips."""
    parts = urlsplit(url)
    if parts.hostname is None or parts.port is None:
        msg = f"the URL of the {parts.scheme} database names no host and port to stand in for"
        raise ValueError(msg)
    server = parts.hostname, parts.port
    with socket.create_server(("127.0.0.1", 0)) as listener:
        here = f"127.0.0.1:{listener.getsockname()[1]}"
        trips = Trips(url.replace(f"{parts.hostname}:{parts.port}", here))
        threading.Thread(target=_accept, args=(listener, server, trips), daemon=True).start()
        try:
            yield trips
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # wakes who accepts


def _accept(listener: socket.socket, server: tuple[str, int], trips: Trips) -> None:
    with contextlib.suppress(OSError):  # the listener is closed
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_carry, args=(client, server, trips), daemon=True).start()


def _carry(client: socket.socket, server: tuple[str, int], trips: Trips) -> None:
    """Carry bytes both ways until one side ends."""
    with client, socket.create_connection(server) as there, selectors.DefaultSelector() as selector:
        for side, other in ((client, there), (there, client)):
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(side, selectors.EVENT_READ, other)
        heard_back = True
        with contextlib.suppress(OSError):
            while True:
                for key, _ in selector.select():
                    side = client if key.fileobj is client else there
                    data = side.recv(_CHUNK)
                    if not data:
                        return
                    if side is client and heard_back:
                        trips.count += 1
                    heard_back = side is there
                    key.data.sendall(data)
