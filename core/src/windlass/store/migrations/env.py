"""What Alembic runs to set itself up: the connection was opened by the caller."""

from __future__ import annotations

from alembic import context

from windlass.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite cannot alter a table in place; Alembic then copies it.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
