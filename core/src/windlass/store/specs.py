"""Stored specs, decoded once per process: the same version never changes, so a small cache is always right."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

from windlass.errors import DagNotFound
from windlass.spec import DagSpec, decode_spec
from windlass.store.database import Database

_KEPT: Final = 512


class Specs:
    """Reads and keeps the most recently used specs."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: OrderedDict[tuple[str, str], DagSpec] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, dag_id: str, spec_version: str) -> DagSpec:
        """Return one version of a DAG.

        Raises:
            DagNotFound: it was never stored, or was cleaned away.
        """
        key = (dag_id, spec_version)
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
                return found
        row = self._database.row(
            "SELECT spec FROM dag_version WHERE dag_id = :dag_id AND spec_version = :version",
            {"dag_id": dag_id, "version": spec_version},
        )
        if row is None:
            raise DagNotFound(
                f"DAG {dag_id!r} has no stored version {spec_version!r}; `windlass dags list` shows what is known"
            )
        spec = decode_spec(row[0])
        with self._lock:
            self._kept[key] = spec
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return spec
