"""HookSuite: how the client of an external system is made, tells of failures, and keeps its secrets."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, final

import pytest

from windlass.hooks import BaseHook, Connection
from windlass.ports import session_scope
from windlass.registry import registry
from windlass_testing.conformance.corpus import SECRETS, chain_of, leaks, sentence_complaints
from windlass_testing.conformance.manifest import STANDARD
from windlass_testing.conformance.suite import Suite, must_give
from windlass_testing.fixtures import ConnectionLike, Given, made

#: The id under which the suites define connections. Error sentences must name it.
CONN_ID: Final = "conformance_conn"


class HookSuite(Suite):
    """Checks a hook, against a server where the subclass has one.

    A subclass::

        class TestHelloHook(HookSuite):
            hook_class = HelloHook

            @pytest.fixture
            def working_connection(self, hello_server):
                return f"hello://127.0.0.1:{hello_server.port}"
    """

    #: The class under test.
    hook_class: type[BaseHook]
    #: What its constructor needs besides the connection.
    arguments: Mapping[str, Any] = {}

    @pytest.fixture
    def working_connection(self) -> ConnectionLike:
        """Return a connection to a server that answers, as URI, dict of fields or Connection. Override it."""
        must_give(self, "the fixture working_connection: a connection to a server that answers")

    @pytest.fixture
    def failing_connection(self) -> ConnectionLike:
        """Return a connection that cannot work. Its secret fields are set by the tests.

        By default a port of this machine at which nobody listens. Override it where that is not how to fail, and keep
        failing quick: without retries, and with a short timeout.
        """
        return {"conn_type": self.hook_class.conn_type, "host": "127.0.0.1", "port": 1, "login": "ada"}

    @final
    def make(self, **more: Any) -> BaseHook:
        """Return a hook over the connection under test."""
        return self.hook_class(CONN_ID, **{**self.arguments, **more})

    def use(self, hook: BaseHook) -> None:
        """Do something with ``hook`` that fails if the connection does not work; by default make a client.

        Override it where a client is made without asking the server.
        """
        self.close(hook.get_conn())

    def close(self, client: Any) -> None:  # noqa: ANN401 - whatever get_conn returns
        """Let go of a client; by default by its ``close`` if it has one."""
        if callable(close := getattr(client, "close", None)):
            close()

    # --- How it is made

    def test_it_says_what_it_is_for(self) -> None:
        """Its class attributes name the connection, and the connection type is registered with it."""
        cls = self.hook_class
        assert issubclass(cls, BaseHook)
        for name in ("conn_name_attr", "default_conn_name", "conn_type", "hook_name"):
            assert getattr(cls, name), f"{cls.__name__}.{name} is empty"
        kind = registry().connection_types.get(cls.conn_type)
        assert kind is not None, f"no manifest declares the connection type {cls.conn_type!r}"

    def test_the_connection_is_given_by_position_by_name_or_not_at_all(self) -> None:
        """`Hook("x")`, `Hook(name_conn_id="x")` and `Hook()` all work."""
        name = self.hook_class.conn_name_attr
        arguments: dict[str, Any] = dict(self.arguments)
        assert getattr(self.hook_class("one", **arguments), name) == "one"
        assert getattr(self.hook_class(**{**arguments, name: "two"}), name) == "two"
        assert getattr(self.hook_class(**arguments), name) == self.hook_class.default_conn_name

    def test_it_is_made_for_a_connection_by_its_type(self, failing_connection: ConnectionLike) -> None:
        """`BaseHook.get_hook` makes it, or the hook it is a kind of, and needs nothing but the connection's id."""
        connection = made(CONN_ID, failing_connection)
        with given(connection):
            hook = connection.get_hook()
            assert issubclass(self.hook_class, type(hook)), (
                f"the hook of {connection.conn_type} is {type(hook).__name__}"
            )
            assert getattr(hook, hook.conn_name_attr) == CONN_ID
            assert hook.connection == connection

    def test_an_unknown_argument_is_refused_by_name(self) -> None:
        """A mistyped argument is an error that names it."""
        with pytest.raises(TypeError, match="no_such_argument"):
            self.make(no_such_argument=1)

    def test_making_one_asks_for_nothing(self) -> None:
        """A hook is made where there is no task, as at the top of a DAG file; it asks for its connection when used."""
        assert self.make() is not None

    # --- A server that answers

    def test_it_makes_a_client(self, working_connection: ConnectionLike) -> None:
        """`get_conn` returns a client that can be used."""
        with given(made(CONN_ID, working_connection)):
            hook = self.make()
            client = hook.get_conn()
            assert client is not None
            self.close(client)
            self.use(hook)

    def test_a_connection_that_works_tests_well(self, working_connection: ConnectionLike) -> None:
        """`windlass connections test` says yes, in a sentence without a secret."""
        connection = made(CONN_ID, working_connection)
        with given(connection):
            works, message = self.make().test_connection()
        assert works is True, message
        assert not sentence_complaints(message)
        assert not leaks(message, _secrets_in(connection))

    # --- A server that does not

    def test_a_failure_names_the_connection(self, failing_connection: ConnectionLike) -> None:
        """What `get_conn` or the first use raises is one sentence with the connection's id."""
        with given(made(CONN_ID, failing_connection)), pytest.raises(Exception) as caught:  # noqa: PT011 - any error
            self.use(self.make())
        assert not sentence_complaints(str(caught.value), CONN_ID), f"the error says: {caught.value}"

    @pytest.mark.parametrize("kind", SECRETS)
    def test_a_failure_tells_no_secret(
        self, failing_connection: ConnectionLike, kind: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Neither the error nor its causes, nor the answer of `test_connection`, nor any log record holds one."""
        connection = _with_secret(made(CONN_ID, failing_connection), SECRETS[kind])
        caplog.set_level(logging.DEBUG)
        with given(connection):
            with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it raises
                self.use(self.make())
            works, message = self.make().test_connection()
        assert works is False
        assert not sentence_complaints(message), f"test_connection says: {message}"
        told = [message, *(f"{type(error).__name__}: {error}" for error in chain_of(caught.value)), caplog.text]
        assert not leaks("\n".join(told), [SECRETS[kind]]), "mask it, or raise a new error `from None`"

    @pytest.mark.parametrize("kind", SECRETS)
    def test_it_shows_no_secret(self, failing_connection: ConnectionLike, kind: str) -> None:
        """`repr` and `str` of the hook and of its connection hide the password and the secret fields."""
        with given(_with_secret(made(CONN_ID, failing_connection), SECRETS[kind])):
            hook = self.make()
            shown = f"{hook!r} {hook} {hook.connection!r} {hook.connection} {hook!r}"
        assert not leaks(shown, [SECRETS[kind]])


@contextmanager
def given(connection: Connection) -> Iterator[None]:
    """Let a hook outside a task find one connection, and no other."""
    session = Given()
    session.connections[connection.conn_id] = connection
    with session_scope(session):
        yield


def _secret_names(connection: Connection) -> list[str]:
    kind = registry().connection_types.get(connection.conn_type or "")
    return ["password", *(field.name for field in (kind.fields if kind is not None else ()) if field.secret)]


def _secrets_in(connection: Connection) -> list[str]:
    values = {**connection.extra_dejson, **connection.to_fields()}
    return [str(values[name]) for name in _secret_names(connection) if values.get(name)]


def _with_secret(connection: Connection, secret: str) -> Connection:
    """Return the connection with ``secret`` in its password and in every field that its type declares secret."""
    fields: dict[str, Any] = {**connection.to_fields(), "password": secret}
    extra = connection.extra_dejson
    for name in _secret_names(connection):
        (fields if name in STANDARD else extra)[name] = secret
    return Connection.from_fields(connection.conn_id, {**fields, "extra": extra or None})
