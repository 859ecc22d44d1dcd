"""Schema changes over time, by Alembic: expand first, contract a release later, so that the last release still runs.

Imported only when an older database is upgraded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from windlass.errors import StoreBusy, StoreError
from windlass.store.dialect import dialect_of
from windlass.store.migrating import SCHEMA
from windlass.store.transaction import LOCK_TIMEOUT, STAYED_LOCKED


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the database at ``url`` to ``revision``."""
    with _connected(url) as config:
        command.upgrade(config, revision)


def downgrade(url: str, revision: str) -> None:
    """Take the database at ``url`` back to ``revision``; what only newer releases know is lost."""
    with _connected(url) as config:
        command.downgrade(config, revision)


def revisions() -> tuple[str, ...]:
    """Return every revision, the newest first."""
    scripts = ScriptDirectory(str(Path(__file__).parent))
    return tuple(script.revision for script in scripts.walk_revisions())


@contextmanager
def _connected(url: str) -> Iterator[Config]:
    """Yield Alembic's configuration with one open transaction: an upgrade happens as a whole or not at all.

    In MySQL each definition commits by itself.

    :raises StoreError: if the database refuses a statement.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    dialect = dialect_of(url)
    options = {"connect_args": {"timeout": LOCK_TIMEOUT}} if dialect.serial else dialect.engine_options()
    engine = create_engine(dialect.engine_url, poolclass=NullPool, **options)
    if dialect.serial:  # else Python's driver begins before the first row that is written, not before a definition
        event.listen(engine, "connect", lambda connection, _record: setattr(connection, "isolation_level", None))
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(dialect.begin))
    try:
        with engine.begin() as connection:
            if dialect.exclusion is not None and connection.scalar(text(dialect.exclusion), {"name": SCHEMA}) == 0:
                raise StoreBusy(STAYED_LOCKED)
            config.attributes["connection"] = connection
            yield config
    except DBAPIError as error:
        told = error.orig if isinstance(error.orig, Exception) else error
        raise StoreError(f"the tables could not be changed: {dialect.sentence(told)}") from error
