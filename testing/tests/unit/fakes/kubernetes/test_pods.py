"""Pods of the fake Kubernetes: real processes, their ends, their logs and their probes."""

# ruff: noqa: S310 - the URL is the fake's own
from __future__ import annotations

import time
import urllib.request
from http.client import IncompleteRead
from pathlib import Path

import pytest
from testing.tests.unit.fakes.kubernetes.client import PODS, Client, pod

from windlass_testing.fakes.kubernetes import FakeKubernetes

pytestmark = pytest.mark.timeout(40)


def test_a_pod_runs_and_reports_its_end(kube: Client) -> None:
    kube.call("POST", PODS, pod("ends", "sh", "-c", "echo out; echo err >&2; exit 3"))
    found = kube.ended("ends")
    assert found["status"]["phase"] == "Failed"
    terminated = found["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (terminated["exitCode"], terminated["reason"]) == (3, "Error")
    assert sorted(kube.text(f"{PODS}/ends/log").split()) == ["err", "out"]


def test_an_image_may_have_a_command(kube: Client) -> None:
    body = pod("talks")
    body["spec"]["containers"] = [{"name": "main", "image": "talker"}]
    kube.call("POST", PODS, body)
    kube.ended("talks")
    assert kube.text(f"{PODS}/talks/log") == "by itself\n"


def test_a_command_that_is_not_there(kube: Client) -> None:
    kube.call("POST", PODS, pod("none", "no-such-program"))
    terminated = kube.ended("none")["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (terminated["exitCode"], terminated["reason"]) == (128, "StartError")
    assert 'exec: "no-such-program": executable file not found in $PATH' in terminated["message"]


def test_a_log_is_followed_cut_and_stamped(kube: Client, cluster: FakeKubernetes, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    kube.call(
        "POST",
        PODS,
        pod("logs", "sh", "-c", f"echo 1; echo 2; until [ -e {gate} ]; do sleep 0.02; done; echo 3"),
    )
    deadline = time.monotonic() + 10
    while kube.call("GET", f"{PODS}/logs")[1]["status"]["phase"] != "Running" and time.monotonic() < deadline:
        time.sleep(0.01)
    with urllib.request.urlopen(f"{cluster.url}{PODS}/logs/log?follow=true&timestamps=true", timeout=20) as response:
        assert response.readline().split()[1] == b"1"
        gate.touch()
        assert [line.split()[1] for line in response] == [b"2", b"3"]
    assert kube.text(f"{PODS}/logs/log", tailLines=1) == "3\n"
    assert kube.text(f"{PODS}/logs/log", limitBytes=3) == "1\n2"
    assert kube.text(f"{PODS}/logs/log", sinceTime="2100-01-01T00:00:00Z") == ""
    assert (
        "container other is not valid for pod logs"
        in kube.call("GET", f"{PODS}/logs/log", container="other")[1]["message"]
    )
    assert "previous terminated container" in kube.call("GET", f"{PODS}/logs/log", previous="true")[1]["message"]


def test_a_container_is_started_again_as_its_policy_says(kube: Client, tmp_path: Path) -> None:
    script = f"echo run; [ -e {tmp_path}/once ] || {{ touch {tmp_path}/once; exit 1; }}"
    kube.call("POST", PODS, pod("again", "sh", "-c", script, restartPolicy="OnFailure"))
    found = kube.ended("again")
    assert found["status"]["phase"] == "Succeeded"
    assert found["status"]["containerStatuses"][0]["restartCount"] == 1
    assert kube.text(f"{PODS}/again/log", previous="true") == "run\n"


def test_a_deletion_grants_its_grace_period(kube: Client, tmp_path: Path) -> None:
    script = f"trap 'echo bye > {tmp_path}/bye; exit 0' TERM; touch {tmp_path}/up; while :; do sleep 0.02; done"
    kube.call("POST", PODS, pod("asked", "sh", "-c", script, terminationGracePeriodSeconds=10))
    while not (tmp_path / "up").exists():
        time.sleep(0.01)
    version = kube.call("GET", PODS)[1]["metadata"]["resourceVersion"]
    left = kube.call("DELETE", f"{PODS}/asked")[1]
    assert left["metadata"]["deletionGracePeriodSeconds"] == 10
    kinds = []
    for event in kube.events(PODS, resourceVersion=version):
        kinds.append(event["type"])
        if event["type"] == "DELETED":
            break
    assert (tmp_path / "bye").exists()
    assert kinds[0] == "MODIFIED"


def test_ready_is_what_the_probe_says(kube: Client, tmp_path: Path) -> None:
    body = pod("probed", "sleep", "600")
    probe = {"exec": {"command": ["test", "-e", str(tmp_path / "ready")]}, "periodSeconds": 1}
    body["spec"]["containers"][0]["readinessProbe"] = probe
    kube.call("POST", PODS, body)
    for event in kube.events(PODS, fieldSelector="metadata.name=probed"):
        status = event["object"]["status"]
        ready = {one["type"]: one["status"] for one in status.get("conditions") or []}.get("Ready")
        if status["phase"] == "Running" and ready == "False":
            (tmp_path / "ready").touch()
        if ready == "True":
            break


def test_a_cut_connection_breaks_in_the_middle_of_a_line(kube: Client, cluster: FakeKubernetes) -> None:
    kube.call("POST", PODS, pod("cut", "sh", "-c", "for i in 1 2 3; do echo a long line $i; done"))
    kube.ended("cut")
    cluster.inject(verb="log", after=1)
    with pytest.raises(IncompleteRead) as caught:
        kube.text(f"{PODS}/cut/log")
    assert caught.value.partial.startswith(b"a long line 1\na l")
    assert not caught.value.partial.endswith(b"\n")
