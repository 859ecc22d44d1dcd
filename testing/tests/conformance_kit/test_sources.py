"""Which imports a source has, wherever they stand, and which of them reach past the facades."""

from __future__ import annotations

from pathlib import Path

import pytest

from windlass_testing.conformance.sources import Import, files_of, imports_of, outside_facades

SOURCE = """
from __future__ import annotations
import os.path, json as j
from . import sibling
from .sibling import name
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from boto3 import Session
else:
    import executed

if not TYPE_CHECKING:
    import executed_too

def later():
    try:
        import psycopg
    except ImportError:
        from fallback import thing

class Body:
    from windlass.hooks import BaseHook
"""


def test_imports_are_found_wherever_they_stand(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(SOURCE, encoding="utf-8")
    found = {imported.module: imported.is_for_types for imported in imports_of([file])}
    assert found.pop("boto3") is True
    assert found == dict.fromkeys(
        [
            "__future__",
            "os.path",
            "json",
            "typing",
            "executed",
            "executed_too",
            "psycopg",
            "fallback",
            "windlass.hooks",
        ],
        False,
    )
    assert "module.py:3 imports os.path" in map(str, imports_of([file]))


@pytest.mark.parametrize(
    ("module", "names", "outside"),
    [
        ("windlass", (), None),
        ("windlass", ("DAG", "task", "hooks"), None),
        ("windlass", ("DAG", "runtime"), "windlass.runtime"),
        ("windlass.hooks", ("BaseHook",), None),
        ("windlass.ports.current", ("instant_now",), None),
        ("windlass.interfaces.hook", ("BaseHook",), "windlass.interfaces.hook"),
        ("windlass_sql.hooks", ("SQLHook",), None),
        ("windlassing", (), None),
    ],
)
def test_what_reaches_past_the_facades(module: str, names: tuple[str, ...], outside: str | None) -> None:
    assert outside_facades(Import(Path("x.py"), 1, module, names, is_for_types=False)) == outside


def test_the_files_of_a_package_a_module_and_nothing() -> None:
    assert {file.name for file in files_of("windlass_bash")} >= {"__init__.py", "plugin.py", "operators.py"}
    assert [file.name for file in files_of("windlass_bash.plugin")] == ["plugin.py"]
    assert files_of("windlass_that_is_not_there") == []
