"""On PostgreSQL and MySQL, too, every way to a schema leads to the same one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from windlass.config import Settings
from windlass.control import database as used_by_nobody
from windlass.errors import Conflict, StoreError, StoreTooOld
from windlass.store import SchemaState, check, current_revision, migrate, open_store, reset
from windlass.store.database import Transaction
from windlass.store.dialect import dialect_of
from windlass.store.migrating import open_bare, steps_down
from windlass.store.migrations import downgrade, upgrade
from windlass.store.revision import HEAD
from windlass.store.schema import metadata
from windlass.store.sharing import Leases
from windlass.store.system import SystemRng
from windlass_testing.stores import URL_FIXTURES

pytestmark = pytest.mark.services

SHAPES = {
    "postgresql": (
        (
            "SELECT table_name, column_name, data_type || ' ' || is_nullable || ' ' || COALESCE(collation_name, ''),"
            " regexp_replace(COALESCE(column_default, ''), 'nextval.*', 'next') FROM information_schema.columns"
            " WHERE table_schema = current_schema() AND table_name <> 'alembic_version'"
        ),
        (
            "SELECT c.relname, i.relname, regexp_replace(pg_get_indexdef(i.oid), ' ON \\S+ ', ' '), '' FROM pg_index x"
            " JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid"
            " WHERE c.relnamespace = current_schema()::regnamespace AND c.relname NOT IN ('alembic_version')"
        ),
        (
            "SELECT c.relname, k.conname, pg_get_constraintdef(k.oid), '' FROM pg_constraint k"
            " JOIN pg_class c ON c.oid = k.conrelid WHERE c.relnamespace = current_schema()::regnamespace"
            " AND c.relname <> 'alembic_version'"
        ),
        "SELECT name, slots::text, description, include_deferred::text FROM pool",
    ),
    "mysql": (
        (
            "SELECT table_name, column_name, CONCAT_WS(' ', column_type, is_nullable, collation_name, extra,"
            " generation_expression), COALESCE(column_default, '') FROM information_schema.columns"
            " WHERE table_schema = DATABASE() AND table_name <> 'alembic_version'"
        ),
        (
            "SELECT table_name, index_name, GROUP_CONCAT(column_name ORDER BY seq_in_index), CAST(non_unique AS TEXT)"
            " FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name <> 'alembic_version'"
            " GROUP BY table_name, index_name, non_unique"
        ),
        (
            "SELECT table_name, constraint_name, referenced_table_name, delete_rule"
            " FROM information_schema.referential_constraints WHERE constraint_schema = DATABASE()"
        ),
        (
            "SELECT table_name, engine, table_collation, row_format FROM information_schema.tables"
            " WHERE table_schema = DATABASE() AND table_name <> 'alembic_version'"
        ),
        "SELECT name, CAST(slots AS TEXT), description, CAST(include_deferred AS TEXT) FROM pool",
    ),
}


@pytest.fixture(params=URL_FIXTURES)
def server(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def empty(server: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a schema of its own with nothing in it."""
    url = str(request.getfixturevalue(URL_FIXTURES[server]))
    name = "other" if server == "postgresql" else f"{url.rpartition('/')[2]}_other"
    with closing(open_bare(url)) as database:
        database.write(lambda transaction: transaction.run(f"CREATE SCHEMA {name}"))
        yield f"{url}?options=-c%20search_path%3Dother" if server == "postgresql" else f"{url}_other"
        cascade = " CASCADE" if server == "postgresql" else ""
        database.write(lambda transaction: transaction.run(f"DROP SCHEMA {name}{cascade}"))


def shape(url: str) -> list[tuple[str, ...]]:
    with closing(open_bare(url)) as database:
        return sorted(row for sql in SHAPES[database.dialect.name] for row in database.rows(sql))


def test_migrations_lead_from_the_first_release_to_the_same_schema_as_the_script_and_back_to_nothing(
    empty: str, first_release: Callable[[str], str]
) -> None:
    assert (check(empty), current_revision(empty)) == (SchemaState.MISSING, None)
    assert migrate(empty) == migrate(empty) == HEAD
    by_script = shape(empty)
    assert len(by_script) > 250
    reset(empty)
    assert shape(empty) == by_script
    assert "0001" in steps_down(empty, "base")
    downgrade(empty, "base")
    first_release(empty)
    assert (check(empty), current_revision(empty)) == (SchemaState.OLDER, "0001")
    assert migrate(empty) == current_revision(empty) == HEAD
    assert shape(empty) == by_script


