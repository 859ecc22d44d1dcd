"""A fake S3: moto's server, which knows Secrets Manager, the Parameter Store and STS at the same address.

It takes any access key and any secret. What it holds is one state per process, however many servers are in there.
"""

from __future__ import annotations

import logging
import socket
import urllib.request
from typing import TYPE_CHECKING, Final, Self

from windlass_testing.fakes.running import run_until_stopped
from windlass_testing.servers import ServerMissing

if TYPE_CHECKING:
    from moto.server import ThreadedMotoServer

_MISSING: Final = "the fake S3 is moto's server: pip install 'moto[s3,secretsmanager,server,ssm]>=5.2'"


class FakeS3:
    """S3 for clients in any process: ``with FakeS3() as s3:`` serves it at ``s3.url``."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Prepare it; it serves between :meth:`start` and :meth:`stop`.

        Args:
            host: the address to listen on.
            port: the port, 0 for any free one.
        """
        self._address = (host, port)
        self._server: ThreadedMotoServer | None = None

    @property
    def url(self) -> str:
        """Where it listens: the ``endpoint_url`` of a client."""
        return f"http://{self._address[0]}:{self._address[1]}"

    def start(self) -> None:
        """Begin to listen.

        :raises ServerMissing: if moto or its server is not installed.
        :raises OSError: if the port is taken.
        """
        try:
            from moto.server import ThreadedMotoServer
        except ImportError:
            raise ServerMissing(_MISSING) from None
        socket.create_server(self._address).close()  # moto would wait for ever for a port that it cannot have
        logging.getLogger("werkzeug").setLevel(logging.ERROR)  # which tells of each request
        self._server = ThreadedMotoServer(*self._address, verbose=False)
        self._server.start()
        self._address = self._server.get_host_and_port()

    def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def reset(self) -> None:
        """Forget every bucket, object, secret and parameter."""
        urllib.request.urlopen(f"{self.url}/moto-api/reset", b"", timeout=30).close()  # noqa: S310 - itself

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.stop()


def serve(host: str, port: int) -> None:
    """Serve a fake S3 until the process is told to stop; for ``python -m windlass_testing s3``."""
    run_until_stopped(FakeS3(host, port), lambda s3: {"url": s3.url})
