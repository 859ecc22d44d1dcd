"""KubernetesPodOperator: what runs, what comes back, and how each kind of failure reads."""

from __future__ import annotations

import re
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from windlass_kubernetes.hook import KubernetesHook
from windlass_kubernetes.operators import KubernetesPodOperator
from windlass_kubernetes.secret import Secret
from windlass_testing import SetConnection

if TYPE_CHECKING:
    from providers.kubernetes.tests.conftest import Cluster, Run

pytestmark = pytest.mark.e2e


def shell(script: str) -> list[str]:
    return ["sh", "-c", script]


def pods_of(hook: KubernetesHook, cluster: Cluster, dag_id: str) -> list[dict[str, Any]]:
    return hook.find_pods(cluster.namespace, f"dag_id={dag_id}")


def until_gone(hook: KubernetesHook, cluster: Cluster, dag_id: str) -> bool:
    """Wait until no pod of a DAG is left, 60 seconds at most."""
    deadline = time.monotonic() + 60
    while (left := pods_of(hook, cluster, dag_id)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not left


def test_a_command_runs_in_a_pod_and_its_log_is_the_tasks(hook: KubernetesHook, cluster: Cluster, run: Run) -> None:
    result = run(
        KubernetesPodOperator, dag_id="simple", image=cluster.image,
        cmds=shell("for i in 1 2 3; do echo line $i of $COLOUR; done"), env_vars={"COLOUR": "größer {{ run_id }}"},
    )  # fmt: skip
    assert result.state == "success", result.log
    assert re.findall(r"line (\d) of größer \w+__", result.log) == ["1", "2", "3"]
    assert until_gone(hook, cluster, "simple"), "the pod is deleted when it has ended"


def test_a_pod_carries_what_the_arguments_say(hook: KubernetesHook, cluster: Cluster, run: Run) -> None:
    result = run(
        KubernetesPodOperator, dag_id="labelled", task_id="Ä.b", image=cluster.image, cmds=shell("exit 0"),
        name="my pod", labels={"team": "blue"}, annotations={"note": "any text at all"}, on_finish_action="keep_pod",
    )  # fmt: skip
    assert result.state == "success", result.log
    (pod,) = pods_of(hook, cluster, "labelled")
    meta = pod["metadata"]
    assert re.fullmatch(r"my-pod-[0-9a-f]{10}", meta["name"])
    assert meta["annotations"]["note"] == "any text at all"
    assert meta["labels"]["team"] == "blue"
    assert meta["labels"]["try_number"] == "1"
    assert meta["labels"]["already_checked"] == "True"
    assert re.fullmatch(r"b-[0-9a-f]{9}", meta["labels"]["task_id"])
    assert len(meta["labels"]["run_id"]) <= 63


def test_the_result_comes_back_through_the_sidecar(hook: KubernetesHook, cluster: Cluster, run: Run) -> None:
    script = """mkdir -p /airflow/xcom; printf '{"rows": [1, 2], "who": "Zoë"}' > /airflow/xcom/return.json"""
    result = run(KubernetesPodOperator, dag_id="result", image=cluster.image, cmds=shell(script), do_xcom_push=True,
                 on_finish_action="keep_pod")  # fmt: skip
    assert result.state == "success", result.log
    assert result.xcoms["return_value"] == {"rows": [1, 2], "who": "Zoë"}
    (pod,) = pods_of(hook, cluster, "result")
    for state in hook.follow({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": pod["metadata"]["name"]}}):
        assert state is not None
        if state["status"]["phase"] == "Succeeded":
            break  # the sidecar has ended too


def test_no_result_is_none_and_a_result_that_is_no_json_fails(cluster: Cluster, hook: KubernetesHook, run: Run) -> None:
    empty = run(KubernetesPodOperator, image=cluster.image, cmds=shell("true"), do_xcom_push=True)
    assert empty.state == "success", empty.log
    assert "return_value" not in empty.xcoms
    bad = run(
        KubernetesPodOperator, dag_id="no-json", image=cluster.image, do_xcom_push=True,
        cmds=shell("echo nonsense > /airflow/xcom/return.json"),
    )  # fmt: skip
    assert bad.state == "failed"
    assert "/airflow/xcom/return.json of pod" in bad.reason
    assert "holds no JSON" in bad.reason
    assert until_gone(hook, cluster, "no-json")


def test_a_result_may_be_large(cluster: Cluster, hook: KubernetesHook, run: Run) -> None:
    script = """yes '"0123456789abcdef",' | head -n 100000 > /tmp/$$.x
    (echo '['; cat /tmp/$$.x; echo '1]') > /airflow/xcom/return.json; rm /tmp/$$.x"""
    result = run(KubernetesPodOperator, image=cluster.image, cmds=shell(script), do_xcom_push=True)
    assert result.state == "success", result.log[-2000:]
    assert len(result.xcoms["return_value"]) == 100_001


def test_a_failing_command_says_its_exit_code_and_what_it_wrote(
    cluster: Cluster, hook: KubernetesHook, run: Run
) -> None:
    result = run(
        KubernetesPodOperator, image=cluster.image, cmds=shell("echo what went wrong; exit 7"), get_logs=False
    )  # fmt: skip
    assert result.state == "failed"
    assert "container `base` ended with exit code 7 (Error)" in result.reason
    assert f"in namespace `{cluster.namespace}`" in result.reason
    assert "[base] what went wrong" in result.log
    assert "event: Normal Started: Started container base" in result.log


def test_exit_codes_may_skip(cluster: Cluster, hook: KubernetesHook, run: Run) -> None:
    result = run(KubernetesPodOperator, image=cluster.image, cmds=shell("exit 99"), skip_on_exit_code=[98, 99])
    assert result.state == "skipped", result.log
    assert "exit code 99" in result.reason


def test_more_memory_than_the_limit_is_named(cluster: Cluster, hook: KubernetesHook, run: Run) -> None:
    result = run(
        KubernetesPodOperator, image=cluster.image, cmds=shell("sleep 0.2; exec tail /dev/zero"),
        container_resources={"limits": {"memory": "30Mi"}, "requests": {"memory": "10Mi"}},
    )  # fmt: skip
    assert result.state == "failed"
    assert "used more memory than its limit of 30Mi and was killed (OOMKilled)" in result.reason
    assert "raise the memory limit in container_resources" in result.reason


def test_an_image_that_cannot_be_pulled_is_noticed_early(cluster: Cluster, hook: KubernetesHook, run: Run) -> None:
    image = "registry.invalid/no/such:1"
    began = time.monotonic()
    result = run(KubernetesPodOperator, image=image, cmds=shell("true"), startup_timeout_seconds=100)
    assert result.state == "failed"
    assert f"container `base`: its image `{image}` cannot be pulled (" in result.reason
    assert re.search(r"event: Warning Failed: Failed to pull image", result.log)
    assert time.monotonic() - began < 60


def test_a_pod_that_no_node_takes_times_out_with_the_schedulers_words(
    cluster: Cluster, hook: KubernetesHook, run: Run
) -> None:
    result = run(
        KubernetesPodOperator, image=cluster.image, cmds=shell("true"), node_selector={"no": "such"},
        schedule_timeout_seconds=1, startup_timeout_seconds=50,
    )  # fmt: skip
    assert result.state == "failed"
    assert re.search(r"no node took pod `.*` within 1 s: 0/1 nodes are available", result.reason)
    assert "raise schedule_timeout_seconds" in result.reason
    assert "event: Warning FailedScheduling" in result.log


def test_a_missing_secret_is_noticed_early(cluster: Cluster, hook: KubernetesHook, run: Run) -> None:
    result = run(
        KubernetesPodOperator, image=cluster.image, cmds=shell("true"), secrets=[Secret("env", "A", "absent", "a")]
    )
    assert result.state == "failed"
    assert "a secret, a config map or a key that it needs is missing (CreateContainerConfigError" in result.reason
    assert 'secret "absent" not found' in result.reason


def test_a_bad_specification_fails_at_once_whatever_retries_remain(
    cluster: Cluster, hook: KubernetesHook, run: Run
) -> None:
    result = run(
        KubernetesPodOperator, image=cluster.image, retries=3,
        volume_mounts=[{"name": "absent", "mountPath": "/data"}],
    )  # fmt: skip
    assert result.state == "failed"
    assert result.reason.startswith("TaskFailed: Kubernetes refused to create pod `t-")
    assert '422 Invalid: Pod "t-' in result.reason
    assert 'spec.containers[0].volumeMounts[0].name: Not found: "absent"' in result.reason
    assert result.reason.endswith("; correct the specification")


def test_a_pod_that_takes_longer_than_its_deadline(cluster: Cluster, hook: KubernetesHook, run: Run) -> None:
    result = run(
        KubernetesPodOperator, image=cluster.image, cmds=shell("exec sleep 100"), active_deadline_seconds=2,
        termination_grace_period=1,
    )  # fmt: skip
    assert result.state == "failed"
    assert "was active for longer than its active_deadline_seconds" in result.reason


def test_secrets_and_config_maps_reach_the_container(cluster: Cluster, hook: KubernetesHook, run: Run) -> None:
    for kind, field, name in (("Secret", "stringData", "creds"), ("ConfigMap", "data", "settings")):
        manifest = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, field: {"key": f"of {name}"}}
        hook.create(manifest, cluster.namespace)
    result = run(
        KubernetesPodOperator, image=cluster.image,
        cmds=shell("echo $ONE/$TWO/$key; cat /creds/file; echo; echo $POD"),
        secrets=[
            Secret("env", "ONE", "creds", "key"),
            Secret("volume", "/creds", "creds", items=[{"key": "key", "path": "file"}]),
        ],
        configmaps=["settings"],
        env_vars=[
            {"name": "TWO", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "key"}}},
            {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ],
    )  # fmt: skip
    assert result.state == "success", result.log
    assert "of creds/of settings/of settings" in result.log
    assert re.search(r"\bof creds$", result.log, re.MULTILINE)
    assert re.search(r"\bt-[0-9a-f]{10}$", result.log, re.MULTILINE)


def test_init_containers_share_volumes_with_the_others(cluster: Cluster, hook: KubernetesHook, run: Run) -> None:
    mount = {"name": "shared", "mountPath": "/shared"}
    result = run(
        KubernetesPodOperator, image=cluster.image, cmds=shell("cat /shared/made"), volume_mounts=[mount],
        volumes=[{"name": "shared", "emptyDir": {}}], init_container_logs=True,
        init_containers=[
            {"name": "first", "image": cluster.image, "volumeMounts": [mount],
             "command": shell("echo preparing; echo prepared > /shared/made")}
        ],
    )  # fmt: skip
    assert result.state == "success", result.log
    assert "[first] preparing" in result.log
    assert "prepared" in result.log


def test_a_failing_init_container_is_named(cluster: Cluster, hook: KubernetesHook, run: Run) -> None:
    result = run(
        KubernetesPodOperator, image=cluster.image, cmds=shell("true"),
        init_containers=[{"name": "first", "image": cluster.image, "command": shell("echo no luck; exit 4")}],
    )  # fmt: skip
    assert result.state == "failed"
    assert "init container `first` ended with exit code 4" in result.reason
    assert "[first] no luck" in result.log


@pytest.mark.parametrize(
    ("action", "code", "left"),
    [("delete_pod", 1, 0), ("keep_pod", 1, 1), ("keep_pod", 0, 1), ("delete_succeeded_pod", 1, 1),
     ("delete_succeeded_pod", 0, 0)],
)  # fmt: skip
def test_what_becomes_of_the_pod(
    cluster: Cluster, hook: KubernetesHook, run: Run, action: str, code: int, left: int
) -> None:
    dag_id = f"finish-{action}-{code}".replace("_", "-")
    run(KubernetesPodOperator, dag_id=dag_id, image=cluster.image, cmds=shell(f"exit {code}"), on_finish_action=action)
    if left:
        assert [pod["metadata"]["labels"]["already_checked"] for pod in pods_of(hook, cluster, dag_id)] == ["True"]
    else:
        assert until_gone(hook, cluster, dag_id)


def test_a_deferred_task_sees_its_pod_end(cluster: Cluster, hook: KubernetesHook, run: Run) -> None:
    good = run(
        KubernetesPodOperator, image=cluster.image, deferrable=True, do_xcom_push=True, poll_interval=0.2,
        cmds=shell("echo working; sleep 1; echo '[1]' > /airflow/xcom/return.json"),
    )  # fmt: skip
    assert good.state == "success", good.log
    assert good.xcoms["return_value"] == [1]
    assert "working" in good.log
    bad = run(KubernetesPodOperator, image=cluster.image, deferrable=True, cmds=shell("exit 5"), poll_interval=0.2)
    assert bad.state == "failed"
    assert "ended with exit code 5" in bad.reason


def test_a_deferred_task_hears_of_an_image_that_cannot_be_pulled(
    cluster: Cluster, hook: KubernetesHook, run: Run
) -> None:
    result = run(KubernetesPodOperator, image="registry.invalid/no:1", deferrable=True, poll_interval=0.2)
    assert result.state == "failed"
    assert "its image `registry.invalid/no:1` cannot be pulled" in result.reason


def test_a_deferred_task_shows_the_log_meanwhile(cluster: Cluster, hook: KubernetesHook, run: Run) -> None:
    result = run(
        KubernetesPodOperator, image=cluster.image, deferrable=True, poll_interval=0.1, logging_interval=0.3,
        cmds=shell("for i in 1 2 3 4 5 6; do echo line $i; sleep 0.3; done"),
    )  # fmt: skip
    assert result.state == "success", result.log
    assert re.findall(r"line (\d)", result.log) == ["1", "2", "3", "4", "5", "6"]
    assert result.log.count("deferred to") > 2


def test_a_template_file_is_the_ground_that_arguments_stand_on(
    cluster: Cluster, hook: KubernetesHook, run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "pod.yaml"
    file.write_text(
        f"""
apiVersion: v1
kind: Pod
metadata: {{labels: {{origin: template}}}}
spec:
  containers:
    - name: base
      image: {cluster.image}
      command: [sh, -c, 'echo "$A-$B"']
      env: [{{name: A, value: template}}, {{name: B, value: template}}]
"""
    )
    result = run(KubernetesPodOperator, dag_id="template", pod_template_file=str(file), env_vars={"B": "argument"},
                 on_finish_action="keep_pod")  # fmt: skip
    assert result.state == "success", result.log
    assert "template-argument" in result.log
    (pod,) = pods_of(hook, cluster, "template")
    assert pod["metadata"]["labels"]["origin"] == "template"
    absent = run(KubernetesPodOperator, pod_template_file=str(tmp_path / "absent.yaml"))
    assert (
        absent.reason
        == f"TaskFailed: task 't': {tmp_path}/absent.yaml cannot be read: No such file or directory; correct the path"
    )


def test_a_deferral_that_takes_too_long_ends_its_pod(cluster: Cluster, hook: KubernetesHook, run: Run) -> None:
    result = run(
        KubernetesPodOperator, dag_id="late", image=cluster.image, cmds=shell("exec sleep 600"), deferrable=True,
        execution_timeout=timedelta(seconds=30), poll_interval=1, termination_grace_period=1,
    )  # fmt: skip
    assert result.state == "failed"
    assert until_gone(hook, cluster, "late")


def test_a_sidecar_that_never_starts_is_named(
    cluster: Cluster, hook: KubernetesHook, run: Run, connection: SetConnection
) -> None:
    image = "registry.invalid/sidecar:1"
    extra = {**cluster.extra, "xcom_sidecar_container_image": image}
    connection("kubernetes_default", conn_type="kubernetes", extra=extra)
    result = run(KubernetesPodOperator, image=cluster.image, cmds=shell("true"), do_xcom_push=True)
    assert result.state == "failed"
    assert f"container `windlass-xcom-sidecar`: its image `{image}` cannot be pulled" in result.reason
