"""Whatever way a schema came to be, it is the same one; and a start that needs no migration loads no migration tool."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from alembic import op
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from windlass.errors import StoreError, StoreTooOld
from windlass.store import SchemaState, check, current_revision, migrate, reset
from windlass.store.dialect import SqliteDialect, dialect_of, sqlite_path
from windlass.store.migrating import open_bare
from windlass.store.migrations import downgrade, upgrade
from windlass.store.revision import HEAD
from windlass.store.schema import metadata
from windlass.store.scripts import DIALECTS, FILES, script
from windlass_testing.stores import on_server, url_of

PARTIAL = {
    index.name
    for table in metadata.tables.values()
    for index in table.indexes
    if index.dialect_options["postgresql"]["where"] is not None
}


def shape(url: str) -> list[tuple[str, ...]]:
    """Return the columns, keys and indexes of every table, and the first rows."""
    connection = sqlite3.connect(sqlite_path(url))
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    found: list[tuple[str, ...]] = []
    for name in names:
        if name.startswith("sqlite_"):
            continue
        for pragma in ("table_info", "foreign_key_list"):
            found += [(name, pragma, *map(str, row)) for row in connection.execute(f"PRAGMA {pragma}({name})")]
        for _, index, *rest in connection.execute(f"PRAGMA index_list({name})").fetchall():
            columns = [str(row[2]) for row in connection.execute(f"PRAGMA index_info({index})")]
            where = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (index,)).fetchone()
            found.append(
                (name, index if not index.startswith("sqlite_") else "", *map(str, rest), *columns, str(where))
            )
    found += [("pool", *map(str, row)) for row in connection.execute("SELECT * FROM pool")]
    connection.close()
    return sorted(found)


@pytest.mark.parametrize("name", DIALECTS)
def test_the_shipped_script_is_the_one_that_the_tables_describe(name: str) -> None:
    assert FILES[name].read_text(encoding="utf-8") == script(name), "run `python -m windlass.store.scripts`"


@pytest.mark.sqlite_only("other databases have tests of their schema in files of their own")
def test_migrations_lead_from_the_first_release_to_the_same_schema_as_the_script(
    tmp_path: Path, sqlite_url: str, first_release: Callable[[str], str]
) -> None:
    other = first_release(f"sqlite:///{tmp_path}/other.db")
    assert (check(other), current_revision(other)) == (SchemaState.OLDER, "0001")
    assert migrate(other) == HEAD
    assert current_revision(other) == current_revision(sqlite_url) == HEAD
    assert shape(other) == shape(sqlite_url)


def is_of_partial_index(difference: Any) -> bool:  # noqa: ANN401 - a tuple of Alembic's, of many kinds
    """Return whether this is how MySQL spells a partial index: with more columns, and one of its own if unique."""
    kind, *of = difference
    named = of[2] if kind == "remove_column" else of[0]
    return str(named.name).removeprefix("in_") in PARTIAL


def test_the_migrated_schema_is_what_the_tables_describe(tmp_path: Path, first_release: Callable[[str], str]) -> None:
    url = first_release(url_of(tmp_path))
    upgrade(url)
    dialect = dialect_of(url)
    engine = create_engine(dialect.engine_url, **dialect.engine_options())
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    engine.dispose()
    assert [difference for difference in differences if not is_of_partial_index(difference)] == []
    if engine.dialect.name in {"sqlite", "postgresql"}:
        assert differences == []


@pytest.mark.sqlite_only("other databases have tests of their schema in files of their own")
def test_a_downgrade_undoes_what_an_upgrade_did(tmp_path: Path) -> None:
    other = f"sqlite:///{tmp_path}/other.db"
    migrate(other)
    downgrade(other, "base")
    connection = sqlite3.connect(sqlite_path(other))
    left = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.close()
    assert left <= {"alembic_version", "sqlite_sequence"}


def test_migrating_is_repeatable_and_says_where_a_database_stands(tmp_path: Path) -> None:
    url = url_of(tmp_path)
    assert (check(url), current_revision(url)) == (SchemaState.MISSING, None)
    assert migrate(url) == migrate(url) == HEAD
    assert (check(url), current_revision(url)) == (SchemaState.CURRENT, HEAD)


@pytest.mark.sqlite_only("PostgreSQL does so too, MySQL cannot")
@pytest.mark.parametrize("survived", range(0, 10, 3))
def test_an_upgrade_that_is_interrupted_has_not_happened(
    tmp_path: Path, sqlite_url: str, first_release: Callable[[str], str], survived: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = first_release(f"sqlite:///{tmp_path}/other.db")
    before = shape(other)
    left = count(survived, -1)
    index = op.create_index

    def interrupted(*args: Any, **options: Any) -> None:
        if next(left) == 0:
            raise KeyboardInterrupt
        index(*args, **options)

    monkeypatch.setattr(op, "create_index", interrupted)
    with pytest.raises(KeyboardInterrupt):
        migrate(other)
    monkeypatch.undo()
    assert shape(other) == before
    assert current_revision(other) == "0001"
    assert migrate(other) == HEAD
    assert shape(other) == shape(sqlite_url)


@pytest.mark.sqlite_only("other databases have such a test in a file of their own")
def test_processes_that_start_together_upgrade_the_tables_once(
    tmp_path: Path, sqlite_url: str, first_release: Callable[[str], str]
) -> None:
    other = first_release(f"sqlite:///{tmp_path}/other.db")
    command = [sys.executable, "-c", f"from windlass.store import migrate; migrate({other!r})"]
    started = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    assert [process.communicate(timeout=60)[1] for process in started] == [""] * 3
    assert shape(other) == shape(sqlite_url)


@pytest.mark.sqlite_only("what a database refuses is told alike for all")
def test_what_the_database_refuses_is_told_in_a_sentence(tmp_path: Path, first_release: Callable[[str], str]) -> None:
    other = first_release(f"sqlite:///{tmp_path}/other.db")
    with closing(open_bare(other)) as database:
        database.write(lambda transaction: transaction.run("CREATE TABLE asset_listener (theirs INT)"))
    with pytest.raises(StoreError, match=r"^the tables could not be changed: table asset_listener already exists$"):
        migrate(other)


def of_provider(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Have the dialect bring another script, as that of another release of its provider would."""
    monkeypatch.setattr(SqliteDialect, "schema", lambda _self: script)


