"""Server-side apply, reduced: fields belong to the managers that applied them, and only to those.

A real server also counts plain writes as ownership and keeps it in ``managedFields``. Here ``managedFields`` stay out
of the objects, and a conflict is found only between two managers that both apply.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from windlass_testing.fakes.kubernetes.patches import merge_key, strategic_merge_patch
from windlass_testing.fakes.kubernetes.problems import Problem

Json = dict[str, Any]
Path = tuple[str, ...]

_IDENTITY = {("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace")}


class Ownership:
    """Which manager has applied which fields of which object."""

    def __init__(self) -> None:
        self._owners: dict[str, dict[Path, set[str]]] = {}

    def claim(self, uid: str, applied: Json, manager: str) -> None:
        """Let ``manager`` own just the fields of ``applied``."""
        owners = self._owners.setdefault(uid, {})
        for path in list(owners):
            owners[path].discard(manager)
        for path, _ in leaves(applied):
            owners.setdefault(path, set()).add(manager)

    def merge(self, current: Json, applied: Json, manager: str, *, force: bool) -> Json:
        """Return ``current`` with ``applied`` laid over it, less what the manager applied before and now leaves out.

        :raises Problem: 409 if a field that another manager applied would change.
        """
        owners = self._owners.get(current["metadata"]["uid"], {})
        values = dict(leaves(current))
        wanted = dict(leaves(applied))
        conflicts = [
            (path, other)
            for path, value in wanted.items()
            if path in values and values[path] != value
            for other in sorted(owners.get(path, set()) - {manager})
        ]
        if conflicts and not force:
            raise _conflict(current, conflicts)
        for path, _ in conflicts:
            owners[path] = {manager}
        merged: Json = strategic_merge_patch(current, applied)
        for path, managers in owners.items():
            if managers == {manager} and path not in wanted:
                _drop(merged, path)
        return merged


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:  # noqa: ANN401 - any JSON value
    """Yield the path and value of every field; items of a list that has a merge key are fields of their own."""
    if path in _IDENTITY:
        return
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list) and value and (key := merge_key(path[-1] if path else "", value)) is not None:
        for item in value:
            yield from leaves(item, (*path, f"k:{json.dumps({key: item.get(key)})}"))
    else:
        yield path, value


def _drop(document: Any, path: Path) -> None:  # noqa: ANN401 - any JSON value
    for part in path[:-1]:
        if part.startswith("k:"):
            ((key, wanted),) = json.loads(part[2:]).items()
            document = next((one for one in document if one.get(key) == wanted), None)
        else:
            document = document.get(part)
        if document is None:
            return
    document.pop(path[-1], None)


def _conflict(current: Json, conflicts: list[tuple[Path, str]]) -> Problem:
    causes = [
        {"reason": "FieldManagerConflict", "message": f'conflict with "{other}"', "field": "." + ".".join(path)}
        for path, other in conflicts
    ]
    listed = ", ".join(f'conflict with "{other}": .{".".join(path)}' for path, other in conflicts)
    text = f"Apply failed with {len(conflicts)} conflict{'s' * (len(conflicts) > 1)}: {listed}"
    details = {"name": current["metadata"]["name"], "causes": causes}
    return Problem(409, "Conflict", text, details=details)
