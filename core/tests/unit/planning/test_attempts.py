from __future__ import annotations

import pytest

from windlass.planning.attempts import log_path_of, params_of
from windlass.spec import DagSpec, ParamSpec, TaskSpec


def test_params_are_the_dags_then_the_tasks_then_all_of_the_runs_conf() -> None:
    task = TaskSpec(task_id="t", params={"b": ParamSpec(value=20), "c": ParamSpec(value=30)})
    spec = DagSpec(dag_id="d", params={"a": ParamSpec(value=1), "b": ParamSpec(value=2)}, tasks=(task,))
    assert params_of(spec, "t", {}) == {"a": 1, "b": 20, "c": 30}
    assert params_of(spec, "t", {"c": 300, "undeclared": [1]}) == {"a": 1, "b": 20, "c": 300, "undeclared": [1]}


@pytest.mark.parametrize("name", ["任務" * 60, "r" * 250, "a/../b", "..", "müller"])
def test_every_part_of_a_log_path_is_a_name_that_file_systems_take(name: str) -> None:
    path = log_path_of(name, name, name, 3, 1)
    parts = path.split("/")
    assert len(parts) == 5
    assert all(0 < len(part.encode()) <= 255 and part not in {".", ".."} for part in parts)


def test_long_names_that_differ_only_at_their_ends_have_logs_of_their_own() -> None:
    assert log_path_of("d", "r" * 249 + "1", "t", -1, 1) != log_path_of("d", "r" * 249 + "2", "t", -1, 1)
