"""The reference pages name every hook with its exact arguments, and every setting with its default and meaning."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from types import FunctionType

import pytest

from windlass import hookspecs
from windlass.config import OPTIONS, Option

SOURCE = Path(__file__).parents[3] / "src" / "windlass"
REFERENCE = Path(__file__).parents[4] / "docs" / "reference"

pytestmark = pytest.mark.skipif(not REFERENCE.is_dir(), reason="the documentation is not part of a package's sources")


def test_the_page_of_hooks_lists_all_of_them_and_no_other() -> None:
    page = (REFERENCE / "hooks.md").read_text(encoding="utf-8")
    signatures = set(re.findall(r"```python\n(.+)\n```", page))
    assert signatures == {
        f"{name}{inspect.signature(hook)}".replace("'", "")
        for name, hook in vars(hookspecs).items()
        if isinstance(hook, FunctionType) and hook.__module__ == hookspecs.__name__
    }


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_the_page_of_settings_has_a_line_for_each(option: Option) -> None:
    page = (REFERENCE / "settings.md").read_text(encoding="utf-8")
    section = page.split(f"\n## {option.section}\n", 1)[1].split("\n## ", 1)[0]
    (line,) = [line for line in section.splitlines() if line.startswith(f"| `{option.key}` |")]
    assert option.description in line
    assert ("*secret*" in line, "*project*" in line) == (option.secret, option.project)
    if isinstance(option.default, int | float) and not isinstance(option.default, bool):
        assert f"| `{option.default:g}` |" in line or f"| `{option.default}` |" in line


def test_the_page_of_settings_has_no_other_line() -> None:
    page = (REFERENCE / "settings.md").read_text(encoding="utf-8")
    assert sum(line.startswith("| `") for line in page.splitlines()) == len(OPTIONS)


def test_every_setting_that_a_message_names_exists() -> None:
    sections = "|".join(sorted({option.section for option in OPTIONS} | {"api", "security", "webserver"}))
    setting = re.compile(rf"(?<![\w./])({sections})\.[a-z_]+\b(?!\()")
    known = {option.name for option in OPTIONS}
    files = {f"{name}.{kind}" for name in ("scheduler", "supervisor") for kind in ("lock", "log", "sock", "shipping")}
    found = {
        (path.name, named[0])
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for named in setting.finditer(node.value)
    }
    assert len(found) > 30
    assert {(where, name) for where, name in found if name not in known | files} == set()
