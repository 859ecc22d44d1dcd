"""The kubelet and the scheduler: every pod is assigned to the one node, and its containers run as local processes.

What is like a real node: the phases and container states, init containers, restarts with a back-off, the active
deadline, readiness probes, the grace period of a deletion, memory limits (a container above its limit is OOMKilled),
secrets and config maps, events, node selectors and requests that no node can meet. What is not: there are no images. An
image is a name; one whose registry is ``something.invalid`` cannot be pulled, any other is there, and a container
without a command and arguments does what its image is registered to do (``images=``), else it sleeps. Liveness and
startup probes are not asked. :mod:`.mounts` says how volumes work, :mod:`.network` how pods are reached.
"""

from __future__ import annotations

import re
import shutil
import threading
import uuid
from pathlib import Path
from typing import Any, Final

from windlass_testing.fakes.kubernetes.network import NODE_ADDRESS, Addresses
from windlass_testing.fakes.kubernetes.pods import PodRun
from windlass_testing.fakes.kubernetes.problems import Problem
from windlass_testing.fakes.kubernetes.processes import Log, Process
from windlass_testing.fakes.kubernetes.resources import named
from windlass_testing.fakes.kubernetes.store import Store, now

Json = dict[str, Any]

NODE: Final = "node1"
_UNITS: Final = {
    "": 1.0, "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50, "Ei": 2.0**60,
}  # fmt: skip
_ALLOCATABLE: Final = {"cpu": "4", "memory": "8Gi", "pods": "110", "ephemeral-storage": "50Gi"}
_INVALID: Final = re.compile(r"^[^/]*\.invalid(:\d+)?/")


def quantity(text: str | float) -> float:
    """Return a quantity such as ``100m`` or ``64Mi`` as a number."""
    match = re.fullmatch(r"([+-]?[0-9.]+(?:[eE][+-]?\d+)?)([a-zA-Z]*)", str(text))
    if match is None or match[2] not in _UNITS:
        raise ValueError(f"{text!r} is no quantity")
    return float(match[1]) * _UNITS[match[2]]


