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
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

EXAMPLES = Path(__file__).parent / "examples"


def expectations(file: Path) -> dict[str, frozenset[str]]:
    """Return the names of the tests that must fail by the class of the example."""
    tree = ast.parse(file.read_text("utf-8"))
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name.startswith("Test")]
    return {node.name: _breaks(node) for node in classes}


def _breaks(node: ast.ClassDef) -> frozenset[str]:
    for statement in node.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id="breaks")], value=ast.Set() as value):
                return frozenset(ast.literal_eval(value))
            case ast.AnnAssign(target=ast.Name(id="breaks")):
                return frozenset()
    raise AssertionError(f"{node.name} does not say what it breaks")


def failures(file: Path, folder: Path) -> dict[str, dict[str, str]]:
    """Run the examples of a file; return by class what failed, without parameters, with the first message of each."""
    report, site = folder / "report.xml", folder / "site"
    site.mkdir()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "-W", "error"]
    command += ["--import-mode=prepend", f"--rootdir={EXAMPLES}", f"--junitxml={report}", str(file)]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("WINDLASS_", "PYTEST_"))}
    environ |= {
        "KIT_SITE": str(site),
        "PYTHONPATH": os.pathsep.join([str(site), str(EXAMPLES)]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "WINDLASS_HOME": str(folder / "home"),
    }
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 - of our own making
        failed = [child for child in case if child.tag in {"failure", "error"}]
        tests = found[str(case.get("classname")).rpartition(".")[2]]
        if failed:
            tests.setdefault(str(case.get("name")).partition("[")[0], str(failed[0].get("message")))
    return found


@pytest.mark.timeout(300)
@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*_examples.py")), ids=lambda file: file.stem)
def test_exactly_the_intended_tests_reject_each_example(tmp_path: Path, file: Path) -> None:
    found = failures(file, tmp_path)
    expected = expectations(file)
    assert found.keys() == expected.keys()
    wrong = [
        f"{name}, {test}: {message or 'passes'}"
        for name, tests in found.items()
        for test, message in (dict.fromkeys(expected[name], "") | tests).items()
        if (test in tests) != (test in expected[name])
    ]
    assert not wrong, "\n".join(wrong)
