"""As much of OpenAPI as kubectl asks for: that every resource can be patched with field validation by the server."""

from __future__ import annotations

from typing import Any

from windlass_testing.fakes.kubernetes.problems import no_such_path
from windlass_testing.fakes.kubernetes.resources import RESOURCES

Json = dict[str, Any]


def index() -> Json:
    """Return the document at ``/openapi/v3``."""
    prefixes = dict.fromkeys(_prefix(one.group, one.version) for one in RESOURCES)
    return {"paths": {prefix: {"serverRelativeURL": f"/openapi/v3/{prefix}"} for prefix in prefixes}}


def document(prefix: str) -> Json:
    """Return the document of one group.

    :raises Problem: 404 if there is no such group.
    """
    found = [one for one in RESOURCES if _prefix(one.group, one.version) == prefix]
    if not found:
        raise no_such_path()
    parameters = [
        {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
        for name in ("dryRun", "fieldManager", "fieldValidation")
    ]
    paths: Json = {}
    for one in found:
        where = f"/{prefix}/namespaces/{{namespace}}/{one.plural}" if one.namespaced else f"/{prefix}/{one.plural}"
        kind = {"group": one.group, "version": one.version, "kind": one.kind}
        operation = {"parameters": parameters, "x-kubernetes-group-version-kind": kind, "responses": {}}
        paths[f"{where}/{{name}}"] = {"patch": {**operation, "x-kubernetes-action": "patch"}}
    return {"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1.20.2"}, "paths": paths}


def _prefix(group: str, version: str) -> str:
    return f"apis/{group}/{version}" if group else f"api/{version}"
