"""A request as the API reads it, and what it is answered with."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from windlass_testing.fakes.kubernetes.problems import Problem, bad_request, no_such_path
from windlass_testing.fakes.kubernetes.resources import Resource, named, resource

Json = dict[str, Any]

_PROXY: Final = re.compile(r"(/api/v1/namespaces/[^/]+/services/[^/]+/proxy)/(.*)", re.DOTALL)
_WRITES: Final = {"POST": "create", "PUT": "update", "PATCH": "patch"}


class Cut(Exception):
    """The connection is to break here."""


@dataclass(frozen=True)
class Request:
    """What a client asks."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes
    #: Whether the client still listens.
    is_alive: Callable[[], bool]

    @classmethod
    def parse(
        cls, method: str, url: str, headers: Mapping[str, str], body: bytes, is_alive: Callable[[], bool]
    ) -> Request:
        """Return the request of a URL."""
        parts = urlsplit(url)
        query = parse_qs(parts.query, keep_blank_values=True)
        return cls(method, unquote(parts.path), query, headers, body, is_alive)

    def text(self, name: str) -> str:
        """Return an argument of the query, empty if it is not given."""
        return self.query.get(name, [""])[-1]

    def flag(self, name: str) -> bool:
        """Return an argument that is true or false."""
        return self.text(name).lower() in {"1", "true", "t"}

    def number(self, name: str) -> int | None:
        """Return an argument that is a number, None if it is not given."""
        text = self.text(name)
        if not text:
            return None
        try:
            return int(text)
        except ValueError:
            raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None

    def content(self) -> Any:  # noqa: ANN401 - any JSON value
        """Return the body, JSON or YAML; an empty object without one."""
        if not self.body:
            return {}
        if "protobuf" in self.headers.get("Content-Type", ""):
            text = "the body of the request was in an unknown format - accepted media types include: application/json"
            raise Problem(415, "UnsupportedMediaType", text)
        try:
            return json.loads(self.body)
        except ValueError:
            if "yaml" not in self.headers.get("Content-Type", ""):
                raise bad_request("the object provided is unrecognized: it is not JSON") from None
        import yaml

        return yaml.safe_load(self.body)

    def object(self) -> Json:
        """Return the body, which must be an object."""
        found = self.content()
        if not isinstance(found, dict):
            raise bad_request(f"json: cannot unmarshal {type(found).__name__} into Go value")
        return found


@dataclass(frozen=True)
class Answer:
    """What a request is answered with: an object, a text, or a stream of pieces."""

    body: Json | bytes | Iterator[bytes]
    code: int = 200
    content_type: str = "application/json"
    headers: Iterable[tuple[str, str]] = field(default=())


@dataclass(frozen=True)
class Target:
    """What a path means."""

    resource: Resource
    namespace: str
    name: str
    subresource: str
    #: What follows ``proxy/``, which is the path that a service is asked for.
    rest: str = ""

    def verb(self, request: Request) -> str:
        """Return the verb as Kubernetes calls it, and ``log``, ``exec`` and ``proxy`` for these."""
        if self.subresource in {"log", "exec", "proxy"}:
            return self.subresource
        if request.method == "GET":
            return "get" if self.name else "watch" if request.flag("watch") else "list"
        if request.method == "DELETE":
            return "delete" if self.name else "deletecollection"
        if request.method not in _WRITES:
            raise Problem(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
        return _WRITES[request.method]


def target(path: str) -> Target:
    """Return what the path of a resource means.

    :raises Problem: 404 if there is no such resource.
    """
    below = ""
    if match := _PROXY.fullmatch(path):
        path, below = match[1], match[2]
    parts = [part for part in path.split("/") if part]
    if parts[:1] == ["api"] and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        raise no_such_path()
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in named("namespaces").subresources:
        namespace, rest = rest[1], rest[2:]
    found = resource(group, version, rest[0])
    subresource = rest[2] if len(rest) > 2 else ""
    if found is None or len(rest) > 3 or (subresource and subresource not in found.subresources):
        raise no_such_path()
    if found.namespaced and not namespace and len(rest) > 1:
        raise no_such_path()
    return Target(found, namespace, rest[1] if len(rest) > 1 else "", subresource, below)
