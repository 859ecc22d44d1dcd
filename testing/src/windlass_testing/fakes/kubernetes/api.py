"""From a request to its answer: discovery, then the verbs on resources, with the faults that a test has injected."""

from __future__ import annotations

from typing import Any

from windlass_testing.fakes.kubernetes import network, problems, reading, resources
from windlass_testing.fakes.kubernetes.faults import Faults
from windlass_testing.fakes.kubernetes.kubelet import Kubelet
from windlass_testing.fakes.kubernetes.openapi import document, index
from windlass_testing.fakes.kubernetes.problems import Problem
from windlass_testing.fakes.kubernetes.requests import Answer, Cut, Request, Target, target
from windlass_testing.fakes.kubernetes.store import Store
from windlass_testing.fakes.kubernetes.writing import Writer

Json = dict[str, Any]


class Api:
    """The API server behind its HTTP port."""

    def __init__(self, store: Store, kubelet: Kubelet, faults: Faults, *, token: str | None) -> None:
        self.store = store
        self.kubelet = kubelet
        self.faults = faults
        self.writer = Writer(store)
        self.token = token
        self.bookmark_every = 1.0

    def answer(self, request: Request, address: str) -> Answer:
        """Answer a request.

        :raises Problem: for a refusal.
        :raises Cut: if the connection is to break.
        """
        if (found := self._outside(request, address)) is not None:
            return found
        self.check_token(request)
        if (discovered := self._discovery(request, address)) is not None:
            return Answer(discovered)
        to = target(request.path)
        verb = to.verb(request)
        fault = self.faults.hit(verb, to.resource.plural, to.name)
        if fault is None:
            return self._serve(request, to, verb, None)
        problem = fault.problem(to.resource.plural, to.resource.group, to.name)
        if problem is not None and not (verb == "watch" and fault.status == 410 and fault.as_event):
            raise problem
        if fault.after is None and fault.status is None:
            self._serve(request, to, verb, None)  # it happens, but nobody hears of it
            raise Cut
        return self._serve(request, to, verb, fault)

    def check_token(self, request: Request) -> None:
        """Refuse a client without the token.

        :raises Problem: 401.
        """
        if self.token is not None and request.headers.get("Authorization") != f"Bearer {self.token}":
            raise Problem(401, "Unauthorized", "Unauthorized")

    def _outside(self, request: Request, address: str) -> Answer | None:
        if request.path in {"/healthz", "/readyz", "/livez"}:
            return Answer(b"ok", content_type="text/plain")
        return Answer(dict(resources.VERSION)) if request.path == "/version" else None

    def _discovery(self, request: Request, address: str) -> Json | None:
        parts = [part for part in request.path.split("/") if part]
        if request.method != "GET" or not parts:
            return None
        match parts:
            case ["api"]:
                return resources.api_versions(address)
            case ["apis"]:
                return resources.api_groups()
            case ["api", version]:
                return resources.api_resources("", version) or _missing()
            case ["apis", group]:
                known = next((one for one in resources.RESOURCES if one.group == group), None)
                return resources.api_group(group, known.version) if known else _missing()
            case ["apis", group, version]:
                return resources.api_resources(group, version) or _missing()
            case ["openapi", "v3"]:
                return index()
            case ["openapi", "v3", *rest]:
                return document("/".join(rest))
        return None

    def _serve(self, request: Request, to: Target, verb: str, fault: Any) -> Answer:  # noqa: ANN401 - a Fault or None
        resource = to.resource
        if resource.namespaced and not to.namespace and verb not in {"list", "watch", "deletecollection"}:
            raise problems.no_such_path()
        match verb:
            case "get":
                return Answer(self._get(to))
            case "list":
                return Answer(reading.list_objects(self.store, request, to))
            case "watch":
                return Answer(reading.watch(self.store, request, to, fault, self.bookmark_every))
            case "create":
                return self.writer.create(request, to)
            case "update":
                return self.writer.update(request, to)
            case "patch":
                return self.writer.patch(request, to)
            case "delete":
                return self.writer.delete(request, to)
            case "deletecollection":
                return self.writer.delete_all(request, to)
            case "log":
                pod = self.store.get(resource, to.namespace, to.name)
                log = self.kubelet.log(pod, self.container_of(pod, request), previous=request.flag("previous"))
                return reading.read_log(log, request, fault)
            case "proxy":
                return network.ask_service(self.store, request, to)
            case _:
                raise problems.bad_request("Upgrade request required")

    def _get(self, to: Target) -> Json:
        return (
            self.writer.scale_of(to)
            if to.subresource == "scale"
            else self.store.get(to.resource, to.namespace, to.name)
        )

    def container_of(self, pod: Json, request: Request) -> str:
        """Return the container that a request means.

        :raises Problem: 400 if it names none and the pod has several.
        """
        if name := request.text("container"):
            return name
        names = [one["name"] for one in pod["spec"]["containers"]]
        if len(names) > 1:
            listed = " ".join(names)
            text = f"a container name must be specified for pod {pod['metadata']['name']}, choose one of: [{listed}]"
            raise problems.bad_request(text)
        return str(names[0])


def _missing() -> Json:
    raise problems.no_such_path()
