"""A MySQL or MariaDB database for every test that wants one: found or started once; its tables are dropped again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from windlass.hooks import Connection
from windlass.store.dialect import dialect_of
from windlass.store.store import Store, open_store
from windlass.store.system import SystemRng
from windlass_mysql.address import Address
from windlass_mysql.hook import MySqlHook
from windlass_testing import SetConnection
from windlass_testing.databases import emptied

MakeHook = Callable[..., MySqlHook]
InThreads = Callable[..., list[BaseException]]


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


@pytest.fixture(scope="module")
def database(mysql_url: str) -> Iterator[str]:
    """A database of the store's own: the tests of the hook drop whatever they find in theirs."""
    with closing(dialect_of(mysql_url).connect()) as session:
        name = f"{Address(mysql_url).arguments['database']}_store"
        session.run(f"CREATE DATABASE {name}")
        yield f"{mysql_url}_store"
        session.run(f"DROP DATABASE {name}")


@pytest.fixture
def url(database: str) -> str:
    return emptied(database)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with closing(open_store(url, clock=None, rng=SystemRng())) as store:
        yield store


@pytest.fixture
def in_threads() -> InThreads:
    """Does things at once, and returns what failed of them."""

    def do(*works: Callable[[], object]) -> list[BaseException]:
        failures: list[BaseException] = []

        def run(work: Callable[[], object]) -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - told to the test
                failures.append(error)

        threads = [threading.Thread(target=run, args=(work,)) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        return failures

    return do
