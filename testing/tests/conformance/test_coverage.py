"""The list of what proves each line names tests that exist, and every file of this folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
TEXT = (HERE / "COVERAGE.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)::(\w+)`", TEXT)))


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[name for _, name in NAMED])
def test_a_named_test_exists(path: str, name: str) -> None:
    assert re.search(rf"^ *def {name}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)


def test_every_mention_of_a_test_is_read() -> None:
    assert TEXT.count("::") == len(re.findall(r"`[\w/]+\.py::\w+`", TEXT))


def test_every_file_of_this_folder_is_named_in_its_section() -> None:
    sections = dict(re.findall(r"^## (\d)\. [^\n]+\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))
    assert sorted(sections) == [str(number) for number in range(1, 9)]
    for path in HERE.glob("test_*.py"):
        if path.name == Path(__file__).name:
            continue
        number = path.name.split("_")[1]
        where = sections.get(number, TEXT)
        assert f"`{path.name}`" in where, path.name
