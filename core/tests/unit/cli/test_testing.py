"""``windlass dags test``, ``tasks test`` and ``tasks render`` on a real DAG file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from windlass_testing.installation import Installation

Windlass = Callable[..., Any]

SOURCE = """
from datetime import datetime
from windlass import DAG, task
from windlass.operators import PythonOperator

with DAG("{name}", start_date=datetime(2026, 1, 1), schedule="@daily"):
    @task
    def hello(name):
        print("hello", name)
        {body}
        return name

    hello("{{{{ ds }}}}")
"""


@pytest.fixture
def write(here: Installation) -> Callable[..., Path]:
    def make(name: str, body: str = "pass") -> Path:
        path = here.home / "dags" / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(SOURCE.format(name=name, body=body), encoding="utf-8")
        return path

    return make


def test_a_dag_runs_here_and_what_it_prints_stays_off_stdout(windlass: Windlass, write: Callable[..., Path]) -> None:
    write("greet")
    result = windlass("dags", "test", "greet", "-e", "2026-02-01", "--json")
    assert result.code == 0
    assert result.data["state"] == "success"
    assert [(task["task_id"], task["state"]) for task in result.data["tasks"]] == [("hello", "success")]
    assert "hello 2026-02-01" in result.err


def test_a_file_that_only_mentions_a_dag_is_not_run_before_the_one_that_defines_it(
    windlass: Windlass, write: Callable[..., Path]
) -> None:
    write("weather").with_name("a_loop.py").write_text("raise SystemExit('run')  # windlass, as weather does")
    assert windlass("dags", "test", "weather").code == 0
    write("weather").rename(write("weather").with_name("tomorrow.py"))
    assert windlass("dags", "test", "weather").code == 0, "whatever the file is called"


def test_a_failure_exits_1(windlass: Windlass, write: Callable[..., Path]) -> None:
    path = write("broken", "1 / 0")
    assert windlass("dags", "test", "broken", "-f", str(path)).code == 1
    result = windlass("tasks", "test", "broken", "hello")
    assert (result.code, result.out) == (1, "failed\n")
    assert "ZeroDivisionError" in result.err


def test_templates_are_rendered(windlass: Windlass, write: Callable[..., Path]) -> None:
    write("shown")
    fields = windlass("tasks", "render", "shown", "hello", "-e", "2026-02-03", "--json").data
    assert "2026-02-03" in str(fields)


def test_a_dag_that_no_file_defines_exits_4(windlass: Windlass, write: Callable[..., Path]) -> None:
    write("one")
    assert windlass("dags", "test", "two").code == 4
