"""Which fields of a connection its type does not declare, and what is said of them."""

from __future__ import annotations

import pytest

from windlass.interfaces.connection import Connection
from windlass.registry import ConnectionField, ConnectionType
from windlass.registry.declared import undeclared_fields

CLUSTER = ConnectionType(
    conn_type="cluster",
    fields=tuple(ConnectionField(name=name) for name in ("host", "namespace", "token")),
)


def test_a_mistyped_field_is_named_with_the_one_that_was_meant_and_no_value() -> None:
    connection = Connection("k", "cluster", "h", extra={"namespac": "s3cret", "xyz": "s3cret", "token": "t"})
    assert undeclared_fields(connection, CLUSTER) == {
        "namespac": "connection 'k' of type 'cluster' has no field 'namespac'; did you mean 'namespace'?",
        "xyz": "connection 'k' of type 'cluster' has no field 'xyz'; in its extra it knows namespace, token",
    }


def test_a_type_whose_extra_has_no_fields_says_so() -> None:
    plain = ConnectionType(conn_type="plain", fields=(ConnectionField(name="host"),))
    assert undeclared_fields(Connection("p", "plain", extra={"a": 1}), plain) == {
        "a": "connection 'p' of type 'plain' has no field 'a'; its extra has no fields at all"
    }


@pytest.mark.parametrize(
    "kind",
    [None, ConnectionType(conn_type="c"), ConnectionType(conn_type="c", fields=CLUSTER.fields, open_extra=True)],
    ids=["not known", "declares nothing", "open extra"],
)
def test_what_cannot_be_known_is_not_questioned(kind: ConnectionType | None) -> None:
    assert undeclared_fields(Connection("c", "c", extra={"anything": 1}), kind) == {}
