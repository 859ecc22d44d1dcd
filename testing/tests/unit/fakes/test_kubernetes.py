"""The fake Kubernetes: what a client that knows nothing of Windlass sees of it, over plain HTTP."""

# ruff: noqa: ANN401, S310 - bodies are JSON, and the URL is the fake's own
from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.client import IncompleteRead
from pathlib import Path
from typing import Any

import pytest

from windlass_testing.fakes.kubernetes import FakeKubernetes

Json = dict[str, Any]

PODS = "/api/v1/namespaces/default/pods"
MAPS = "/api/v1/namespaces/default/configmaps"
JOBS = "/apis/batch/v1/namespaces/default/jobs"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"

IMAGE = os.environ.get("WINDLASS_TEST_KUBERNETES_IMAGE", "docker.io/library/busybox:local")

pytestmark = pytest.mark.timeout(40)


@pytest.fixture(scope="module")
def cluster() -> Iterator[FakeKubernetes]:
    with FakeKubernetes(images={"talker": ["echo", "by itself"]}) as made:
        yield made


@pytest.fixture(autouse=True)
def _clean(cluster: FakeKubernetes) -> Iterator[None]:
    yield
    cluster.faults.clear()
    for path in (JOBS, DEPLOYMENTS, PODS, MAPS):
        call(cluster, "DELETE", path, {"gracePeriodSeconds": 0, "propagationPolicy": "Background"})
    while call(cluster, "GET", PODS)[1]["items"]:
        time.sleep(0.01)


def call(
    cluster: FakeKubernetes, method: str, path: str, body: Any = None, kind: str = "application/json", **query: Any
) -> tuple[int, Json]:
    url = cluster.url + path + (f"?{urllib.parse.urlencode(query)}" if query else "")
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": kind}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def text(cluster: FakeKubernetes, path: str, **query: Any) -> str:
    with urllib.request.urlopen(f"{cluster.url}{path}?{urllib.parse.urlencode(query)}", timeout=20) as response:
        return str(response.read().decode())


def events(cluster: FakeKubernetes, path: str, **query: Any) -> Iterator[Json]:
    query = {"watch": "true", "timeoutSeconds": 10, **query}
    with urllib.request.urlopen(f"{cluster.url}{path}?{urllib.parse.urlencode(query)}", timeout=20) as response:
        for line in response:
            yield json.loads(line)


def pod(name: str, *command: str, **spec: Any) -> Json:
    container = {"name": "main", "image": IMAGE, "command": list(command) or ["sleep", "600"]}
    base = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [container]}
    return {"metadata": {"name": name, "labels": {"app": name}}, "spec": {**base, **spec}}


def ended(cluster: FakeKubernetes, name: str) -> Json:
    for event in events(cluster, PODS, fieldSelector=f"metadata.name={name}"):
        found: Json = event["object"]
        if found["status"]["phase"] in {"Succeeded", "Failed"}:
            return found
    raise AssertionError(f"{name} did not end")


# --- Objects ----------------------------------------------------------------------------------------------------------


def test_an_object_gets_its_metadata_from_the_server(cluster: FakeKubernetes) -> None:
    code, made = call(cluster, "POST", MAPS, {"metadata": {"generateName": "a-"}, "data": {"k": "v"}})
    assert code == 201
    assert (made["apiVersion"], made["kind"]) == ("v1", "ConfigMap")
    assert made["metadata"]["name"].startswith("a-")
    assert {"uid", "resourceVersion", "creationTimestamp"} <= set(made["metadata"])
    path = f"{MAPS}/{made['metadata']['name']}"
    assert call(cluster, "GET", path) == (200, made)
    same = call(cluster, "PUT", path, made)[1]
    assert same["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"], "nothing changed, no new version"


