"""Bringing a database's schema up to this code: ``windlass db migrate``, ``check`` and ``reset``.

A fresh database is made from the prebuilt script of its kind in one transaction (a few milliseconds, no SQLAlchemy); an
older one is upgraded by Alembic, which is imported only then. A test proves that both ways lead to the same schema.
"""

from __future__ import annotations

import re
from contextlib import closing
from types import ModuleType
from typing import Final

from windlass.errors import ExtraMissing, StoreError, StoreTooOld, UsageError
from windlass.interfaces.database import Dialect
from windlass.store.database import Database, Row, Transaction
from windlass.store.dialect import dialect_of, sqlite_schema
from windlass.store.revision import HEAD, SchemaState, state_of

_VERSION: Final = "SELECT version_num FROM alembic_version"
_STAMP: Final = {"name": "alembic_version"}
_TABLE: Final = re.compile(r'^CREATE TABLE (?:IF NOT EXISTS )?["`]?(\w+)', re.MULTILINE)
_STAMPS: Final = re.compile(r"INTO alembic_version \(version_num\) VALUES \('(\w+)'\);\n\Z")
#: What processes that look after the schema exclude each other by.
SCHEMA: Final = "schema"


def current_revision(url: str) -> str | None:
    """Return the revision of the database at ``url``; None when it has no tables or does not exist."""
    if not dialect_of(url).exists():
        return None
    with closing(open_bare(url, create=False)) as database:
        return _revision(database)


def _revision(database: Database) -> str | None:
    if database.row(database.dialect.has_table, _STAMP) is None:
        return None
    row: Row | None = database.row(_VERSION)
    return None if row is None else str(row[0])


def check(url: str) -> SchemaState:
    """Return how the schema at ``url`` relates to this code."""
    return state_of(current_revision(url))


def require_current(database: Database) -> None:
    """Refuse to work on a schema that is not ours.

    Raises:
        StoreTooOld: naming the command that helps.
    """
    revision = _revision(database)
    match state_of(revision):
        case SchemaState.MISSING:
            raise StoreTooOld("the database has no tables yet; create them with `windlass db migrate`")
        case SchemaState.OLDER:
            raise StoreTooOld(
                f"the database is at revision {revision}, this release needs {HEAD}; run `windlass db migrate`"
            )
        case SchemaState.NEWER:
            raise StoreTooOld(
                f"the database is at revision {revision}, newer than this release's {HEAD}; "
                "upgrade windlass on this host"
            )
        case SchemaState.CURRENT:
            return


def tables() -> list[str]:
    """Return the name of every table that there is today, Alembic's first."""
    return _TABLE.findall(sqlite_schema())


def create_tables(database: Database) -> bool:
    """Create all tables if there are none; return whether this call did.

    They are those that the dialect knows of, which a provider older than this release makes for migrations to go on.

    :raises StoreTooOld: if the provider is newer.
    """
    script = _script(database.dialect)

    def work(transaction: Transaction) -> bool:
        transaction.exclude(SCHEMA)
        has_stamp = transaction.row(database.dialect.has_table, _STAMP) is not None
        if has_stamp and transaction.row(_VERSION):
            return False
        if database.dialect.commits_definitions:
            _clear_the_ground(transaction, database.dialect, _TABLE.findall(script), has_stamp=has_stamp)
        for statement in script.split(";\n"):
            if statement.strip():
                transaction.run(statement)
        return True

    return database.write(work)


def _script(dialect: Dialect) -> str:
    """Return the statements by which a dialect makes the tables.

    :raises StoreTooOld: if they are of a later release.
    :raises StoreError: if they do not say of which.
    :raises ExtraMissing: if they are of an earlier one, and what leads on is not installed.
    """
    script = dialect.schema()
    stamp = _STAMPS.search(script)
    if stamp is None:
        raise StoreError(
            f"the script of {dialect.name} databases does not end by writing its revision; its provider is broken"
        )
    match state_of(stamp[1]):
        case SchemaState.NEWER:
            raise StoreTooOld(
                f"the provider of {dialect.name} databases makes tables of revision {stamp[1]}, newer than this "
                f"release's {HEAD}; upgrade windlass on this host"
            )
        case SchemaState.OLDER:
            _migrations()
    return script


def _clear_the_ground(transaction: Transaction, dialect: Dialect, tables: list[str], *, has_stamp: bool) -> None:
    """Drop what is there of ``tables`` if their making was interrupted, which a stamp that says nothing shows.

    :raises StoreError: if they are somebody else's.
    """
    there = [name for name in tables if transaction.row(dialect.has_table, {"name": name})]
    if there and not has_stamp:
        raise StoreError(f"the database has tables of somebody else ({', '.join(there)}); give Windlass one of its own")
    for name in reversed(there):
        transaction.run(f'DROP TABLE "{name}"')


def migrate(url: str) -> str:
    """Create or upgrade the schema at ``url`` and return its revision. Running it again changes nothing.

    Raises:
        StoreTooOld: a later release wrote the database.
    """
    state = check(url)
    if state is SchemaState.MISSING:
        with closing(open_bare(url)) as database:
            create_tables(database)
        state = check(url)
    if state is SchemaState.OLDER:
        _migrations().upgrade(url)
    elif state is SchemaState.NEWER:
        raise StoreTooOld(
            f"the database is at revision {current_revision(url)}, newer than this release's {HEAD}; "
            "upgrade windlass, or restore a backup"
        )
    return HEAD


def steps_down(url: str, revision: str) -> tuple[str, ...]:
    """Return the revisions that going back to ``revision`` undoes, the newest first.

    Raises:
        UsageError: there is no such revision, or it is newer than the database.
    """
    current = current_revision(url)
    if current is None:
        raise UsageError("the database has no tables yet; there is nothing to take back")
    known: tuple[str, ...] = _migrations().revisions()
    if current not in known:
        raise StoreTooOld(f"the database is at revision {current}, which this release does not know; use a newer one")
    older = known[known.index(current) :]
    if revision != "base" and revision not in older:
        way = f"; choose one of {', '.join(older[1:])} or base" if older[1:] else "; only base is older"
        raise UsageError(f"revision {revision!r} is not older than the database, which is at {current}{way}")
    return older if revision == "base" else older[: older.index(revision)]


def downgrade(url: str, revision: str) -> None:
    """Take the schema back to ``revision``; what only newer ones hold is lost. The caller has stopped everything."""
    _migrations().downgrade(url, revision)


def reset(url: str) -> str:
    """Delete everything and create the tables anew. The caller has asked for confirmation and stopped all processes."""
    dialect = dialect_of(url)
    _script(dialect)  # which may be refused, before anything is lost
    dialect.erase(tables())
    return migrate(url)


def _migrations() -> ModuleType:
    """Return the module of migrations, which brings in Alembic and SQLAlchemy.

    :raises ExtraMissing: if they are not installed.
    """
    try:
        from windlass.store import migrations
    except ImportError:
        raise ExtraMissing("changing the tables of a database that exists needs Alembic") from None
    return migrations


def open_bare(url: str, *, create: bool = True) -> Database:
    """Open a database for migration only: nothing but DDL will run, so it needs no real clock."""
    from windlass.store.system import SystemClock, SystemRng

    dialect = dialect_of(url)
    if create:
        dialect.check()
    return Database(dialect, SystemClock(), SystemRng())
