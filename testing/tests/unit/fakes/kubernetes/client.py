"""A client that knows nothing of Windlass, over plain HTTP, and the pods that the tests have run."""

# ruff: noqa: ANN401, S310 - bodies are JSON, and the URL is the fake's own
from __future__ import annotations

import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

PODS = "/api/v1/namespaces/default/pods"
MAPS = "/api/v1/namespaces/default/configmaps"
JOBS = "/apis/batch/v1/namespaces/default/jobs"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"

IMAGE = os.environ.get("WINDLASS_TEST_KUBERNETES_IMAGE", "docker.io/library/busybox:local")


class Client:
    """What asks one cluster."""

    def __init__(self, url: str) -> None:
        self.url = url

    def call(
        self, method: str, path: str, body: Any = None, kind: str = "application/json", **query: Any
    ) -> tuple[int, Json]:
        """Return the status and the answer to one request, refused or not."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url(path, query), data, {"Content-Type": kind}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                return response.status, json.loads(response.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def text(self, path: str, **query: Any) -> str:
        """Return what is no JSON, such as a log."""
        with urllib.request.urlopen(self._url(path, query), timeout=20) as response:
            return str(response.read().decode())

    def events(self, path: str, **query: Any) -> Iterator[Json]:
        """Watch for ten seconds, unless told otherwise."""
        query = {"watch": "true", "timeoutSeconds": 10, **query}
        with urllib.request.urlopen(self._url(path, query), timeout=20) as response:
            for line in response:
                yield json.loads(line)

    def ended(self, name: str) -> Json:
        """Return the pod of this name once it has ended."""
        for event in self.events(PODS, fieldSelector=f"metadata.name={name}"):
            found: Json = event["object"]
            if found["status"]["phase"] in {"Succeeded", "Failed"}:
                return found
        raise AssertionError(f"{name} did not end")

    def ready(self, name: str) -> Json:
        """Return the pod of this name once it is ready."""
        for event in self.events(PODS, fieldSelector=f"metadata.name={name}"):
            found: Json = event["object"]
            conditions = {one["type"]: one["status"] for one in found["status"].get("conditions", [])}
            if conditions.get("Ready") == "True":
                return found
        raise AssertionError(f"{name} did not become ready")

    def _url(self, path: str, query: Json) -> str:
        return self.url + path + (f"?{urllib.parse.urlencode(query)}" if query else "")


def pod(name: str, *command: str, **spec: Any) -> Json:
    """Return a pod of one container that runs ``command``, else sleeps; ``spec`` is what it has besides."""
    container = {"name": "main", "image": IMAGE, "command": list(command) or ["sleep", "600"]}
    base = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [container]}
    return {"metadata": {"name": name, "labels": {"app": name}}, "spec": {**base, **spec}}
