"""Connections to MySQL: which fields reach the driver, what an error says, and what a secret never does."""

from __future__ import annotations

import inspect
import logging
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pymysql
import pytest

from windlass.errors import ConfigError
from windlass.hooks import BaseHook, Connection
from windlass_mysql import fields
from windlass_mysql.hook import MySqlHook
from windlass_mysql.plugin import windlass_provider
from windlass_sql.errors import ConnectFailed, ConnectionLost
from windlass_testing import SetConnection
from windlass_testing.servers import MysqlServer
from windlass_testing.servers.process import free_port

pytestmark = pytest.mark.services
MakeHook = Callable[..., MySqlHook]


def test_declared_fields_reach_the_server(made_hook: MakeHook) -> None:
    hook = made_hook(init_command="set @colour = 'red'", sql_mode="ANSI", charset="latin1", connect_timeout="7")
    colour, mode, charset = hook.get_first("select @colour, @@sql_mode, @@character_set_client")
    assert (colour, charset) == ("red", "latin1")
    assert "ANSI_QUOTES" in mode
    assert made_hook().get_first("select @@character_set_client, '🙂'") == ("utf8mb4", "🙂")


def test_what_is_not_declared_does_not_reach_it_and_is_warned_of(
    made_hook: MakeHook, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        made_hook(read_default_file="/etc/passwd").get_conn().close()
    assert "of type 'mysql' has no field 'read_default_file'" in caplog.text


def test_what_the_manifest_declares_is_what_the_hook_reads() -> None:
    (declared,) = windlass_provider().connection_types
    extra = {field.name for field in declared.fields} - {"host", "port", "login", "password", "schema"}
    assert extra == {*fields.DRIVER, *fields.OWN}
    assert fields.DRIVER.keys() <= inspect.signature(pymysql.connections.Connection).parameters.keys()


def test_values_have_the_types_of_their_fields() -> None:
    extra = {"local_infile": "true", "read_timeout": "5", "ssl_ca": "/ca", "cursor": "dict"}
    assert fields.arguments(Connection("db", "mysql", "h", "u", "pé", "d", 1, extra), None) == {
        "host": "h", "port": 1, "user": "u", "password": "pé".encode(), "database": "d", "charset": "utf8mb4",
        "connect_timeout": 10, "local_infile": True, "read_timeout": 5, "ssl_ca": "/ca", "ssl_verify_cert": True,
    }  # fmt: skip
    plain = Connection("db", "mysql", extra={"ssl_ca": "/ca", "ssl_disabled": True})
    assert fields.arguments(plain, None)["ssl_disabled"] is True
    assert "ssl_ca" not in fields.arguments(plain, None)


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"local_infile": "maybe"}, "local_infile of its extra must be true or false"),
        ({"read_timeout": "5s"}, "read_timeout of its extra must be a whole number"),
        ({"charset": 8}, "charset of its extra must be a text"),
    ],
)
def test_a_value_of_another_type_is_an_error(extra: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=f"connection 'db': {said}"):
        fields.arguments(Connection("db", "mysql", extra=extra), None)


def test_rows_come_as_the_cursor_says(made_hook: MakeHook) -> None:
    assert made_hook(cursor="dict").get_first("select 1 as a") == {"a": 1}
    assert [dict(row) for row in made_hook(cursor="dict").stream("select 1 as a")] == [{"a": 1}]
    assert made_hook({"cursor": "tuple"}, cursor="dict").get_first("select 1 as a") == (1,)
    assert made_hook(cursor="SSCursor").get_first("select 1 as a") == (1,)
    with pytest.raises(ConfigError, match="there is no cursor 'list'; choose tuple or dict"):
        made_hook(cursor="list").get_conn()


def test_a_with_block_commits_or_rolls_back_and_closes(hook: MySqlHook) -> None:
    with hook.get_conn() as conn:
        conn.cursor().execute("insert into items values (4, 'nib')")
    assert not conn.open
    with pytest.raises(ZeroDivisionError), hook.get_conn() as conn:
        1 / (conn.cursor().execute("delete from items") * 0)
    assert hook.get_first("select count(*) from items") == (4,)


def test_a_url_may_begin_with_either_name(mysql_url: str, connection: SetConnection) -> None:
    rest = mysql_url.partition(":")[2]
    for name in ("mysql", "mariadb"):
        connection("db", f"{name}:{rest}")
        hook = BaseHook.get_hook("db")
        assert isinstance(hook, MySqlHook)
        assert hook.get_first("select 1") == (1,)


def test_testing_a_connection_says_what_answers(made_hook: MakeHook) -> None:
    works, message = made_hook().test_connection()
    assert works
    assert message.startswith("connected to MySQL at ")
    assert " as " in message


# --- Failures ------------------------------------------------------------------------------------------------------


def through(server: MysqlServer, **changes: Any) -> MySqlHook:
    hook = MySqlHook("db")
    given = {"host": server.host, "port": server.port, "login": server.user, "password": server.password}
    hook.connection = Connection("db", "mysql", **{**given, **changes})
    return hook


