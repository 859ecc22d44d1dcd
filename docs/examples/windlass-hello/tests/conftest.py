"""A greeting service of the standard library, so that the tests talk to a real server."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import pytest


class HelloServer(ThreadingHTTPServer):
    """Greets whoever is asked for, and knows who has arrived. Only ``ada`` with her password may ask."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.guests: set[str] = set()
        self.uri = f"hello://ada:lovelace@127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: HelloServer

    def do_GET(self) -> None:
        login = base64.b64encode(b"ada:lovelace").decode("ascii")
        if self.headers["Authorization"] != f"Basic {login}":
            self._answer(401, {})
            return
        url = urlsplit(self.path)
        kind, _, name = url.path.removeprefix("/").partition("/")
        name = unquote(name)
        if kind == "version":
            self._answer(200, {"version": "1.0"})
        elif kind == "greetings":
            word = "Good day" if parse_qs(url.query)["tone"] == ["formal"] else "Hello"
            self._answer(200, {"greeting": f"{word}, {name}"})
        elif kind == "guests":
            self._answer(200, {"arrived": name in self.server.guests})
        else:
            self._answer(404, {})

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""

    def _answer(self, status: int, content: dict[str, object]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="session")
def running_server() -> Iterator[HelloServer]:
    with HelloServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def hello_server(running_server: HelloServer) -> HelloServer:
    """The service, with Ada as its only guest."""
    running_server.guests = {"Ada"}
    return running_server
