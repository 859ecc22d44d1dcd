"""A SQLite database for every test that wants one."""

from __future__ import annotations

from pathlib import Path

import pytest

from windlass_sql.sqlite import SqliteHook
from windlass_testing import SetConnection


@pytest.fixture
def database(tmp_path: Path, connection: SetConnection) -> SqliteHook:
    """An empty database, behind the connection ``db``."""
    connection("db", conn_type="sqlite", host=str(tmp_path / "db.sqlite"))
    return SqliteHook("db")


@pytest.fixture
def items(database: SqliteHook) -> SqliteHook:
    """The same with a table ``items (id, name)`` of three rows."""
    database.run("create table items (id integer primary key, name text)")
    database.insert_rows("items", [(1, "pen"), (2, "ink"), (3, None)])
    return database