@pytest.mark.parametrize(
    ("method", "path", "body", "code", "reason", "message"),
    [
        ("GET", f"{MAPS}/absent", None, 404, "NotFound", 'configmaps "absent" not found'),
        ("GET", f"{JOBS}/absent", None, 404, "NotFound", 'jobs.batch "absent" not found'),
        ("GET", "/api/v1/things", None, 404, "NotFound", "the server could not find the requested resource"),
        ("POST", MAPS, {"metadata": {"name": "there"}}, 409, "AlreadyExists", 'configmaps "there" already exists'),
        ("POST", MAPS, {"metadata": {"name": "A b"}}, 422, "Invalid", 'ConfigMap "A b" is invalid: metadata.name:'),
        ("POST", PODS, {"metadata": {"name": "p"}, "spec": {}}, 422, "Invalid", "spec.containers: Required value"),
        ("POST", PODS, pod("p", restartPolicy="Now"), 422, "Invalid", 'spec.restartPolicy: Unsupported value: "Now"'),
        ("POST", PODS, pod("p", serviceAccountName="no"), 403, "Forbidden", 'serviceaccount "no" not found'),
        ("POST", MAPS.replace("default", "no"), {"metadata": {"name": "x"}}, 404, "NotFound", '"no" not found'),
        ("DELETE", f"{MAPS}/there", {"preconditions": {"uid": "other"}}, 409, "Conflict",
         "the UID in the precondition (other) does not match"),
        ("POST", MAPS, [], 400, "BadRequest", "cannot unmarshal"),
        ("PUT", f"{MAPS}/there", {"metadata": {"name": "there", "resourceVersion": "1"}}, 409, "Conflict",
         "the object has been modified; please apply your changes to the latest version and try again"),
    ],
)  # fmt: skip
def test_refusals_are_statuses_in_kubernetes_own_words(
    cluster: FakeKubernetes, method: str, path: str, body: Any, code: int, reason: str, message: str
) -> None:
    call(cluster, "POST", MAPS, {"metadata": {"name": "there"}})
    found, status = call(cluster, method, path, body)
    assert (found, status["kind"], status["status"], status["reason"], status["code"]) == (
        code, "Status", "Failure", reason, code,
    )  # fmt: skip
    assert message in status["message"]


def test_the_kinds_of_patch(cluster: FakeKubernetes) -> None:
    call(cluster, "POST", PODS, pod("patched"))
    path = f"{PODS}/patched"
    merged = call(
        cluster, "PATCH", path, {"metadata": {"labels": {"app": None, "a": "1"}}}, "application/merge-patch+json"
    )
    assert merged[1]["metadata"]["labels"] == {"a": "1"}
    body = {"spec": {"containers": [{"name": "main", "image": "other"}]}}
    strategic = call(cluster, "PATCH", path, body, "application/strategic-merge-patch+json")[1]
    assert strategic["spec"]["containers"][0]["image"] == "other"
    assert strategic["spec"]["containers"][0]["command"] == ["sleep", "600"], "items of a list are merged by their name"
    operations = [{"op": "test", "path": "/metadata/labels/a", "value": "1"},
                  {"op": "add", "path": "/metadata/labels/x~1y", "value": "2"}]  # fmt: skip
    assert (
        call(cluster, "PATCH", path, operations, "application/json-patch+json")[1]["metadata"]["labels"]["x/y"] == "2"
    )
    operations[0]["value"] = "no"
    assert call(cluster, "PATCH", path, operations, "application/json-patch+json")[0] == 422
    forbidden = call(cluster, "PATCH", path, {"spec": {"nodeSelector": {"a": "b"}}}, "application/merge-patch+json")
    assert forbidden[0] == 422
    assert "pod updates may not change fields other than" in forbidden[1]["message"]
    assert call(cluster, "PATCH", path, {}, "text/plain")[0] == 415


def test_server_side_apply_knows_who_owns_a_field(cluster: FakeKubernetes) -> None:
    def apply(data: Json, manager: str, **query: Any) -> tuple[int, Json]:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}, "data": data}
        kind = "application/apply-patch+yaml"
        return call(cluster, "PATCH", f"{MAPS}/applied", body, kind, fieldManager=manager, **query)

    assert apply({"a": "1", "b": "1"}, "one")[0] == 201
    code, status = apply({"a": "2"}, "two")
    assert code == 409
    assert 'conflict with "one"' in status["message"]
    assert ".data.a" in status["message"]
    assert apply({"a": "2"}, "two", force="true")[1]["data"] == {"a": "2", "b": "1"}
    assert apply({}, "one")[1]["data"] == {"a": "2"}, "what its manager no longer applies goes"
    assert "fieldManager: Required value: is required for apply patch" in apply({}, "")[1]["message"]
    nothing = call(cluster, "PATCH", f"{MAPS}/x", {}, "application/apply-patch+yaml", fieldManager="one")
    assert nothing[1]["message"].startswith("Incorrect version specified in apply patch.")