def test_nobody_answers() -> None:
    port = free_port()
    hook = MySqlHook("db")
    hook.connection = Connection("db", "mysql", "127.0.0.1", "ada", "s3cr3t", "shop", port)
    with pytest.raises(ConnectFailed) as caught:
        hook.run("select 1")
    text = str(caught.value)
    assert text == (f"connection 'db': no connection to MySQL at 127.0.0.1:{port}, database 'shop': Connection refused")
    assert hook.test_connection() == (False, text)


def test_whoever_accepts_and_says_nothing_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        hook = MySqlHook("db")
        hook.connection = Connection("db", "mysql", "127.0.0.1", "ada", "s3cr3t", None, port, {"connect_timeout": 1})
        with pytest.raises(ConnectFailed) as caught:
            hook.run("select 1")
    assert str(caught.value) == (
        f"connection 'db': no connection to MySQL at 127.0.0.1:{port}: "
        "it accepts connections, and has sent no greeting within 1 s (connect_timeout)"
    )


def test_nor_is_it_at_a_socket_of_this_machine(short_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(short_path))
        silent.listen()
        hook = MySqlHook("db")
        hook.connection = Connection("db", "mysql", extra={"unix_socket": str(short_path), "connect_timeout": 1})
        with pytest.raises(ConnectFailed, match=f"MySQL at {short_path}: it accepts .* no greeting within 1 s"):
            hook.run("select 1")
    hook.connection = Connection("db", "mysql", extra={"unix_socket": "/absent"})
    with pytest.raises(ConnectFailed, match="MySQL at /absent: No such file or directory"):
        hook.run("select 1")


@pytest.fixture
def short_path() -> Iterator[Path]:
    """The path of a socket to be, which may have no more than a hundred characters."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "silent"


def test_a_socket_of_this_machine_leads_to_the_server(mysql_server: MysqlServer) -> None:
    (path,) = through(mysql_server).get_first("select @@socket")
    hook = through(mysql_server, host="absent.invalid", extra={"unix_socket": path})
    with hook.get_conn() as conn:
        assert conn.get_host_info() == "Localhost via UNIX socket"
        assert conn._secure  # so that a password may be sent as it is where the server wants it
    assert hook.get_first("select current_user()") == ("ada@%",)


def test_a_connection_over_the_network_is_kept_alive_and_has_no_timeout_once_it_is_made(
    mysql_server: MysqlServer,
) -> None:
    with through(mysql_server, extra={"connect_timeout": 7}).get_conn() as conn:
        assert conn.get_host_info() == f"socket 127.0.0.1:{mysql_server.port}"
        assert conn._sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert conn._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert conn._sock.gettimeout() is None


def test_a_password_with_every_kind_of_character_works(mysql_server: MysqlServer) -> None:
    assert through(mysql_server).get_first("select current_user()") == ("ada@%",)


def test_a_password_may_be_in_any_script(mysql_server: MysqlServer) -> None:
    through(mysql_server).run("create user 'li'@'%%' identified by %s", parameters=("密码é",))
    assert through(mysql_server, login="li", password="密码é").get_first("select 1") == (1,)


def test_a_wrong_password_is_refused_and_never_shown(mysql_server: MysqlServer) -> None:
    with pytest.raises(ConnectFailed, match="Access denied for user 'ada'") as caught:
        through(mysql_server, password="wrong one").get_conn()
    assert "wrong one" not in str(caught.value)


def test_a_database_that_is_not_there_is_named(mysql_server: MysqlServer) -> None:
    with pytest.raises(ConnectFailed, match="database 'nowhere': Unknown database 'nowhere'"):
        through(mysql_server, schema="nowhere").get_conn()


def test_the_server_goes_down_in_the_middle(mysql_server: MysqlServer) -> None:
    hook = through(mysql_server)

    def stopping(cursor: pymysql.cursors.Cursor) -> None:
        mysql_server.stop()
        cursor.execute("select 1")

    try:
        with pytest.raises(ConnectionLost) as caught:
            hook.run(["set @a = 1", "select 1"], handler=stopping)
        text = str(caught.value)
        assert text.startswith("connection 'db' to MySQL at 127.0.0.1:")
        assert "was lost during statement 1 of 2 (set @a = 1): Lost connection" in text
        assert text.endswith("It was not committed")
        with pytest.raises(ConnectFailed, match="Connection refused"):
            hook.run("select 1")
    finally:
        mysql_server.start()
    assert hook.get_first("select 1") == (1,)


def test_tls_checks_whose_certificate_it_is(mysql_server: MysqlServer) -> None:
    status = "show session status like 'Ssl_cipher'"
    trusting = {"ssl_ca": str(mysql_server.certificate), "ssl_verify_identity": True}
    assert through(mysql_server, extra=trusting).get_first(status)[1]
    assert not through(mysql_server, extra={"ssl_disabled": True}).get_first(status)[1]
    with pytest.raises(ConnectFailed, match="certificate verify failed"):
        through(mysql_server, extra={"ssl_verify_cert": True}).get_conn()
