"""What a package's source imports, read from its syntax: nothing of it is run."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

#: The modules of Windlass that a provider may import; everything else may change in any release.
FACADES: Final = frozenset(
    {"plugin", "hooks", "operators", "sensors", "triggers", "timetables", "errors", "backends", "ports", "control"}
)


class Import(NamedTuple):
    """One imported module, and the names that are taken from it."""

    file: Path
    line: int
    module: str
    names: tuple[str, ...]
    #: It stands under ``if TYPE_CHECKING:``, so it is never executed.
    is_for_types: bool

    @property
    def top(self) -> str:
        """The package that it belongs to."""
        return self.module.partition(".")[0]

    def __str__(self) -> str:
        return f"{self.file.name}:{self.line} imports {self.module}"


def files_of(package: str) -> list[Path]:
    """Return the Python files of an importable package or module, sorted."""
    spec = importlib.util.find_spec(package)
    if spec is None:
        return []
    if spec.submodule_search_locations is None:
        return [Path(spec.origin)] if spec.origin else []
    return sorted(file for folder in spec.submodule_search_locations for file in Path(folder).rglob("*.py"))


def imports_of(files: Iterable[Path]) -> list[Import]:
    """Return every absolute import of these files; relative ones stay inside the package."""
    return [found for file in files for found in _walk(file, ast.parse(file.read_bytes(), str(file)), typing=False)]


def _walk(file: Path, node: ast.AST, *, typing: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(file, child.lineno, alias.name, (), typing)
        elif isinstance(child, ast.ImportFrom) and child.level == 0 and child.module:
            yield Import(file, child.lineno, child.module, tuple(alias.name for alias in child.names), typing)
        elif isinstance(child, ast.If) and ast.unparse(child.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            for statement in child.body:
                yield from _walk(file, ast.Module([statement], []), typing=True)
            yield from _walk(file, ast.Module(child.orelse, []), typing=typing)
        else:
            yield from _walk(file, child, typing=typing)


def outside_facades(found: Import) -> str | None:
    """Return the module inside Windlass that an import reaches past the facades, None if it keeps to them."""
    if found.top != "windlass":
        return None
    import windlass

    parts = found.module.split(".")
    if len(parts) > 1:
        return None if parts[1] in FACADES else found.module
    public = FACADES | set(windlass.__all__)
    hidden = [name for name in found.names if name not in public and name != "*"]
    return f"windlass.{hidden[0]}" if hidden else None
