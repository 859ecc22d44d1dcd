"""What a task survives: servers that are busy or down, watches and logs that break off, answers that get lost."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from windlass.errors import ConfigError
from windlass_kubernetes.client import KubeClient
from windlass_kubernetes.configuration import Access
from windlass_kubernetes.errors import KubernetesRefused, KubernetesUnreachable
from windlass_kubernetes.hook import KubernetesHook
from windlass_kubernetes.operators import KubernetesPodOperator
from windlass_testing.fakes.kubernetes import FakeKubernetes

if TYPE_CHECKING:
    from providers.kubernetes.tests.conftest import Run

Json = dict[str, Any]

COUNTING = ["sh", "-c", "i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo line $i; done; sleep 0.3; echo same; echo same"]


def lines_of(log: str) -> list[str]:
    return re.findall(r"\b(line \d+|same)$", log, re.MULTILINE)


WANTED = [*(f"line {n}" for n in range(1, 201)), "same", "same"]


pytestmark = pytest.mark.timeout(40)


@pytest.mark.parametrize(
    "fault",
    [
        {"verb": "log", "after": 77, "times": 2},
        {"verb": "log", "after": 0, "times": 3},
        {"verb": "log", "status": 503, "times": 3},
        {"verb": "log", "status": 429, "times": 2},
        {"verb": "log"},
        {"verb": "watch", "after": 1, "times": 3},
        {"verb": "watch", "times": 3},
        {"verb": "watch", "status": 410, "times": 3},
        {"verb": "watch", "status": 410, "as_event": False},
        {"verb": "watch", "status": 500, "times": 2},
        {"verb": "list", "status": 503, "times": 2},
        {"verb": "get", "status": 502, "times": 2},
        {"verb": "get", "times": 2},
        {"verb": "create", "status": 429, "retry_after": 1},
        {"verb": "create", "status": 500},
        {"verb": "create"},
        {"verb": "delete", "status": 503},
        {"verb": "delete"},
        {"times": 6, "status": 503},
    ],
    ids=lambda fault: "-".join(f"{key}={value}" for key, value in fault.items()),
)
def test_a_task_goes_on_and_its_log_is_whole(
    fake: FakeKubernetes, fake_hook: KubernetesHook, run: Run, fault: dict[str, Any]
) -> None:
    injected = fake.inject(**fault)
    # So that there is something to watch before the container runs.
    first = {"name": "first", "image": "busybox", "command": ["sleep", "0.3"]}
    result = run(KubernetesPodOperator, image="busybox", cmds=COUNTING, init_containers=[first])
    assert result.state == "success", result.log[-3000:]
    assert injected.hits, "the fault has happened"
    assert lines_of(result.log) == WANTED


@pytest.mark.parametrize("fault", [{"verb": "exec", "after": 2}, {"verb": "exec"}, {"verb": "exec", "status": 503}])
def test_a_result_survives_a_connection_that_breaks(
    fake: FakeKubernetes, fake_hook: KubernetesHook, run: Run, fault: dict[str, Any]
) -> None:
    script = "(echo [; yes 12345, | head -n 30000; echo 1]) > /airflow/xcom/return.json"
    injected = fake.inject(**fault)
    result = run(KubernetesPodOperator, image="busybox", cmds=["sh", "-c", script], do_xcom_push=True)
    assert injected.hits == 1
    assert result.state == "success", result.log[-3000:]
    assert len(result.xcoms["return_value"]) == 30_001


def test_a_version_that_is_too_old_is_read_again(fake: FakeKubernetes, fake_hook: KubernetesHook) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "watched"}}
    states = fake_hook.follow(pod, "default")
    assert next(states) is None
    spec = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "b", "command": ["true"]}]}
    fake.inject(verb="watch")
    fake_hook.create({**pod, "spec": spec}, "default")
    fake.store.compact()
    phases = [state["status"]["phase"] for state in _until_done(states)]
    assert phases[-1] == "Succeeded"
    fake_hook.delete(pod, "default", grace_period_seconds=0)
    assert next(state for state in states if state is None) is None


def _until_done(states: Iterator[Json | None]) -> Iterator[Json]:
    for state in states:
        if state is not None:
            yield state
            if state["status"]["phase"] in {"Succeeded", "Failed"}:
                return


def test_an_answer_that_was_lost_makes_no_second_pod(fake: FakeKubernetes, fake_hook: KubernetesHook, run: Run) -> None:
    fake.inject(verb="create", resource="pods")
    run(KubernetesPodOperator, dag_id="lost", image="busybox", cmds=["true"], on_finish_action="keep_pod")
    assert len(fake_hook.find_pods("default", "dag_id=lost")) == 1


def test_a_pod_that_goes_on_after_contact_was_lost_is_found_by_the_retry(
    fake: FakeKubernetes, fake_hook: KubernetesHook, run: Run
) -> None:
    fake.inject(verb="log", status=403)
    first = run(KubernetesPodOperator, dag_id="again", image="busybox", cmds=COUNTING)
    assert first.state == "failed"
    assert "403 Forbidden" in first.reason
    (pod,) = fake_hook.find_pods("default", "dag_id=again")
    second = run(KubernetesPodOperator, dag_id="again", image="busybox", cmds=COUNTING)
    assert second.state == "success", second.log
    assert f"attached to pod `{pod['metadata']['name']}`" in second.log
    assert lines_of(second.log) == WANTED
    assert "created pod" not in second.log


def test_without_reattaching_the_pod_that_was_left_is_replaced(
    fake: FakeKubernetes, fake_hook: KubernetesHook, run: Run
) -> None:
    arguments: dict[str, Any] = {
        "dag_id": "anew", "image": "busybox", "cmds": COUNTING, "on_finish_action": "keep_pod",
        "termination_grace_period": 0,
    }  # fmt: skip
    fake.inject(verb="log", status=403)
    run(KubernetesPodOperator, **arguments)
    (left,) = fake_hook.find_pods("default", "dag_id=anew")
    assert run(KubernetesPodOperator, **arguments, reattach_on_restart=False).state == "success"
    (pod,) = fake_hook.find_pods("default", "dag_id=anew")
    assert pod["metadata"]["uid"] != left["metadata"]["uid"]


def test_a_pod_of_somebody_else_with_the_same_name_is_left_alone(
    fake: FakeKubernetes, fake_hook: KubernetesHook, run: Run
) -> None:
    spec = {
        "containers": [{"name": "c", "image": "b", "command": ["sleep", "600"]}],
        "terminationGracePeriodSeconds": 0,
    }
    fake_hook.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "taken"}, "spec": spec})
    result = run(KubernetesPodOperator, image="b", name="taken", random_name_suffix=False)
    assert result.state == "failed"
    assert "pod `taken` in namespace `default` exists already and is not of this task" in result.reason
    assert fake_hook.get_pod("taken", "default") is not None
    fake_hook.delete_pod("taken", "default")


def test_an_eviction_is_named(fake: FakeKubernetes, fake_hook: KubernetesHook, run: Run) -> None:
    def evict() -> None:
        while not (found := fake_hook.find_pods("default", "dag_id=evicted")) or (
            found[0]["status"]["phase"] != "Running"
        ):
            time.sleep(0.02)
        fake.kubelet.evict("default", found[0]["metadata"]["name"], "The node was low on resource: memory. ")

    thread = threading.Thread(target=evict)
    thread.start()
    result = run(KubernetesPodOperator, dag_id="evicted", image="b", cmds=["sleep", "600"], termination_grace_period=1)
    thread.join()
    assert result.state == "failed"
    assert "was evicted from its node: The node was low on resource: memory" in result.reason


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_pod_that_somebody_deletes_is_named(
    fake: FakeKubernetes, fake_hook: KubernetesHook, run: Run, deferrable: bool
) -> None:
    dag_id = f"deleted-{deferrable}"

    def delete() -> None:
        while not (found := fake_hook.find_pods("default", f"dag_id={dag_id}")):
            time.sleep(0.02)
        fake_hook.delete_pod(found[0]["metadata"]["name"], "default", grace_period_seconds=0)

    thread = threading.Thread(target=delete)
    thread.start()
    result = run(
        KubernetesPodOperator, dag_id=dag_id, image="b", cmds=["sleep", "600"], deferrable=deferrable, poll_interval=0.1
    )
    thread.join()
    assert result.state == "failed"
    assert re.search(r"pod `t-\w+` in namespace `default` is gone before it ended", result.reason), result.reason


def test_no_permission_says_what_is_missing(fake: FakeKubernetes, fake_hook: KubernetesHook, run: Run) -> None:
    who = 'User "system:serviceaccount:default:windlass" cannot create resource "pods" in API group "" in the namespace'
    fake.inject(verb="create", resource="pods", status=403, message=f'{who} "default"')
    result = run(KubernetesPodOperator, image="b", name="p")
    assert result.state == "failed"
    assert "Kubernetes refused to create pod `p-" in result.reason
    assert "(connection `kubernetes_default`): 403 Forbidden" in result.reason
    assert 'cannot create resource "pods"' in result.reason
    assert result.reason.endswith("give its account a role that allows this")


def test_a_deferred_task_waits_for_a_server_that_is_away(
    fake: FakeKubernetes, fake_hook: KubernetesHook, run: Run
) -> None:
    injected = fake.inject(verb="get", resource="pods", status=503, times=5)
    result = run(KubernetesPodOperator, image="b", cmds=["sleep", "0.5"], deferrable=True, poll_interval=0.1)
    assert result.state == "success", result.log
    assert injected.hits == 5


def test_patience_has_an_end(fake: FakeKubernetes) -> None:
    client = KubeClient(Access(conn_id="c", host=fake.url, patience=0.3))
    fake.inject(verb="get", status=503, times=100)
    with pytest.raises(KubernetesRefused, match=r"read it \(connection `c`\): 503 ServiceUnavailable"):
        client.ask("read it", "GET", "/api/v1/namespaces/default/pods/x")
    client.close()
    nobody = KubeClient(Access(conn_id="c", host="http://127.0.0.1:1", patience=0.3))
    with pytest.raises(KubernetesUnreachable, match="could not read it: the API server of connection `c` at http"):
        nobody.ask("read it", "GET", "/version")


def test_a_write_that_may_have_happened_is_not_repeated_unless_that_is_harmless(fake: FakeKubernetes) -> None:
    client = KubeClient(Access(host=fake.url, patience=5))
    injected = fake.inject(verb="create", resource="configmaps", times=3)
    path, body = "/api/v1/namespaces/default/configmaps", {"metadata": {"generateName": "many-"}}
    with pytest.raises(KubernetesUnreachable):
        client.ask("create it", "POST", path, body=body)
    assert injected.hits == 1
    client.close()


def test_a_token_that_is_no_token_is_not_quoted(fake: FakeKubernetes) -> None:
    client = KubeClient(Access(conn_id="c", host=fake.url, token="two\nlines"))
    with pytest.raises(ConfigError) as caught:
        client.ask("read it", "GET", "/version")
    assert "two" not in str(caught.value)


def test_a_list_that_grows_too_old_between_two_pages_begins_anew(
    fake: FakeKubernetes, fake_hook: KubernetesHook
) -> None:
    kind = {"apiVersion": "v1", "kind": "ConfigMap"}
    for number in range(7):
        fake_hook.create({**kind, "metadata": {"name": f"page-{number}", "labels": {"of": "pages"}}})
    found = fake_hook.list_objects(kind, label_selector="of=pages", page=3)
    names = [next(found)["metadata"]["name"]]
    fake.store.compact()
    names += [one["metadata"]["name"] for one in found]
    assert names == [f"page-{number}" for number in range(7)]


def test_a_write_that_the_server_was_too_busy_for_is_repeated(fake: FakeKubernetes, fake_hook: KubernetesHook) -> None:
    injected = fake.inject(verb="create", resource="configmaps", status=429, times=2)
    fake_hook.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "busy"}})
    assert injected.hits == 2


_WORKER = """
import sys
from datetime import UTC, datetime
from windlass import DAG
from windlass_kubernetes.operators import KubernetesPodOperator
from windlass_testing import run_task