class Kubelet:
    """Runs the pods of the store until it is closed."""

    def __init__(self, store: Store, folder: Path, images: dict[str, list[str]]) -> None:
        self.store = store
        self.folder = folder
        self.images = images
        self.addresses = Addresses()
        #: Seconds from a failed pull, and from a crash, to the next attempt.
        self.backoff = 0.2
        self._pods: dict[str, PodRun] = {}
        #: Pods that have been discarded, and may still be in a list that was read before.
        self._ended: set[str] = set()
        self._lock = threading.Lock()
        self._closing = False
        self._thread = threading.Thread(target=self._loop, name="kubelet", daemon=True)

    def start(self) -> None:
        """Register the node and look after pods from now on."""
        addresses = [{"type": "InternalIP", "address": NODE_ADDRESS}, {"type": "Hostname", "address": NODE}]
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "lastTransitionTime": now()}
        labels = {"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
        status = {"capacity": _ALLOCATABLE, "allocatable": _ALLOCATABLE, "conditions": [ready], "addresses": addresses}
        node: Json = {"metadata": {"name": NODE, "labels": labels}, "spec": {}, "status": status}
        self.store.create(named("nodes"), "", node)
        self._thread.start()

    def close(self) -> None:
        """End every container and wait until all are gone."""
        with self.store.changed:
            self._closing = True
            self.store.changed.notify_all()
        self._thread.join()
        with self._lock:
            runs = list(self._pods.values())
        for run in runs:
            run.stop(0)
        for run in runs:
            run.join()

    def _loop(self) -> None:
        seen = 0
        while True:
            with self.store.changed:
                while self.store.version == seen and not self._closing:
                    self.store.changed.wait()
                if self._closing:
                    return
                seen = self.store.version
                pods = self.store.all(named("pods"))
            self._look_after(pods)

    def _look_after(self, pods: list[Json]) -> None:
        """Start what is new, and stop what is being deleted or gone."""
        with self._lock:
            gone = set(self._pods) - {pod["metadata"]["uid"] for pod in pods}
            leaving = [self._pods[uid] for uid in gone]
            for pod in pods:
                uid = pod["metadata"]["uid"]
                if uid not in self._pods and uid not in self._ended:
                    self._pods[uid] = PodRun(self, pod)
                    self._pods[uid].start()
            runs = dict(self._pods)
        for run in leaving:
            run.stop(0)
        for pod in pods:
            meta = pod["metadata"]
            if meta.get("deletionTimestamp") and meta["uid"] in runs:
                runs[meta["uid"]].stop(int(meta.get("deletionGracePeriodSeconds") or 0))

    # --- What pods ask --------------------------------------------------------------------------------------------

    def reason_to_wait(self, pod: Json) -> str | None:
        """Return why no node can take the pod, None if one can."""
        node = self.store.get(named("nodes"), "", NODE)
        labels = node["metadata"].get("labels") or {}
        if any(labels.get(key) != value for key, value in (pod["spec"].get("nodeSelector") or {}).items()):
            return "0/1 nodes are available: 1 node(s) didn't match node selector."
        for kind in ("cpu", "memory"):
            wanted = sum(
                quantity(((one.get("resources") or {}).get("requests") or {}).get(kind, 0))
                for one in pod["spec"]["containers"]
            )
            if wanted > quantity(node["status"]["allocatable"][kind]):
                return f"0/1 nodes are available: 1 Insufficient {kind}."
        return None

    def cannot_pull(self, image: str) -> bool:
        """Return whether no registry has the image."""
        return _INVALID.match(image) is not None

    def claims(self) -> Path:
        """Return the folder of the persistent volumes."""
        return self.folder / "claims"

    def discard(self, pod: Json) -> None:
        """Forget a pod whose containers have ended, and take its object away if it is being deleted."""
        meta = pod["metadata"]
        shutil.rmtree(self.folder / "pods" / meta["uid"], ignore_errors=True)
        with self._lock:
            self._pods.pop(meta["uid"], None)
            self._ended.add(meta["uid"])
        with self.store.changed:
            current = self.store.find(named("pods"), meta["namespace"], meta["name"])
            if current is not None and current["metadata"]["uid"] == meta["uid"] and not self._closing:
                self.store.remove(named("pods"), meta["namespace"], meta["name"])

    def event(self, pod: Json, kind: str, reason: str, message: str, *, component: str, field: str = "") -> None:
        """Record an event about a pod; one that repeats is counted."""
        meta, at = pod["metadata"], now()
        about = {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": meta["namespace"],
            "name": meta["name"],
            "uid": meta["uid"],
        }
        if field:
            about["fieldPath"] = field
        with self.store.changed:
            for old in self.store.all(named("events"), meta["namespace"]):
                if old["involvedObject"] == about and (old["reason"], old["message"]) == (reason, message):

                    def again(copied: Json) -> None:
                        copied |= {"count": copied["count"] + 1, "lastTimestamp": at}

                    self.store.update(named("events"), meta["namespace"], old["metadata"]["name"], again)
                    return
            body: Json = {
                "metadata": {"name": f"{meta['name']}.{uuid.uuid4().hex[:16]}"},
                "involvedObject": about,
                "reason": reason,
                "message": message,
                "type": kind,
                "count": 1,
                "firstTimestamp": at,
                "lastTimestamp": at,
                "source": {"component": component, "host": NODE},
                "reportingComponent": "",
                "reportingInstance": "",
            }
            self.store.create(named("events"), meta["namespace"], body)

    # --- What the API asks ----------------------------------------------------------------------------------------

    def run_of(self, pod: Json) -> PodRun:
        """Return what runs a pod.

        :raises Problem: 404 if its containers are gone.
        """
        with self._lock:
            run = self._pods.get(pod["metadata"]["uid"])
        if run is None:
            raise Problem(404, "NotFound", f"pod {pod['metadata']['name']} does not run on {NODE}")
        return run

    def log(self, pod: Json, container: str, *, previous: bool) -> Log:
        """Return the log of a container.

        :raises Problem: 400 if it has not started, or never started before.
        """
        return self.run_of(pod).log(container, previous=previous)

    def process(self, pod: Json, container: str) -> Process:
        """Return the running process of a container.

        :raises Problem: 500 if it does not run, as a real kubelet answers.
        """
        return self.run_of(pod).process(container)

    def evict(self, namespace: str, name: str, message: str) -> None:
        """Evict a pod, as a node under pressure does."""
        self.run_of(self.store.get(named("pods"), namespace, name)).fail("Evicted", message)
