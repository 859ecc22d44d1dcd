"""MySQL or MariaDB for tests."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from windlass_testing.servers.certificates import write_certificate
from windlass_testing.servers.databases import Product, address, empty_database, new_database
from windlass_testing.servers.process import ServerMissing, ServerProcess

_PORT = 3306
_INSTALL = (
    "no MySQL or MariaDB for tests: set WINDLASS_TEST_MYSQL_URL, or start one on 127.0.0.1:3306 that lets user root in "
    "without a password, or `apt-get install mariadb-server`, whose programs are enough"
)


def _execute(url: str, sql: str) -> None:
    import pymysql

    parts = urlsplit(url)
    with pymysql.connect(
        host=parts.hostname or "127.0.0.1",
        port=parts.port or _PORT,
        user=unquote(parts.username or "root"),
        password=unquote(parts.password or ""),
        connect_timeout=10,
        autocommit=True,
    ) as conn:
        conn.cursor().execute(sql)


class MysqlServer:
    """A MariaDB server of one's own, with a password and TLS."""

    user = "ada"
    #: Needs to be percent-encoded in a URL.
    password = "p@ss w'rd/%"  # noqa: S105 - made up

    def __init__(self, server: Path, installer: Path) -> None:
        self._server = server
        self._installer = installer
        self._process = ServerProcess("mysql")
        self._data = self._process.folder / "data"
        self.host = "127.0.0.1"
        self.port = self._process.port
        #: The certificate of the authority that signed the server's, for ``localhost`` and 127.0.0.1.
        self.certificate = self._process.folder / "server.crt"

    @property
    def url(self) -> str:
        """The URL of the server, without a database."""
        return f"mysql://{self.user}:{quote(self.password, safe='')}@{self.host}:{self.port}/"

    @property
    def _as(self) -> list[str]:
        return ["--user=root"] if os.geteuid() == 0 else []

    def create(self) -> None:
        """Make its data folder, certificate and user."""
        folder = self._process.folder
        write_certificate(self.certificate, folder / "server.key")
        self._process.prepare(
            [
                self._installer, "--no-defaults", f"--datadir={self._data}", "--skip-test-db",
                "--auth-root-authentication-method=normal", *self._as,
            ],
            None,
        )  # fmt: skip
        escaped = self.password.replace("'", "''")
        (folder / "init.sql").write_text(
            f"CREATE USER IF NOT EXISTS '{self.user}'@'%' IDENTIFIED BY '{escaped}';\n"
            f"GRANT ALL ON *.* TO '{self.user}'@'%' WITH GRANT OPTION;\n"
        )

    def start(self) -> None:
        """Start it and wait until it answers."""
        folder = self._process.folder
        command: list[str | Path] = [
            self._server, "--no-defaults", f"--datadir={self._data}", f"--bind-address={self.host}",
            f"--port={self.port}", f"--socket={folder}/socket", f"--pid-file={folder}/pid",
            f"--init-file={folder}/init.sql", f"--ssl-cert={self.certificate}", f"--ssl-key={folder}/server.key",
            "--local-infile=1", "--skip-log-bin", "--innodb-flush-method=nosync", *self._as,
        ]  # fmt: skip
        self._process.start(command, None, lambda: _execute(self.url, "SELECT 1"))

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        return new_database(PRODUCT, self.url)

    def stop(self) -> None:
        """End it at once, as a crash would, with every connection to it."""
        self._process.stop(signal.SIGKILL)

    def close(self) -> None:
        """End it and remove its data."""
        self._process.stop(signal.SIGKILL)
        self._process.close()


@contextmanager
def private_mysql() -> Iterator[MysqlServer]:
    """Yield a server of one's own.

    :raises ServerMissing: if its programs are not installed, or cannot be run here.
    """
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    program, installer = shutil.which("mariadbd", path=path), shutil.which("mariadb-install-db", path=path)
    if program is None or installer is None:
        raise ServerMissing(_INSTALL)
    server = MysqlServer(Path(program), Path(installer))
    try:
        server.create()
        server.start()
        yield server
    finally:
        server.close()


PRODUCT: Final = Product(
    variable="WINDLASS_TEST_MYSQL_URL",
    local=f"mysql://root@127.0.0.1:{_PORT}/",
    driver="pymysql",
    without_driver="tests on MySQL need its driver: `pip install pymysql`",
    execute=_execute,
    create="CREATE DATABASE `{name}` CHARACTER SET utf8mb4",
    drop="DROP DATABASE `{name}`",
    private=private_mysql,
)


def mysql(server: str | None = None) -> AbstractContextManager[str]:
    """Yield the URL of an empty database on ``server``, by default of :func:`mysql_address`; drop it afterwards.

    :raises ServerMissing: if there is no server.
    """
    return empty_database(PRODUCT, server)


def mysql_address() -> AbstractContextManager[str]:
    """Yield the URL of a server, found or started as the package says.

    :raises ServerMissing: if there is none.
    """
    return address(PRODUCT)
