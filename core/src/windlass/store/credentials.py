"""Stored connections and variables, encrypted at rest.

Values are sealed with MultiFernet: the first key encrypts, every key decrypts, so keys are rotated by putting a new
one in front and calling :meth:`Credentials.rotate`. The keys are given by ``app``; without one nothing can be stored
or read. Only the values are secret: ids, types and descriptions are shown in lists.
"""

# ruff: noqa: S608 - statements are put together from constants; values are always parameters

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from windlass.errors import ConfigError, Conflict, ConnectionNotDefined, ExtraMissing, VariableNotDefined
from windlass.store.database import Database, Transaction

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

_SET_CONNECTION: Final = (
    "INSERT INTO connection (conn_id, conn_type, description, secret, updated_at)"
    " VALUES (:name, :conn_type, :description, :secret, :now)"
    " ON CONFLICT (conn_id) DO UPDATE SET conn_type = excluded.conn_type, description = excluded.description,"
    " secret = excluded.secret, updated_at = excluded.updated_at"
)
_SET_VARIABLE: Final = (
    "INSERT INTO variable (name, description, secret, updated_at) VALUES (:name, :description, :secret, :now)"
    " ON CONFLICT (name) DO UPDATE SET description = excluded.description, secret = excluded.secret,"
    " updated_at = excluded.updated_at"
)


class ConnectionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A stored connection as lists show it."""

    conn_id: str
    conn_type: str
    description: str


class VariableRow(msgspec.Struct, frozen=True, kw_only=True):
    """A stored variable as lists show it."""

    key: str
    description: str


class Credentials:
    """Reads and writes what is secret."""

    def __init__(self, database: Database, keys: Sequence[str] | Callable[[], Sequence[str]] = ()) -> None:
        self._database = database
        self._keys = keys

    # --- Connections

    def connections(self) -> list[ConnectionRow]:
        """Return all stored connections, without their values."""
        rows = self._database.rows("SELECT conn_id, conn_type, description FROM connection ORDER BY conn_id")
        return [ConnectionRow(conn_id=i, conn_type=kind, description=text) for i, kind, text in rows]

    def connection(self, conn_id: str) -> dict[str, Any] | None:
        """Return the fields of a stored connection with its ``conn_id`` and ``description``, None if there is none."""
        row = self._database.row(
            "SELECT secret, conn_type, description FROM connection WHERE conn_id = :name", {"name": conn_id}
        )
        if row is None:
            return None
        fields: dict[str, Any] = msgspec.json.decode(self._open(row[0], f"connection {conn_id!r}"))
        return {"conn_id": conn_id, "conn_type": row[1], **fields, "description": row[2]}

    def set_connection(self, fields: Mapping[str, Any], overwrite: bool = True) -> None:  # noqa: FBT001, FBT002 - named
        """Store a connection; ``fields`` has its ``conn_id``.

        Raises:
            Conflict: it exists and ``overwrite`` is not set.
        """
        conn_id = str(fields["conn_id"])
        kept = {k: v for k, v in fields.items() if k not in {"conn_id", "description"} and v is not None}
        values = {
            "name": conn_id,
            "conn_type": str(fields.get("conn_type") or ""),
            "description": fields.get("description") or "",
            "secret": self._seal(msgspec.json.encode(kept)),
            "now": self._database.now(),
        }

        def work(transaction: Transaction) -> None:
            transaction.exclude(f"connection {conn_id}")
            exists = transaction.row("SELECT 1 FROM connection WHERE conn_id = :name", {"name": conn_id})
            if exists and not overwrite:
                raise Conflict(f"connection {conn_id!r} exists; delete it first, or ask to overwrite it")
            transaction.run(_SET_CONNECTION, values)

        self._database.write(work)

    def delete_connection(self, conn_id: str) -> None:
        """Delete a stored connection.

        Raises:
            ConnectionNotDefined: there is none.
        """
        sql = "DELETE FROM connection WHERE conn_id = :name"
        if self._database.write(lambda transaction: transaction.run(sql, {"name": conn_id})) == 0:
            raise ConnectionNotDefined(
                f"connection {conn_id!r} is not stored; `windlass connections list` shows what is"
            )

    # --- Variables

    def variables(self) -> list[VariableRow]:
        """Return all stored variables, without their values."""
        rows = self._database.rows("SELECT name, description FROM variable ORDER BY name")
        return [VariableRow(key=key, description=text) for key, text in rows]

    def variable(self, key: str) -> str | None:
        """Return the value of a stored variable, None if there is none."""
        row = self._database.row("SELECT secret FROM variable WHERE name = :name", {"name": key})
        return None if row is None else self._open(row[0], f"variable {key!r}").decode()

    def set_variable(self, key: str, value: str, description: str = "") -> None:
        """Store a variable, replacing what was there."""
        values = {
            "name": key,
            "description": description,
            "secret": self._seal(value.encode()),
            "now": self._database.now(),
        }
        self._database.write(lambda transaction: transaction.run(_SET_VARIABLE, values))

    def delete_variable(self, key: str) -> None:
        """Delete a stored variable.

        Raises:
            VariableNotDefined: there is none.
        """
        sql = "DELETE FROM variable WHERE name = :name"
        if self._database.write(lambda transaction: transaction.run(sql, {"name": key})) == 0:
            raise VariableNotDefined(f"variable {key!r} is not stored; `windlass variables list` shows what is")

    # --- Keys

    def rotate(self) -> int:
        """Encrypt everything anew with the first key; return how many values that were."""
        fernet = self._fernet()
        from cryptography.fernet import InvalidToken

        def rotated(table: str, name: str, secret: bytes) -> bytes:
            try:
                return fernet.rotate(bytes(secret))
            except InvalidToken:
                raise ConfigError(
                    f"{table} {name!r} was encrypted with another key, so nothing was changed; put the key that was "
                    "used back into the key list"
                ) from None

        def work(transaction: Transaction) -> int:
            count = 0
            for table, column in (("connection", "conn_id"), ("variable", "name")):
                rows = transaction.rows(f"SELECT {column}, secret FROM {table} ORDER BY {column} FOR_UPDATE")
                renewed = [{"name": name, "secret": rotated(table, name, secret)} for name, secret in rows]
                transaction.many(f"UPDATE {table} SET secret = :secret WHERE {column} = :name", renewed)
                count += len(renewed)
            return count

        return self._database.write(work)

    def _seal(self, value: bytes) -> bytes:
        return self._fernet().encrypt(value)

    def _open(self, sealed: bytes, what: str) -> bytes:
        fernet = self._fernet()
        from cryptography.fernet import InvalidToken

        try:
            return fernet.decrypt(bytes(sealed))
        except InvalidToken:
            raise ConfigError(
                f"{what} was encrypted with another key; put the key that was used back into the key list"
            ) from None

    def _fernet(self) -> MultiFernet:
        keys = self._keys() if callable(self._keys) else self._keys
        if not keys:
            raise ConfigError("there is no encryption key; `windlass standalone` makes one, or set core.fernet_key")
        try:
            from cryptography.fernet import Fernet, MultiFernet
        except ImportError:
            raise ExtraMissing("stored connections and variables need cryptography") from None
        try:
            return MultiFernet([Fernet(key) for key in keys])
        except ValueError as error:
            raise ConfigError(
                "an encryption key is not 32 bytes in URL-safe base64; make one with Fernet.generate_key()"
            ) from error
