"""Each suite rejects what is broken by the test that is about it, and by no other; and it accepts what is sound.

The examples lie in `examples`. Each class there subclasses a suite over something with one thing wrong, and says in
`breaks` which tests must fail. All of a file run at once, in an interpreter of their own.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections import defaultdict
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import pytest

EXAMPLES = Path(__file__).parent / "examples"


def expectations() -> list[tuple[str, str, frozenset[str]]]:
    """Return (file, class, names of tests that must fail) of every example."""
    return [
        (file.stem, node.name, _breaks(node))
        for file in sorted(EXAMPLES.glob("*_examples.py"))
        for node in ast.parse(file.read_text("utf-8")).body
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test")
    ]


def _breaks(node: ast.ClassDef) -> frozenset[str]:
    for statement in node.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id="breaks")], value=ast.Set() as value):
                return frozenset(ast.literal_eval(value))
            case ast.AnnAssign(target=ast.Name(id="breaks")):
                return frozenset()
    raise AssertionError(f"{node.name} does not say what it breaks")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kit")


@cache
def run(stem: str, folder: Path) -> tuple[int, str]:
    """Run the examples of a file; return pytest's exit code and what it said."""
    site = folder / stem
    site.mkdir()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "-W", "error"]
    command += ["--import-mode=prepend", "-o", "markers=budget\nprocesses", f"--rootdir={EXAMPLES}"]
    command += [f"--junitxml={folder / stem}.xml", f"{EXAMPLES / stem}.py"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("WINDLASS_", "PYTEST_"))}
    environ |= {
        "KIT_SITE": str(site),
        "PYTHONPATH": str(site),
        "PYTHONDONTWRITEBYTECODE": "1",
        "WINDLASS_HOME": str(folder / "home"),
    }
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=100, check=False)
    return done.returncode, done.stdout + done.stderr


def failures(stem: str, folder: Path) -> dict[str, dict[str, str]]:
    """Return by class what failed: the tests without their parameters, with the first message of each."""
    code, output = run(stem, folder)
    assert code in {0, 1}, output
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for case in ElementTree.parse(folder / f"{stem}.xml").iter("testcase"):  # noqa: S314 - of our own making
        failed = [child for child in case if child.tag in {"failure", "error"}]
        tests = found[str(case.get("classname")).rpartition(".")[2]]
        if failed:
            tests.setdefault(str(case.get("name")).partition("[")[0], str(failed[0].get("message")))
    return found


@pytest.mark.parametrize(
    ("stem", "name", "breaks"),
    expectations(),
    ids=[f"{stem.removesuffix('_examples')}-{name}" for stem, name, _ in expectations()],
)
def test_exactly_the_intended_tests_fail(folder: Path, stem: str, name: str, breaks: frozenset[str]) -> None:
    found = failures(stem, folder)
    assert name in found, "pytest has not run it"
    failed = found[name]
    assert failed.keys() == breaks, "\n".join(f"{test}: {message}" for test, message in failed.items())
