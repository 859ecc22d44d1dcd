"""Airflow's answers as they were given, kept per DAG file as JSON: for comparisons where Airflow is not installed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from testing.oracle.document import Document

FOLDER: Final = Path(__file__).with_name("recorded")


def read() -> tuple[str, dict[str, Document]]:
    """Return the version of Airflow that answered, and its documents by scenario."""
    version = (FOLDER / "version").read_text("utf-8").strip()
    documents: dict[str, Document] = {}
    for path in sorted(FOLDER.glob("*.json")):
        documents.update(json.loads(path.read_text("utf-8")))
    return version, documents


def write(version: str, documents: Mapping[str, Document], homes: Mapping[str, str]) -> None:
    """Keep these documents, each in the file of the DAG file that is its home; what has no home is forgotten."""
    for stale in FOLDER.glob("*.json"):
        if stale.stem not in homes.values():
            stale.unlink()
    for home in sorted(set(homes.values())):
        mine = {name: document for name, document in sorted(documents.items()) if homes.get(name) == home}
        # One line per scenario: a change in the repository shows which have changed.
        lines = (f"{json.dumps(name)}: {json.dumps(document, sort_keys=True)}" for name, document in mine.items())
        (FOLDER / f"{home}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    (FOLDER / "version").write_text(f"{version}\n", encoding="utf-8")
