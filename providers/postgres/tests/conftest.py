"""A PostgreSQL database for every test that wants one: found or started once, with tables that are dropped again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from windlass.hooks import Connection
from windlass_postgres.hook import PostgresHook
from windlass_testing import SetConnection

MakeHook = Callable[..., PostgresHook]


@pytest.fixture
def made_hook(postgres_url: str, connection: SetConnection) -> MakeHook:
    """Makes a hook of the database, whose connection ``db`` has more keys in its extra."""

    def make(hook_params: dict[str, Any] | None = None, **extra: Any) -> PostgresHook:
        given = Connection.from_uri("db", postgres_url)
        connection("db", given.to_fields() | {"extra": given.extra_dejson | extra})
        return PostgresHook("db", **(hook_params or {}))

    return make


@pytest.fixture
def hook(made_hook: MakeHook) -> Iterator[PostgresHook]:
    """A hook of the database, in which there is only a table ``items (id, name)`` of three rows."""
    made = made_hook()
    made.run(
        "create table items (id int primary key, name text); insert into items values (1,'pen'),(2,'ink'),(3,null)"
    )
    try:
        yield made
    finally:
        made.run("drop schema public cascade; create schema public; grant usage on schema public to public")
