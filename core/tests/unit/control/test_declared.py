"""A connection must be what the manifest of its type declares; what is refused is named, and no value is quoted."""

from __future__ import annotations

import pytest

from windlass.control.declared import check_declared
from windlass.errors import UsageError
from windlass.interfaces.connection import Connection
from windlass.registry import Catalog, ConnectionField, ConnectionType, Provider, Registry
from windlass_testing.installation import Installation

WAREHOUSE = ConnectionType(
    conn_type="warehouse",
    fields=(
        ConnectionField(name="host", required=True),
        ConnectionField(name="token", label="Access token", required=True, secret=True),
        ConnectionField(name="region", required=True, default="eu"),
        ConnectionField(name="tone", choices=("warm", "formal"), default="warm"),
    ),
)


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = Provider(name="acme", connection_types=(WAREHOUSE, ConnectionType(conn_type="bare")))
    made = Registry(lambda: Catalog((provider,), ()))
    monkeypatch.setattr("windlass.control.declared.registry", lambda: made)


@pytest.mark.parametrize(
    ("connection", "problem"),
    [
        (
            Connection("w", "warehouse", extra={"token": "s3cret"}),
            "connection 'w' of type 'warehouse' has no host, which it needs; give it with --conn-host, or as 'host' of",
        ),
        (Connection("w", "warehouse", host="", extra={"token": "s3cret"}), "has no host, which it needs"),
        (
            Connection("w", "warehouse", host="h"),
            "has no token (Access token), which it needs; give it with --conn-extra '{\"token\": …}', or in the extra",
        ),
        (
            Connection("w", "warehouse", host="h", extra={"token": "s3cret", "regiom": "s3cret"}),
            "has no field 'regiom'; did you mean 'region'?",
        ),
        (
            Connection("w", "warehouse", host="h", extra={"token": "s3cret", "tone": "rude"}),
            "tone is none of warm, formal; choose one of these",
        ),
    ],
)
def test_what_the_type_does_not_allow_is_refused_by_name(connection: Connection, problem: str) -> None:
    with pytest.raises(UsageError) as refusal:
        check_declared(connection)
    assert problem in str(refusal.value)
    assert "s3cret" not in str(refusal.value)


@pytest.mark.parametrize(
    "connection",
    [
        Connection("w", "warehouse", host="h", login="a", port=1, extra={"token": "t", "tone": "formal"}),
        Connection("g", "generic", extra={"anything": 1}),
        Connection("b", "bare", extra={"anything": 1}),
        Connection("u", "nobody_declares_this", extra={"anything": 1}),
    ],
    ids=["complete", "open extra", "type without fields", "unknown type"],
)
def test_everything_else_is_taken(connection: Connection) -> None:
    check_declared(connection)


def test_add_and_import_refuse_before_anything_is_stored(here: Installation) -> None:
    bad = Connection("w", "warehouse", host="h")
    with pytest.raises(UsageError, match="has no token"):
        here.control.connections.add(bad, actor="test")
    with pytest.raises(UsageError, match=r"'w'.*has no token"):
        here.control.connections.import_all({"a": "http://h", "w": bad.to_fields()}, actor="test")
    assert here.control.connections.list() == ()
