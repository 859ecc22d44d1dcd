"""What to make of a cursor after a statement: the functions that one gives as ``handler``."""

from __future__ import annotations

from typing import Any


def fetch_all_handler(cursor: Any) -> list[Any] | None:  # noqa: ANN401 - a DB-API cursor
    """Return all rows, None if the statement has no result."""
    return list(cursor.fetchall()) if cursor.description is not None else None


def fetch_one_handler(cursor: Any) -> Any:  # noqa: ANN401 - a DB-API cursor
    """Return the first row, None if there is none or the statement has no result."""
    return cursor.fetchone() if cursor.description is not None else None
