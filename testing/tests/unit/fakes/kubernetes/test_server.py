"""The fake Kubernetes as a whole: a process of its own, a fixture, and a cluster that kubectl can use."""

# ruff: noqa: S310 - the URL is the fake's own
from __future__ import annotations

import json
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from testing.tests.unit.fakes.kubernetes.client import MAPS, Client

from windlass_testing.fakes.kubernetes import FakeKubernetes

pytestmark = pytest.mark.timeout(40)


def test_it_can_be_a_process_of_its_own() -> None:
    code = "from windlass_testing.fakes.kubernetes import serve; serve()"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        with urllib.request.urlopen(f"{told['url']}/readyz", timeout=20) as response:
            assert response.read() == b"ok"
        assert told["kubeconfig"]["clusters"][0]["cluster"]["server"] == told["url"]
        process.terminate()
        assert process.wait(20) == 0


def test_the_fixture_is_a_cluster_of_its_own(fake_kubernetes: FakeKubernetes, kube: Client) -> None:
    mine = Client(fake_kubernetes.url)
    mine.call("POST", MAPS, {"metadata": {"name": "mine"}})
    assert [one["metadata"]["name"] for one in mine.call("GET", MAPS)[1]["items"]] == ["mine"]
    assert kube.call("GET", MAPS)[1]["items"] == []
    assert fake_kubernetes.kubeconfig()["clusters"][0]["cluster"]["server"] == fake_kubernetes.url


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl: install kubernetes-client")
def test_kubectl_can_use_it(cluster: FakeKubernetes, tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text(json.dumps(cluster.kubeconfig()))

    def kubectl(*arguments: str, given: str | None = None) -> str:
        command = ["kubectl", f"--kubeconfig={file}", f"--cache-dir={tmp_path}/cache", *arguments]
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=30)
        return done.stdout + done.stderr

    web = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {terminationGracePeriodSeconds: 0, containers: [{name: web, image: any, command: [sleep, "600"]}]}
"""
    assert "deployment.apps/web created" in kubectl("apply", "-f", "-", given=web)
    assert "successfully rolled out" in kubectl("rollout", "status", "deployment/web", "--timeout=20s")
    assert "configured" in kubectl("apply", "-f", "-", given=web.replace('"600"', '"601"'))
    assert "successfully rolled out" in kubectl("rollout", "status", "deployment/web", "--timeout=20s")
    assert "scaled" in kubectl("scale", "deployment/web", "--replicas=2")
    assert "pod/one created" in kubectl(
        "run", "one", "--image=any", "--restart=Never", "--command", "--", "sleep", "600"
    )
    assert "condition met" in kubectl("wait", "--for=condition=Ready", "pod/one", "--timeout=20s")
    assert kubectl("exec", "one", "--", "sh", "-c", "echo inside; exit 3").startswith("inside\n")
    assert kubectl("exec", "-i", "one", "--", "cat", given="through\n") == "through\n"
    assert 'pod "one" deleted' in kubectl("delete", "pod", "one", "--grace-period=1")
    assert "node1" in kubectl("get", "nodes")
