from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest
from testing.benchmarks.engine import DAGS

from windlass import DAG
from windlass.authoring import collect


def load(path: Path) -> DAG:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    collect()  # what an earlier test left
    spec.loader.exec_module(module)
    (dag,) = collect(module)
    return dag


@pytest.mark.parametrize(("name", "length"), [("chain_40", 40), ("chain_10", 10), ("chain_5", 5), ("ten", 10)])
def test_a_chain_has_one_task_after_the_other(name: str, length: int) -> None:
    dag = load(DAGS / f"{name}.py")
    assert dag.dag_id == name
    assert len(dag.tasks) == length
    assert sorted(len(task.upstream_task_ids) for task in dag.tasks) == [0, *[1] * (length - 1)]


def test_as_many_tasks_wait_as_the_copy_says(tmp_path: Path) -> None:
    shutil.copyfile(DAGS / "waits.py", tmp_path / "waits_50.py")
    dag = load(tmp_path / "waits_50.py")
    assert len(dag.tasks) == 50
    assert dag.max_active_tasks >= 50


def test_a_fan_out_is_as_wide_as_its_copy_says_and_not_limited_by_its_dag(tmp_path: Path) -> None:
    shutil.copyfile(DAGS / "fan_out.py", tmp_path / "fan_out_200.py")
    dag = load(tmp_path / "fan_out_200.py")
    assert len(dag.tasks) == 200
    assert not any(task.upstream_task_ids for task in dag.tasks)
    assert dag.max_active_tasks >= 200
