"""``windlass connections test``, in the process that gets nothing but one connection.

The fields come as JSON on standard input, the answer goes as JSON ``[works, message, secrets]`` to standard
output, with what else is to be hidden in the message; whatever the
hook prints goes to standard error, so that it cannot be taken for the answer.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from windlass.errors import ConnectionNotDefined, PluginError, WindlassError
from windlass.interfaces.connection import Connection
from windlass.ports import session_scope
from windlass.protocol import GetConnection, Mask, Verb
from windlass.registry import registry
from windlass.registry.absent import missing_library
from windlass.registry.declared import undeclared_fields


class _OneConnection:
    """A session that knows a single connection, and collects what is to be hidden in the answer."""

    context: Mapping[str, Any] | None = None

    def __init__(self, conn_id: str, fields: dict[str, Any]) -> None:
        self._conn_id = conn_id
        self._fields = fields
        self.secrets: list[str] = []

    def ask(self, verb: Verb) -> Any:  # noqa: ANN401 - any msgpack value
        """Answer with the connection under test."""
        if isinstance(verb, Mask):
            self.secrets += verb.values
            return None
        if isinstance(verb, GetConnection) and verb.conn_id == self._conn_id:
            return self._fields
        raise ConnectionNotDefined(f"only connection {self._conn_id!r} is known while it is tested")

    def tell(self, verb: Verb) -> None:
        """Take nothing in."""


def main(conn_id: str) -> int:
    """Test the connection on standard input and print the answer."""
    fields = msgspec.json.decode(sys.stdin.buffer.read())
    answer = os.dup(1)
    os.dup2(2, 1)
    session = _OneConnection(conn_id, fields)
    works, message = _tested(conn_id, fields, session)
    sentence = "; ".join([message, *_ignored(conn_id, fields)])
    os.write(answer, msgspec.json.encode((works, sentence, session.secrets)))
    return 0


def _tested(conn_id: str, fields: dict[str, Any], session: _OneConnection) -> tuple[bool, str]:
    try:
        hook_class = registry().hook_class(str(fields.get("conn_type") or ""))
    except PluginError as error:
        return False, f"connection {conn_id!r}: {error}"
    try:
        with session_scope(session):
            works, message = hook_class(conn_id).test_connection()
    except WindlassError as error:
        return False, str(error)
    except Exception as error:  # noqa: BLE001 - whatever a hook raises, the test failed; its text may quote a secret
        failed = f"connection {conn_id!r}: its hook failed with {type(error).__module__}.{type(error).__qualname__}"
        return False, missing_library(error) or failed
    return bool(works), str(message)


def _ignored(conn_id: str, fields: dict[str, Any]) -> Iterable[str]:
    """Return what a task's log would warn of."""
    kind = registry().connection_types.get(str(fields.get("conn_type") or ""))
    return undeclared_fields(Connection.from_fields(conn_id, fields), kind).values()
