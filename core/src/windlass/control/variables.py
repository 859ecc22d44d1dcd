"""Stored variables: named texts that tasks read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from windlass.control.connections import Imported
from windlass.control.views import VariableRow
from windlass.control.visibility import did_you_mean
from windlass.errors import UsageError, VariableNotDefined

if TYPE_CHECKING:
    from windlass.store import Store


class Variables:
    """Queries and commands about stored variables."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def list(self) -> tuple[VariableRow, ...]:
        """Return the stored variables by key, without their values."""
        rows = sorted(self._store.credentials.variables(), key=lambda row: row.key)
        return tuple(VariableRow(key=row.key, description=row.description or None) for row in rows)

    def get(self, key: str, default: str | None = None) -> str:
        """Return the value of a stored variable, or ``default`` if one is given and there is none.

        :raises VariableNotDefined: if it is not stored; it may still be defined elsewhere.
        """
        value = self._store.credentials.variable(key)
        if value is not None:
            return value
        if default is not None:
            return default
        hint = did_you_mean(key, (row.key for row in self.list()))
        raise VariableNotDefined(f"variable {key!r} is not stored.{hint} `windlass variables list` shows all")

    def set(self, key: str, value: str, *, description: str | None = None, dry_run: bool = False, actor: str) -> None:
        """Store a variable, replacing what was there. A description that is not given is kept."""
        if not key.strip() or len(key) > 250:
            raise UsageError("a variable's key needs 1 to 250 characters")
        if dry_run:
            return
        kept = {row.key: row.description for row in self.list()}.get(key)
        self._store.credentials.set_variable(key, value, kept or "" if description is None else description)

    def delete(self, key: str, *, actor: str) -> None:
        """Delete a stored variable.

        :raises VariableNotDefined: if it is not stored.
        """
        self.get(key)
        self._store.credentials.delete_variable(key)

    def import_all(
        self, values: Mapping[str, Any], *, overwrite: bool = False, dry_run: bool = False, actor: str
    ) -> Imported:
        """Store many variables; a value that is not a text is stored as JSON."""
        existing = {row.key for row in self.list()}
        stored = [key for key in values if overwrite or key not in existing]
        for key in [] if dry_run else stored:
            value = values[key]
            self.set(key, value if isinstance(value, str) else msgspec.json.encode(value).decode(), actor=actor)
        return Imported(stored=tuple(stored), kept=tuple(sorted(existing & values.keys() - set(stored))))

    def export(self) -> dict[str, str]:
        """Return every stored variable with its value."""
        return {row.key: self.get(row.key) for row in self.list()}
