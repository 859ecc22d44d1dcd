"""The base of hooks: a hook is the client of one kind of external system, made from a connection."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

from windlass.errors import ContextUnavailable, PluginError
from windlass.interfaces.connection import Connection
from windlass.ports.current import KnowsHooks, current_session
from windlass.protocol import GetConnection


class BaseHook:
    """A client of an external system.

    A subclass names its constructor's argument for the connection in ``conn_name_attr`` and its usual value in
    ``default_conn_name``; with both, ``Hook()``, ``Hook("my_db")`` and ``Hook(postgres_conn_id="my_db")`` all work.
    Make hooks inside ``execute``: a connection can be asked for only there, and a client rarely survives a fork.
    """

    #: Name of the argument and attribute that hold the connection's id, for example ``postgres_conn_id``.
    conn_name_attr: ClassVar[str] = "conn_id"
    #: The connection that is used when none is named, for example ``postgres_default``.
    default_conn_name: ClassVar[str] = ""
    #: The type of connection that the hook reads, for example ``postgres``.
    conn_type: ClassVar[str] = ""
    #: What people call the system, for example ``PostgreSQL``.
    hook_name: ClassVar[str] = ""

    def __init__(self, conn_id: str | None = None, **arguments: object) -> None:
        """Keep the id of the connection, given by position or as ``conn_name_attr``.

        :raises TypeError: for any other argument; a subclass takes its own before it calls this.
        """
        named = arguments.pop(self.conn_name_attr, None)
        if arguments:
            names = ", ".join(sorted(arguments))
            msg = f"{type(self).__name__} takes no argument {names}; the connection is given as {self.conn_name_attr}"
            raise TypeError(msg)
        setattr(self, self.conn_name_attr, conn_id or named or self.default_conn_name)

    @classmethod
    def get_connection(cls, conn_id: str) -> Connection:
        """Return a connection by its id. Inside a task, ``dag.test()``, or while a DAG file is parsed.

        Its password and the sensitive parts of its extra are masked in the task's log from then on. In a task, a
        trigger and ``dag.test()`` the log warns of fields that its type does not declare.

        :raises ConnectionNotDefined: if no place of the lookup chain knows it.
        :raises SecretsError: if a secrets backend refused or is down.
        """
        session = current_session()
        connection = Connection.from_fields(conn_id, session.ask(GetConnection(conn_id=conn_id)))
        if isinstance(session, KnowsHooks):
            session.check_fields(connection)
        return connection

    @classmethod
    def get_hook(cls, conn_id: str, hook_params: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 - any hook
        """Return the hook of a connection, by its type: the one that the provider of that type brings.

        ``hook_params`` are more arguments of the hook. In a task, in a trigger and in ``dag.test()``.

        :raises ConnectionNotDefined: if no place of the lookup chain knows the connection.
        :raises PluginError: if no installed provider brings a hook for its type.
        """
        connection = cls.get_connection(conn_id)
        session = current_session()
        if not isinstance(session, KnowsHooks):
            msg = (
                "a hook is found by its connection's type only in a task, a trigger and dag.test(); move the call there"
            )
            raise ContextUnavailable(msg)
        try:
            hook_class = session.hook_class(connection.conn_type)
        except PluginError as error:
            raise PluginError(f"connection {conn_id!r}: {error}") from error.__cause__
        hook = hook_class(**{hook_class.conn_name_attr: conn_id, **(hook_params or {})})
        hook.connection = connection
        return hook

    @cached_property
    def connection(self) -> Connection:
        """The connection that this hook was made for, asked for once."""
        return self.get_connection(getattr(self, self.conn_name_attr))

    @cached_property
    def log(self) -> logging.Logger:
        """The logger of the hook's class; its records go to the task's log."""
        return logging.getLogger(f"{type(self).__module__}.{type(self).__qualname__}")

    def get_conn(self) -> Any:  # noqa: ANN401 - each subclass returns its own client
        """Return a client that is connected and logged in. Every subclass implements it."""
        msg = f"{type(self).__name__} has no get_conn(); its author must implement it"
        raise NotImplementedError(msg)

    def test_connection(self) -> tuple[bool, str]:
        """Return whether the connection works, and a sentence for people that holds no secret.

        Called in a child process for ``windlass connections test``. The default only makes a client, and tells no more
        of a failure than its type, since messages of client libraries may quote passwords: a subclass does better by
        asking the system for its version, say. A library that cannot be imported is left to the caller, who knows how
        to install it.
        """
        try:
            self.get_conn()
        except ImportError:
            raise
        except Exception as error:  # noqa: BLE001 - any failure is the answer
            return False, f"no client could be made: {type(error).__module__}.{type(error).__qualname__}"
        return True, "connected"
