"""The HTTP server of the fake: one thread for each connection, and a state that a test may look into and change."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from windlass_testing.fakes.running import run_until_stopped
from windlass_testing.fakes.vault.faults import Faults
from windlass_testing.fakes.vault.state import State
from windlass_testing.fakes.vault.wire import Request, Response, VaultFailure

_OPERATIONS = {"GET": "READ", "HEAD": "READ", "LIST": "LIST", "POST": "UPDATE", "PUT": "UPDATE", "DELETE": "DELETE"}


class FakeVault:
    """A Vault with the real protocol, for clients in any process.

    ::

        with FakeVault() as vault:
            vault.write("secret/data/connections/db", data={"conn_uri": "postgres://ada@host/db"})
            client = hvac.Client(vault.url, vault.root_token)

    It has a KV 2 engine at ``secret`` and the root token; everything else is set up through the API, by :meth:`write`
    or by a client. :attr:`state` seals it or makes it a standby node, :attr:`faults` lets the next requests fail, and
    :attr:`seen` tells what was asked. Time goes by ``clock``, so that a test can let tokens end.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        clock: Callable[[], datetime] | None = None,
        root_token: str | None = None,
        certificate: tuple[Path, Path] | None = None,
    ) -> None:
        """Make it; it serves between :meth:`start` and :meth:`stop`.

        Args:
            host: the address to listen on.
            port: the port, 0 for any free one.
            clock: tells the time, by default the machine's.
            root_token: the root token, by default a random one.
            certificate: the files of a certificate and its key, to serve HTTPS.
        """
        self._address = (host, port)
        self._clock = clock
        self._given_token = root_token
        self._certificate = certificate
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self.faults = Faults()
        self.reset()

    def reset(self) -> None:
        """Be a Vault on which nothing has happened yet; the address stays."""
        self.state = State(self._clock, self._given_token)
        self.faults.clear()
        #: The operation and the path of each request, for example ``("READ", "secret/data/x")``.
        self.seen: list[tuple[str, str]] = []

    @property
    def root_token(self) -> str:
        """The token that may do everything."""
        return self.state.root_token

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{'http' if self._certificate is None else 'https'}://{self._address[0]}:{self._address[1]}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to listen.

        :raises OSError: if the port is taken.
        """
        self._server = _Server(self._address, self)
        self._address = (self._address[0], self._server.server_address[1])  # the same after a restart
        if self._certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self._certificate)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="fake-vault", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening and cut every connection, as a Vault that went down; what it holds stays."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._thread.join()
        self._server.cut()
        self._server.server_close()
        self._server = self._thread = None

    # --- As the root token, without a client ---------------------------------------------------------------------

    def write(self, path: str, *, namespace: str = "", **data: object) -> dict[str, Any]:
        """Write ``data`` to a path of the API and return the data of the answer.

        :raises VaultFailure: if Vault refuses it.
        """
        return self._ask("UPDATE", path, namespace, data)

    def read(self, path: str, *, namespace: str = "") -> dict[str, Any]:
        """Return the data at a path of the API.

        :raises VaultFailure: if there is none.
        """
        return self._ask("READ", path, namespace, {})

    def token(self, *, namespace: str = "", **arguments: object) -> str:
        """Return a new token, for example ``vault.token(policies=["etl"], ttl="1h")``."""
        answer = self.state.handle(
            Request("UPDATE", "auth/token/create-orphan", namespace, self.root_token, body=arguments)
        )
        return str(_granted(answer)["auth"]["client_token"])

    def _ask(self, method: str, path: str, namespace: str, data: Mapping[str, object]) -> dict[str, Any]:
        answer = self.state.handle(Request(method, path.strip("/"), namespace, self.root_token, body=data))
        return dict(_granted(answer).get("data") or {})


def _granted(answer: Response) -> Mapping[str, Any]:
    body = answer.body or {}
    if answer.status >= 300:
        raise VaultFailure(answer.status, *(body.get("errors") or body.get("warnings") or ()))
    return body


def serve(host: str, port: int) -> None:
    """Serve a fake Vault until the process is told to stop; for ``python -m windlass_testing vault``."""
    run_until_stopped(FakeVault(host, port), lambda vault: {"url": vault.url, "token": vault.root_token})


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], vault: FakeVault) -> None:
        super().__init__(address, _Handler)
        self.vault = vault
        self.stopping = threading.Event()
        self._open: set[socket.socket] = set()

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as the base has it
        self._open.add(request)
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._open.discard(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Let a client go that has broken its connection, or does not trust the certificate."""

    def cut(self) -> None:
        """Close every connection."""
        self.stopping.set()
        for connection in list(self._open):
            _close(connection)


def _close(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the client was faster
        connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body leave together

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing: a test reads :attr:`FakeVault.seen`."""

    def handle_request(self) -> None:
        """Answer one request, with the fault that is ordered for it."""
        vault = self.server.vault
        length = int(self.headers.get("Content-Length") or 0)
        data = self.rfile.read(length)
        address = urlsplit(self.path)
        if not address.path.startswith("/v1/"):
            self._send(Response(404, {"errors": []}))
            return
        query = dict(parse_qsl(address.query))
        operation = _OPERATIONS.get(self.command, self.command)
        if operation == "READ" and query.get("list") == "true":
            operation = "LIST"
        path = unquote(address.path).removeprefix("/v1/").strip("/")
        vault.seen.append((operation, path))
        fault = vault.faults.take(path)
        if fault is not None:
            self.server.stopping.wait(fault.delay)
            if fault.drop:
                self.close_connection = True
                _close(self.connection)
                return
            if fault.status is not None:
                if fault.text is None:
                    self._send(Response(fault.status, {"errors": list(fault.errors)}))
                else:
                    self._send(Response(fault.status), fault.text)
                return
        try:
            body = json.loads(data) if data else {}
        except ValueError:
            self._send(Response(400, {"errors": ["error parsing JSON"]}))
            return
        namespace = self.headers.get("X-Vault-Namespace", "").strip("/")
        token = self.headers.get("X-Vault-Token", "") or self.headers.get("Authorization", "").removeprefix("Bearer ")
        self._send(vault.state.handle(Request(operation, path, namespace, token, query, body, target=self.path)))

    def _send(self, response: Response, text: str = "") -> None:
        data = text.encode() if response.body is None else json.dumps(response.body).encode() + b"\n"
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.send_header("Cache-Control", "no-store")
        if data:
            self.send_header("Content-Type", "text/html" if text else "application/json")
        if response.status != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_GET = do_HEAD = do_LIST = do_POST = do_PUT = do_DELETE = do_PATCH = handle_request  # noqa: N815 - http.server's
