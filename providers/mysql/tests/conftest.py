"""A MySQL or MariaDB database for every test that wants one: found or started once; its tables are dropped again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from windlass.hooks import Connection
from windlass_mysql.hook import MySqlHook
from windlass_testing import SetConnection

MakeHook = Callable[..., MySqlHook]


@pytest.fixture
def made_hook(mysql_url: str, connection: SetConnection) -> MakeHook:
    """Makes a hook of the database, whose connection ``db`` has more keys in its extra."""

    def make(hook_params: dict[str, Any] | None = None, **extra: Any) -> MySqlHook:
        given = Connection.from_uri("db", mysql_url)
        connection("db", given.to_fields() | {"extra": given.extra_dejson | extra})
        return MySqlHook("db", **(hook_params or {}))

    return make


@pytest.fixture
def hook(made_hook: MakeHook) -> Iterator[MySqlHook]:
    """A hook of the database, in which there is only a table ``items (id, name)`` of three rows."""
    made = made_hook()
    made.run("create table items (id int primary key, name varchar(50))")
    made.run("insert into items values (1, 'pen'), (2, 'ink'), (3, null)")
    try:
        yield made
    finally:
        tables = made.get_records("show tables")
        names = ", ".join(made.quote_table([table[0]]) for table in tables)
        made.run(["set foreign_key_checks = 0", f"drop table {names}"])
