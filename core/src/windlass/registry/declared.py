"""What the manifest of a connection's type says of its fields, wherever a connection is stored or used.

Only declared keys of the extra reach a client library, so a key that is not declared is a mistake that would show much
later, as a connection that ignores a setting. No value is quoted: any of them may be a secret.
"""

from __future__ import annotations

from windlass.interfaces.connection import FIELDS, Connection
from windlass.interfaces.provider import ConnectionType
from windlass.registry.absent import nearest


def undeclared_fields(connection: Connection, kind: ConnectionType | None) -> dict[str, str]:
    """Return the keys of the connection's extra that its type does not declare, each with the sentence about it.

    There are none of a type that is not known, that declares nothing, or whose extra may hold anything.
    """
    if kind is None or kind.open_extra or not kind.fields:
        return {}
    declared = [field.name for field in kind.fields if field.name not in FIELDS]
    who = f"connection {connection.conn_id!r} of type {kind.conn_type!r}"
    return {
        name: f"{who} has no field {name!r}; {_remedy(name, declared)}"
        for name in sorted(connection.extra_dejson.keys() - set(declared))
    }


def _remedy(name: str, declared: list[str]) -> str:
    if close := nearest(name, declared):
        return f"did you mean {close!r}?"
    return f"in its extra it knows {', '.join(declared)}" if declared else "its extra has no fields at all"
