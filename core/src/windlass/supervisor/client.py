"""A server's line to the supervisor of its host."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Sequence
from pathlib import Path

from windlass.errors import Conflict, ProtocolError
from windlass.ports import StopRequest, Workload
from windlass.protocol import frame, recv_frame
from windlass.supervisor import wire

#: Workloads in one message; a frame holds several thousand.
_BATCH = 500
#: Seconds to wait for the supervisor to accept, to answer, or to take an order.
_PATIENCE = 10.0


class SupervisorClient:
    """A connection to ``run/supervisor.sock``, greeted and welcome.

    :raises Conflict: if the supervisor refuses, with its reason.
    :raises OSError: if nobody listens there.
    """

    def __init__(self, path: Path, version: str) -> None:
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._sock.settimeout(_PATIENCE)
        try:
            self._sock.connect(str(path))
            answer = self._ask(wire.Greeting(version=version))
        except BaseException:
            self._sock.close()
            raise
        if isinstance(answer, wire.Refused):
            self._sock.close()
            raise Conflict(answer.reason)
        if not isinstance(answer, wire.Welcome):
            self._sock.close()
            msg = f"the supervisor answered a greeting with {type(answer).__name__}"
            raise ProtocolError(msg)
        self.welcome = answer

    def submit(self, workloads: Sequence[Workload], parallelism: int = 0) -> None:
        """Have these run; of tasks at most ``parallelism`` at once (0 = no limit), those of earlier orders included."""
        for start in range(0, len(workloads), _BATCH):
            self._say(wire.Submit(workloads=list(workloads[start : start + _BATCH]), parallelism=parallelism))

    def stop(self, requests: Sequence[StopRequest]) -> None:
        """Have these attempts stopped."""
        self._say(wire.Stop(requests=list(requests)))

    def prepare(self, code: Sequence[tuple[str, str, str]]) -> None:
        """Have the zygotes of these (bundle, file, code_version) started."""
        self._say(wire.Prepare(code=list(code)))

    def drain(self) -> None:
        """Have the supervisor finish what runs, and exit."""
        self._say(wire.Drain())

    def shut_down(self) -> None:
        """Have the supervisor stop what runs, and exit."""
        self._say(wire.Shutdown())

    def stats(self) -> wire.Stats:
        """Return how the supervisor is doing.

        :raises ProtocolError: if it answers something else.
        """
        answer = self._ask(wire.GetStats())
        if not isinstance(answer, wire.Stats):
            msg = f"the supervisor answered a question for statistics with {type(answer).__name__}"
            raise ProtocolError(msg)
        return answer

    def is_connected(self) -> bool:
        """Return whether the supervisor is still there (it never speaks unasked)."""
        self._sock.setblocking(False)
        try:
            return bool(self._sock.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            self._sock.settimeout(_PATIENCE)

    def close(self) -> None:
        """Hang up; the supervisor and its attempts go on."""
        with contextlib.suppress(OSError):
            self._sock.close()

    def _say(self, order: wire.Order) -> None:
        self._sock.sendall(frame(wire.pack(order)))

    def _ask(self, order: wire.Order) -> wire.Answer:
        self._say(order)
        payload = recv_frame(self._sock)
        if payload is None:
            msg = "the supervisor closed the connection instead of answering"
            raise ProtocolError(msg)
        return wire.answer(payload)
