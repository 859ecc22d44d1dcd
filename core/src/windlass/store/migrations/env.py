"""What Alembic runs to set itself up: the connection was opened by the caller."""

from __future__ import annotations

from alembic import context
from sqlalchemy import MetaData

from windlass.store import schema_mysql as _its_spelling  # noqa: F401 - registers itself
from windlass.store.revision import NAMING

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=MetaData(naming_convention=NAMING),
    # SQLite cannot alter a table in place; Alembic then copies it.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
