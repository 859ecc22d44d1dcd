"""Connections to PostgreSQL: which fields reach libpq, what an error says, and what a secret never does."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from windlass.errors import ConfigError
from windlass.hooks import BaseHook, Connection
from windlass_postgres import fields
from windlass_postgres.hook import PostgresHook
from windlass_postgres.plugin import windlass_provider
from windlass_sql.errors import ConnectFailed, ConnectionLost
from windlass_testing import SetConnection
from windlass_testing.servers import PostgresServer, ServerMissing, private_postgres

pytestmark = pytest.mark.services
MakeHook = Callable[..., PostgresHook]


def test_declared_fields_reach_the_server(made_hook: MakeHook) -> None:
    hook = made_hook(application_name="report", options="-c statement_timeout=77s", client_encoding="LATIN1")
    with hook.get_conn() as conn:
        shown = [conn.execute(f"show {name}").fetchone()[0] for name in ("application_name", "statement_timeout")]
        assert shown == ["report", "77s"]
        assert conn.execute("show client_encoding").fetchone()[0] == "LATIN1"
        assert conn.execute("select 'é'").fetchone() == ("é",)


def test_what_is_not_declared_does_not_reach_it_and_is_warned_of(
    made_hook: MakeHook, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        made_hook(service="other", aplication_name="x").get_conn().close()
    assert "of type 'postgres' has no field 'aplication_name'; did you mean 'application_name'?" in caplog.text
    assert "has no field 'service'" in caplog.text


def test_what_the_manifest_declares_is_what_the_hook_reads() -> None:
    (declared,) = windlass_provider().connection_types
    extra = {field.name for field in declared.fields} - {"host", "port", "login", "password", "schema"}
    assert extra == {*fields.LIBPQ, *fields.OWN}
    known = {default.keyword.decode() for default in psycopg.pq.Conninfo.get_defaults()}
    assert set(fields.LIBPQ) <= known


def test_defaults_and_overrides() -> None:
    connection = Connection("db", "postgres", "h", "u", "p", "d", 1, {"keepalives": False, "options": "-c a=1"})
    assert fields.parameters(connection, "other", "-c b=2") == {
        "host": "h", "user": "u", "password": "p", "dbname": "other", "port": 1, "application_name": "windlass",
        "connect_timeout": 10, "keepalives": 0, "options": "-c a=1 -c b=2",
    }  # fmt: skip
    assert fields.parameters(Connection("db", "postgres"), None, None) == {
        "application_name": "windlass", "connect_timeout": 10,
    }  # fmt: skip
    with pytest.raises(ConfigError, match="connection 'db': sslcert of its extra must be a text or a number"):
        fields.parameters(Connection("db", "postgres", extra={"sslcert": ["a"]}), None, None)


def test_options_of_the_hook_are_for_its_session(made_hook: MakeHook) -> None:
    hook = made_hook({"options": "-c work_mem=3MB"}, options="-c statement_timeout=7s")
    assert hook.get_first("select current_setting('work_mem'), current_setting('statement_timeout')") == ("3MB", "7s")


@pytest.mark.parametrize(
    ("cursor", "row"), [("dict", {"a": 1}), ("realdictcursor", {"a": 1}), ("tuple", (1,)), ("", (1,))]
)
def test_rows_come_as_the_cursor_says(made_hook: MakeHook, cursor: str, row: object) -> None:
    assert made_hook(cursor=cursor).get_first("select 1 as a") == row
    assert made_hook({"cursor": cursor}).get_first("select 1 as a") == row


def test_a_named_tuple_has_names(made_hook: MakeHook) -> None:
    assert made_hook(cursor="namedtuple").get_first("select 1 as a").a == 1
    with pytest.raises(ConfigError, match="there is no cursor 'list'; choose tuple, dict or namedtuple"):
        made_hook(cursor="list").get_conn()


def test_a_url_may_begin_with_either_name(postgres_url: str, connection: SetConnection) -> None:
    rest = postgres_url.partition(":")[2]
    for name in ("postgres", "postgresql"):
        connection("db", f"{name}:{rest}")
        hook = BaseHook.get_hook("db")
        assert isinstance(hook, PostgresHook)
        assert hook.get_first("select 1") == (1,)


def test_testing_a_connection_says_what_answers(made_hook: MakeHook) -> None:
    works, message = made_hook().test_connection()
    assert works
    assert "PostgreSQL at" in message
    assert " as " in message


# --- Failures ------------------------------------------------------------------------------------------------------


def through(server: PostgresServer, **changes: Any) -> PostgresHook:
    hook = PostgresHook("db")
    given = {
        "host": server.host, "port": server.port, "login": server.user, "password": server.password,
        "schema": "postgres",
    }  # fmt: skip
    hook.connection = Connection("db", "postgres", **{**given, **changes})
    return hook


def test_nobody_answers(unused_port: int) -> None:
    hook = PostgresHook("db")
    hook.connection = Connection("db", "postgres", "127.0.0.1", "ada", "s3cr3t", "shop", unused_port)
    with pytest.raises(ConnectFailed) as caught:
        hook.run("select 1")
    text = str(caught.value)
    assert text.startswith(
        f"connection 'db': no connection to PostgreSQL at 127.0.0.1:{unused_port}, database 'shop': "
    )
    assert "Connection refused" in text
    assert "\n" not in text
    assert "s3cr3t" not in text
    assert hook.test_connection() == (False, text)


def test_whoever_accepts_and_says_nothing_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        hook = PostgresHook("db")
        hook.connection = Connection("db", "postgres", "127.0.0.1", "ada", "s3cr3t", None, port, {"connect_timeout": 1})
        with pytest.raises(ConnectFailed) as caught:
            hook.run("select 1")
    expected = f"connection 'db': no connection to PostgreSQL at 127.0.0.1:{port}: connection timeout expired"
    assert str(caught.value) == expected


@pytest.fixture
def unused_port() -> int:
    from windlass_testing.servers.process import free_port

    return free_port()


def test_a_password_with_every_kind_of_character_works(postgres_server: PostgresServer) -> None:
    assert through(postgres_server).get_first("select current_user") == ("postgres",)


def test_a_wrong_password_is_refused_and_never_shown(postgres_server: PostgresServer) -> None:
    with pytest.raises(ConnectFailed, match="password authentication failed") as caught:
        through(postgres_server, password="wrong one").get_conn()
    assert "wrong one" not in str(caught.value)


def test_a_database_that_is_not_there_is_named(postgres_server: PostgresServer) -> None:
    with pytest.raises(ConnectFailed, match=r"database 'nowhere': .* database .nowhere. does not exist"):
        through(postgres_server, schema="nowhere").get_conn()


def test_the_server_goes_down_in_the_middle(postgres_server: PostgresServer) -> None:
    hook = through(postgres_server)

    def stopping(cursor: psycopg.Cursor) -> None:
        postgres_server.stop()
        cursor.execute("select 1")

    try:
        with pytest.raises(ConnectionLost) as caught:
            hook.run(["create table gone (id int)", "select 1"], handler=stopping)
        text = str(caught.value)
        assert text.startswith("connection 'db' to PostgreSQL at 127.0.0.1:")
        assert "was lost during statement 1 of 2 (create table gone (id int))" in text
        assert text.endswith("It was not committed")
        with pytest.raises(ConnectFailed, match="Connection refused"):
            hook.run("select 1")
    finally:
        postgres_server.start()
    assert hook.get_first("select to_regclass('gone')") == (None,)


def test_a_statement_that_commits_itself_may_have_been_committed_when_the_connection_broke(made_hook: MakeHook) -> None:
    with pytest.raises(ConnectionLost, match=r"terminating connection .*\[57P01\]\. It is not known to be committed"):
        made_hook().run("select pg_terminate_backend(pg_backend_pid())", autocommit=True)


# --- TLS -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tls_server() -> Iterator[PostgresServer]:
    try:
        with private_postgres(needs_tls=True) as server:
            yield server
    except ServerMissing as error:
        pytest.skip(str(error))


def test_tls_checks_whose_certificate_it_is(tls_server: PostgresServer, connection: SetConnection) -> None:
    trusting = {"sslmode": "verify-full", "sslrootcert": str(tls_server.certificate)}
    sql = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"
    assert through(tls_server, extra=trusting).get_first(sql) == (True,)
    assert through(tls_server, extra={"sslmode": "disable"}).get_first(sql) == (False,)
    with pytest.raises(ConnectFailed, match="certificate verify failed"):
        through(tls_server, extra={"sslmode": "verify-full", "sslrootcert": "system"}).get_conn()
    with pytest.raises(ConnectFailed, match='root certificate file "/absent" does not exist'):
        through(tls_server, extra={"sslmode": "verify-full", "sslrootcert": "/absent"}).get_conn()
