"""Creating, applying and deleting objects from YAML, and waiting for a rollout."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from windlass import DAG, task
from windlass.errors import AuthoringError
from windlass.operators import EmptyOperator
from windlass_kubernetes.errors import KubernetesError, KubernetesRefused
from windlass_kubernetes.hook import KubernetesHook
from windlass_kubernetes.object_state import outcome
from windlass_kubernetes.operators import (
    KubernetesApplyResourceOperator,
    KubernetesCreateResourceOperator,
    KubernetesDeleteResourceOperator,
)
from windlass_kubernetes.sensors import KubernetesDeploymentRolloutSensor
from windlass_testing import RunTask

if TYPE_CHECKING:
    from providers.kubernetes.tests.conftest import Cluster, Run

pytestmark = pytest.mark.e2e

TWO = """
apiVersion: v1
kind: ConfigMap
metadata: {name: one}
data: {a: "1"}
---
apiVersion: v1
kind: Secret
metadata: {name: two}
stringData: {b: "2"}
"""


def config_map(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}


def test_objects_are_created_and_deleted(hook: KubernetesHook, cluster: Cluster, run: Run) -> None:
    result = run(KubernetesCreateResourceOperator, yaml_conf=TWO)
    assert result.state == "success", result.log
    assert result.xcoms["return_value"] == [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "one", "namespace": cluster.namespace},
        {"apiVersion": "v1", "kind": "Secret", "name": "two", "namespace": cluster.namespace},
    ]
    made = hook.read(config_map("one"))
    assert made is not None
    assert made["data"] == {"a": "1"}
    assert run(KubernetesDeleteResourceOperator, yaml_conf=TWO, wait=True).state == "success"
    assert hook.read(config_map("one")) is None
    assert run(KubernetesDeleteResourceOperator, yaml_conf=TWO).state == "success", "what is not there is no failure"


def test_a_retry_knows_what_it_created_and_nobody_elses_is_touched(
    hook: KubernetesHook, cluster: Cluster, run: Run
) -> None:
    arguments: dict[str, Any] = {"dag_id": "creates", "yaml_conf": {**config_map("mine"), "data": {"a": "1"}}}
    for _ in range(2):
        assert run(KubernetesCreateResourceOperator, **arguments).state == "success"
    other = run(KubernetesCreateResourceOperator, **{**arguments, "dag_id": "other"})
    assert other.state == "failed"
    assert '409 AlreadyExists: configmaps "mine" already exists; choose another name, or delete what is there' in (
        other.reason
    )


def test_applying_brings_an_object_into_its_state(hook: KubernetesHook, cluster: Cluster, run: Run) -> None:
    for data in ({"a": "1", "b": "1"}, {"a": "2"}):
        result = run(KubernetesApplyResourceOperator, yaml_conf={**config_map("applied"), "data": data})
        assert result.state == "success", result.log
        found = hook.read(config_map("applied"))
        assert found is not None
        assert found["data"] == data
    unforced = run(
        KubernetesApplyResourceOperator, yaml_conf={**config_map("applied"), "data": {"a": "3"}},
        field_manager="somebody", force=False,
    )  # fmt: skip
    assert unforced.state == "failed"
    assert 'conflict with "windlass"' in unforced.reason


def test_a_file_with_manifests(hook: KubernetesHook, cluster: Cluster, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "objects.yaml"
    file.write_text(
        "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: listed}}\n"
    )
    assert run(KubernetesCreateResourceOperator, yaml_conf_file=str(file)).state == "success"
    assert hook.read(config_map("listed")) is not None
    absent = run(KubernetesCreateResourceOperator, yaml_conf_file=str(tmp_path / "absent.txt"))
    assert absent.reason.endswith("absent.txt cannot be read: No such file or directory; correct the path")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("a: [", "the manifest is no YAML"), ("", "there is no manifest"), ("just text", "must be an object with a kind")],
)
def test_manifests_that_are_none(hook: KubernetesHook, run: Run, text: str, sentence: str) -> None:
    result = run(KubernetesCreateResourceOperator, yaml_conf=text)
    assert result.state == "failed"
    assert sentence in result.reason


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (None, "there is no manifest; give at least one"),
        (5, "yaml_conf must be YAML, a dict or several, not 5; correct it"),
    ],
)
def test_manifests_that_another_task_gives_and_that_are_none(run_task: RunTask, given: object, sentence: str) -> None:
    with DAG("d", schedule=None):
        other: Any = EmptyOperator(task_id="other")
        create = KubernetesCreateResourceOperator(task_id="t", yaml_conf=other.output)
    done = run_task(create, xcoms={"other": given})
    assert done.reason == f"TaskFailed: task 't': {sentence}"


def test_an_object_that_cannot_be(hook: KubernetesHook, cluster: Cluster, run: Run) -> None:
    result = run(KubernetesCreateResourceOperator, yaml_conf=config_map("Not A Name"), retries=2)
    assert result.state == "failed"
    assert "TaskFailed: Kubernetes refused to create ConfigMap `Not A Name`" in result.reason
    assert "422 Invalid" in result.reason
    unknown = run(KubernetesCreateResourceOperator, yaml_conf={"apiVersion": "no.such/v1", "kind": "Thing"})
    assert "the cluster knows no Thing in no.such/v1" in unknown.reason


def test_one_source_of_manifests_is_needed() -> None:
    with pytest.raises(AuthoringError, match="give yaml_conf or yaml_conf_file"):
        KubernetesCreateResourceOperator(task_id="t")


def test_a_kind_is_found_through_discovery(hook: KubernetesHook, cluster: Cluster) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "found"}}
    hook.create(account)
    assert hook.read(account) is not None
    with pytest.raises(KubernetesError, match="needs apiVersion and kind"):
        hook.read({"kind": "Pod"})


def deployment(cluster: Cluster, command: list[str], **more: Any) -> dict[str, Any]:
    container = {"name": "c", "image": cluster.image, "command": command}
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
    }
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template, **more}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}


def test_a_rollout_is_waited_for(hook: KubernetesHook, cluster: Cluster, run: Run) -> None:
    for command in (["sleep", "600"], ["sleep", "601"]):
        assert run(KubernetesApplyResourceOperator, yaml_conf=deployment(cluster, command)).state == "success"
        waited = run(KubernetesDeploymentRolloutSensor, name="web", deferrable=True, poke_interval=0.2)
        assert waited.state == "success", waited.log
        found = hook.read(deployment(cluster, command))
        assert found is not None
        assert found["status"]["updatedReplicas"] == found["status"]["availableReplicas"] == 2
    assert run(KubernetesDeleteResourceOperator, yaml_conf=deployment(cluster, []), wait=True).state == "success"


WEB = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(418 if self.path == "/teapot" else 200)
        self.end_headers()
        text = " ".join([sys.argv[1], self.command, self.path, self.headers.get("Content-Type") or "-", body.hex()])
        self.wfile.write(text.encode())
    do_POST = do_GET
http.server.HTTPServer((os.environ["POD_IP"], 8080), Handler).serve_forever()
"""


