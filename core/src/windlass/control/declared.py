"""What a connection must have by the manifest of its type: the required fields, and none that nobody would read.

A type that no installed provider declares is taken as it is: the provider may be installed only where the tasks run.
"""

from __future__ import annotations

from windlass.errors import UsageError
from windlass.interfaces.connection import FIELDS, Connection
from windlass.registry import absent, registry
from windlass.registry.declared import undeclared_fields


def check_declared(connection: Connection) -> None:
    """Compare a connection with what its type declares. No value is quoted: any of them may be a secret.

    :raises UsageError: if a required field is missing, a field is unknown, or a value is none of the choices.
    """
    kind = registry().connection_types.get(connection.conn_type or "")
    if kind is None:
        return
    extra = connection.extra_dejson
    values = {name: getattr(connection, name) for name in FIELDS if name not in {"conn_type", "extra"}} | extra
    who = f"connection {connection.conn_id!r} of type {kind.conn_type!r}"
    for field in kind.fields:
        value = values.get(field.name)
        if value is None or value == "":
            if field.required and field.default is None:
                raise UsageError(
                    f"{who} has no {_labelled(field.name, field.label)}, which it needs; {_way(field.name)}"
                )
        elif field.choices and str(value) not in field.choices:
            raise UsageError(f"{who}: {field.name} is none of {', '.join(field.choices)}; choose one of these")
    if undeclared := undeclared_fields(connection, kind):
        raise UsageError(next(iter(undeclared.values())))


def unknown_type(connection: Connection) -> str | None:
    """Return the sentence for a connection whose type no installed provider declares, else None."""
    known = registry().connection_types
    if connection.conn_type in known:
        return None
    return f"connection {connection.conn_id!r}: {absent.unknown_type(connection.conn_type, known)}"


def _labelled(name: str, label: str) -> str:
    return f"{name} ({label})" if label and label.lower() != name else name


def _way(name: str) -> str:
    if name in FIELDS:
        return f"give it with --conn-{name}, or as {name!r} of the import"
    return f"give it with --conn-extra '{{\"{name}\": …}}', or in the extra of the import"
