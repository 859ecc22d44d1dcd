"""Secrets are sealed at rest, opened by any known key, and never shown in a list."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet

from windlass.errors import ConfigError, Conflict, ConnectionNotDefined, NotFound, VariableNotDefined
from windlass.interfaces.connection import Connection
from windlass.store import Credentials, Store
from windlass.store.schema import metadata
from windlass_testing.hand_driven import HandDriven

CANARY = "c4n4ry"


def everything_stored(store: Store) -> str:
    return repr([store.db.rows(f'SELECT * FROM "{table}"') for table in metadata.tables])  # noqa: S608 - a test's own


def test_a_connection_comes_back_as_it_went_in(store: Store) -> None:
    made = Connection("c", "postgres", host="h", login="", password=CANARY, port=5432, extra={"a": [1]})
    store.credentials.set_connection({"conn_id": "c", **made.to_fields(), "description": "prod"}, True)
    fields = store.credentials.connection("c")
    assert fields is not None
    assert fields["description"] == "prod"
    assert Connection.from_fields("c", fields) == made
    assert store.credentials.connection("other") is None


def test_no_secret_is_readable_in_any_table_or_list(store: Store) -> None:
    store.credentials.set_connection({"conn_id": "c", "conn_type": "x", "password": CANARY}, True)
    store.credentials.set_variable("v", CANARY, "about it")
    assert CANARY not in everything_stored(store)
    lists = repr([store.credentials.connections(), store.credentials.variables()])
    assert CANARY not in lists
    assert "about it" in lists


def test_an_existing_connection_is_overwritten_only_on_request(store: Store) -> None:
    store.credentials.set_connection({"conn_id": "c", "conn_type": "x"}, False)
    with pytest.raises(Conflict, match="connection 'c' exists"):
        store.credentials.set_connection({"conn_id": "c", "conn_type": "y"}, False)
    store.credentials.set_connection({"conn_id": "c", "conn_type": "y"}, True)
    assert [row.conn_type for row in store.credentials.connections()] == ["y"]


def test_variables_are_replaced_and_deleted(store: Store) -> None:
    store.credentials.set_variable("v", "1")
    store.credentials.set_variable("v", "2")
    assert store.credentials.variable("v") == "2"
    store.credentials.delete_variable("v")
    assert store.credentials.variable("v") is None
    with pytest.raises(VariableNotDefined, match="'v' is not stored"):
        store.credentials.delete_variable("v")
    with pytest.raises(ConnectionNotDefined, match="'c' is not stored"):
        store.credentials.delete_connection("c")


def test_a_new_first_key_seals_and_the_old_one_still_opens(store: Store) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    Credentials(store.db, [old]).set_variable("v", "x")
    both = Credentials(store.db, [new, old])
    assert both.variable("v") == "x"
    assert both.rotate() == 1
    assert Credentials(store.db, [new]).variable("v") == "x"
    with pytest.raises(ConfigError, match="variable 'v' was encrypted with another key"):
        Credentials(store.db, [old]).variable("v")


def test_without_a_usable_key_nothing_is_stored(store: Store) -> None:
    with pytest.raises(ConfigError, match="no encryption key"):
        Credentials(store.db).set_variable("v", "x")
    with pytest.raises(ConfigError, match="not 32 bytes"):
        Credentials(store.db, lambda: ["short"]).set_variable("v", "x")
    assert store.credentials.variables() == []


def test_pools_are_set_read_and_deleted_and_each_change_is_signalled(engine: HandDriven) -> None:
    pools = engine.store.pools
    assert [(pool.name, pool.slots) for pool in pools.list()] == [("default_pool", 128)]
    pools.set("p", 3, "about", include_deferred=True)
    pools.set("p", 4, "about", include_deferred=True)
    assert (pools.get("p").slots, pools.get("p").include_deferred) == (4, True)
    pools.delete("p")
    assert [signal.kind for signal in engine.scheduler.signals()] == ["pool"] * 3
    for act in (pools.get, pools.delete):
        with pytest.raises(NotFound, match="pool 'p' does not exist"):
            act("p")
