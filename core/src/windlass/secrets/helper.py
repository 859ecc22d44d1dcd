"""The secrets helper: the process that holds the secrets backends of providers, their SDKs and their credentials.

It is a process of its own so that a slow or hanging store delays no heartbeat, and so that no SDK is imported into a
supervisor. It is started on first need (``python -m windlass.secrets``), reads frames from a socket on its standard
input, first its configuration and then requests, answers each from one of the eight threads that every backend has of
its own, and leaves when the socket is closed. Its configuration travels through the socket, never through argv or the
environment.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Any, Final

import msgspec

from windlass.errors import ProtocolError
from windlass.interfaces.secrets_backend import SecretsBackend
from windlass.protocol.framing import MAX_FRAME, frame, recv_frame
from windlass.registry import lookup
from windlass.secrets.chain import Kind
from windlass.secrets.failures import deed, sentence

#: Of each backend. No more of its questions are sent than it can begin to answer; see :mod:`windlass.secrets.client`.
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
    """The answer to request ``id``: a text or None; or, as ``error``, what the backend did instead.

    That is a predicate, ``refused variable `x`: 403 Forbidden``.
    """

    id: int
    value: str | None = None
    error: str | None = None


class _Unusable(Exception):
    """A backend could not be made; the cause says why."""


class Backends:
    """The backends, each made when it is first asked."""

    def __init__(self, setup: Setup, find: Callable[[str, str], Callable[..., SecretsBackend]] = lookup) -> None:
        self._arguments = setup.backends
        self._find = find
        self._made: dict[str, Future[SecretsBackend]] = {}
        self._lock = Lock()

    def answer(self, request: Request) -> Response:
        """Answer one request; whatever goes wrong becomes the answer."""
        what = f"{request.kind} `{request.key}`"
        try:
            return Response(request.id, value=self._ask(request))
        except _Unusable as unusable:
            error, did = unusable.__cause__ or unusable, f"cannot be used, so not asked for {what}"
        except BaseException as raised:  # noqa: BLE001 - whatever an SDK raises, also SystemExit, ends the lookup
            error, did = raised, f"{deed(raised)} {what}"
        return Response(request.id, error=f"{did}: {sentence(error, self._arguments.get(request.backend, {}))}")

    def _ask(self, request: Request) -> str | None:
        backend = self._backend(request.backend)
        if request.kind is Kind.CONNECTION:
            connection = backend.get_connection(request.key)
            return None if connection is None else connection.to_json()
        get = backend.get_variable if request.kind is Kind.VARIABLE else backend.get_config
        value: Any = get(request.key)
        if value is not None and not isinstance(value, str):
            msg = f"its answer is no text, but {type(value).__name__}"
            raise TypeError(msg)
        return value

    def _backend(self, name: str) -> SecretsBackend:
        """Return the backend, made once. Who asks meanwhile waits; if it fails, they fail, and the next tries again."""
        with self._lock:
            made, first = self._made.get(name), name not in self._made
            if made is None:
                made = self._made[name] = Future()
        if first:
            try:
                made.set_result(self._find("secrets_backends", name)(**self._arguments.get(name, {})))
            except BaseException as error:  # noqa: BLE001 - raised below, here as in the threads that wait
                with self._lock:
                    del self._made[name]
                made.set_exception(error)
        try:
            return made.result()
        except BaseException as error:
            raise _Unusable from error


def serve(line: socket.socket) -> None:
    """Answer requests on ``line`` until the other side closes it."""
    first = recv_frame(line)
    if first is None:
        return
    backends = Backends(msgspec.msgpack.decode(first, type=Setup))
    decoder = msgspec.msgpack.Decoder(Request)
    sending = Lock()

    def work(request: Request) -> None:
        data = _framed(request, backends.answer(request))
        with sending:
            line.sendall(data)

    pools: dict[str, ThreadPoolExecutor] = {}
    while (payload := recv_frame(line)) is not None:
        request = decoder.decode(payload)
        if request.backend not in pools:
            pools[request.backend] = ThreadPoolExecutor(THREADS, thread_name_prefix=request.backend)
        pools[request.backend].submit(work, request)


def _framed(request: Request, response: Response) -> bytes:
    """Return the frame of a response, or, if the value does not fit into one, of the error that says so."""
    try:
        return frame(msgspec.msgpack.encode(response))
    except (ProtocolError, UnicodeEncodeError) as error:
        why = "it is no valid text" if isinstance(error, UnicodeEncodeError) else f"it is longer than {MAX_FRAME} bytes"
        text = f"gave {request.kind} `{request.key}`, but {why}"
        return frame(msgspec.msgpack.encode(Response(request.id, error=text)))


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
