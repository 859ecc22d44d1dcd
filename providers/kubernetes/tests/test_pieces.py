"""The pure pieces: names, manifests, what a state means, and where a connection leads."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from windlass.errors import AuthoringError, ConfigError
from windlass.hooks import Connection
from windlass_kubernetes import pod_state
from windlass_kubernetes.client import KubeClient
from windlass_kubernetes.configuration import Access, access, default_namespace
from windlass_kubernetes.hook import KubernetesHook
from windlass_kubernetes.logs import Cursor
from windlass_kubernetes.manifests import build_pod
from windlass_kubernetes.naming import label_value, object_name
from windlass_kubernetes.object_state import outcome
from windlass_kubernetes.operators import KubernetesPodOperator
from windlass_kubernetes.plain import plain
from windlass_kubernetes.secret import Secret
from windlass_testing import SetConnection
from windlass_testing.fakes.kubernetes import FakeKubernetes

Json = dict[str, Any]


def test_a_mistyped_field_of_a_connection_is_warned_of(
    connection: SetConnection, caplog: pytest.LogCaptureFixture
) -> None:
    connection("k", "kubernetes://cluster.example:6443/?namespac=shop")
    assert KubernetesHook("k").connection.host == "cluster.example"
    assert "connection 'k' of type 'kubernetes' has no field 'namespac'; did you mean 'namespace'?" in caplog.text
    assert "shop" not in caplog.text


# --- Names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["plain", "With.Dots_and-dashes", "x" * 63, "", "manual__2026-01-01T00-00-00"])
def test_what_fits_a_label_stays(text: str) -> None:
    assert label_value(text) == text


@pytest.mark.parametrize(
    "text", ["a b", "größe", "x" * 64, "-a", "a-", "manual__2026-01-01T00:00:00+00:00", "密码", "///"]
)
def test_what_does_not_fit_a_label_is_made_to_fit_and_stays_apart(text: str) -> None:
    made = label_value(text)
    assert 0 < len(made) <= 63
    assert label_value(made) == made
    assert made == label_value(text) != label_value(text + "x")
    assert label_value(text) != label_value(text.upper() + "!")


def test_names_of_objects_are_always_the_same_and_differ_by_their_parts() -> None:
    assert object_name("My Task", "a", "b") == object_name("My Task", "a", "b")
    assert object_name("t", "ab", "c") != object_name("t", "a", "bc")
    assert object_name("fits") == "fits"
    assert object_name("a_b") != object_name("a-b")
    assert all(len(object_name("x" * 200, *parts)) <= 63 for parts in ((), ("a",)))
    assert object_name("密", "a").isascii()


# --- Manifests --------------------------------------------------------------------------------------------------------


def pod_of(**arguments: Any) -> Json:
    return build_pod(KubernetesPodOperator(task_id="t", **arguments))


def test_every_argument_has_its_place() -> None:
    pod = pod_of(
        image="i", cmds=["c"], arguments=["a", "1"], ports=[{"containerPort": 80}],
        env_vars={"N": 1, "T": "x", "J": [1]},
        env_from=[{"secretRef": {"name": "s"}}], configmaps=["m"], affinity={"nodeAffinity": {}}, hostnetwork=True,
        node_selector={"k": "v"}, tolerations=[{"key": "k"}], service_account_name="sa", image_pull_secrets="a, b",
        image_pull_policy="Never", container_resources={"limits": {"cpu": "1"}}, active_deadline_seconds=5,
        termination_grace_period=0, priority_class_name="p", security_context={"runAsUser": 1}, dnspolicy="None",
        schedulername="s", hostname="h", subdomain="d", automount_service_account_token=False,
    )  # fmt: skip
    spec, container = pod["spec"], pod["spec"]["containers"][0]
    assert container == {
        "name": "base", "image": "i", "command": ["c"], "args": ["a", "1"], "ports": [{"containerPort": 80}],
        "imagePullPolicy": "Never", "resources": {"limits": {"cpu": "1"}},
        "env": [{"name": "N", "value": "1"}, {"name": "T", "value": "x"}, {"name": "J", "value": "[1]"}],
        "envFrom": [{"secretRef": {"name": "s"}}, {"configMapRef": {"name": "m"}}],
    }  # fmt: skip
    assert {key: value for key, value in spec.items() if key != "containers"} == {
        "affinity": {"nodeAffinity": {}}, "nodeSelector": {"k": "v"}, "tolerations": [{"key": "k"}],
        "serviceAccountName": "sa", "automountServiceAccountToken": False, "securityContext": {"runAsUser": 1},
        "dnsPolicy": "None", "hostname": "h", "subdomain": "d", "schedulerName": "s", "priorityClassName": "p",
        "activeDeadlineSeconds": 5, "terminationGracePeriodSeconds": 0, "hostNetwork": True,
        "imagePullSecrets": [{"name": "a"}, {"name": "b"}], "restartPolicy": "Never",
    }  # fmt: skip


def test_arguments_lie_on_the_full_specification_and_that_on_the_template() -> None:
    template: Json = {
        "metadata": {"labels": {"a": "template", "b": "template", "c": "template"}},
        "spec": {
            "containers": [{"name": "base", "image": "template", "env": [{"name": "X", "value": "template"}]},
                           {"name": "other", "image": "o"}],
            "volumes": [{"name": "v", "emptyDir": {}}],
        },
    }  # fmt: skip
    full = {
        "metadata": {"labels": {"b": "full", "c": "full"}},
        "spec": {"containers": [{"name": "base", "image": "full"}]},
    }
    pod = pod_of(
        pod_template_dict=template, full_pod_spec=full, labels={"c": "argument"}, env_vars={"Y": "argument"},
        volumes=[{"name": "w", "emptyDir": {}}],
    )  # fmt: skip
    assert pod["metadata"]["labels"] == {"a": "template", "b": "full", "c": "argument"}
    assert [one["image"] for one in pod["spec"]["containers"]] == ["full", "o"]
    assert [one["name"] for one in pod["spec"]["containers"][0]["env"]] == ["X", "Y"]
    assert [one["name"] for one in pod["spec"]["volumes"]] == ["v", "w"]
    assert template["metadata"]["labels"]["c"] == "template", "what the author wrote is left as it is"


def test_the_client_librarys_models_are_taken_as_airflows_users_write_them() -> None:
    from kubernetes.client import models as k8s

    volume = k8s.V1Volume(name="v", empty_dir=k8s.V1EmptyDirVolumeSource(size_limit="1Gi"))
    mount = k8s.V1VolumeMount(name="v", mount_path="/v", read_only=True)
    resources = k8s.V1ResourceRequirements(limits={"memory": "1Gi"})
    full = k8s.V1Pod(
        metadata=k8s.V1ObjectMeta(labels={"a": "b"}),
        spec=k8s.V1PodSpec(containers=[k8s.V1Container(name="base", image="full")]),
    )
    pod = pod_of(volumes=[volume], volume_mounts=[mount], container_resources=resources, full_pod_spec=full,
                 env_vars=[k8s.V1EnvVar(name="A", value="1")])  # fmt: skip
    assert pod["metadata"]["labels"] == {"a": "b"}
    assert pod["spec"]["volumes"] == [{"name": "v", "emptyDir": {"sizeLimit": "1Gi"}}]
    container = pod["spec"]["containers"][0]
    assert container["image"] == "full"
    assert container["volumeMounts"] == [{"name": "v", "mountPath": "/v", "readOnly": True}]
    assert container["resources"] == {"limits": {"memory": "1Gi"}}
    assert container["env"] == [{"name": "A", "value": "1"}]
    assert plain(k8s.V1EnvVar(name="A")) == {"name": "A"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("file", "A", "s", "k"), "is not one of env, volume"),
        (("env", "A", "s"), "give a variable and a key, or neither"),
        (("volume", None, "s"), "needs the folder"),
    ],
)
def test_a_secret_that_cannot_be(arguments: tuple[Any, ...], sentence: str) -> None:
    with pytest.raises(AuthoringError, match=sentence):
        Secret(*arguments)


def test_what_becomes_of_a_pod_must_be_known() -> None:
    with pytest.raises(AuthoringError, match="on_finish_action 'burn' is not one of delete_pod"):
        KubernetesPodOperator(task_id="t", image="i", on_finish_action="burn")


# --- States -----------------------------------------------------------------------------------------------------------


def state(phase: str = "Running", reason: str = "", **container: Any) -> Json:
    return {
        "metadata": {"name": "p", "namespace": "n"},
        "spec": {"containers": [{"name": "base", "image": "i"}], "restartPolicy": "Never"},
        "status": {"phase": phase, "reason": reason, "containerStatuses": [{"name": "base", "state": container}]},
    }


def test_when_a_container_has_started_and_ended() -> None:
    waits = state("Pending", waiting={"reason": "ContainerCreating"})
    assert not pod_state.has_started(waits, "base")
    assert pod_state.startup_problem(waits) is None
    assert pod_state.has_started(state(running={}), "base")
    assert not pod_state.has_ended(state(running={}), "base")
    assert pod_state.has_ended(state(terminated={"exitCode": 0}), "base"), "its sidecar may still run"
    assert pod_state.has_ended(state("Failed"), "base"), "also if its container never ran"


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull",
                                    "CreateContainerConfigError", "CreateContainerError"])  # fmt: skip
def test_what_never_starts_is_known(reason: str) -> None:
    problem = pod_state.startup_problem(state("Pending", waiting={"reason": reason, "message": "why"}))
    assert problem is not None
    assert problem.startswith("pod `p` in namespace `n` cannot start: container `base`:")
    assert problem.endswith(f"({reason}: why)")


@pytest.mark.parametrize(
    ("pod", "sentence"),
    [
        (
            state("Failed", terminated={"exitCode": 2, "reason": "Error"}),
            "container `base` ended with exit code 2 (Error)",
        ),
        (
            state("Failed", terminated={"exitCode": 137, "reason": "OOMKilled"}),
            "used more memory than its node could give",
        ),
        (state("Failed", "Evicted"), "was evicted from its node"),
        (state("Failed", "NodeLost"), "was lost together with its node"),
        (state("Failed", "Weird"), "failed (Weird)"),
        (state("Failed"), "ended in phase Failed before `base` ran"),
    ],
)
def test_how_a_pod_ended(pod: Json, sentence: str) -> None:
    found = pod_state.verdict(pod, "base")
    assert not found.is_success
    assert sentence in found.text


def test_a_rollout_is_done_when_all_replicas_are_new_and_available() -> None:
    def deployment(generation: int = 2, **status: Any) -> Json:
        return {"metadata": {"name": "d", "generation": generation}, "spec": {"replicas": 2}, "status": status}

    done = {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
    assert outcome("Deployment", "d", "n", deployment(**done)) is not None
    for under_way in ({"observedGeneration": 1}, {"updatedReplicas": 1}, {"replicas": 3}, {"availableReplicas": 1}):
        assert outcome("Deployment", "d", "n", deployment(**{**done, **under_way})) is None, under_way


# --- Logs -------------------------------------------------------------------------------------------------------------


def stamped(second: int, nano: int, text: str) -> bytes:
    return f"2026-01-01T00:00:{second:02d}.{nano:09d}Z {text}".encode()


def test_lines_that_come_again_are_dropped_and_no_others() -> None:
    lines = [stamped(1, 5, "a"), stamped(1, 5, "a"), stamped(1, 6, "b"), stamped(2, 1, "c"), stamped(2, 1, "c")]
    cursor = Cursor()
    assert [cursor.take(line) for line in lines] == [b"a", b"a", b"b", b"c", b"c"]
    cursor.rewind()
    assert cursor.since == "2026-01-01T00:00:01Z"
    again = [*lines, stamped(2, 1, "c"), stamped(1, 9, "late"), stamped(3, 0, "d")]
    assert [cursor.take(line) for line in again] == [None] * 5 + [b"c", b"late", b"d"]


def test_a_cursor_goes_on_in_another_process() -> None:
    cursor = Cursor()
    lines = [stamped(7, 1, "a"), stamped(8, 2, "b")]
    for line in lines:
        cursor.take(line)
    again = Cursor(json.loads(json.dumps(cursor.state())))
    assert again.since == "2026-01-01T00:00:07Z"
    assert [again.take(line) for line in [*lines, stamped(8, 3, "c")]] == [None, None, b"c"]


def test_a_cursor_remembers_two_seconds_and_no_more() -> None:
    cursor = Cursor()
    for second in range(50):
        for nano in range(100):
            cursor.take(stamped(second, nano, "x"))
    assert len(cursor.state()["earlier"]) == len(cursor.state()["current"]) == 100


# --- Connections ------------------------------------------------------------------------------------------------------


def connection(**extra: Any) -> Connection:
    return Connection("c", "kubernetes", extra=extra)


def test_arguments_win_over_the_connection() -> None:
    found = access(connection(kube_config_path="/a", namespace="n"), "c", kube_config_path="/b", in_cluster=None)
    assert (found.kube_config_path, found.namespace) == ("/b", "n")


def test_a_connection_that_says_two_things_is_refused() -> None:
    with pytest.raises(
        ConfigError, match="connection `c` says in_cluster and kube_config_path, which exclude each other"
    ):
        access(connection(in_cluster=True, kube_config_path="/a"), "c")


def test_a_kubeconfig_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match=r"connection `c`: .*; give kube_config_path"):
        KubeClient(access(connection(kube_config_path="/no/such/file"), "c"))
    with pytest.raises(ConfigError, match="kube_config is neither JSON nor YAML"):
        KubeClient(access(connection(kube_config="]["), "c"))
    with pytest.raises(ConfigError, match=r"connection `c`: .*in_cluster works inside a pod"):
        KubeClient(access(connection(in_cluster=True), "c"))


def test_a_kubeconfig_as_text_and_its_contexts(fake: FakeKubernetes) -> None:
    config = fake.kubeconfig()
    config["contexts"].append(
        {"name": "other", "context": {"cluster": "fake", "user": "fake", "namespace": "elsewhere"}}
    )
    for text in (json.dumps(config), config):
        found = access(connection(kube_config=text), "c")
        client = KubeClient(found)
        assert client.ask("read", "GET", "/version")["major"] == "1"
        client.close()
        assert default_namespace(found) == "default"
        assert default_namespace(access(connection(kube_config=text, cluster_context="other"), "c")) == "elsewhere"
    assert default_namespace(access(connection(kube_config=json.dumps(config), namespace="own"), "c")) == "own"


def test_a_token_is_sent(tmp_path: Path) -> None:
    with FakeKubernetes(token="right") as cluster:
        good = KubeClient(Access(host=cluster.url, token="right"))
        assert good.ask("read", "GET", "/api/v1/namespaces")["items"]
        file = tmp_path / "config"
        file.write_text(json.dumps(cluster.kubeconfig()))
        by_file = KubeClient(Access(kube_config_path=str(file)))
        assert by_file.ask("read", "GET", "/api/v1/namespaces")["items"]
        bad = KubeClient(Access(host=cluster.url, token="wrong", conn_id="c"))
        with pytest.raises(Exception, match="401 Unauthorized: Unauthorized; check the token or the certificate"):
            bad.ask("read", "GET", "/api/v1/namespaces")
        for client in (good, by_file, bad):
            client.close()


def test_nothing_of_the_client_library_is_imported_to_declare_tasks() -> None:
    import subprocess
    import sys

    code = """
