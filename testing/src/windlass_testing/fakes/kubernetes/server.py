"""The HTTP server in front of the API, and the fake as a whole."""

from __future__ import annotations

import contextlib
import json
import select
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar, Self

from windlass_testing.fakes.kubernetes.api import Api
from windlass_testing.fakes.kubernetes.controllers import Controllers
from windlass_testing.fakes.kubernetes.execution import execute
from windlass_testing.fakes.kubernetes.faults import Fault, Faults
from windlass_testing.fakes.kubernetes.kubelet import Kubelet
from windlass_testing.fakes.kubernetes.problems import Problem
from windlass_testing.fakes.kubernetes.requests import Answer, Cut, Request, Target, target
from windlass_testing.fakes.kubernetes.resources import named
from windlass_testing.fakes.kubernetes.store import Store
from windlass_testing.fakes.kubernetes.websocket import Channels, handshake, is_upgrade

Json = dict[str, Any]


class FakeKubernetes:
    """A cluster of one node: ``with FakeKubernetes() as cluster:`` serves it at ``cluster.url``."""

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        token: str | None = None,
        images: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Prepare a cluster; nothing runs yet.

        Args:
            host: the address to listen at.
            port: 0 for any that is free.
            token: the bearer token that clients must send; by default everybody may do everything.
            images: what an image does that is given no command: name -> command.
        """
        self.folder = Path(tempfile.mkdtemp(prefix="windlass-kubernetes-"))
        self.store = Store()
        self.faults = Faults()
        self.kubelet = Kubelet(self.store, self.folder, {name: list(one) for name, one in (images or {}).items()})
        self.api = Api(self.store, self.kubelet, self.faults, token=token)
        self.controllers = Controllers(self.store, self._create)
        self.is_closing = False
        for namespace in ("default", "kube-system"):
            self.api.writer.make(Target(named("namespaces"), "", "", ""), {"metadata": {"name": namespace}})
        fake = self

        class Bound(_Handler):
            cluster = fake

        self._server = _Server((host, port), Bound)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        """Where it is served."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def kubeconfig(self) -> Json:
        """Return a kubeconfig that names this cluster."""
        user = {"token": self.api.token} if self.api.token else {}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "fake", "cluster": {"server": self.url}}],
            "users": [{"name": "fake", "user": user}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake", "namespace": "default"}}],
            "current-context": "fake",
        }

    def inject(self, **fault: Any) -> Fault:
        """Put a :class:`Fault` in force: ``inject(verb="get", resource="pods", status=503, times=2)``."""
        return self.faults.add(Fault(**fault))

    def start(self) -> Self:
        """Serve."""
        self.kubelet.start()
        self.controllers.start()
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop serving, end every container and remove what they wrote."""
        self.is_closing = True
        self.controllers.close()
        self.kubelet.close()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _create(self, plural: str, namespace: str, obj: Json) -> Json:
        return self.api.writer.make(Target(named(plural), namespace, "", ""), obj)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the base's signature
        """Say nothing of clients that left."""
        import sys

        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    cluster: ClassVar[FakeKubernetes]
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        headers: Any = self.headers  # a mapping whose keys have no case
        request = Request.parse(self.command, self.path, headers, body, self._is_alive)
        try:
            if is_upgrade(headers):
                self._execute(request)
                return
            self._send(self.cluster.api.answer(request, self.cluster.url.partition("//")[2]))
        except Problem as problem:
            self._send(Answer(problem.body(), problem.code, headers=problem.headers))
        except Cut:
            self._cut()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 - http.server's names

    def _is_alive(self) -> bool:
        """Return whether the client still listens, and the cluster still serves."""
        if self.cluster.is_closing:
            return False
        try:
            ready, _, _ = select.select([self.connection], [], [], 0)
            return not ready or bool(self.connection.recv(1, socket.MSG_PEEK))
        except (OSError, ValueError):
            return False

    def _send(self, answer: Answer) -> None:
        body = answer.body
        if isinstance(body, dict):
            body = json.dumps(body, separators=(",", ":")).encode() + b"\n"
        self.send_response(answer.code)
        self.send_header("Content-Type", answer.content_type)
        for name, value in answer.headers:
            self.send_header(name, value)
        if isinstance(body, bytes):
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()
            return
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        self._stream(body)

    def _stream(self, pieces: Iterator[bytes]) -> None:
        for piece in pieces:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def _cut(self) -> None:
        """Break the connection as a dying machine does."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)

    def _execute(self, request: Request) -> None:
        api = self.cluster.api
        api.check_token(request)
        to = target(request.path)
        if to.subresource != "exec":
            raise Problem(400, "BadRequest", "unable to upgrade: only exec is served on a WebSocket")
        fault = self.cluster.faults.hit("exec", to.resource.plural, to.name)
        if fault is not None and (problem := fault.problem("pods", "", to.name)) is not None:
            raise problem
        pod = self.cluster.store.get(to.resource, to.namespace, to.name)
        name = api.container_of(pod, request)
        self.cluster.kubelet.process(pod, name)
        chosen, headers = handshake(self.headers["Sec-WebSocket-Key"], self.headers.get("Sec-WebSocket-Protocol", ""))
        if chosen is None:
            raise Problem(400, "BadRequest", "unable to upgrade: no known subprotocol was offered")
        self.send_response(101)
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.flush()
        self.close_connection = True
        if fault is not None and fault.after is None:
            raise Cut
        execute(self.cluster.kubelet.run_of(pod).container(name), request, Channels(self.rfile, self.wfile), fault)

    def finish(self) -> None:
        """Let go of the connection, also of one that the client has broken while there was something to say."""
        for file in (self.wfile, self.rfile):
            with contextlib.suppress(OSError):
                file.close()

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""
