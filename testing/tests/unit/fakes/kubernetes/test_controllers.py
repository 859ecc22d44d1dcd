"""Controllers of the fake Kubernetes: jobs, deployments and namespaces."""

from __future__ import annotations

import pytest
from testing.tests.unit.fakes.kubernetes.client import DEPLOYMENTS, JOBS, PODS, Client, Json, pod

pytestmark = pytest.mark.timeout(40)


def test_a_job_is_complete_when_enough_pods_succeeded(kube: Client) -> None:
    template = {"spec": pod("x", "sh", "-c", "echo $JOB_COMPLETION_INDEX")["spec"]}
    spec = {"completions": 3, "parallelism": 2, "completionMode": "Indexed", "template": template}
    kube.call("POST", JOBS, {"metadata": {"name": "three"}, "spec": spec})
    status: Json = {}
    for event in kube.events(JOBS):
        status = event["object"]["status"]
        assert status.get("active", 0) <= 2
        if status.get("conditions"):
            break
    assert (status["succeeded"], status["conditions"][0]["type"]) == (3, "Complete")
    pods = kube.call("GET", PODS, labelSelector="job-name=three")[1]["items"]
    assert sorted(kube.text(f"{PODS}/{one['metadata']['name']}/log").strip() for one in pods) == ["0", "1", "2"]


def test_a_job_gives_up_after_its_backoff_limit(kube: Client) -> None:
    spec = {"backoffLimit": 1, "template": {"spec": pod("x", "false")["spec"]}}
    kube.call("POST", JOBS, {"metadata": {"name": "fails"}, "spec": spec})
    status: Json = {}
    for event in kube.events(JOBS):
        status = event["object"]["status"]
        if status.get("conditions"):
            break
    assert (status["failed"], status["conditions"][0]["reason"]) == (2, "BackoffLimitExceeded")


def test_a_deployment_rolls_out_and_scales(kube: Client) -> None:
    template = {"metadata": {"labels": {"app": "w"}}, "spec": {**pod("x")["spec"], "restartPolicy": "Always"}}
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": "w"}}, "template": template}
    kube.call("POST", DEPLOYMENTS, {"metadata": {"name": "w"}, "spec": spec})

    def wait(replicas: int, generation: int) -> None:
        for event in kube.events(DEPLOYMENTS):
            status = event["object"]["status"]
            wanted = {"observedGeneration": generation, "replicas": replicas, "availableReplicas": replicas}
            if wanted.items() <= status.items() and status.get("updatedReplicas") == replicas:
                return

    wait(2, 1)
    scale = kube.call("PATCH", f"{DEPLOYMENTS}/w/scale", {"spec": {"replicas": 3}}, "application/merge-patch+json")[1]
    assert (scale["kind"], scale["spec"]["replicas"]) == ("Scale", 3)
    wait(3, 2)
    change = {"spec": {"template": {"metadata": {"annotations": {"v": "2"}}}}}
    kube.call("PATCH", f"{DEPLOYMENTS}/w", change, "application/merge-patch+json")
    wait(3, 3)


def test_a_namespace_goes_with_all_that_is_in_it(kube: Client) -> None:
    kube.call("POST", "/api/v1/namespaces", {"metadata": {"name": "short-lived"}})
    inside = PODS.replace("default", "short-lived")
    kube.call("POST", inside, pod("p"))
    kube.call("DELETE", "/api/v1/namespaces/short-lived")
    for event in kube.events("/api/v1/namespaces", fieldSelector="metadata.name=short-lived"):
        if event["type"] == "DELETED":
            break
    assert kube.call("GET", inside)[1]["items"] == []
