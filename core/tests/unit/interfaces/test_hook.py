"""The base of hooks: how it finds its connection, and what it says when tested."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from windlass.errors import ContextUnavailable, PluginError
from windlass.hooks import BaseHook, Connection
from windlass.ports import session_scope
from windlass.protocol import GetConnection, Verb


class FakeSession:
    """Knows one connection and remembers what it was asked."""

    context: Mapping[str, Any] | None = None

    def __init__(self) -> None:
        self.asked: list[Verb] = []

    def ask(self, verb: Verb) -> dict[str, str]:
        self.asked.append(verb)
        return {"conn_type": "shop", "host": "db", "password": "s3cret"}

    def tell(self, verb: Verb) -> None:
        raise AssertionError(verb)


class ShopHook(BaseHook):
    conn_name_attr = "shop_conn_id"
    default_conn_name = "shop_default"

    shop_conn_id: str

    def get_conn(self) -> str:
        if self.connection.host == "down":
            msg = f"no route to {self.connection.password}"
            raise OSError(msg)
        return f"client of {self.connection.host}"


def test_the_connection_is_named_by_position_by_keyword_or_by_default() -> None:
    assert ShopHook("mine").shop_conn_id == "mine"
    assert ShopHook(shop_conn_id="mine").shop_conn_id == "mine"
    assert ShopHook().shop_conn_id == "shop_default"
    with pytest.raises(TypeError, match="ShopHook takes no argument conn; the connection is given as shop_conn_id"):
        ShopHook(conn="mine")


def test_the_connection_comes_through_the_session_once() -> None:
    session = FakeSession()
    hook = ShopHook("mine")
    with session_scope(session):
        assert hook.connection == Connection("mine", "shop", "db", password="s3cret")
        assert hook.get_conn() == "client of db"
        assert BaseHook.get_connection("other").conn_id == "other"
        assert Connection.get("third").conn_id == "third"
    assert session.asked == [GetConnection(conn_id=name) for name in ("mine", "other", "third")]


class InstalledSession(FakeSession):
    """Besides its connection it knows one hook, and which connections it was told to check."""

    def __init__(self) -> None:
        super().__init__()
        self.checked: list[str] = []

    def check_fields(self, connection: Connection) -> None:
        self.checked.append(connection.conn_id)

    def hook_class(self, conn_type: str | None) -> type[BaseHook]:
        assert conn_type == "shop"
        return ShopHook


def test_a_hook_is_found_by_the_type_of_its_connection() -> None:
    session = InstalledSession()
    with session_scope(session):
        hook = BaseHook.get_hook("mine")
        assert isinstance(hook, ShopHook)
        assert hook.get_conn() == "client of db"
        assert isinstance(Connection.get("other").get_hook(), ShopHook)
        with pytest.raises(TypeError, match="ShopHook takes no argument colour"):
            BaseHook.get_hook("mine", hook_params={"colour": "red"})
    assert session.asked[0] == GetConnection(conn_id="mine")
    assert len(session.asked) == 4  # a hook that was found need not ask for its connection again
    assert session.checked == ["mine", "other", "other", "mine"]


class OwnArgumentHook(ShopHook):
    """Takes its connection as Airflow's hooks of AWS do: under the name of its own, and by no other."""

    def __init__(self, shop_conn_id: str = "shop_default", colour: str = "blue") -> None:
        super().__init__(shop_conn_id)
        self.colour = colour


def test_a_hook_found_by_type_gets_its_connection_under_the_name_that_it_gives_it() -> None:
    class OwnArgumentSession(InstalledSession):
        def hook_class(self, _conn_type: str | None) -> type[BaseHook]:
            return OwnArgumentHook

    with session_scope(OwnArgumentSession()):
        hook = BaseHook.get_hook("mine", hook_params={"colour": "red"})
    assert (hook.shop_conn_id, hook.colour) == ("mine", "red")


def test_a_hook_is_found_only_where_the_installed_ones_are_known() -> None:
    with (
        session_scope(FakeSession()),
        pytest.raises(ContextUnavailable, match=r"only in a task, a trigger and dag\.test"),
    ):
        BaseHook.get_hook("mine")


def test_outside_a_task_there_is_no_connection() -> None:
    with pytest.raises(ContextUnavailable, match="only inside a running task"):
        _ = ShopHook().connection


def test_test_connection_tells_of_a_failure_without_its_message() -> None:
    hook = ShopHook()
    hook.connection = Connection("c", host="down", password="s3cret")
    works, sentence = hook.test_connection()
    assert (works, sentence) == (False, "no client could be made: builtins.OSError")
    hook.connection = Connection("c", host="up")
    assert hook.test_connection() == (True, "connected")


def test_test_connection_leaves_a_missing_library_to_who_knows_how_to_install_it() -> None:
    class LackingHook(BaseHook):
        def get_conn(self) -> None:
            import no_such_client  # type: ignore[import-not-found]  # noqa: F401

    with pytest.raises(ModuleNotFoundError):
        LackingHook().test_connection()


def test_a_hook_found_by_no_type_is_named_with_its_connection() -> None:
    class IgnorantSession(InstalledSession):
        def hook_class(self, _conn_type: str | None) -> type[BaseHook]:
            raise PluginError("no installed provider brings a hook for connections of type 'shop'")

    with session_scope(IgnorantSession()), pytest.raises(PluginError, match=r"^connection 'mine': no installed"):
        BaseHook.get_hook("mine")


def test_a_hook_without_a_client_says_whose_fault_it_is() -> None:
    with pytest.raises(NotImplementedError, match="BaseHook has no get_conn"):
        BaseHook().get_conn()