start = datetime(2026, 1, 1, tzinfo=UTC)
with DAG("died", schedule=None, start_date=start):
    script = "echo one; until [ -e " + sys.argv[2] + " ]; do sleep 0.05; done; echo two"
    operator = KubernetesPodOperator(task_id="t", image="b", cmds=["sh", "-c", script])
host, _, port = sys.argv[1].rpartition(":")
where = {"conn_type": "kubernetes", "host": host, "port": int(port)}
done = run_task(operator, logical_date=start, connections={"kubernetes_default": where})
print(done.state, done.log)
"""


@pytest.mark.processes
def test_the_pod_of_a_worker_that_died_is_watched_on(
    fake: FakeKubernetes, fake_hook: KubernetesHook, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    command = [sys.executable, "-c", _WORKER, fake.url, str(gate)]
    with subprocess.Popen(command) as worker:
        while not any(pod["status"]["phase"] == "Running" for pod in fake_hook.find_pods("default", "dag_id=died")):
            assert worker.poll() is None
            time.sleep(0.02)
        worker.kill()
    (pod,) = fake_hook.find_pods("default", "dag_id=died")
    gate.touch()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("success")
    assert f"attached to pod `{pod['metadata']['name']}`" in done.stdout
    assert re.findall(r"\b(one|two)$", done.stdout, re.MULTILINE) == ["one", "two"]
