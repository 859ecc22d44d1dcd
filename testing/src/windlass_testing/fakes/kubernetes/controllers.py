"""The controllers of jobs and deployments: one loop that looks at everything again whenever something has changed."""

from __future__ import annotations

import copy
import hashlib
import json
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from windlass_testing.fakes.kubernetes.admission import default_pod
from windlass_testing.fakes.kubernetes.problems import Problem
from windlass_testing.fakes.kubernetes.resources import RESOURCES, named
from windlass_testing.fakes.kubernetes.store import Store, now

Json = dict[str, Any]

#: How long the loop sleeps at most: deadlines come without a change.
_TICK: Final = 0.2


class Controllers:
    """Reconciles jobs and deployments until it is closed."""

    def __init__(self, store: Store, create: Callable[[str, str, Json], Json]) -> None:
        self.store = store
        self._create = create
        self._closing = False
        self._thread = threading.Thread(target=self._loop, name="controllers", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End the loop."""
        with self.store.changed:
            self._closing = True
            self.store.changed.notify_all()
        self._thread.join()

    def _loop(self) -> None:
        seen = 0
        while True:
            with self.store.changed:
                if self.store.version == seen:
                    self.store.changed.wait(_TICK)
                if self._closing:
                    return
                seen = self.store.version
            for namespace in self.store.all(named("namespaces")):
                if "deletionTimestamp" in namespace["metadata"]:
                    self._empty(namespace["metadata"]["name"])
            for plural, reconcile in (("jobs", self._job), ("deployments", self._deployment)):
                for obj in self.store.all(named(plural)):
                    if "deletionTimestamp" not in obj["metadata"]:
                        with self.store.changed:
                            self._reconcile(plural, obj, reconcile)

    def _reconcile(self, plural: str, obj: Json, reconcile: Callable[[Json], None]) -> None:
        meta = obj["metadata"]
        current = self.store.find(named(plural), meta["namespace"], meta["name"])
        if current is None or current["metadata"]["uid"] != meta["uid"]:
            return
        try:
            reconcile(current)
        except (
            Problem
        ) as problem:  # such as a template that no longer is admitted: a controller says so and tries again
            self._note(current, "FailedCreate", f"Error creating: {problem.message}")

    def _empty(self, namespace: str) -> None:
        """Delete what is in a namespace, and at last the namespace."""
        with self.store.changed:
            for resource in RESOURCES:
                for obj in self.store.all(resource, namespace) if resource.namespaced else []:
                    meta = obj["metadata"]
                    if "deletionTimestamp" not in meta and self.store.find(resource, namespace, meta["name"]):
                        grace = obj.get("spec", {}).get("terminationGracePeriodSeconds", 30)
                        self.store.delete(resource, namespace, meta["name"], propagation="Background", grace=grace)
            if not any(self.store.all(resource, namespace) for resource in RESOURCES if resource.namespaced):
                self.store.update(named("namespaces"), "", namespace, _without_finalizers)

    def _note(self, obj: Json, reason: str, message: str, kind: str = "Warning") -> None:
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

    # --- Jobs -----------------------------------------------------------------------------------------------------

    def _job(self, job: Json) -> None:
        spec, status = job["spec"], copy.deepcopy(job["status"])
        if any(one["type"] in {"Complete", "Failed"} for one in status.get("conditions") or []):
            self._expire(job)
            return
        pods = self._owned(job, "pods")
        active = [pod for pod in pods if pod["status"]["phase"] in {"Pending", "Running"} and not _leaving(pod)]
        succeeded = sum(pod["status"]["phase"] == "Succeeded" for pod in pods)
        failed = sum(pod["status"]["phase"] == "Failed" for pod in pods)
        failed += (
            sum(_restarts(pod) for pod in active) if spec["template"]["spec"]["restartPolicy"] == "OnFailure" else 0
        )
        if not spec.get("suspend"):
            status.setdefault("startTime", now())
        status |= {"active": len(active), "succeeded": succeeded, "failed": failed}
        verdict = self._job_verdict(spec, status, active)
        if verdict is not None:
            kind, reason, message = verdict
            if kind == "Failed":
                for pod in active:
                    self._delete(pod)
                self._note(job, reason, message)
            else:
                status["completionTime"] = now()
            status["active"] = 0
            status["conditions"] = [condition(kind, "True", reason, message)]
        elif spec.get("suspend"):
            for pod in active:
                self._delete(pod)
            status["active"] = 0
        else:
            wanted = spec["parallelism"]
            if spec.get("completions") is not None:
                wanted = min(wanted, spec["completions"] - succeeded)
            elif succeeded:
                wanted = 0
            for _ in range(wanted - len(active)):
                self._job_pod(job)
                status["active"] += 1
        self._status(job, "jobs", {key: value for key, value in status.items() if value not in (0, None)})

    def _job_verdict(self, spec: Json, status: Json, active: list[Json]) -> tuple[str, str, str] | None:
        if status["failed"] > spec["backoffLimit"]:
            return "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"
        deadline = spec.get("activeDeadlineSeconds")
        if deadline is not None and "startTime" in status and _age(status["startTime"]) >= deadline:
            return "Failed", "DeadlineExceeded", "Job was active longer than specified deadline"
        if spec.get("completions") is not None:
            return ("Complete", "", "") if status["succeeded"] >= spec["completions"] else None
        return ("Complete", "", "") if status["succeeded"] and not active else None

    def _job_pod(self, job: Json) -> None:
        meta, template = job["metadata"], copy.deepcopy(job["spec"]["template"])
        labels = {"job-name": meta["name"], "controller-uid": meta["uid"]}
        annotations = {}
        if job["spec"].get("completionMode") == "Indexed":
            taken = {
                (pod["metadata"].get("annotations") or {}).get("batch.kubernetes.io/job-completion-index")
                for pod in self._owned(job, "pods")
                if pod["status"]["phase"] != "Failed"
            }
            index = next(str(n) for n in range(job["spec"]["completions"]) if str(n) not in taken)
            annotations["batch.kubernetes.io/job-completion-index"] = index
            for container in template["spec"]["containers"]:
                container["env"] = [*(container.get("env") or []), {"name": "JOB_COMPLETION_INDEX", "value": index}]
        self._pod(job, template, labels, annotations)

    def _expire(self, job: Json) -> None:
        seconds, meta = job["spec"].get("ttlSecondsAfterFinished"), job["metadata"]
        if seconds is None:
            return
        ended = job["status"]["conditions"][0]["lastTransitionTime"]
        if _age(ended) >= seconds:
            self.store.delete(named("jobs"), meta["namespace"], meta["name"], propagation="Background", grace=0)

    def _delete(self, pod: Json) -> None:
        meta = pod["metadata"]
        if "deletionTimestamp" not in meta:
            grace = pod["spec"].get("terminationGracePeriodSeconds", 30)
            self.store.delete(named("pods"), meta["namespace"], meta["name"], propagation="Background", grace=grace)

    # --- Deployments ----------------------------------------------------------------------------------------------

    def _deployment(self, deployment: Json) -> None:
        """Bring up a replica set of the newest template, then let the older ones go."""
        meta, spec = deployment["metadata"], deployment["spec"]
        if spec.get("paused"):
            return
        digest = hashlib.sha256(json.dumps(spec["template"], sort_keys=True).encode()).hexdigest()[:10]
        sets = self._owned(deployment, "replicasets")
        newest = next((one for one in sets if one["metadata"]["labels"]["pod-template-hash"] == digest), None)
        if newest is None:
            newest = self._replica_set(deployment, digest)
        ready = self._fill(newest, spec["replicas"])
        available = len(ready) >= spec["replicas"]
        old = [pod for one in sets if one is not newest for pod in self._owned(one, "pods") if not _leaving(pod)]
        if available:
            for pod in old:
                self._delete(pod)
        updated = [pod for pod in self._owned(newest, "pods") if not _leaving(pod)]
        old_ready = [pod for pod in old if _is_ready(pod)]
        status: Json = {
            "observedGeneration": meta["generation"],
            "replicas": len(updated) + (0 if available else len(old)),
            "updatedReplicas": min(len(updated), spec["replicas"]),
            "readyReplicas": len(ready) + (0 if available else len(old_ready)),
            "availableReplicas": len(ready) + (0 if available else len(old_ready)),
            "unavailableReplicas": max(0, spec["replicas"] - len(ready)),
            "conditions": self._conditions(deployment, newest, is_available=available),
        }
        self._status(deployment, "deployments", {key: value for key, value in status.items() if value != 0})

    def _conditions(self, deployment: Json, newest: Json, *, is_available: bool) -> list[Json]:
        name = newest["metadata"]["name"]
        began = newest["metadata"]["creationTimestamp"]
        if is_available:
            text = f'ReplicaSet "{name}" has successfully progressed.'
            progressing = condition("Progressing", "True", "NewReplicaSetAvailable", text)
        elif _age(began) > deployment["spec"]["progressDeadlineSeconds"]:
            text = f'ReplicaSet "{name}" has timed out progressing.'
            progressing = condition("Progressing", "False", "ProgressDeadlineExceeded", text)
        else:
            text = f'ReplicaSet "{name}" is progressing.'
            progressing = condition("Progressing", "True", "ReplicaSetUpdated", text)
        if is_available:
            available = condition(
                "Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability."
            )
        else:
            text = "Deployment does not have minimum availability."
            available = condition("Available", "False", "MinimumReplicasUnavailable", text)
        return [available, progressing]

    def _replica_set(self, deployment: Json, digest: str) -> Json:
        meta, spec = deployment["metadata"], deployment["spec"]
        template = copy.deepcopy(spec["template"])
        default_pod(template["spec"])
        labels = {**(template.get("metadata") or {}).get("labels", {}), "pod-template-hash": digest}
        template["metadata"] = {**(template.get("metadata") or {}), "labels": labels}
        body: Json = {
            "metadata": {
                "name": f"{meta['name']}-{digest}",
                "labels": labels,
                "ownerReferences": [reference(deployment)],
            },
            "spec": {"replicas": spec["replicas"], "selector": {"matchLabels": labels}, "template": template},
            "status": {"replicas": 0},
        }
        return self.store.create(named("replicasets"), meta["namespace"], body)

    def _fill(self, replica_set: Json, replicas: int) -> list[Json]:
        """Make or delete pods until there are as many as wanted; return those that are ready."""
        pods = [pod for pod in self._owned(replica_set, "pods") if not _leaving(pod)]
        alive = [pod for pod in pods if pod["status"]["phase"] in {"Pending", "Running"}]
        for _ in range(replicas - len(alive)):
            self._pod(replica_set, replica_set["spec"]["template"], {}, {})
        for pod in alive[replicas:]:
            self._delete(pod)
        return [pod for pod in alive[:replicas] if _is_ready(pod)]


def condition(kind: str, status: str, reason: str, message: str) -> Json:
    """Return a condition of a status, as of now."""
    made = {"type": kind, "status": status, "lastTransitionTime": now(), "lastProbeTime": now()}
    return made | ({"reason": reason, "message": message} if reason else {})


def reference(owner: Json) -> Json:
    """Return the reference of a controller's object to its owner."""
    meta = owner["metadata"]
    return {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": meta["name"], "uid": meta["uid"],
            "controller": True, "blockOwnerDeletion": True}  # fmt: skip


def _without_finalizers(namespace: Json) -> None:
    namespace["metadata"]["finalizers"] = []


def _kinds(status: Json) -> list[tuple[str, str, str]]:
    return [(one["type"], one["status"], one.get("reason", "")) for one in status.get("conditions") or []]


def _leaving(pod: Json) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def _is_ready(pod: Json) -> bool:
    return any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions") or [])


def _restarts(pod: Json) -> int:
    return sum(int(one["restartCount"]) for one in pod["status"].get("containerStatuses") or [])


def _age(moment: str) -> float:
    return time.time() - datetime.strptime(moment, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
