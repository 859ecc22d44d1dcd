"""How tables are spelled for MySQL and MariaDB, in their script and by migrations.

Registered with SQLAlchemy's compiler when imported, so that a migration need not know:

- Texts and bytes are the long kinds; the short ones end at 64 KB.
- A table compares texts by their code points and keeps blanks at the end, whatever the database's own collation is.
  MySQL and MariaDB have different names for that, and each reads only its own comment.
- There are no partial indexes. A full one begins with the columns that the condition compares, so it leads to the same
  few rows; a unique one takes a generated column besides, which is null outside the condition, where rows may repeat.
"""

from __future__ import annotations

import re
from typing import Any, Final

from sqlalchemy import LargeBinary, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateIndex, CreateTable

_OPTIONS: Final = (
    " ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4"
    " /*M! COLLATE=utf8mb4_nopad_bin */ /*!80017 COLLATE=utf8mb4_0900_bin */"
)
_COMPARED: Final = re.compile(r"(\w+) (?:=|IN\b|IS NULL)")


@compiles(Text, "mysql", "mariadb")
def _text(_type: Text, _compiler: Any, **_options: Any) -> str:  # noqa: ANN401 - SQLAlchemy's
    return "LONGTEXT"


@compiles(LargeBinary, "mysql", "mariadb")
def _bytes(_type: LargeBinary, _compiler: Any, **_options: Any) -> str:  # noqa: ANN401 - SQLAlchemy's
    return "LONGBLOB"


@compiles(CreateTable, "mysql", "mariadb")
def _create_table(element: CreateTable, compiler: Any, **options: Any) -> str:  # noqa: ANN401 - SQLAlchemy's
    return f"{compiler.visit_create_table(element, **options).rstrip()}{_OPTIONS}"


@compiles(CreateIndex, "mysql", "mariadb")
def _create_index(element: CreateIndex, compiler: Any, **options: Any) -> str:  # noqa: ANN401 - SQLAlchemy's
    index = element.element
    condition = index.dialect_options["postgresql"]["where"]
    if condition is None:
        plain: str = compiler.visit_create_index(element, **options)
        return plain
    quote = compiler.preparer.quote
    table, name = compiler.preparer.format_table(index.table), quote(index.name)
    columns = [column.name for column in index.columns]
    if index.unique:
        mark = f"in_{index.name}"
        listed = ", ".join(map(quote, [*columns, mark]))
        return (
            f"ALTER TABLE {table} ADD COLUMN {quote(mark)} INTEGER"
            f" GENERATED ALWAYS AS (CASE WHEN {condition} THEN 1 END) STORED, ADD UNIQUE INDEX {name} ({listed})"
        )
    compared = dict.fromkeys(_COMPARED.findall(str(condition)))
    listed = ", ".join(map(quote, [*(column for column in compared if column not in columns), *columns]))
    return f"CREATE INDEX {name} ON {table} ({listed})"
