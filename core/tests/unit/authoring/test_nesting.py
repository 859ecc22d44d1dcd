"""An operator that is executed inside another task is noticed; one that runs as a task, or calls super(), is not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from windlass import DAG, BaseOperator, task
from windlass.app.inproc.testing import DagTestResult
from windlass.errors import AuthoringError


class Inner(BaseOperator):
    def execute(self, context: Mapping[str, Any]) -> str:
        return "inner"


class Deeper(Inner):
    def execute(self, context: Mapping[str, Any]) -> str:
        return super().execute(context)


def inside(make: Callable[[], object]) -> DagTestResult:
    """Run a task ``outer`` that calls ``make``."""
    with DAG("d", schedule=None) as dag:

        @task(retries=0)
        def outer() -> object:
            return make()

        outer()
    result: DagTestResult = dag.test()
    return result


def test_a_nested_operator_runs_and_is_warned_about() -> None:
    result = inside(lambda: Inner(task_id="inner").execute({}))
    assert result.xcom("outer") == "inner"
    assert "WARNING windlass.task: Inner 'inner' is executed inside task 'outer'" in result.log("outer")


def test_it_is_refused_if_it_says_so() -> None:
    result = inside(lambda: Inner(task_id="inner", allow_nested_operators=False).execute({}))
    assert result.task("outer").state == "failed"
    assert "AuthoringError: Inner 'inner' is executed inside task 'outer'" in (result.task("outer").reason or "")


def test_it_may_call_its_own_super_without_another_word() -> None:
    result = inside(lambda: Deeper(task_id="inner").execute({}))
    assert result.log("outer").count("is executed inside") == 1


def test_a_task_that_calls_super_is_not_nested() -> None:
    with DAG("d", schedule=None) as dag:
        Deeper(task_id="a", allow_nested_operators=False)
    result = dag.test()
    assert result.xcom("a") == "inner"
    assert "is executed inside" not in result.log("a")


def test_what_a_test_calls_by_hand_is_not_nested(caplog: pytest.LogCaptureFixture) -> None:
    assert Deeper(task_id="a", allow_nested_operators=False).execute({}) == "inner"
    assert not caplog.records


def test_after_a_nested_one_has_failed_its_task_is_the_one_that_runs_again() -> None:
    class Failing(BaseOperator):
        def execute(self, context: Mapping[str, Any]) -> None:
            raise ValueError("no")

    def twice() -> str:
        with pytest.raises(ValueError, match="no"):
            Failing(task_id="first").execute({})
        with pytest.raises(AuthoringError, match="'second' is executed inside task 'outer'"):
            Inner(task_id="second", allow_nested_operators=False).execute({})
        return "done"

    assert inside(twice).xcom("outer") == "done"


def test_a_whole_test_run_inside_a_task_is_nothing_nested() -> None:
    with DAG("other", schedule=None) as other:
        Inner(task_id="a", allow_nested_operators=False)
    assert inside(lambda: str(other.test().state)).xcom("outer") == "success"