def test_lists_are_selected_and_come_in_pages(cluster: FakeKubernetes) -> None:
    for number in range(5):
        labels = {"n": str(number), "even": str(number % 2 == 0).lower()}
        call(cluster, "POST", MAPS, {"metadata": {"name": f"m{number}", "labels": labels}})

    def names(**query: Any) -> list[str]:
        return [one["metadata"]["name"] for one in call(cluster, "GET", MAPS, **query)[1]["items"]]

    assert names(labelSelector="even=true") == ["m0", "m2", "m4"]
    assert names(labelSelector="n in (1,2),even!=true") == ["m1"]
    assert names(labelSelector="!n") == []
    assert names(fieldSelector="metadata.name=m3") == ["m3"]
    assert call(cluster, "GET", MAPS, fieldSelector="data.x=1")[1]["message"] == "field label not supported: data.x"
    first = call(cluster, "GET", MAPS, limit=3)[1]
    assert [one["metadata"]["name"] for one in first["items"]] == ["m0", "m1", "m2"]
    assert first["metadata"]["remainingItemCount"] == 2
    assert names(limit=3, **{"continue": first["metadata"]["continue"]}) == ["m3", "m4"]
    cluster.store.compact()
    code, status = call(cluster, "GET", MAPS, **{"continue": first["metadata"]["continue"]})
    assert (code, status["reason"]) == (410, "Expired")


def test_what_an_object_owns_goes_with_it(cluster: FakeKubernetes) -> None:
    def owned(propagation: str) -> int:
        owner = call(cluster, "POST", MAPS, {"metadata": {"name": "owner"}})[1]["metadata"]
        reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["uid"]}
        call(cluster, "POST", MAPS, {"metadata": {"name": "owned", "ownerReferences": [reference]}})
        call(cluster, "DELETE", f"{MAPS}/owner", {"propagationPolicy": propagation})
        assert call(cluster, "GET", f"{MAPS}/owner")[0] == 404
        return call(cluster, "GET", f"{MAPS}/owned")[0]

    assert owned("Background") == 404
    assert owned("Foreground") == 404
    assert owned("Orphan") == 200


# --- Watches ----------------------------------------------------------------------------------------------------------


def test_a_watch_tells_what_happens_after_its_version(cluster: FakeKubernetes) -> None:
    version = call(cluster, "GET", MAPS)[1]["metadata"]["resourceVersion"]
    call(cluster, "POST", MAPS, {"metadata": {"name": "a", "labels": {"on": "1"}}})
    call(cluster, "PATCH", f"{MAPS}/a", {"data": {"k": "1"}}, "application/merge-patch+json")
    call(cluster, "PATCH", f"{MAPS}/a", {"metadata": {"labels": None}}, "application/merge-patch+json")
    call(cluster, "DELETE", f"{MAPS}/a")
    found = list(events(cluster, MAPS, resourceVersion=version, timeoutSeconds=1))
    assert [event["type"] for event in found] == ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in found]
    assert versions == sorted(set(versions))
    labelled = list(events(cluster, MAPS, resourceVersion=version, labelSelector="on=1", timeoutSeconds=1))
    assert [event["type"] for event in labelled] == ["ADDED", "MODIFIED", "DELETED"], "it has left the selection"


def test_a_watch_without_a_version_begins_with_what_is_there(cluster: FakeKubernetes) -> None:
    call(cluster, "POST", MAPS, {"metadata": {"name": "a"}})
    assert [event["type"] for event in events(cluster, MAPS, timeoutSeconds=1)] == ["ADDED"]


