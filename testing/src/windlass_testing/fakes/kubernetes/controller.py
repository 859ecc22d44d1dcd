"""What the controllers of jobs and deployments have in common: what they own, make, report and note."""

from __future__ import annotations

import copy
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from windlass_testing.fakes.kubernetes.resources import named
from windlass_testing.fakes.kubernetes.store import Store, now

Json = dict[str, Any]


class Controller:
    """Brings objects of one kind about, whenever something has changed."""

    def __init__(self, store: Store, create: Callable[[str, str, Json], Json]) -> None:
        self.store = store
        self._create = create

    def reconcile(self, obj: Json) -> None:
        """Look at an object and do what is to be done; called while the store is held."""
        raise NotImplementedError

    def note(self, obj: Json, reason: str, message: str, kind: str = "Warning") -> None:
        """Record an event about an object, once."""
        meta = obj["metadata"]
        about = {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "namespace": meta["namespace"],
                 "name": meta["name"], "uid": meta["uid"]}  # fmt: skip
        for old in self.store.all(named("events"), meta["namespace"]):
            if old["involvedObject"] == about and old["message"] == message:
                return
        body: Json = {
            "metadata": {"name": f"{meta['name']}.{uuid.uuid4().hex[:16]}"},
            "involvedObject": about, "reason": reason, "message": message, "type": kind, "count": 1,
            "firstTimestamp": now(), "lastTimestamp": now(), "source": {"component": "controller"},
        }  # fmt: skip
        self.store.create(named("events"), meta["namespace"], body)

    def _owned(self, owner: Json, plural: str) -> list[Json]:
        uid = owner["metadata"]["uid"]
        return [
            one
            for one in self.store.all(named(plural), owner["metadata"]["namespace"])
            if any(reference["uid"] == uid for reference in one["metadata"].get("ownerReferences") or [])
        ]

    def _pod(self, owner: Json, template: Json, labels: dict[str, str], annotations: dict[str, str]) -> None:
        meta = owner["metadata"]
        pod: Json = {
            "metadata": {
                **copy.deepcopy(template.get("metadata") or {}),
                "name": f"{meta['name'][:57]}-{uuid.uuid4().hex[:5]}",
                "ownerReferences": [reference(owner)],
            },
            "spec": copy.deepcopy(template["spec"]),
        }
        pod["metadata"]["labels"] = {**(pod["metadata"].get("labels") or {}), **labels}
        pod["metadata"]["annotations"] = {**(pod["metadata"].get("annotations") or {}), **annotations}
        self._create("pods", meta["namespace"], pod)

    def _status(self, obj: Json, plural: str, status: Json) -> None:
        if {k: v for k, v in status.items() if k != "conditions"} == {
            k: v for k, v in obj["status"].items() if k != "conditions"
        } and _kinds(status) == _kinds(obj["status"]):
            return
        meta = obj["metadata"]
        self.store.update(named(plural), meta["namespace"], meta["name"], lambda copied: {**copied, "status": status})

    def _delete(self, pod: Json) -> None:
        meta = pod["metadata"]
        if "deletionTimestamp" not in meta:
            grace = pod["spec"].get("terminationGracePeriodSeconds", 30)
            self.store.delete(named("pods"), meta["namespace"], meta["name"], propagation="Background", grace=grace)


def condition(kind: str, status: str, reason: str, message: str) -> Json:
    """Return a condition of a status, as of now."""
    made = {"type": kind, "status": status, "lastTransitionTime": now(), "lastProbeTime": now()}
    return made | ({"reason": reason, "message": message} if reason else {})


def reference(owner: Json) -> Json:
    """Return the reference of a controller's object to its owner."""
    meta = owner["metadata"]
    return {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": meta["name"], "uid": meta["uid"],
            "controller": True, "blockOwnerDeletion": True}  # fmt: skip


def _kinds(status: Json) -> list[tuple[str, str, str]]:
    return [(one["type"], one["status"], one.get("reason", "")) for one in status.get("conditions") or []]


def is_leaving(pod: Json) -> bool:
    """Return whether a pod is being deleted."""
    return "deletionTimestamp" in pod["metadata"]


def is_ready(pod: Json) -> bool:
    """Return whether a pod is ready."""
    return any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions") or [])


def restarts(pod: Json) -> int:
    """Return how often the containers of a pod were started again."""
    return sum(int(one["restartCount"]) for one in pod["status"].get("containerStatuses") or [])


def age(moment: str) -> float:
    """Return how many seconds ago an instant of metadata was."""
    return time.time() - datetime.strptime(moment, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