# MySQL's indexes are spelled otherwise than the tables describe them.
@pytest.mark.parametrize("server", ["postgresql"], indirect=True)
def test_the_migrated_schema_is_what_the_tables_describe(empty: str, first_release: Callable[[str], str]) -> None:
    upgrade(first_release(empty))
    dialect = dialect_of(empty)
    engine = create_engine(dialect.engine_url, **dialect.engine_options())
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    engine.dispose()
    assert differences == []


@pytest.mark.parametrize("server", ["mariadb"], indirect=True)
def test_tables_whose_making_was_interrupted_are_made_anew(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Transaction.run

    def interrupted(transaction: Transaction, sql: str, params: Mapping[str, object] = {}) -> int:
        if sql.startswith("CREATE TABLE attempt"):
            raise KeyboardInterrupt
        return run(transaction, sql, params)

    monkeypatch.setattr(Transaction, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        migrate(empty)
    monkeypatch.undo()
    assert check(empty) is SchemaState.MISSING
    assert migrate(empty) == current_revision(empty) == HEAD


@pytest.mark.parametrize("server", ["mariadb"], indirect=True)
def test_tables_of_somebody_else_are_never_dropped_to_make_ours(empty: str) -> None:
    with closing(open_bare(empty)) as database:
        database.write(lambda transaction: transaction.run("CREATE TABLE pool (theirs INT)"))
        for _ in range(2):
            with pytest.raises(StoreError, match=r"tables of somebody else \(pool\); give Windlass one of its own"):
                migrate(empty)
        assert database.rows("SELECT theirs FROM pool") == []


def test_a_database_that_was_taken_back_to_nothing_can_be_made_anew(empty: str) -> None:
    migrate(empty)
    downgrade(empty, "base")
    assert check(empty) is SchemaState.MISSING
    assert migrate(empty) == current_revision(empty) == HEAD


@pytest.mark.parametrize("release", ["none", "the first"])
def test_processes_that_start_together_make_or_upgrade_the_tables_once(
    empty: str, release: str, first_release: Callable[[str], str]
) -> None:
    if release == "the first":
        first_release(empty)
    failures: list[Exception] = []

    def start() -> None:
        try:
            migrate(empty)
        except Exception as error:  # noqa: BLE001 - told to the test
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert current_revision(empty) == HEAD


def test_a_reset_forgets_everything_and_touches_nothing_else(empty: str) -> None:
    migrate(empty)
    with closing(open_bare(empty)) as database:
        database.write(lambda transaction: transaction.run("DELETE FROM pool"))
        database.write(lambda transaction: transaction.run("CREATE TABLE somebody_elses (a int)"))
        reset(empty)
        assert database.rows("SELECT name FROM pool") == [("default_pool",)]
        assert database.rows("SELECT * FROM somebody_elses") == []


def test_nothing_is_erased_while_the_scheduler_of_another_home_lives(empty: str, tmp_path: Path) -> None:
    migrate(empty)
    environ = {"WINDLASS_HOME": str(tmp_path / "home"), "WINDLASS__DATABASE__SQL_ALCHEMY_CONN": empty}
    settings = Settings.load(environ=environ, cwd=tmp_path)
    with closing(open_bare(empty)) as database:
        Leases(database, "elsewhere:/srv", hostname="elsewhere", pid=7, lease=60.0).register()
        words = r"in use by the scheduler of elsewhere:/srv \(process 7, or what it has left until .*\); stop it first"
        with pytest.raises(Conflict, match=words):
            used_by_nobody.reset(settings)
        with pytest.raises(Conflict, match=words):
            used_by_nobody.downgrade(settings, "0006")
        database.write(lambda transaction: transaction.run("UPDATE scheduler SET lease_until = 0"))
    assert used_by_nobody.reset(settings) == HEAD


@pytest.mark.parametrize(("revision", "words"), [("0000", "this release needs"), ("9999", "newer than this release's")])
def test_a_schema_that_is_not_ours_is_refused_with_the_command_that_helps(
    empty: str, revision: str, words: str
) -> None:
    with pytest.raises(StoreTooOld, match=r"no tables yet.*db migrate"):
        open_store(empty, clock=None, rng=SystemRng())
    migrate(empty)

    def stamp(transaction: Transaction) -> None:
        transaction.run("UPDATE alembic_version SET version_num = :revision", {"revision": revision})

    with closing(open_bare(empty)) as database:
        database.write(stamp)
    with pytest.raises(StoreTooOld, match=words):
        open_store(empty, clock=None, rng=SystemRng())
