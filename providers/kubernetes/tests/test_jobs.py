"""Jobs as tasks, and the operators that delete and change them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from windlass.errors import AuthoringError
from windlass_kubernetes.hook import KubernetesHook
from windlass_kubernetes.operators import (
    KubernetesDeleteJobOperator,
    KubernetesJobOperator,
    KubernetesPatchJobOperator,
)
from windlass_kubernetes.sensors import KubernetesJobSensor
from windlass_testing.fakes.kubernetes import FakeKubernetes

if TYPE_CHECKING:
    from providers.kubernetes.tests.conftest import Cluster, Run

pytestmark = pytest.mark.e2e

JOB = {"apiVersion": "batch/v1", "kind": "Job"}


def shell(script: str) -> list[str]:
    return ["sh", "-c", script]


def job(name: str, cluster: Cluster, script: str, **spec: Any) -> dict[str, Any]:
    container = {"name": "c", "image": cluster.image, "command": shell(script)}
    template = {"spec": {"restartPolicy": "Never", "containers": [container], "terminationGracePeriodSeconds": 1}}
    return {**JOB, "metadata": {"name": name}, "spec": {"template": template, **spec}}


def test_a_job_runs_to_its_end_and_its_logs_are_the_tasks(hook: KubernetesHook, cluster: Cluster, run: Run) -> None:
    result = run(
        KubernetesJobOperator, image=cluster.image, cmds=shell("echo from a job"), completions=3, parallelism=2,
        wait_until_job_complete=True, name="three",
    )  # fmt: skip
    assert result.state == "success", result.log
    assert result.log.count("from a job") == 3
    assert re.search(r"job `three-\w+` in namespace `[\w-]+` is complete", result.log)
    assert result.xcoms["job_name"].startswith("three-")
    assert result.xcoms["job_namespace"] == cluster.namespace
    found = hook.read({**JOB, "metadata": {"name": result.xcoms["job_name"]}})
    assert found is not None
    assert found["status"]["succeeded"] == 3


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_job_that_fails_says_why(hook: KubernetesHook, cluster: Cluster, run: Run, deferrable: bool) -> None:
    result = run(
        KubernetesJobOperator, image=cluster.image, cmds=shell("echo bad luck; exit 3"), backoff_limit=0,
        wait_until_job_complete=True, deferrable=deferrable, job_poll_interval=0.2,
    )  # fmt: skip
    assert result.state == "failed"
    assert "failed (BackoffLimitExceeded): Job has reached the specified backoff limit; pod `t-" in result.reason
    assert "container `base` ended with exit code 3" in result.reason
    assert "bad luck" in result.log


def test_without_waiting_the_task_ends_at_once(hook: KubernetesHook, cluster: Cluster, run: Run) -> None:
    result = run(KubernetesJobOperator, image=cluster.image, cmds=shell("sleep 100"), termination_grace_period=1)
    assert result.state == "success", result.log
    named = {**JOB, "metadata": {"name": result.xcoms["job_name"]}}
    assert hook.read(named) is not None
    hook.delete(named)


def test_a_job_that_an_earlier_attempt_began_is_waited_for(hook: KubernetesHook, cluster: Cluster, run: Run) -> None:
    arguments: dict[str, Any] = {"dag_id": "job-again", "image": cluster.image, "cmds": shell("sleep 1")}
    first = run(KubernetesJobOperator, **arguments)
    second = run(KubernetesJobOperator, **arguments, wait_until_job_complete=True)
    assert second.state == "success", second.log
    assert second.xcoms["job_name"] == first.xcoms["job_name"]
    assert "which an earlier attempt began" in second.log


def test_a_job_has_no_result() -> None:
    with pytest.raises(AuthoringError, match="use KubernetesPodOperator for do_xcom_push"):
        KubernetesJobOperator(task_id="t", image="b", do_xcom_push=True)


def test_a_job_is_suspended_resumed_and_deleted(hook: KubernetesHook, cluster: Cluster, run: Run) -> None:
    if cluster.fake is None:
        pytest.skip("suspended jobs came with Kubernetes 1.21")
    hook.create(job("sleeping", cluster, "true", suspend=True))
    result = run(KubernetesPatchJobOperator, name="sleeping", body={"spec": {"suspend": False}})
    assert result.state == "success", result.log
    result = run(KubernetesDeleteJobOperator, name="sleeping", wait_for_completion=True, delete_on_status="Complete")
    assert result.xcoms["return_value"] is True
    hook.wait_until_gone({**JOB, "metadata": {"name": "sleeping"}})


def test_deleting_a_job(hook: KubernetesHook, cluster: Cluster, run: Run) -> None:
    assert run(KubernetesDeleteJobOperator, name="absent").xcoms["return_value"] is False
    hook.create(job("bad", cluster, "exit 1", backoffLimit=0))
    kept = run(KubernetesDeleteJobOperator, name="bad", wait_for_completion=True, delete_on_status="Complete")
    assert kept.xcoms["return_value"] is False
    assert run(KubernetesDeleteJobOperator, name="bad").xcoms["return_value"] is True
    hook.wait_until_gone({**JOB, "metadata": {"name": "bad"}})
    for pod in hook.find_pods(cluster.namespace, "job-name=bad"):
        hook.wait_until_gone({**pod, "kind": "Pod", "apiVersion": "v1"})


def test_a_sensor_hears_of_a_job_that_failed(hook: KubernetesHook, cluster: Cluster, run: Run) -> None:
    hook.create(job("failing", cluster, "exit 1", backoffLimit=0))
    result = run(KubernetesJobSensor, name="failing", deferrable=True, poke_interval=0.2)
    assert result.state == "failed"
    assert "job `failing` in namespace" in result.reason
    assert "failed (BackoffLimitExceeded)" in result.reason


@pytest.mark.timeout(40)
def test_a_job_of_somebody_else_is_left_alone(fake: FakeKubernetes, fake_hook: KubernetesHook, run: Run) -> None:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "b", "command": ["true"]}]}}
    fake_hook.create({**JOB, "metadata": {"name": "taken"}, "spec": {"template": template}})
    result = run(KubernetesJobOperator, image="b", name="taken", random_name_suffix=False)
    assert result.state == "failed"
    assert "job `taken` exists already in namespace `default` and is not of this task" in result.reason
