"""The network of the fake Kubernetes: an address for each pod, and services that reach those that are ready."""

# ruff: noqa: S310 - the URL is the fake's own
from __future__ import annotations

import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from testing.tests.unit.fakes.kubernetes.client import PODS, Client, Json, pod

pytestmark = pytest.mark.timeout(40)

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
def service(kube: Client) -> Iterator[str]:
    spec = {"selector": {"app": "web"}, "ports": [{"name": "web", "port": 80, "targetPort": "http"}]}
    assert kube.call("POST", SERVICES, {"metadata": {"name": "shop"}, "spec": spec})[0] == 201
    yield f"{SERVICES}/shop:web/proxy"
    kube.call("DELETE", f"{SERVICES}/shop")


def ask(kube: Client, path: str, body: bytes | None = None, **headers: str) -> tuple[int, str, str]:
    request = urllib.request.Request(kube.url + path, body, headers, method="GET" if body is None else "POST")
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, response.headers["X-Authorized"], response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["X-Authorized"], error.read().decode()


@pytest.mark.skipif(sys.platform != "linux", reason="only there has each pod an address of its own")
def test_pods_may_listen_on_the_same_port_and_a_service_reaches_those_that_are_ready(
    kube: Client, service: str
) -> None:
    unready = web("lazy", 8080)
    unready["spec"]["containers"][0]["readinessProbe"]["httpGet"]["path"] = "/missing"
    for body in (unready, web("one", 8080), web("two", 8080)):
        kube.call("POST", PODS, body)
    first, second = kube.ready("one")["status"], kube.ready("two")["status"]
    assert first["podIP"] != second["podIP"]
    assert first["podIPs"] == [{"ip": first["podIP"]}]
    assert {ask(kube, f"{service}/")[2] for _ in range(40)} == {"one GET / - ", "two GET / - "}


def test_a_service_gets_the_request_as_it_was_and_not_the_token(kube: Client, service: str) -> None:
    kube.call("POST", PODS, web("one", 8081))
    kube.ready("one")
    more = {"Content-Type": "image/png", "Authorization": "Bearer secret"}
    assert ask(kube, f"{service}/a%20b//c/?n=1&n=2", b"\x89\xff", **more) == (
        200, "False", "one POST /a%20b//c/?n=1&n=2 image/png 89ff"
    )  # fmt: skip
    assert ask(kube, f"{service}/missing") == (404, "False", "one GET /missing - ")
    assert ask(kube, service.replace("shop:web", "shop:80"))[0] == 200
    assert ask(kube, service.replace("shop:web", "http:shop:80"))[0] == 200


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
def test_a_service_that_cannot_be_reached(kube: Client, service: str, to: str, code: int, sentence: str) -> None:
    silent = web("silent", 8082)
    silent["spec"]["containers"][0] |= {"command": ["sleep", "600"], "readinessProbe": {"exec": {"command": ["true"]}}}
    kube.call("POST", PODS, silent)
    kube.ready("silent")
    status, answer = kube.call("GET", f"{SERVICES}/{to}/proxy/")
    assert (status, answer["kind"]) == (code, "Status")
    assert sentence in answer["message"]


def test_a_service_without_pods(kube: Client, service: str) -> None:
    status, answer = kube.call("GET", f"{service}/")
    assert (status, answer["message"]) == (503, 'no endpoints available for service "shop"')


def test_a_pod_in_the_network_of_its_host_and_a_probe_of_its_socket(kube: Client) -> None:
    probes = {"up": {"tcpSocket": {"port": "http"}}, "down": {"tcpSocket": {"port": "other"}}}
    for name, probe in probes.items():
        body = web(name, 8083, hostNetwork=name == "down")
        body["spec"]["containers"][0]["readinessProbe"] = {**probe, "periodSeconds": 1}
        if name == "down":
            body["spec"]["containers"][0]["command"] = ["sleep", "600"]
        kube.call("POST", PODS, body)
    assert kube.ready("up")["status"]["podIP"].startswith("127.")
    for event in kube.events(PODS, fieldSelector="metadata.name=down"):
        status = event["object"]["status"]
        if status["phase"] == "Running":
            assert status["podIP"] == "127.0.0.1"
            assert not status["containerStatuses"][0]["ready"]
            break


def test_a_namespace_may_be_called_proxy(kube: Client) -> None:
    kube.call("POST", "/api/v1/namespaces", {"metadata": {"name": "proxy"}})
    assert kube.call("GET", "/api/v1/namespaces/proxy/pods")[1]["items"] == []
    kube.call("DELETE", "/api/v1/namespaces/proxy")
