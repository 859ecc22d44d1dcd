"""What Windlass expects of every hook, operator, sensor, trigger and secrets backend."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from windlass.hooks import BaseHook
from windlass.operators import BaseOperator
from windlass.triggers import BaseTrigger
from windlass_kubernetes.client import KubeClient
from windlass_kubernetes.configuration import Access
from windlass_kubernetes.decorators import KubernetesDecoratedOperator
from windlass_kubernetes.hook import KubernetesHook
from windlass_kubernetes.naming import label_value
from windlass_kubernetes.operators import (
    KubernetesApplyResourceOperator,
    KubernetesCreateResourceOperator,
    KubernetesDeleteJobOperator,
    KubernetesDeleteResourceOperator,
    KubernetesJobOperator,
    KubernetesPatchJobOperator,
    KubernetesPodOperator,
)
from windlass_kubernetes.secrets_backend import KubernetesSecretsBackend
from windlass_kubernetes.sensors import KubernetesDeploymentRolloutSensor, KubernetesJobSensor, KubernetesPodSensor
from windlass_kubernetes.triggers import KubernetesObjectTrigger, KubernetesPodTrigger
from windlass_testing.conformance import HookSuite, OperatorSuite, SecretsBackendSuite, SensorSuite, TriggerSuite
from windlass_testing.fakes.kubernetes import FakeKubernetes

Json = dict[str, Any]

POD = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "busybox", "command": ["true"]}]}}
WAITS = {"spec": {**POD["spec"], "containers": [{"name": "c", "image": "busybox", "command": ["sleep", "600"]}]}}
NOBODY = {"conn_type": "kubernetes", "host": "http://127.0.0.1", "port": 1, "extra": {"patience": 0}}
_NUMBERS = itertools.count()


def uri_of(fake: FakeKubernetes) -> Json:
    host, _, port = fake.url.rpartition(":")
    return {"conn_type": "kubernetes", "host": host, "port": int(port), "extra": {"patience": 5}}


class TestHook(HookSuite):
    hook_class = KubernetesHook

    @pytest.fixture
    def working_connection(self, fake: FakeKubernetes) -> Json:
        return uri_of(fake)

    @pytest.fixture
    def failing_connection(self) -> Json:
        return NOBODY

    def use(self, hook: BaseHook) -> None:
        assert isinstance(hook, KubernetesHook)
        hook.get_pod("any", "default")
        hook.client.close()


class OnTheFake:
    """Where the operators, sensors and triggers under test find the cluster."""

    conn_id_argument: str | None = "kubernetes_conn_id"

    @pytest.fixture
    def connections(self, fake: FakeKubernetes) -> Mapping[str, Json]:
        self.client = KubeClient(Access(host=fake.url))
        return {"kubernetes_default": uri_of(fake)}

    @pytest.fixture
    def failing_connection(self) -> Json:
        return NOBODY

    def pods(self, label: str) -> list[Json]:
        found: list[Json] = self.client.ask("list", "GET", "/api/v1/pods", query={"labelSelector": label})["items"]
        return found


class TestPodOperator(OnTheFake, OperatorSuite):
    operator_class: type[BaseOperator] = KubernetesPodOperator
    arguments: Mapping[str, Any] = {"image": "busybox", "cmds": ["true"]}
    label = "suite=pod"

    @pytest.fixture
    def endless_arguments(self) -> Json:
        return {"cmds": ["sleep", "600"], "labels": {"suite": "pod"}, "termination_grace_period": 1}

    def is_at_work(self) -> bool:
        return any(pod["status"]["phase"] == "Running" for pod in self.pods(self.label))

    def is_gone(self) -> bool:
        return not self.pods(self.label)


JOBS = "/apis/batch/v1/namespaces/default/jobs"


class JobsOnTheFake(OnTheFake):
    """Where no job is left for the next test, whose task has the same name."""

    @pytest.fixture(autouse=True)
    def _clean(self, connections: Mapping[str, Json]) -> Iterator[None]:
        yield
        self.client.ask("clean", "DELETE", JOBS, query={"propagationPolicy": "Background"})
        self.client.close()


class TestJobOperator(JobsOnTheFake, OperatorSuite):
    operator_class: type[BaseOperator] = KubernetesJobOperator
    arguments: Mapping[str, Any] = {"image": "busybox", "cmds": ["true"], "wait_until_job_complete": True}

    @pytest.fixture
    def endless_arguments(self) -> Json:
        return {"cmds": ["sleep", "600"], "labels": {"suite": "job"}, "termination_grace_period": 1}

    def is_at_work(self) -> bool:
        return any(pod["status"]["phase"] == "Running" for pod in self.pods("suite=job"))

    def is_gone(self) -> bool:
        return not self.pods("suite=job")


class AJobOnTheFake(JobsOnTheFake):
    """An operator on a job that was made before."""

    arguments: Mapping[str, Any] = {"name": "made-before", "namespace": "default"}

    @pytest.fixture(autouse=True)
    def _job(self, connections: Mapping[str, Json]) -> None:
        body = {"metadata": {"name": "made-before"}, "spec": {"suspend": True, "template": POD}}
        self.client.ask("create", "POST", JOBS, body=body)


class TestDeleteJobOperator(AJobOnTheFake, OperatorSuite):
    operator_class: type[BaseOperator] = KubernetesDeleteJobOperator
    result: Any = True


class TestPatchJobOperator(AJobOnTheFake, OperatorSuite):
    operator_class: type[BaseOperator] = KubernetesPatchJobOperator
    arguments: Mapping[str, Any] = {**AJobOnTheFake.arguments, "body": {"metadata": {"labels": {"a": "b"}}}}


def add(first: int, second: int) -> int:
    """What a pod is to do."""
    return first + second


class TestTaskDecorator(OnTheFake, OperatorSuite):
    operator_class: type[BaseOperator] = KubernetesDecoratedOperator
    arguments: Mapping[str, Any] = {"python_callable": add, "op_args": [1, 2], "image": "python"}
    result: Any = 3


MANIFEST = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "conformance"}, "data": {"a": "1"}}
YAML = json.dumps(MANIFEST)
NAMED = {"apiVersion": "v1", "kind": "ConfigMap", "name": "conformance", "namespace": "default"}


class TestCreateResourceOperator(OnTheFake, OperatorSuite):
    operator_class: type[BaseOperator] = KubernetesCreateResourceOperator
    arguments: Mapping[str, Any] = {"yaml_conf": YAML}
    template_arguments = {"yaml_conf_file": {"yaml_conf": None}}
    result: Any = [NAMED]

    @pytest.fixture(autouse=True)
    def _clean(self, fake: FakeKubernetes) -> Iterator[None]:
        yield
        client = KubeClient(Access(host=fake.url))
        client.ask("clean", "DELETE", "/api/v1/namespaces/default/configmaps")
        client.close()


class TestApplyResourceOperator(TestCreateResourceOperator):
    operator_class: type[BaseOperator] = KubernetesApplyResourceOperator


class TestDeleteResourceOperator(TestCreateResourceOperator):
    operator_class: type[BaseOperator] = KubernetesDeleteResourceOperator
    result: Any = None


class SensorOnTheFake(OnTheFake):
    """A sensor of objects that a test makes before: ``done`` and ``busy``."""

    arguments: Mapping[str, Any] = {"name": "done", "namespace": "sensing"}
    waiting_arguments: Mapping[str, Any] = {"name": "busy", "namespace": "sensing"}

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _objects(cls, fake: FakeKubernetes) -> Iterator[None]:
        client = KubeClient(Access(host=fake.url))
        hook = KubernetesHook()
        hook.__dict__["client"] = client
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "sensing"}}
        hook.create(space)
        from windlass_kubernetes.object_state import outcome

        done, busy = cls.objects()
        hook.create(busy, "sensing")
        hook.create(done, "sensing")
        for state in hook.follow(done, "sensing"):
            if outcome(done["kind"], "done", "sensing", state) is not None:
                break
        yield
        hook.delete(space)
        hook.wait_until_gone(space)
        client.close()

    @classmethod
    def objects(cls) -> tuple[Json, Json]:
        """Return an object that is done soon, and one that never is."""
        raise NotImplementedError


class TestPodSensor(SensorOnTheFake, SensorSuite):
    operator_class: type[BaseOperator] = KubernetesPodSensor

    @classmethod
    def objects(cls) -> tuple[Json, Json]:
        kind = {"apiVersion": "v1", "kind": "Pod"}
        grace = {"terminationGracePeriodSeconds": 0}
        busy = {**kind, "metadata": {"name": "busy"}, "spec": {**WAITS["spec"], **grace}}
        return {**kind, "metadata": {"name": "done"}, **POD}, busy


class TestJobSensor(SensorOnTheFake, SensorSuite):
    operator_class: type[BaseOperator] = KubernetesJobSensor

    @classmethod
    def objects(cls) -> tuple[Json, Json]:
        kind = {"apiVersion": "batch/v1", "kind": "Job"}
        done = {**kind, "metadata": {"name": "done"}, "spec": {"template": POD}}
        return done, {**kind, "metadata": {"name": "busy"}, "spec": {"template": WAITS}}


class TestDeploymentRolloutSensor(SensorOnTheFake, SensorSuite):
    operator_class: type[BaseOperator] = KubernetesDeploymentRolloutSensor

    @classmethod
    def objects(cls) -> tuple[Json, Json]:
        def deployment(name: str, probe: Json) -> Json:
            container = {"name": "c", "image": "busybox", "command": ["sleep", "600"], **probe}
            spec = {
                "selector": {"matchLabels": {"app": name}},
                "template": {
                    "metadata": {"labels": {"app": name}},
                    "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
                },
            }
            return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}

        never = {"readinessProbe": {"exec": {"command": ["false"]}, "initialDelaySeconds": 600}}
        return deployment("done", {}), deployment("busy", never)


class TestPodTrigger(OnTheFake, TriggerSuite):
    trigger_class: type[BaseTrigger] = KubernetesPodTrigger

    @pytest.fixture(autouse=True)
    def _pod(self, connections: Mapping[str, Json], tmp_path: Path) -> Iterator[None]:
        self.gate = tmp_path / "gate"
        script = f"until [ -e {self.gate} ]; do sleep 0.02; done"
        spec = {**POD["spec"], "containers": [{"name": "base", "image": "b", "command": ["sh", "-c", script]}]}
        body = {"metadata": {"name": f"waits-{next(_NUMBERS)}"}, "spec": spec}
        self.pod = self.client.ask("create", "POST", "/api/v1/namespaces/default/pods", body=body)
        yield
        path = f"/api/v1/namespaces/default/pods/{self.pod['metadata']['name']}"
        self.client.ask("delete", "DELETE", path, query={"gracePeriodSeconds": 0})

    def waiting(self) -> BaseTrigger:
        import time

        meta = self.pod["metadata"]
        return KubernetesPodTrigger(
            pod_name=meta["name"], pod_namespace="default", pod_uid=meta["uid"], base_container_name="base",
            began=time.time(), startup_timeout=100, schedule_timeout=100, poll_interval=0.05,
        )  # fmt: skip

    def make_it_fire(self) -> None:
        self.gate.touch()


class TestObjectTrigger(TestPodTrigger):
    trigger_class: type[BaseTrigger] = KubernetesObjectTrigger

    def waiting(self) -> BaseTrigger:
        name = self.pod["metadata"]["name"]
        return KubernetesObjectTrigger(api_version="v1", kind="Pod", name=name, namespace="default", poll_interval=0.05)


class TestSecretsBackend(SecretsBackendSuite):
    has_config = True
    credentials = ("a-token-that-nobody-may-see",)

    @pytest.fixture(autouse=True)
    def _store(self, fake: FakeKubernetes, tmp_path: Path) -> Iterator[None]:
        self.client = KubeClient(Access(host=fake.url))
        self.file = tmp_path / "kubeconfig"
        self.file.write_text(json.dumps(fake.kubeconfig()))
        self.down = tmp_path / "down"
        config = fake.kubeconfig()
        config["clusters"][0]["cluster"]["server"] = "http://127.0.0.1:1"
        config["users"][0]["user"] = {"token": self.credentials[0]}
        self.down.write_text(json.dumps(config))
        self.fake = fake
        yield
        self.client.ask("clean", "DELETE", "/api/v1/namespaces/default/secrets")
        self.client.close()

    def make(self) -> KubernetesSecretsBackend:
        return KubernetesSecretsBackend(config_file=str(self.file))

    def unusable(self) -> Mapping[str, KubernetesSecretsBackend]:
        self.fake.inject(verb="list", resource="secrets", status=403, times=3)
        return {
            "refused": KubernetesSecretsBackend(config_file=str(self.file), patience=0.0),
            "down": KubernetesSecretsBackend(config_file=str(self.down), patience=0.0),
        }

    def put(self, label: str, key: str, text: str) -> None:
        name = f"{label}-{label_value(key).lower().replace('_', '-')}"
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "labels": {f"windlass/{label}": label_value(key)}},
            "data": {"value": base64.b64encode(text.encode()).decode()},
        }
        path = "/api/v1/namespaces/default/secrets"
        query = {"fieldManager": "test", "force": True}
        self.client.ask(
            "put", "PATCH", f"{path}/{name}", query=query, body=body, content_type="application/apply-patch+yaml"
        )

    def put_connection(self, conn_id: str, text: str) -> None:
        self.put("connection-id", conn_id, text)

    def put_variable(self, key: str, text: str) -> None:
        self.put("variable-key", key, text)

    def put_config(self, key: str, text: str) -> None:
        self.put("config-key", key, text)
