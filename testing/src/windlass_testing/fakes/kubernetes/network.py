"""The network of the fake: an address for every pod, probes that ask it, and the way to it through a service.

On Linux all of 127.0.0.0/8 is this machine, so every pod has an address of its own there, and two pods may listen on
the same port: if their programs listen at the pod's address, which ``fieldRef: status.podIP`` tells them, and not at
every one. A pod with ``hostNetwork`` has the node's, 127.0.0.1, and elsewhere than on Linux every pod has. There is no
DNS, and a service's ``clusterIP`` is only a name: a service is reached through the API server, at
``/api/v1/namespaces/<namespace>/services/<name>:<port>/proxy/<path>``, as on a real cluster.
"""

from __future__ import annotations

import http.client
import itertools
import random
import socket
import sys
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

from windlass_testing.fakes.kubernetes.controller import is_leaving, is_ready
from windlass_testing.fakes.kubernetes.problems import Problem, bad_request
from windlass_testing.fakes.kubernetes.requests import Answer, Request, Target
from windlass_testing.fakes.kubernetes.resources import named
from windlass_testing.fakes.kubernetes.selectors import spec_selector
from windlass_testing.fakes.kubernetes.store import Store

Json = dict[str, Any]

NODE_ADDRESS: Final = "127.0.0.1"
#: Seconds until a service that does not answer counts as broken.
_PATIENCE: Final = 60.0
#: What belongs to one connection, and not to what is said on it; and what the API server keeps to itself.
_KEPT: Final = {"authorization", "connection", "content-length", "host", "keep-alive", "transfer-encoding"}


class Addresses:
    """Hands out addresses to pods; those of two clusters on one machine are hardly ever the same."""

    def __init__(self) -> None:
        self._block = f"127.{random.randint(1, 254)}"  # noqa: S311 - no secret
        self._numbers = itertools.count(random.randrange(0, 250 * 250))  # noqa: S311 - no secret

    def next_for(self, pod: Json) -> str:
        """Return the address of a new pod."""
        if pod["spec"].get("hostNetwork") or sys.platform != "linux":
            return NODE_ADDRESS
        number = next(self._numbers) % (250 * 250)
        return f"{self._block}.{number // 250 + 1}.{number % 250 + 1}"


# --- Probes -----------------------------------------------------------------------------------------------------------


def answers(probe: Json, container: Json, address: str) -> bool:
    """Return whether a container answers an ``httpGet`` or ``tcpSocket`` probe: with a status below 400, or at all."""
    asked: Json = probe.get("httpGet") or probe["tcpSocket"]
    host = asked.get("host") or address
    port = _container_port(container, asked["port"])
    timeout = probe.get("timeoutSeconds", 1)
    if port is None:
        return False
    try:
        if "httpGet" not in probe:
            socket.create_connection((host, port), timeout).close()
            return True
        is_https = asked.get("scheme") == "HTTPS"
        connection = _secure(host, port, timeout) if is_https else http.client.HTTPConnection(host, port, timeout)
        try:
            headers = {one["name"]: one["value"] for one in asked.get("httpHeaders") or []}
            connection.request("GET", asked.get("path") or "/", headers={"User-Agent": "kube-probe", **headers})
            return connection.getresponse().status < 400
        finally:
            connection.close()
    except (OSError, http.client.HTTPException):
        return False


def _container_port(container: Json, port: int | str) -> int | None:
    """Return the number of a port that is given by number or by its name in the container."""
    if isinstance(port, int):
        return port
    ports = container.get("ports") or []
    return next((int(one["containerPort"]) for one in ports if one.get("name") == port), None)


def _secure(host: str, port: int, timeout: float) -> http.client.HTTPSConnection:
    """Return a connection that believes any certificate, as probes and the proxy of the API server do."""
    import ssl

    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, port, timeout=timeout, context=context)


# --- The way to a service ---------------------------------------------------------------------------------------------


def ask_service(store: Store, request: Request, to: Target) -> Answer:
    """Pass a request on to one of the pods behind a service, and return its answer.

    :raises Problem: if there is no such service, or none of its pods is ready or answers.
    """
    scheme, name, port = _split(to.name)
    service = store.get(named("services"), to.namespace, name)
    host, number = _endpoint(store, service, to.name, port)
    path = "/" + quote(to.rest, safe="/:@!$&'()*+,;=~")
    if request.query:
        path += f"?{urlencode(request.query, doseq=True)}"
    headers = {key: value for key, value in request.headers.items() if key.lower() not in _KEPT}
    is_https = scheme == "https"
    connection = (
        _secure(host, number, _PATIENCE) if is_https else http.client.HTTPConnection(host, number, timeout=_PATIENCE)
    )
    try:
        connection.request(request.method, path, request.body or None, headers)
        response = connection.getresponse()
        kept = [(key, value) for key, value in response.getheaders() if key.lower() not in {*_KEPT, "content-type"}]
        kind = response.getheader("Content-Type") or "application/octet-stream"
        return Answer(response.read(), response.status, kind, _without_own(kept))
    except (OSError, http.client.HTTPException) as error:
        why = f"error trying to reach service: dial tcp {host}:{number}: {_said(error)}"
        raise Problem(503, "ServiceUnavailable", why) from None
    finally:
        connection.close()


def _without_own(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Leave out what the fake's own server says of itself in every answer."""
    return [(key, value) for key, value in headers if key.lower() not in {"date", "server"}]


def _said(error: Exception) -> str:
    return "connect: connection refused" if isinstance(error, ConnectionRefusedError) else str(error) or repr(error)


def _split(text: str) -> tuple[str, str, str]:
    """Return the scheme, name and port of ``[scheme:]name[:port]``."""
    match text.split(":"):
        case [name]:
            return "", name, ""
        case [name, port]:
            return "", name, port
        case ["http" | "https" | "" as scheme, name, port]:
            return scheme, name, port
    raise bad_request(f'invalid service request "{text}"')


def _endpoint(store: Store, service: Json, asked: str, port: str) -> tuple[str, int]:
    """Return the address and port of one of the ready pods behind a service, chosen at random."""
    ports: list[Json] = service["spec"].get("ports") or []
    name = service["metadata"]["name"]
    if port.isdigit():
        found = next((one for one in ports if one["port"] == int(port)), None)
        if found is None:
            raise Problem(503, "ServiceUnavailable", f'no service port {port} found for service "{name}"')
    else:
        found = next((one for one in ports if one.get("name", "") == port), None)
    pods = _behind(store, service)
    if not pods:
        raise Problem(503, "ServiceUnavailable", f'no endpoints available for service "{name}"')
    pod = random.choice(pods)  # noqa: S311 - no secret
    number = _target(pod, found["targetPort"]) if found is not None else None
    if number is None:
        raise Problem(503, "ServiceUnavailable", f'no endpoints available for service "{asked}"')
    return pod["status"]["podIP"], number


def _behind(store: Store, service: Json) -> list[Json]:
    wanted: Mapping[str, str] | None = service["spec"].get("selector")
    if not wanted:
        return []
    matches = spec_selector({"matchLabels": wanted})
    pods = store.all(named("pods"), service["metadata"]["namespace"])
    return [pod for pod in pods if matches(pod) and is_ready(pod) and not is_leaving(pod)]


def _target(pod: Json, port: int | str) -> int | None:
    return next(
        (number for one in pod["spec"]["containers"] if (number := _container_port(one, port)) is not None), None
    )