def test_a_service_is_asked_through_the_api_server_and_answers_as_its_newest_version(
    hook: KubernetesHook, cluster: Cluster, run: Run
) -> None:
    service = {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080, "protocol": "TCP"}]},
    }  # fmt: skip
    python = cluster.python.get("python", "python3")
    for version in ("one", "two"):
        made = deployment(cluster, [python, "-c", WEB, version])
        inside = made["spec"]["template"]["spec"]
        inside["volumes"] = cluster.python.get("volumes", [])
        inside["containers"][0] |= {
            "env": [{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
            "volumeMounts": cluster.python.get("volume_mounts", []),
            "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1},
        }
        assert run(KubernetesApplyResourceOperator, yaml_conf=[made, service]).state == "success"
        assert run(KubernetesDeploymentRolloutSensor, name="web", deferrable=True, poke_interval=0.2).state == "success"
        assert hook.ask_service("web") == f"{version} GET / - ".encode()
        said = hook.ask_service("web", "/p?n=1", port=80, body=b"\x89\xff", content_type="image/png")
        assert said == f"{version} POST /p?n=1 image/png 89ff".encode()
    with pytest.raises(
        KubernetesRefused, match=r"refused to ask service `web` for GET /teapot .*: 418 .*two"
    ) as caught:
        hook.ask_service("web", "/teapot")
    assert caught.value.status == 418
    assert (
        run(KubernetesDeleteResourceOperator, yaml_conf=[deployment(cluster, []), service], wait=True).state
        == "success"
    )
    with pytest.raises(KubernetesRefused, match='services "web" not found'):
        hook.ask_service("web")


def test_a_rollout_that_is_stuck_fails_the_sensor(hook: KubernetesHook, cluster: Cluster, run: Run) -> None:
    stuck = deployment(cluster, ["false"], progressDeadlineSeconds=2, minReadySeconds=0, replicas=1)
    stuck["metadata"]["name"] = "stuck"
    stuck["spec"]["template"]["spec"]["containers"][0]["image"] = "registry.invalid/no:1"
    hook.create(stuck)
    for state in hook.follow(stuck):
        if outcome("Deployment", "stuck", "", state) is not None:
            break
    result = run(KubernetesDeploymentRolloutSensor, name="stuck", deferrable=True)
    assert result.state == "failed"
    assert "the rollout of deployment `stuck` in namespace" in result.reason
    assert "has timed out progressing; look at its pods" in result.reason
    hook.delete(stuck)


def test_what_a_task_reads_in_a_secret_is_hidden_in_its_log(hook: KubernetesHook, run_task: RunTask) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hidden"}}
    hook.create({**secret, "stringData": {"signing": "s1gn-1ng/key", "token": "t0k", "region": "eu"}})
    with DAG("reading", schedule=None):

        @task
        def read() -> None:
            data = (KubernetesHook().read(secret) or {})["data"]
            texts = {name: base64.b64decode(value).decode() for name, value in data.items()}
            print("plain", texts, "and as it came", data["signing"])  # noqa: T201 - as an author would

        made = read()
    try:
        log = run_task(made.operator).log
    finally:
        hook.delete(secret)
    assert "'signing': '***'" in log
    assert "'token': '***'" in log
    assert "'region': 'eu'" in log
    assert base64.b64encode(b"s1gn-1ng/key").decode() not in log


def test_the_client_librarys_own_clients_log_in_as_the_hook_does(hook: KubernetesHook, cluster: Cluster) -> None:
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "seen"}, "data": {"a": "snow ☃"}}
    hook.create(manifest)
    with hook.api_client:
        seen = hook.core_v1_client.read_namespaced_config_map("seen", cluster.namespace)
        assert seen.data == {"a": "snow ☃"}
        assert hook.apps_v1_client.list_namespaced_deployment(cluster.namespace).kind == "DeploymentList"
        assert hook.batch_v1_client.list_namespaced_job(cluster.namespace).kind == "JobList"
    hook.delete(manifest)
