"""The manifest of windlass-postgres."""

from __future__ import annotations

from windlass.plugin import Provider, hookimpl


@hookimpl
def windlass_provider() -> Provider:
    """Return what this distribution brings."""
    return Provider(
        name="postgres",
        description="Use PostgreSQL from Windlass tasks.",
        database_drivers={
            "postgres": "windlass_postgres.driver:PostgresDialect",
            "postgresql": "windlass_postgres.driver:PostgresDialect",
        },
        doorbells={
            "postgres": "windlass_postgres.doorbell:PostgresListener",
            "postgresql": "windlass_postgres.doorbell:PostgresListener",
        },
    )