import sys
import windlass_kubernetes.plugin, windlass_kubernetes.operators, windlass_kubernetes.sensors
import windlass_kubernetes.triggers, windlass_kubernetes.decorators, windlass_kubernetes.secret
from windlass_kubernetes.operators import KubernetesPodOperator
KubernetesPodOperator(task_id="t", image="i")
heavy = {"kubernetes", "urllib3", "yaml", "websocket", "requests"}
print([name for name in sys.modules if name.split(".")[0] in heavy])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.skipif(version("kubernetes") < "37", reason="before 37 the client library imports them all by itself")
def test_no_typed_model_is_imported_to_talk_to_a_cluster(fake: FakeKubernetes) -> None:
    import subprocess
    import sys

    code = f"""
import sys
from windlass_kubernetes.client import KubeClient
from windlass_kubernetes.configuration import Access
client = KubeClient(Access(host={fake.url!r}))
client.ask("list", "GET", "/api/v1/pods")
print(sum(name.startswith("kubernetes.client.models.v1_") for name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 20


def test_the_error_of_a_refusal_carries_the_facts() -> None:
    from windlass_kubernetes.errors import KubernetesRefused

    error = KubernetesRefused("do it", 403, "Forbidden", "no.", conn_id="c")
    assert str(error) == (
        "Kubernetes refused to do it (connection `c`): 403 Forbidden: no; give its account a role that allows this"
    )
    assert (error.status, error.reason) == (403, "Forbidden")
