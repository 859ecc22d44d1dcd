"""A supervisor's front door, behind which orders are only written down."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from windlass.supervisor import wire
from windlass.supervisor.reactor import Reactor
from windlass.supervisor.server import Server


class FrontDoor:
    """Listens on the socket at ``path`` in a thread; ``orders`` are those that have come, in order."""

    def __init__(self, path: Path, version: str = "1") -> None:
        self.orders: list[wire.Order] = []
        self._reactor = Reactor(time.monotonic)
        welcome = wire.Welcome(version=version, supervisor="s", instance="i", pid=1)
        self._server = Server(path, self._reactor, welcome, self._obey, lambda: None)
        self._open = True
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        """Stop listening; a second time does nothing."""
        self._open = False
        self._thread.join()

    def _run(self) -> None:
        while self._open:
            self._reactor.turn(0.01)
        self._server.close()
        self._reactor.close()

    def _obey(self, order: wire.Order) -> None:
        self.orders.append(order)