@pytest.mark.sqlite_only("what a dialect brings is handled alike for all")
def test_what_an_older_provider_makes_is_led_on_by_migrations(
    tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = f"sqlite:///{tmp_path}/other.db"
    of_provider(monkeypatch, (Path(__file__).parent / "first_release" / "sqlite.sql").read_text(encoding="utf-8"))
    assert migrate(other) == current_revision(other) == HEAD
    assert shape(other) == shape(sqlite_url)
    assert reset(other) == current_revision(other) == HEAD
    assert shape(other) == shape(sqlite_url)


@pytest.mark.sqlite_only("what a dialect brings is handled alike for all")
@pytest.mark.parametrize(
    ("stamp", "error", "sentence"),
    [
        (
            "INSERT INTO alembic_version (version_num) VALUES ('9999');\n",
            StoreTooOld,
            f"the provider of sqlite databases makes tables of revision 9999, newer than this release's {HEAD}; up",
        ),
        ("", StoreError, "the script of sqlite databases does not end by writing its revision; its provider is broken"),
    ],
)
def test_a_script_that_is_not_for_this_release_makes_nothing_and_erases_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stamp: str, error: type[Exception], sentence: str
) -> None:
    url = f"sqlite:///{tmp_path}/other.db"
    of_provider(monkeypatch, script("sqlite").rpartition("INSERT INTO alembic_version")[0] + stamp)
    with pytest.raises(error, match=re.escape(sentence)):
        migrate(url)
    assert check(url) is SchemaState.MISSING
    monkeypatch.undo()
    migrate(url)
    of_provider(monkeypatch, script("sqlite").rpartition("INSERT INTO alembic_version")[0] + stamp)
    with pytest.raises(error, match=re.escape(sentence)):
        reset(url)
    assert check(url) is SchemaState.CURRENT, "what is refused has erased nothing"


def test_processes_that_start_together_create_the_tables_once(tmp_path: Path) -> None:
    url = url_of(tmp_path)
    results: list[str] = []
    threads = [threading.Thread(target=lambda: results.append(migrate(url))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert results == [HEAD] * 8


def test_a_reset_forgets_everything(url: str) -> None:
    with closing(open_bare(url)) as database:
        database.write(lambda transaction: transaction.run("DELETE FROM pool"))
    reset(url)
    with closing(open_bare(url)) as database:
        assert database.rows("SELECT name FROM pool") == [("default_pool",)]


@pytest.mark.budget
def test_creating_and_opening_a_database_loads_neither_alembic_nor_sqlalchemy(tmp_path: Path) -> None:
    url = url_of(tmp_path)
    code = (
        "import sys\n"
        "from windlass.app.clocks import SystemClock, SystemRng\n"
        "from windlass.store import migrate, open_store\n"
        f"migrate({url!r})\n"
        f"store = open_store({url!r}, clock=SystemClock(), rng=SystemRng())\n"
        "print(*({'alembic', 'sqlalchemy', 'cryptography', 'asyncio', 'ssl'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    of_driver = {"asyncio", "cryptography", "ssl"} if on_server() else set()
    assert set(done.stdout.split()) <= of_driver