def test_a_watch_bookmarks_what_it_has_passed(cluster: FakeKubernetes) -> None:
    version = call(cluster, "GET", MAPS)[1]["metadata"]["resourceVersion"]
    call(cluster, "POST", "/api/v1/namespaces/default/secrets", {"metadata": {"generateName": "s-"}})
    (mark,) = events(cluster, MAPS, resourceVersion=version, allowWatchBookmarks="true", timeoutSeconds=1)
    assert mark["type"] == "BOOKMARK"
    assert int(mark["object"]["metadata"]["resourceVersion"]) > int(version)


def test_a_version_that_is_too_old(cluster: FakeKubernetes) -> None:
    version = call(cluster, "GET", MAPS)[1]["metadata"]["resourceVersion"]
    cluster.store.compact()
    (error,) = events(cluster, MAPS, resourceVersion=version)
    assert (error["type"], error["object"]["code"], error["object"]["reason"]) == ("ERROR", 410, "Expired")


# --- Pods -------------------------------------------------------------------------------------------------------------


def test_a_pod_runs_and_reports_its_end(cluster: FakeKubernetes) -> None:
    call(cluster, "POST", PODS, pod("ends", "sh", "-c", "echo out; echo err >&2; exit 3"))
    found = ended(cluster, "ends")
    assert found["status"]["phase"] == "Failed"
    terminated = found["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (terminated["exitCode"], terminated["reason"]) == (3, "Error")
    assert sorted(text(cluster, f"{PODS}/ends/log").split()) == ["err", "out"]


def test_an_image_may_have_a_command(cluster: FakeKubernetes) -> None:
    body = pod("talks")
    body["spec"]["containers"] = [{"name": "main", "image": "talker"}]
    call(cluster, "POST", PODS, body)
    ended(cluster, "talks")
    assert text(cluster, f"{PODS}/talks/log") == "by itself\n"


def test_a_command_that_is_not_there(cluster: FakeKubernetes) -> None:
    call(cluster, "POST", PODS, pod("none", "no-such-program"))
    terminated = ended(cluster, "none")["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (terminated["exitCode"], terminated["reason"]) == (128, "StartError")
    assert 'exec: "no-such-program": executable file not found in $PATH' in terminated["message"]


def test_a_log_is_followed_cut_and_stamped(cluster: FakeKubernetes, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    call(
        cluster,
        "POST",
        PODS,
        pod("logs", "sh", "-c", f"echo 1; echo 2; until [ -e {gate} ]; do sleep 0.02; done; echo 3"),
    )
    deadline = time.monotonic() + 10
    while call(cluster, "GET", f"{PODS}/logs")[1]["status"]["phase"] != "Running" and time.monotonic() < deadline:
        time.sleep(0.01)
    with urllib.request.urlopen(f"{cluster.url}{PODS}/logs/log?follow=true&timestamps=true", timeout=20) as response:
        assert response.readline().split()[1] == b"1"
        gate.touch()
        assert [line.split()[1] for line in response] == [b"2", b"3"]
    assert text(cluster, f"{PODS}/logs/log", tailLines=1) == "3\n"
    assert text(cluster, f"{PODS}/logs/log", limitBytes=3) == "1\n2"
    assert text(cluster, f"{PODS}/logs/log", sinceTime="2100-01-01T00:00:00Z") == ""
    assert (
        "container other is not valid for pod logs"
        in call(cluster, "GET", f"{PODS}/logs/log", container="other")[1]["message"]
    )
    assert "previous terminated container" in call(cluster, "GET", f"{PODS}/logs/log", previous="true")[1]["message"]


def test_a_container_is_started_again_as_its_policy_says(cluster: FakeKubernetes, tmp_path: Path) -> None:
    script = f"echo run; [ -e {tmp_path}/once ] || {{ touch {tmp_path}/once; exit 1; }}"
    call(cluster, "POST", PODS, pod("again", "sh", "-c", script, restartPolicy="OnFailure"))
    found = ended(cluster, "again")
    assert found["status"]["phase"] == "Succeeded"
    assert found["status"]["containerStatuses"][0]["restartCount"] == 1
    assert text(cluster, f"{PODS}/again/log", previous="true") == "run\n"


def test_a_deletion_grants_its_grace_period(cluster: FakeKubernetes, tmp_path: Path) -> None:
    script = f"trap 'echo bye > {tmp_path}/bye; exit 0' TERM; touch {tmp_path}/up; while :; do sleep 0.02; done"
    call(cluster, "POST", PODS, pod("asked", "sh", "-c", script, terminationGracePeriodSeconds=10))
    while not (tmp_path / "up").exists():
        time.sleep(0.01)
    version = call(cluster, "GET", PODS)[1]["metadata"]["resourceVersion"]
    left = call(cluster, "DELETE", f"{PODS}/asked")[1]
    assert left["metadata"]["deletionGracePeriodSeconds"] == 10
    kinds = []
    for event in events(cluster, PODS, resourceVersion=version):
        kinds.append(event["type"])
        if event["type"] == "DELETED":
            break
    assert (tmp_path / "bye").exists()
    assert kinds[0] == "MODIFIED"


def test_ready_is_what_the_probe_says(cluster: FakeKubernetes, tmp_path: Path) -> None:
    body = pod("probed", "sleep", "600")
    probe = {"exec": {"command": ["test", "-e", str(tmp_path / "ready")]}, "periodSeconds": 1}
    body["spec"]["containers"][0]["readinessProbe"] = probe
    call(cluster, "POST", PODS, body)
    for event in events(cluster, PODS, fieldSelector="metadata.name=probed"):
        status = event["object"]["status"]
        ready = {one["type"]: one["status"] for one in status.get("conditions") or []}.get("Ready")
        if status["phase"] == "Running" and ready == "False":
            (tmp_path / "ready").touch()
        if ready == "True":
            break


def test_a_cut_connection_breaks_in_the_middle_of_a_line(cluster: FakeKubernetes) -> None:
    call(cluster, "POST", PODS, pod("cut", "sh", "-c", "for i in 1 2 3; do echo a long line $i; done"))
    ended(cluster, "cut")
    cluster.inject(verb="log", after=1)
    with pytest.raises(IncompleteRead) as caught:
        text(cluster, f"{PODS}/cut/log")
    assert caught.value.partial.startswith(b"a long line 1\na l")
    assert not caught.value.partial.endswith(b"\n")


# --- Controllers ------------------------------------------------------------------------------------------------------


def test_a_job_is_complete_when_enough_pods_succeeded(cluster: FakeKubernetes) -> None:
    template = {"spec": pod("x", "sh", "-c", "echo $JOB_COMPLETION_INDEX")["spec"]}
    spec = {"completions": 3, "parallelism": 2, "completionMode": "Indexed", "template": template}
    call(cluster, "POST", JOBS, {"metadata": {"name": "three"}, "spec": spec})
    status: Json = {}
    for event in events(cluster, JOBS):
        status = event["object"]["status"]
        assert status.get("active", 0) <= 2
        if status.get("conditions"):
            break
    assert (status["succeeded"], status["conditions"][0]["type"]) == (3, "Complete")
    pods = call(cluster, "GET", PODS, labelSelector="job-name=three")[1]["items"]
    assert sorted(text(cluster, f"{PODS}/{one['metadata']['name']}/log").strip() for one in pods) == ["0", "1", "2"]


def test_a_job_gives_up_after_its_backoff_limit(cluster: FakeKubernetes) -> None:
    spec = {"backoffLimit": 1, "template": {"spec": pod("x", "false")["spec"]}}
    call(cluster, "POST", JOBS, {"metadata": {"name": "fails"}, "spec": spec})
    status: Json = {}
    for event in events(cluster, JOBS):
        status = event["object"]["status"]
        if status.get("conditions"):
            break
    assert (status["failed"], status["conditions"][0]["reason"]) == (2, "BackoffLimitExceeded")


def test_a_deployment_rolls_out_and_scales(cluster: FakeKubernetes) -> None:
    template = {"metadata": {"labels": {"app": "w"}}, "spec": {**pod("x")["spec"], "restartPolicy": "Always"}}
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": "w"}}, "template": template}
    call(cluster, "POST", DEPLOYMENTS, {"metadata": {"name": "w"}, "spec": spec})

    def wait(replicas: int, generation: int) -> None:
        for event in events(cluster, DEPLOYMENTS):
            status = event["object"]["status"]
            wanted = {"observedGeneration": generation, "replicas": replicas, "availableReplicas": replicas}
            if wanted.items() <= status.items() and status.get("updatedReplicas") == replicas:
                return

    wait(2, 1)
    scale = call(cluster, "PATCH", f"{DEPLOYMENTS}/w/scale", {"spec": {"replicas": 3}}, "application/merge-patch+json")[
        1
    ]
    assert (scale["kind"], scale["spec"]["replicas"]) == ("Scale", 3)
    wait(3, 2)
    change = {"spec": {"template": {"metadata": {"annotations": {"v": "2"}}}}}
    call(cluster, "PATCH", f"{DEPLOYMENTS}/w", change, "application/merge-patch+json")
    wait(3, 3)


def test_a_namespace_goes_with_all_that_is_in_it(cluster: FakeKubernetes) -> None:
    call(cluster, "POST", "/api/v1/namespaces", {"metadata": {"name": "short-lived"}})
    inside = PODS.replace("default", "short-lived")
    call(cluster, "POST", inside, pod("p"))
    call(cluster, "DELETE", "/api/v1/namespaces/short-lived")
    for event in events(cluster, "/api/v1/namespaces", fieldSelector="metadata.name=short-lived"):
        if event["type"] == "DELETED":
            break
    assert call(cluster, "GET", inside)[1]["items"] == []


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


# --- The network ------------------------------------------------------------------------------------------------------

SERVICES = "/api/v1/namespaces/default/services"
#: Says who it is, what it was asked and with which body; ``/missing`` is a 404, and the body of a POST may be bytes.
WEB = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        text = " ".join([sys.argv[1], self.command, self.path, self.headers.get("Content-Type") or "-", body.hex()])
        authorized = "Authorization" in self.headers
        self.send_response(404 if self.path == "/missing" else 200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("X-Authorized", str(authorized))
        self.end_headers()
        self.wfile.write(text.encode())
    do_POST = do_GET
    def log_message(self, *_): pass
http.server.HTTPServer((os.environ["POD_IP"], int(sys.argv[2])), Handler).serve_forever()
"""


def web(name: str, port: int, **spec: Any) -> Json:
    body = pod(name, sys.executable, "-c", WEB, name, str(port), **spec)
    body["metadata"]["labels"] = {"app": "web"}
    container = body["spec"]["containers"][0]
    container["env"] = [{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]
    container["ports"] = [{"name": "http", "containerPort": port}]
    container["readinessProbe"] = {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 1}
    return body


@pytest.fixture
def service(cluster: FakeKubernetes) -> Iterator[str]:
    spec = {"selector": {"app": "web"}, "ports": [{"name": "web", "port": 80, "targetPort": "http"}]}
    assert call(cluster, "POST", SERVICES, {"metadata": {"name": "shop"}, "spec": spec})[0] == 201
    yield f"{SERVICES}/shop:web/proxy"
    call(cluster, "DELETE", f"{SERVICES}/shop")


def ready(cluster: FakeKubernetes, name: str) -> Json:
    for event in events(cluster, PODS, fieldSelector=f"metadata.name={name}"):
        found: Json = event["object"]
        if {"Ready": "True"}.items() <= {o["type"]: o["status"] for o in found["status"].get("conditions", [])}.items():
            return found
    raise AssertionError(f"{name} did not become ready")


def ask(cluster: FakeKubernetes, path: str, body: bytes | None = None, **headers: str) -> tuple[int, str, str]:
    request = urllib.request.Request(cluster.url + path, body, headers, method="GET" if body is None else "POST")
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, response.headers["X-Authorized"], response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["X-Authorized"], error.read().decode()


@pytest.mark.skipif(sys.platform != "linux", reason="only there has each pod an address of its own")
def test_pods_may_listen_on_the_same_port_and_a_service_reaches_those_that_are_ready(
    cluster: FakeKubernetes, service: str
) -> None:
    unready = web("lazy", 8080)
    unready["spec"]["containers"][0]["readinessProbe"]["httpGet"]["path"] = "/missing"
    for body in (unready, web("one", 8080), web("two", 8080)):
        call(cluster, "POST", PODS, body)
    first, second = ready(cluster, "one")["status"], ready(cluster, "two")["status"]
    assert first["podIP"] != second["podIP"]
    assert first["podIPs"] == [{"ip": first["podIP"]}]
    assert {ask(cluster, f"{service}/")[2] for _ in range(40)} == {"one GET / - ", "two GET / - "}


def test_a_service_gets_the_request_as_it_was_and_not_the_token(cluster: FakeKubernetes, service: str) -> None:
    call(cluster, "POST", PODS, web("one", 8081))
    ready(cluster, "one")
    more = {"Content-Type": "image/png", "Authorization": "Bearer secret"}
    assert ask(cluster, f"{service}/a%20b//c/?n=1&n=2", b"\x89\xff", **more) == (
        200, "False", "one POST /a%20b//c/?n=1&n=2 image/png 89ff"
    )  # fmt: skip
    assert ask(cluster, f"{service}/missing") == (404, "False", "one GET /missing - ")
    assert ask(cluster, service.replace("shop:web", "shop:80"))[0] == 200
    assert ask(cluster, service.replace("shop:web", "http:shop:80"))[0] == 200


@pytest.mark.parametrize(
    ("to", "code", "sentence"),
    [
        ("none:80", 404, 'services "none" not found'),
        ("shop:81", 503, 'no service port 81 found for service "shop"'),
        ("shop:other", 503, 'no endpoints available for service "shop:other"'),
        ("ftp:shop:80", 400, 'invalid service request "ftp:shop:80"'),
        ("shop:80", 503, "error trying to reach service: dial tcp"),
    ],
)
def test_a_service_that_cannot_be_reached(
    cluster: FakeKubernetes, service: str, to: str, code: int, sentence: str
) -> None:
    silent = web("silent", 8082)
    silent["spec"]["containers"][0] |= {"command": ["sleep", "600"], "readinessProbe": {"exec": {"command": ["true"]}}}
    call(cluster, "POST", PODS, silent)
    ready(cluster, "silent")
    status, answer = call(cluster, "GET", f"{SERVICES}/{to}/proxy/")
    assert (status, answer["kind"]) == (code, "Status")
    assert sentence in answer["message"]


def test_a_service_without_pods(cluster: FakeKubernetes, service: str) -> None:
    status, answer = call(cluster, "GET", f"{service}/")
    assert (status, answer["message"]) == (503, 'no endpoints available for service "shop"')


def test_a_pod_in_the_network_of_its_host_and_a_probe_of_its_socket(cluster: FakeKubernetes) -> None:
    probes = {"up": {"tcpSocket": {"port": "http"}}, "down": {"tcpSocket": {"port": "other"}}}
    for name, probe in probes.items():
        body = web(name, 8083, hostNetwork=name == "down")
        body["spec"]["containers"][0]["readinessProbe"] = {**probe, "periodSeconds": 1}
        if name == "down":
            body["spec"]["containers"][0]["command"] = ["sleep", "600"]
        call(cluster, "POST", PODS, body)
    assert ready(cluster, "up")["status"]["podIP"].startswith("127.")
    for event in events(cluster, PODS, fieldSelector="metadata.name=down"):
        status = event["object"]["status"]
        if status["phase"] == "Running":
            assert status["podIP"] == "127.0.0.1"
            assert not status["containerStatuses"][0]["ready"]
            break


def test_a_namespace_may_be_called_proxy(cluster: FakeKubernetes) -> None:
    call(cluster, "POST", "/api/v1/namespaces", {"metadata": {"name": "proxy"}})
    assert call(cluster, "GET", "/api/v1/namespaces/proxy/pods")[1]["items"] == []
    call(cluster, "DELETE", "/api/v1/namespaces/proxy")


def test_the_fixture_is_a_cluster_of_its_own(fake_kubernetes: FakeKubernetes, cluster: FakeKubernetes) -> None:
    call(fake_kubernetes, "POST", MAPS, {"metadata": {"name": "mine"}})
    assert [one["metadata"]["name"] for one in call(fake_kubernetes, "GET", MAPS)[1]["items"]] == ["mine"]
    assert call(cluster, "GET", MAPS)[1]["items"] == []
    assert fake_kubernetes.kubeconfig()["clusters"][0]["cluster"]["server"] == fake_kubernetes.url


# --- Another client ---------------------------------------------------------------------------------------------------


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
