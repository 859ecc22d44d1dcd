"""``windlass`` itself: complete, lazy, light."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import windlass

_SOURCE = Path(windlass.__file__)


def _loaded(code: str) -> set[str]:
    program = f"{code}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_type_checkers_view_is_complete() -> None:
    tree = ast.parse(_SOURCE.read_text())
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    shown = {
        str(alias.asname): f"{node.module}"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert set(windlass.__all__) == set(shown) == set(windlass._HOMES)
    assert {name: f"windlass.{home}" for name, home in windlass._HOMES.items()} == shown


@pytest.mark.parametrize("name", windlass.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(windlass, name) is not None
    assert name in dir(windlass)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Dag'"):
        windlass.Dag  # noqa: B018 - asking is the test


def test_the_version_is_pyprojects() -> None:
    project = tomllib.loads((_SOURCE.parents[2] / "pyproject.toml").read_text())["project"]
    assert windlass.__version__ == project["version"]


@pytest.mark.budget
def test_importing_windlass_loads_no_authoring() -> None:
    assert {name for name in _loaded("import windlass") if name.startswith("windlass.")} == {"windlass.version"}


@pytest.mark.budget
def test_a_dag_file_pays_only_for_what_it_uses() -> None:
    heavy = {"asyncio", "importlib.metadata", "inspect", "jinja2", "msgspec", "pluggy", "socket", "sqlalchemy", "ssl"}
    loaded = _loaded("from windlass import DAG, task, task_group, chain, Label, Param, Asset, setup")
    assert not heavy & loaded
    assert not {name for name in loaded if name.startswith(("windlass.runtime", "windlass.store", "windlass.spec"))}


@pytest.mark.budget
def test_making_a_dag_loads_nothing_more() -> None:
    code = "from windlass import DAG, task, BaseOperator\nimport sys\nbefore = set(sys.modules)\n"
    use = (
        "with DAG('d') as d:\n    t = task(lambda x: x)\n    t.override(task_id='a')(1) >> t.override(task_id='b')(2)\n"
    )
    assert "inspect" not in _loaded(code + use)


@pytest.mark.budget
def test_operators_and_sensors_stay_light() -> None:
    loaded = _loaded("import windlass.operators, windlass.sensors")
    assert not {"asyncio", "inspect", "jinja2", "pluggy", "sqlalchemy", "ssl"} & loaded
