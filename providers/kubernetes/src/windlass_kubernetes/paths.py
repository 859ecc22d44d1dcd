"""Where objects are: from a kind and its ``apiVersion`` to the path of the REST API.

The kinds of every cluster are known here; any other, such as that of a custom resource, is looked up in the discovery
of the cluster, once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from windlass_kubernetes.client import quoted
from windlass_kubernetes.errors import KubernetesError

Json = dict[str, Any]

#: (apiVersion, kind) -> (plural, whether it lies in a namespace)
_KNOWN: Final = {
    ("v1", "Pod"): ("pods", True),
    ("v1", "Service"): ("services", True),
    ("v1", "ConfigMap"): ("configmaps", True),
    ("v1", "Secret"): ("secrets", True),
    ("v1", "ServiceAccount"): ("serviceaccounts", True),
    ("v1", "PersistentVolumeClaim"): ("persistentvolumeclaims", True),
    ("v1", "PersistentVolume"): ("persistentvolumes", False),
    ("v1", "Event"): ("events", True),
    ("v1", "Namespace"): ("namespaces", False),
    ("v1", "Node"): ("nodes", False),
    ("apps/v1", "Deployment"): ("deployments", True),
    ("apps/v1", "StatefulSet"): ("statefulsets", True),
    ("apps/v1", "DaemonSet"): ("daemonsets", True),
    ("apps/v1", "ReplicaSet"): ("replicasets", True),
    ("batch/v1", "Job"): ("jobs", True),
    ("batch/v1", "CronJob"): ("cronjobs", True),
}


def collection(api_version: str, plural: str, namespace: str | None = None) -> str:
    """Return the path of all objects of a kind, in a namespace or in all."""
    root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    return f"{root}/namespaces/{quoted(namespace)}/{plural}" if namespace else f"{root}/{plural}"


def pods(namespace: str, name: str | None = None, subresource: str | None = None) -> str:
    """Return the path of the pods of a namespace, of one pod, or of a part of it."""
    path = collection("v1", "pods", namespace)
    path = path if name is None else f"{path}/{quoted(name)}"
    return path if subresource is None else f"{path}/{subresource}"


def of_object(manifest: Json, namespace: str, discover: Callable[[str], Json]) -> tuple[str, str]:
    """Return the path of the collection that an object belongs to, and the object's name.

    :raises KubernetesError: if the manifest lacks what it needs, or the cluster knows no such kind.
    """
    version, kind = manifest.get("apiVersion"), manifest.get("kind")
    name = (manifest.get("metadata") or {}).get("name")
    if not version or not kind:
        raise KubernetesError(
            f"a manifest needs apiVersion and kind, but has only {', '.join(sorted(manifest))}; add them"
        )
    found = _KNOWN.get((version, kind))
    if found is None:
        listed = discover(version).get("resources") or []
        match = next((one for one in listed if one["kind"] == kind and "/" not in one["name"]), None)
        if match is None:
            raise KubernetesError(
                f"the cluster knows no {kind} in {version}; install its definition or correct the manifest"
            )
        found = (match["name"], bool(match["namespaced"]))
    plural, is_namespaced = found
    inside = (manifest.get("metadata") or {}).get("namespace") or namespace
    return collection(version, plural, inside if is_namespaced else None), str(name or "")
