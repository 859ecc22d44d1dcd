"""Which resources there are, and the discovery documents that clients such as kubectl read first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

Json = dict[str, Any]

_VERBS: Final = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


@dataclass(frozen=True)
class Resource:
    """A kind of object and where it is found."""

    group: str
    version: str
    plural: str
    kind: str
    singular: str
    namespaced: bool = True
    short: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        """What ``apiVersion`` says of its objects."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def has_status(self) -> bool:
        """Whether its status is written apart from the rest."""
        return "status" in self.subresources


def _resource(group: str, version: str, plural: str, kind: str, **more: Any) -> Resource:
    return Resource(group, version, plural, kind, kind.lower(), **more)


RESOURCES: Final = (
    _resource("", "v1", "namespaces", "Namespace", namespaced=False, short=("ns",), subresources=("status",)),
    _resource("", "v1", "nodes", "Node", namespaced=False, short=("no",), subresources=("status",)),
    _resource(
        "", "v1", "pods", "Pod", short=("po",), subresources=("status", "log", "exec", "eviction"), categories=("all",)
    ),
    _resource("", "v1", "services", "Service", short=("svc",), subresources=("status", "proxy"), categories=("all",)),
    _resource("", "v1", "configmaps", "ConfigMap", short=("cm",)),
    _resource("", "v1", "secrets", "Secret"),
    _resource("", "v1", "serviceaccounts", "ServiceAccount", short=("sa",)),
    _resource("", "v1", "events", "Event", short=("ev",)),
    _resource(
        "apps", "v1", "deployments", "Deployment", short=("deploy",), subresources=("status", "scale"),
        categories=("all",),
    ),
    _resource("apps", "v1", "replicasets", "ReplicaSet", short=("rs",), subresources=("status",), categories=("all",)),
    _resource("batch", "v1", "jobs", "Job", subresources=("status",), categories=("all",)),
)  # fmt: skip

_BY_PATH: Final = {(one.group, one.version, one.plural): one for one in RESOURCES}
VERSION: Final = {
    "major": "1",
    "minor": "20",
    "gitVersion": "v1.20.2-windlass-fake",
    "gitCommit": "none",
    "gitTreeState": "clean",
    "buildDate": "2021-01-13T13:20:00Z",
    "goVersion": "none",
    "compiler": "python",
    "platform": "linux/amd64",
}


def resource(group: str, version: str, plural: str) -> Resource | None:
    """Return the resource at an address, None if there is none."""
    return _BY_PATH.get((group, version, plural))


def named(plural: str) -> Resource:
    """Return the resource of that plural, of which there is only one."""
    return next(one for one in RESOURCES if one.plural == plural)


def of_kind(kind: str) -> Resource | None:
    """Return the resource of a kind."""
    return next((one for one in RESOURCES if one.kind == kind), None)


def api_versions(address: str) -> Json:
    """Return the document at ``/api``."""
    servers = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": servers}


def api_groups() -> Json:
    """Return the document at ``/apis``."""
    groups = dict.fromkeys((one.group, one.version) for one in RESOURCES if one.group)
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [api_group(*pair) for pair in groups]}


def api_group(group: str, version: str) -> Json:
    """Return the document at ``/apis/<group>``."""
    where = {"groupVersion": f"{group}/{version}", "version": version}
    return {"kind": "APIGroup", "apiVersion": "v1", "name": group, "versions": [where], "preferredVersion": where}


def api_resources(group: str, version: str) -> Json | None:
    """Return the document at ``/api/v1`` or ``/apis/<group>/<version>``, None if there is no such group."""
    found = [one for one in RESOURCES if (one.group, one.version) == (group, version)]
    if not found:
        return None
    listed: list[Json] = []
    for one in found:
        listed.append(
            {
                "name": one.plural,
                "singularName": one.singular,
                "namespaced": one.namespaced,
                "kind": one.kind,
                "verbs": _VERBS,
                "shortNames": list(one.short),
                "categories": list(one.categories),
            }
        )
        listed += [_subresource(one, name) for name in one.subresources]
    group_version = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": listed}


def _subresource(of: Resource, name: str) -> Json:
    kinds = {
        "exec": ("PodExecOptions", ["create", "get"]),
        "log": ("Pod", ["get"]),
        "eviction": ("Eviction", ["create"]),
        "proxy": ("ServiceProxyOptions", ["create", "delete", "get", "patch", "update"]),
    }
    kind, verbs = kinds.get(name, ("Scale" if name == "scale" else of.kind, ["get", "patch", "update"]))
    document = {
        "name": f"{of.plural}/{name}",
        "singularName": "",
        "namespaced": of.namespaced,
        "kind": kind,
        "verbs": verbs,
    }
    if name == "scale":
        document |= {"group": "autoscaling", "version": "v1"}
    if name == "eviction":
        document |= {"group": "policy", "version": "v1"}
    return document
