"""The secrets helper: the process that holds the secrets backends of providers, their SDKs and their credentials.

It is a process of its own so that a slow or hanging store delays no heartbeat, and so that no SDK is imported into a
supervisor. It is started on first need (``python -m windlass.secrets``), reads frames from a socket on its standard
input, first its configuration and then requests, answers each from one of eight threads, and leaves when the socket is
closed. Its configuration travels through the socket, never through argv or the environment.
"""

from __future__ import annotations

import os
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any, Final

import msgspec

from windlass.errors import WindlassError
from windlass.interfaces.secrets_backend import SecretsBackend
from windlass.protocol.framing import frame, recv_frame
from windlass.registry import lookup
from windlass.secrets.chain import Kind

THREADS: Final = 8


class Setup(msgspec.Struct, frozen=True):
    """The first frame: the arguments of each backend."""

    backends: dict[str, dict[str, Any]]


class Request(msgspec.Struct, frozen=True, array_like=True):
    """A question with a number."""

    id: int
    backend: str
    kind: Kind
    key: str


class Response(msgspec.Struct, frozen=True, array_like=True):
    """The answer to request ``id``: a text or None, or the sentence of an error."""

    id: int
    value: str | None = None
    error: str | None = None


class Backends:
    """The backends, each made when it is first asked."""

    def __init__(self, setup: Setup) -> None:
        self._arguments = setup.backends
        self._made: dict[str, SecretsBackend] = {}
        self._lock = Lock()

    def answer(self, request: Request) -> Response:
        """Answer one request; whatever goes wrong becomes the answer."""
        try:
            return Response(request.id, value=self._ask(request))
        except WindlassError as error:
            return Response(request.id, error=str(error))
        except Exception as error:  # noqa: BLE001 - whatever an SDK raises is a refusal
            return Response(request.id, error=f"{type(error).__name__}: {error}")

    def _ask(self, request: Request) -> str | None:
        backend = self._backend(request.backend)
        match request.kind:
            case Kind.CONNECTION:
                connection = backend.get_connection(request.key)
                return None if connection is None else connection.to_json()
            case Kind.VARIABLE:
                return backend.get_variable(request.key)
            case Kind.CONFIG:
                return backend.get_config(request.key)

    def _backend(self, name: str) -> SecretsBackend:
        with self._lock:
            if name not in self._made:
                self._made[name] = lookup("secrets_backends", name)(**self._arguments[name])
            return self._made[name]


def serve(line: socket.socket) -> None:
    """Answer requests on ``line`` until the other side closes it."""
    first = recv_frame(line)
    if first is None:
        return
    backends = Backends(msgspec.msgpack.decode(first, type=Setup))
    decoder = msgspec.msgpack.Decoder(Request)
    sending = Lock()

    def work(request: Request) -> None:
        data = frame(msgspec.msgpack.encode(backends.answer(request)))
        with sending:
            line.sendall(data)

    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="backend")
    while (payload := recv_frame(line)) is not None:
        pool.submit(work, decoder.decode(payload))


def main() -> None:
    """Run the helper on the socket that is this process's standard input."""
    line = socket.socket(fileno=os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # what an SDK prints is no answer
    try:
        serve(line)
    finally:
        sys.stderr.flush()
        os._exit(0)  # a thread may hang in a request that nobody waits for any more
