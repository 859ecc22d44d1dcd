"""What no file of ours does: pickle, evaluate text, run a shell, load YAML that may construct objects, or start a
Python that imports from the current folder.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SOURCES = sorted(
    path
    for folder in ("core/src", "testing/src", *(f"providers/{p.name}/src" for p in (ROOT / "providers").iterdir()))
    for path in (ROOT / folder).rglob("*.py")
)
PICKLING = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "jsonpickle", "marshal", "shelve"}
UNSAFE_CALLS = {"eval", "exec", "os.system", "os.popen", "yaml.load", "yaml.full_load", "yaml.unsafe_load"}
#: What runs authors' code in children, as is its purpose: the importers of DAG files, and the reader of annotations.
ALLOWED = {
    "core/src/windlass/runtime/loader.py": {"exec"},
    "core/src/windlass/runtime/parsing.py": {"exec"},
    "core/src/windlass/authoring/taskflow.py": {"eval"},
}


@functools.cache
def tree_of(path: Path) -> ast.AST:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            yield from (str(word.value).partition(".")[0] for word in node.args if isinstance(word, ast.Constant))


def calls(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)
            if any(word.arg == "shell" and ast.unparse(word.value) != "False" for word in node.keywords):
                yield "a shell"


def unsafe_starts(tree: ast.AST) -> Iterator[str]:
    """The commands that run our Python with a module, and put the current folder in front of what it imports."""
    for node in ast.walk(tree):
        words = [ast.unparse(word) for word in node.elts] if isinstance(node, ast.List | ast.Tuple) else []
        if "sys.executable" in words and "'-m'" in words and {"'-P'", "'-I'"}.isdisjoint(words):
            yield ast.unparse(node)


def test_the_sources_are_found() -> None:
    assert len(SOURCES) > 200


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_pickles_nothing_and_evaluates_nothing(path: Path) -> None:
    tree = tree_of(path)
    assert PICKLING.isdisjoint(imports(tree))
    unsafe = {*UNSAFE_CALLS, "a shell"} - ALLOWED.get(str(path.relative_to(ROOT)), set())
    assert unsafe.isdisjoint(calls(tree))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_process_that_a_file_starts_imports_nothing_from_the_current_folder(path: Path) -> None:
    assert list(unsafe_starts(tree_of(path))) == []
