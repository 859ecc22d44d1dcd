"""The controller of deployments."""

from __future__ import annotations

import copy
import hashlib
import json
from typing import Any

from windlass_testing.fakes.kubernetes.admission import default_pod
from windlass_testing.fakes.kubernetes.controller import Controller, age, condition, is_leaving, is_ready, reference
from windlass_testing.fakes.kubernetes.resources import named

Json = dict[str, Any]


class DeploymentController(Controller):
    """Keeps the replicas of a deployment up, and rolls out its changes."""

    def reconcile(self, deployment: Json) -> None:
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
        old = [pod for one in sets if one is not newest for pod in self._owned(one, "pods") if not is_leaving(pod)]
        if available:
            for pod in old:
                self._delete(pod)
        updated = [pod for pod in self._owned(newest, "pods") if not is_leaving(pod)]
        old_ready = [pod for pod in old if is_ready(pod)]
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
        elif age(began) > deployment["spec"]["progressDeadlineSeconds"]:
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
        pods = [pod for pod in self._owned(replica_set, "pods") if not is_leaving(pod)]
        alive = [pod for pod in pods if pod["status"]["phase"] in {"Pending", "Running"}]
        for _ in range(replicas - len(alive)):
            self._pod(replica_set, replica_set["spec"]["template"], {}, {})
        for pod in alive[replicas:]:
            self._delete(pod)
        return [pod for pod in alive[:replicas] if is_ready(pod)]
