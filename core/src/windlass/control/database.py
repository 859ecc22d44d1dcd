"""The database's schema: creating, checking and resetting it. These commands need no open store."""

from __future__ import annotations

import msgspec

from windlass.config import Settings
from windlass.control.alive import Alive
from windlass.control.configuration import resolved
from windlass.errors import Conflict
from windlass.store import SchemaState, current_revision
from windlass.store import check as schema_state
from windlass.store import migrate as migrate_schema
from windlass.store import reset as reset_schema


class Schema(msgspec.Struct, frozen=True, kw_only=True):
    """How a database's schema relates to this release. The URL is shown without its password."""

    url: str
    state: SchemaState
    revision: str | None

    @property
    def current(self) -> bool:
        """Whether this release can work with the database."""
        return self.state is SchemaState.CURRENT


def database_url(settings: Settings) -> str:
    """Return the URL of the database: the configured one, else ``windlass.db`` in the home."""
    return resolved(settings).database.sql_alchemy_conn or f"sqlite:///{settings.home}/windlass.db"


def shown(url: str) -> str:
    """Return a database URL without its password."""
    scheme, separator, rest = url.partition("://")
    credentials, at, address = rest.rpartition("@")
    login = credentials.partition(":")[0]
    return f"{scheme}{separator}{login}{':***' if ':' in credentials else ''}{at}{address}"


def migrate(settings: Settings) -> str:
    """Create the database or bring its schema up to date, and return its revision."""
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    return migrate_schema(database_url(settings))


def check(settings: Settings) -> Schema:
    """Return how the database's schema relates to this release."""
    url = database_url(settings)
    return Schema(url=shown(url), state=schema_state(url), revision=current_revision(url))


def reset(settings: Settings) -> str:
    """Delete everything in the database, create it anew, and return its revision.

    :raises Conflict: while a process of this home uses it.
    """
    running = [f"{owner.name} (process {owner.pid})" for owner in Alive(settings.home / "run").owners() if owner.pid]
    if running:
        raise Conflict(f"the database is in use by the {' and the '.join(running)}; stop it first")
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    return reset_schema(database_url(settings))
