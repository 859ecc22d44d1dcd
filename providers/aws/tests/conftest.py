"""Servers for the tests of windlass-aws: the fake S3, started once, and a proxy that fails on demand in front of it."""

# ruff: noqa: ANN401 - fixtures of a conftest have no importable type
from __future__ import annotations

import contextlib
import functools
import os
import socket
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import botocore.loaders
import pytest

from windlass_aws.hooks import S3Hook
from windlass_testing.fakes.s3 import FakeS3


@pytest.fixture(autouse=True)
def no_identity_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let boto find nothing: no variable, no profile, no role of a machine."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent/config")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials")


@pytest.fixture(scope="session", autouse=True)
def descriptions_that_are_read_once() -> Iterator[None]:
    """Let all sessions share what boto reads of its services' descriptions: each reads megabytes of JSON otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.session.create_loader", functools.cache(botocore.loaders.create_loader))
        yield


@pytest.fixture(scope="session")
def moto_url(fake_s3_server: FakeS3) -> str:
    """The address of a server that knows S3, STS, Secrets Manager and the Parameter Store."""
    return fake_s3_server.url


@pytest.fixture(scope="session")
def s3_url(request: pytest.FixtureRequest) -> str:
    """The address of a server that knows S3, with credentials in front of the @ if it checks them."""
    return os.environ.get("WINDLASS_TEST_S3_URL") or str(request.getfixturevalue("moto_url"))


def aws(url: str, **extra: Any) -> dict[str, Any]:
    """Return the fields of a connection to a server."""
    parts = urlsplit(url)
    endpoint = f"{parts.scheme}://{parts.hostname}:{parts.port}"
    said = {"endpoint_url": endpoint, "region_name": "us-east-1", **extra}
    return {
        "conn_type": "aws",
        "login": parts.username or "AKIAIOSFODNN7EXAMPLE",
        "password": parts.password or "a-secret-key",
        "extra": said,
    }


@pytest.fixture(name="aws")
def aws_() -> Any:
    """The function that makes the fields of a connection, for tests."""
    return aws


@pytest.fixture
def hook(s3_url: str, connection: Any) -> S3Hook:
    """A hook for the server, with the connection aws_default."""
    connection("aws_default", **aws(s3_url))
    return S3Hook()


@pytest.fixture
def bucket(hook: S3Hook) -> Iterator[str]:
    """A new bucket that is removed with everything in it."""
    name = f"test-{uuid4().hex}"
    hook.create_bucket(name)
    yield name
    if hook.check_for_bucket(name):
        hook.delete_bucket(name, force_delete=True)


class Proxy:
    """Stands in front of a server and misbehaves: cuts answers, answers by itself, or closes at once.

    Each request through a client's connection counts; ``answers`` are raw HTTP answers that are given instead of the
    server's, one per request; ``cuts`` are numbers of bytes after which an answer of the server ends, one per
    connection.
    """

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        self._upstream = (str(parts.hostname), int(parts.port or 80))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.answers: list[bytes] = []
        self.cuts: list[int] = []
        self.connections = 0
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End all connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for line in self._open:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()
        self._thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            if self.answers:
                answer = self.answers.pop(0)
                _read_request(client)
                client.sendall(answer)
                client.shutdown(socket.SHUT_RDWR)
                return
            left = self.cuts.pop(0) if self.cuts else None
            server = socket.create_connection(self._upstream)
            self._open.append(server)
            threading.Thread(target=_pump, args=(client, server, None), daemon=True).start()
            _pump(server, client, left)


def _read_request(client: socket.socket) -> None:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = client.recv(1 << 16)
        if not piece:
            return
        data += piece


def _pump(source: socket.socket, target: socket.socket, left: int | None) -> None:
    with contextlib.suppress(OSError):
        while left is None or left > 0:
            piece = source.recv(1 << 14 if left is None else min(left, 1 << 14))
            if not piece:
                break
            target.sendall(piece)
            left = None if left is None else left - len(piece)
    for line in (source, target):
        with contextlib.suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy(s3_url: str) -> Iterator[Proxy]:
    """A proxy in front of the server."""
    made = Proxy(s3_url)
    yield made
    made.close()


def refusal(status: str, code: str) -> bytes:
    """Return S3's answer for an error, as it goes over the wire."""
    body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>secret-in-message</Message></Error>'.encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\nConnection: close"
    return head.encode() + b"\r\n\r\n" + body


@pytest.fixture(name="refusal")
def refusal_() -> Any:
    """The function that makes an answer with an error, for tests."""
    return refusal
