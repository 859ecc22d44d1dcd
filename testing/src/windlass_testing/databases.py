"""Databases that hold Windlass's own tables: empty again for each test, and read as a whole."""

from __future__ import annotations

from contextlib import closing
from typing import Final

from windlass.store.database import Transaction
from windlass.store.migrating import create_tables, open_bare, require_current, tables
from windlass.store.revision import FIRST_ROWS

_COLUMNS: Final = {
    "sqlite": "SELECT name FROM pragma_table_info(:name)",
    "postgresql": (
        "SELECT column_name FROM information_schema.columns"
        " WHERE table_schema = current_schema() AND table_name = :name ORDER BY ordinal_position"
    ),
    "mysql": (
        "SELECT column_name FROM information_schema.columns"
        " WHERE table_schema = DATABASE() AND table_name = :name ORDER BY ordinal_position"
    ),
}
_POSTGRES_TABLES: Final = (
    "SELECT quote_ident(tablename) FROM pg_catalog.pg_tables"
    " WHERE schemaname = current_schema() AND tablename <> 'alembic_version'"
)
_POSTGRES_RESTART: Final = (
    "SELECT setval(quote_ident(sequencename)::regclass, 1, false) FROM pg_catalog.pg_sequences"
    " WHERE schemaname = current_schema()"
)
_MYSQL_TABLES: Final = (
    "SELECT table_name, auto_increment FROM information_schema.tables"
    " WHERE table_schema = DATABASE() AND table_name <> 'alembic_version'"
)


def emptied(url: str) -> str:
    """Give the database at ``url`` the current tables, without any rows but the first; return ``url``.

    Numbers begin at 1 again, as in a fresh database. Deleting the few rows of a test is much faster than truncating.
    """
    with closing(open_bare(url)) as database:
        create_tables(database)
        require_current(database)
        database.write(_EMPTIES[database.dialect.name])
    return url


def contents(url: str) -> dict[str, list[dict[str, object]]]:
    """Return the rows of every table of the database at ``url``, each a dictionary, always in the same order."""
    found = {}
    with closing(open_bare(url, create=False)) as database:
        for table in tables():
            names = [str(name) for (name,) in database.rows(_COLUMNS[database.dialect.name], {"name": table})]
            chosen = ", ".join(f'"{name}"' for name in names)
            rows = database.rows(f'SELECT {chosen} FROM "{table}"')  # noqa: S608 - our own schema's names
            found[table] = sorted((dict(zip(names, row, strict=True)) for row in rows), key=repr)
    return found


def _empty_postgres(transaction: Transaction) -> None:
    transaction.run("SET LOCAL session_replication_role = replica")  # keys between tables need not be followed
    transaction.run("SET LOCAL synchronous_commit = off")
    for (table,) in transaction.rows(_POSTGRES_TABLES):
        transaction.run(f"DELETE FROM {table}")  # noqa: S608 - the catalogue's own names
    transaction.rows(_POSTGRES_RESTART)
    transaction.run(FIRST_ROWS)


def _empty_mysql(transaction: Transaction) -> None:
    transaction.run("SET foreign_key_checks = 0 /*!80000 , information_schema_stats_expiry = 0 */")
    numbered = transaction.rows(_MYSQL_TABLES)
    for table, _ in numbered:
        transaction.run(f'DELETE FROM "{table}"')  # noqa: S608 - the catalogue's own names
    transaction.run(FIRST_ROWS)
    for table, following in numbered:
        if following is not None and following > 1:
            transaction.run(f'ALTER TABLE "{table}" AUTO_INCREMENT = 1')  # which commits


_EMPTIES: Final = {"postgresql": _empty_postgres, "mysql": _empty_mysql}
