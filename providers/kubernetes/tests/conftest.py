"""A cluster for the tests: the real one that WINDLASS_TEST_KUBECONFIG_URL names, else a fake one."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from windlass import DAG
from windlass.operators import BaseOperator
from windlass_kubernetes.hook import KubernetesHook
from windlass_testing import RunTask, SetConnection
from windlass_testing.fakes.kubernetes import FakeKubernetes

Json = dict[str, Any]


@dataclass(frozen=True)
class Cluster:
    """Where the tests run, and what is there."""

    kubeconfig: Path
    namespace: str
    #: An image with a shell and the usual tools.
    image: str
    fake: FakeKubernetes | None
    #: Volumes and mounts that bring a ``python3`` into a container of that image, where it has none.
    python: Json

    @property
    def extra(self) -> Json:
        return {
            "kube_config_path": str(self.kubeconfig),
            "namespace": self.namespace,
            "xcom_sidecar_container_image": self.image,
        }


#: For a real cluster: an image with a shell, the usual tools and Python; and one without Python, that a node without a
#: registry may have.
IMAGE, LOCAL = "docker.io/library/python:3.13-alpine", "docker.io/library/busybox:local"


def _named() -> Path | None:
    """Return the kubeconfig of the real cluster that the tests are to use."""
    text = os.environ.get("WINDLASS_TEST_KUBECONFIG_URL", "")
    return Path(text.removeprefix("file://")) if text else None


@pytest.fixture(scope="session")
def fake() -> Iterator[FakeKubernetes]:
    """A fake cluster."""
    with FakeKubernetes() as made:
        yield made


@pytest.fixture(autouse=True)
def _no_faults(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "fake" in request.fixturenames:
        made: FakeKubernetes = request.getfixturevalue("fake")
        made.faults.clear()


def _in_fake(made: FakeKubernetes, folder: Path, namespace: str) -> Cluster:
    file = folder / "kubeconfig"
    file.write_text(json.dumps(made.kubeconfig()))
    return Cluster(file, namespace, "busybox:local", made, {})


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The real cluster if one is named, else the fake; with a namespace of its own."""
    real = _named()
    namespace = f"windlass-{uuid.uuid4().hex[:8]}"
    if real is None:
        found = _in_fake(request.getfixturevalue("fake"), tmp_path_factory.mktemp("cluster"), namespace)
    else:
        found = Cluster(real, namespace, os.environ.get("WINDLASS_TEST_KUBERNETES_IMAGE", IMAGE), None, {})
    hook = KubernetesHook(config_file=str(found.kubeconfig))
    hook.__dict__["connection"] = None  # there is no task to ask for one
    if real is not None and "WINDLASS_TEST_KUBERNETES_IMAGE" not in os.environ and _has_image(hook, LOCAL):
        found = replace(found, image=LOCAL, python=_host_python())
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    hook.create(body)
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    for state in hook.follow(account, namespace):
        if state is not None:
            break
    yield found
    hook.delete(body)
    hook.client.close()


def _has_image(hook: KubernetesHook, image: str) -> bool:
    """Return whether a node has an image that no registry has."""
    nodes = hook.list_objects({"apiVersion": "v1", "kind": "Node"})
    return any(image in one.get("names", ()) for node in nodes for one in node["status"].get("images", ()))


def _host_python() -> Json:
    """Mount the node's own Python, as its image for the tests has none."""
    folders = [path for path in ("/usr", "/lib", "/lib64", "/opt") if Path(path).is_dir()]
    volumes = [{"name": f"host{n}", "hostPath": {"path": str(Path(p).resolve())}} for n, p in enumerate(folders)]
    mounts = [{"name": f"host{n}", "mountPath": path, "readOnly": True} for n, path in enumerate(folders)]
    return {"volumes": volumes, "volume_mounts": mounts, "python": "/usr/bin/python3"}


@pytest.fixture
def hook(cluster: Cluster, connection: SetConnection) -> Iterator[KubernetesHook]:
    """A hook on the cluster, whose connection is ``kubernetes_default``."""
    connection("kubernetes_default", conn_type="kubernetes", extra=cluster.extra)
    made = KubernetesHook()
    made.get_conn()  # now, so that threads may use it, which have no session to ask for a connection
    yield made
    made.client.close()


@pytest.fixture
def fake_hook(fake: FakeKubernetes, connection: SetConnection, tmp_path: Path) -> Iterator[KubernetesHook]:
    """A hook on the fake, whatever real cluster is named."""
    connection("kubernetes_default", conn_type="kubernetes", extra=_in_fake(fake, tmp_path, "default").extra)
    made = KubernetesHook()
    made.get_conn()  # now, so that threads may use it, which have no session to ask for a connection
    yield made
    made.client.close()


@dataclass(frozen=True)
class Ran:
    """What came of a task."""

    state: str
    reason: str
    log: str
    xcoms: Json


Run = Callable[..., Ran]


@pytest.fixture
def run(run_task: RunTask) -> Run:
    """Run one operator in a DAG of its own: ``run(KubernetesPodOperator, image=…)``."""

    def made(kind: type[BaseOperator], *, dag_id: str = "", task_id: str = "t", **arguments: Any) -> Ran:
        start = datetime(2026, 1, 1, tzinfo=UTC)
        with DAG(dag_id or f"d{uuid.uuid4().hex[:8]}", schedule=None, start_date=start):
            done = run_task(kind(task_id=task_id, **arguments))
        return Ran(done.state, done.reason or "", done.log, dict(done.xcoms))

    return made
