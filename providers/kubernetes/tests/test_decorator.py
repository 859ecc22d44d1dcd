"""@task.kubernetes: a function that runs in a pod."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from windlass import DAG, task
from windlass.errors import AuthoringError
from windlass_kubernetes.decorators import kubernetes_task
from windlass_kubernetes.hook import KubernetesHook
from windlass_testing import RunDag

if TYPE_CHECKING:
    from providers.kubernetes.tests.conftest import Cluster

pytestmark = pytest.mark.e2e

START = datetime(2026, 1, 1, tzinfo=UTC)


def add(numbers: list[int], *, word: str, ds: str = "") -> dict[str, Any]:
    import os

    print("adding in", os.environ["WHERE"])  # noqa: T201 - its output is looked at
    return {"sum": sum(numbers), "word": word + "ß", "ds": ds}


def broken(number: int) -> float:
    return number / 0


def test_a_function_runs_in_a_pod_and_its_result_comes_back(
    hook: KubernetesHook, cluster: Cluster, run_dag: RunDag
) -> None:
    with DAG("adds", schedule=None, start_date=START) as dag:

        @task
        def numbers() -> list[int]:
            return list(range(1000))

        decorated = kubernetes_task(add, image=cluster.image, env_vars={"WHERE": "a pod"}, **cluster.python)
        decorated(numbers(), word="größe")
    result = run_dag(dag, logical_date=START)
    assert result.states == {"numbers": "success", "add": "success"}, result.log("add")
    assert result.xcom("add") == {"sum": 499_500, "word": "größeß", "ds": "2026-01-01"}
    assert "adding in a pod" in result.log("add")


def test_a_failure_shows_the_line_of_the_function(hook: KubernetesHook, cluster: Cluster, run_dag: RunDag) -> None:
    with DAG("breaks", schedule=None, start_date=START) as dag:
        task.kubernetes(image=cluster.image, **cluster.python)(broken)(1)
    result = run_dag(dag)
    assert result.states == {"broken": "failed"}
    assert "return number / 0" in result.log("broken")
    assert "ZeroDivisionError" in result.log("broken")


def test_arguments_may_be_large_and_too_large_is_an_error(
    hook: KubernetesHook, cluster: Cluster, run_dag: RunDag
) -> None:
    def length(text: str) -> int:
        return len(text)

    import random

    noise = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=400_000))
    with DAG("large", schedule=None, start_date=START) as dag:
        made = kubernetes_task(length, image=cluster.image, **cluster.python)
        made(noise)
        made.override(task_id="huge")(noise * 5 + noise[::-1] * 5)
    result = run_dag(dag)
    assert result.xcom("length") == 400_000
    assert result.states["huge"] == "failed"
    assert "more than a pod's specification can hold" in result.log("huge")


def test_a_lambda_is_refused() -> None:
    with DAG("lambda", schedule=None, start_date=START), pytest.raises(AuthoringError, match="a lambda has no source"):
        kubernetes_task(lambda: 1, image="python", task_id="t")()
