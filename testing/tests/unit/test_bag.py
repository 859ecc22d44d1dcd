"""Every DAG of a folder, imported here, with what is wrong with its files."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from windlass.errors import ConfigError, DagNotFound
from windlass_testing.bag import load_bag

GOOD = """
from windlass import DAG
from windlass.operators import EmptyOperator
from {module} import NAME

with DAG("{dag_id}"):
    EmptyOperator(task_id=NAME)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


def test_dags_are_found_in_sub_folders_with_the_modules_beside_them(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "bag_names.py").write_text("NAME = 'a'\n")
    (folder / "sub" / "one.py").write_text(GOOD.format(dag_id="one", module="bag_names"))
    (folder / "two.py").write_text(GOOD.format(dag_id="two", module="bag_names"))
    (folder / "notes.py").write_text("raise RuntimeError('not one of ours')\n")
    bag = load_bag(folder)
    assert (sorted(bag), len(bag), bag.import_errors) == (["one", "two"], 2, {})
    assert bag.files == {"one": "sub/one.py", "two": "two.py"}
    assert list(bag["one"].task_dict) == ["a"]
    with pytest.raises(DagNotFound, match="did you mean 'two'"):
        bag["tow"]


CYCLE = """
from windlass import DAG
from windlass.operators import EmptyOperator

with DAG("round"):
    a, b = EmptyOperator(task_id="a"), EmptyOperator(task_id="b")
    a >> b >> a
"""


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("import windlass  # dag\n1 / 0\n", "ZeroDivisionError: division by zero"),
        ("import windlass  # dag\nraise SystemExit(3)\n", "SystemExit: 3"),
        ("import windlass  # dag\ndef\n", "SyntaxError"),
        (CYCLE, "CycleError: .*a.*b.*a"),
        ("from windlass import DAG\nDAG('x', colour='blue')\n", "colour"),
        ("from windlass import Variable\nVariable.get('dag')\n", "Variable when it is imported"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_and_harms_no_other(folder: Path, source: str, told: str) -> None:
    (folder / "bad.py").write_text(source)
    (folder / "bag_name.py").write_text("NAME = 'a'\n")
    (folder / "good.py").write_text(GOOD.format(dag_id="good", module="bag_name"))
    bag = load_bag(folder)
    assert list(bag) == ["good"]
    assert list(bag.import_errors) == ["bad.py"]
    assert re.search(told, bag.problems, re.DOTALL), bag.problems


def test_two_files_cannot_define_one_dag(folder: Path) -> None:
    for name in ("a.py", "b.py"):
        (folder / name).write_text("from windlass import DAG\nwith DAG('same'):\n    pass\n")
    bag = load_bag(folder)
    assert bag.files == {"same": "a.py"}
    assert bag.problems == "b.py: DAG 'same' is defined in a.py already; rename one of them"


def test_a_folder_that_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere cannot be read"):
        load_bag(folder / "nowhere")
