"""Which schema this code speaks, and how to find out what a database has, without loading a migration tool."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

#: The newest revision in ``migrations/versions``.
HEAD: Final = "0007"
#: What constraints and indexes are called that are given no name.
NAMING: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
#: What a new database holds besides its tables.
FIRST_ROWS: Final = (
    "INSERT INTO pool (name, slots, description, include_deferred) "
    "VALUES ('default_pool', 128, 'Every task that names no other pool', 0)"
)


class SchemaState(StrEnum):
    """How a database's schema relates to this code."""

    CURRENT = "current"
    MISSING = "missing"  # no tables at all
    OLDER = "older"  # `windlass db migrate` brings it up
    NEWER = "newer"  # written by a later release


def state_of(revision: str | None) -> SchemaState:
    """Return how a database at ``revision`` (None: no tables) relates to this code."""
    if revision is None:
        return SchemaState.MISSING
    if revision == HEAD:
        return SchemaState.CURRENT
    return SchemaState.OLDER if revision < HEAD else SchemaState.NEWER
