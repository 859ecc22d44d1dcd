"""A folder is read once: by real children, without a database."""

from __future__ import annotations

from pathlib import Path

import pytest

from windlass.app.clocks import SystemClock
from windlass.config import Settings
from windlass.errors import ConfigError
from windlass.secrets.resolver import open_resolver
from windlass_testing.simulate.reading import Reading, read_folder

pytestmark = pytest.mark.processes

DAG = """from datetime import datetime
from windlass import DAG, Variable, task

with DAG("{dag_id}", schedule="@daily", start_date=datetime(2026, 1, 1), description={description}):
    @task
    def step():
        return 1

    step()
"""


def read(folder: Path, environ: dict[str, str] | None = None) -> Reading:
    settings = Settings.load(environ={"WINDLASS_HOME": str(folder / "home")}, cwd=folder)
    secrets = open_resolver(settings, environ=environ or {})
    try:
        return read_folder(folder, settings, clock=SystemClock(), secrets=secrets)
    finally:
        secrets.close()


def test_every_dag_is_found_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for number in range(7):
        (tmp_path / "sub" / f"f{number}.py").write_text(DAG.format(dag_id=f"d{number}", description=None))
    (tmp_path / "other.py").write_text("raise SystemExit('not a DAG file')")
    before = sorted(tmp_path.rglob("*"))
    reading = read(tmp_path)
    assert sorted(reading.specs) == [f"d{number}" for number in range(7)]
    assert reading.specs["d3"].file == "sub/f3.py"
    assert reading.errors == []
    assert sorted(tmp_path.rglob("*")) == before


def test_what_is_wrong_is_one_sentence_each_and_harms_nobody(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(DAG.format(dag_id="same", description=None))
    (tmp_path / "b.py").write_text(DAG.format(dag_id="same", description=None))
    (tmp_path / "c.py").write_text("import windlass  # dag\n1 / 0\n")
    (tmp_path / "d.py").write_text("import os  # windlass dag\nos._exit(3)\n")
    reading = read(tmp_path)
    assert reading.specs["same"].file == "a.py"
    assert len(reading.errors) == 3
    assert "b.py: DAG 'same' is defined in a.py already" in reading.errors[0]
    assert "c.py could not be read" in reading.errors[1]
    assert "d.py could not be read" in reading.errors[2]
    assert not any("\n" in error for error in reading.errors)


def test_a_file_may_read_variables(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(DAG.format(dag_id="d", description='Variable.get("colour")'))
    assert read(tmp_path, {"WINDLASS_VAR_COLOUR": "blue"}).specs["d"].description == "blue"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere cannot be read"):
        read(tmp_path / "nowhere")
