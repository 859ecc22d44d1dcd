"""The scripts that make the tables, rendered from ``schema`` for each kind of database.

``python -m windlass.store.scripts`` writes them, each into the distribution that it belongs to. As ``schema``, this is
for whoever changes the tables, in a checkout, and in no wheel.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.schema import CreateIndex, CreateTable, ExecutableDDLElement

from windlass.store import schema_mysql as _its_spelling  # noqa: F401 - registers itself
from windlass.store.revision import FIRST_ROWS, HEAD
from windlass.store.schema import metadata

_ROOT: Final = Path(__file__).parents[4]
#: The kinds of database that the project has a script for.
DIALECTS: Final[dict[str, type[Dialect]]] = {
    "mysql": mysql.dialect,
    "postgresql": postgresql.dialect,
    "sqlite": sqlite.dialect,
}
#: Where each script lies.
FILES: Final = {
    "mysql": _ROOT / "providers/mysql/src/windlass_mysql/schema.sql",
    "postgresql": _ROOT / "providers/postgres/src/windlass_postgres/schema.sql",
    "sqlite": _ROOT / "core/src/windlass/store/schema.sql",
}


def script(name: str) -> str:
    """Return what the script of a kind of database must hold: all tables, the first rows and the revision.

    Alembic's table comes first and its row last, so that a schema whose making was interrupted shows it where each
    statement commits by itself.
    """
    dialect = DIALECTS[name]()
    elements: list[ExecutableDDLElement] = []
    for table in metadata.sorted_tables:
        elements.append(CreateTable(table))
        elements += map(CreateIndex, sorted(table.indexes, key=lambda index: str(index.name)))
    statements = [
        str(element.compile(dialect=dialect)).strip().replace(" \n", "\n").replace("\t", "    ") for element in elements
    ]
    statements = [
        "CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)",
        *statements,
        FIRST_ROWS,
        f"INSERT INTO alembic_version (version_num) VALUES ('{HEAD}')",  # noqa: S608 - a constant
    ]
    return "".join(f"{statement};\n" for statement in statements)


if __name__ == "__main__":
    for kind, file in FILES.items():
        file.write_text(script(kind), encoding="utf-8")
