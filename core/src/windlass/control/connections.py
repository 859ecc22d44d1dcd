"""Stored connections. Their secrets go in and, but for an export, never come out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from windlass.control.declared import check_declared, unknown_type
from windlass.control.views import ConnectionRow
from windlass.control.visibility import did_you_mean
from windlass.errors import Conflict, ConnectionNotDefined, UsageError
from windlass.interfaces.connection import Connection

if TYPE_CHECKING:
    from windlass.store import Store

_LONGEST_ID: Final = 250


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What an import stored, and what it kept because it existed."""

    stored: tuple[str, ...]
    kept: tuple[str, ...]


class Connections:
    """Queries and commands about stored connections."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def list(self) -> tuple[ConnectionRow, ...]:
        """Return the stored connections by id, without their secrets."""
        return tuple(self.get(conn_id) for conn_id in self.ids())

    def get(self, conn_id: str) -> ConnectionRow:
        """Return one stored connection, without its secrets.

        :raises ConnectionNotDefined: if it is not stored; it may still be defined elsewhere.
        """
        fields = self._fields(conn_id)
        connection = Connection.from_fields(conn_id, fields)
        return ConnectionRow(
            conn_id=conn_id,
            conn_type=connection.conn_type or "",
            description=fields.get("description"),
            host=connection.host,
            port=connection.port,
            login=connection.login,
            schema=connection.schema,
            has_password=bool(connection.password),
            extra=tuple(sorted(connection.extra_dejson)),
        )

    def add(
        self,
        connection: Connection,
        *,
        description: str | None = None,
        overwrite: bool = False,
        dry_run: bool = False,
        actor: str,
    ) -> None:
        """Store a connection, or with ``dry_run`` only see whether that could be done.

        :raises UsageError: if it is not what its type declares.
        :raises Conflict: if it exists and ``overwrite`` is not set.
        """
        _check(connection)
        if dry_run:
            if not overwrite and connection.conn_id in self.ids():
                raise Conflict(f"connection {connection.conn_id!r} exists; delete it first, or ask to overwrite it")
            return
        fields = {"conn_id": connection.conn_id, **connection.to_fields(), "description": description or ""}
        self._store.credentials.set_connection(fields, overwrite)

    def doubt(self, connection: Connection) -> str | None:
        """Return a sentence about a connection that is stored all the same, though no provider here knows its type.

        The provider may be installed where the tasks run.
        """
        return unknown_type(connection)

    def delete(self, conn_id: str, *, actor: str) -> None:
        """Delete a stored connection.

        :raises ConnectionNotDefined: if it is not stored.
        """
        self._fields(conn_id)
        self._store.credentials.delete_connection(conn_id)

    def import_all(
        self, values: Mapping[str, Any], *, overwrite: bool = False, dry_run: bool = False, actor: str
    ) -> Imported:
        """Store many connections, each a URI or an object of fields; all are checked before the first is stored."""
        parsed = {conn_id: _parsed(conn_id, value) for conn_id, value in values.items()}
        for connection in parsed.values():
            _check(connection)
        existing = set(self.ids())
        stored = [conn_id for conn_id in parsed if overwrite or conn_id not in existing]
        for conn_id in [] if dry_run else stored:
            value = values[conn_id]
            description = value.get("description") if isinstance(value, dict) else None
            self.add(parsed[conn_id], description=description, overwrite=overwrite, actor=actor)
        return Imported(stored=tuple(stored), kept=tuple(sorted(existing & parsed.keys() - set(stored))))

    def export(self) -> dict[str, dict[str, Any]]:
        """Return every stored connection with its secrets, as :meth:`import_all` takes them."""
        exported = {}
        for conn_id in self.ids():
            fields = self._fields(conn_id)
            connection = Connection.from_fields(conn_id, fields)
            entry: dict[str, Any] = {key: value for key, value in connection.to_fields().items() if value is not None}
            if connection.extra is not None:
                entry["extra"] = connection.extra_dejson
            if fields.get("description"):
                entry["description"] = fields["description"]
            exported[conn_id] = entry
        return exported

    def rotate(self, *, actor: str) -> int:
        """Encrypt every stored connection and variable anew with the first key; return how many values that were.

        :raises ConfigError: if one was encrypted with a key that is not there.
        """
        return self._store.credentials.rotate()

    def count_secrets(self) -> int:
        """Return how many connections and variables are stored."""
        return len(self.ids()) + len(self._store.credentials.variables())

    def ids(self) -> tuple[str, ...]:
        """Return the ids of the stored connections."""
        return tuple(sorted(row.conn_id for row in self._store.credentials.connections()))

    def _fields(self, conn_id: str) -> dict[str, Any]:
        fields = self._store.credentials.connection(conn_id)
        if fields is None:
            hint = did_you_mean(conn_id, self.ids())
            raise ConnectionNotDefined(
                f"connection {conn_id!r} is not stored.{hint} `windlass connections list` shows all that are; the "
                "environment, files and secrets backends may define others"
            )
        return fields


def _check(connection: Connection) -> None:
    if not connection.conn_id.strip() or len(connection.conn_id) > _LONGEST_ID:
        raise UsageError(f"a connection's id needs 1 to {_LONGEST_ID} characters")
    if not connection.conn_type:
        raise UsageError(f"connection {connection.conn_id!r} has no type; name one, for example postgres")
    check_declared(connection)


def _parsed(conn_id: str, value: object) -> Connection:
    if isinstance(value, str):
        return Connection.parse(conn_id, value)
    if isinstance(value, dict):
        return Connection.from_fields(conn_id, value)
    raise UsageError(f"connection {conn_id!r} must be a URI or an object of fields, not {type(value).__name__}")
