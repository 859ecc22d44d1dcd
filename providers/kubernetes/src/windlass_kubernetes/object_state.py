"""Whether a pod, a job or a deployment is done, and how: pure functions of its dict."""

from __future__ import annotations

from typing import Any

import msgspec

from windlass_kubernetes import pod_state

Json = dict[str, Any]


class Outcome(msgspec.Struct, frozen=True):
    """How an object came out."""

    is_success: bool
    text: str


def outcome(kind: str, name: str, namespace: str, obj: Json | None) -> Outcome | None:
    """Return how an object came out, None while it is under way.

    An object that is not there has failed, since nothing will come of it.
    """
    who = f"{kind.lower()} `{name}` in namespace `{namespace}`"
    if obj is None:
        return Outcome(is_success=False, text=f"{who} is not there; check its name, or wait for what makes it first")
    match kind:
        case "Pod":
            return _pod(who, obj)
        case "Job":
            return _job(who, obj)
        case "Deployment":
            return _deployment(who, obj)
    raise ValueError(f"nothing is known of when a {kind} is done")


def _pod(who: str, pod: Json) -> Outcome | None:
    phase = pod_state.phase(pod)
    if phase == "Succeeded":
        return Outcome(is_success=True, text=f"{who} succeeded")
    if phase != "Failed":
        return None
    failed = next((one for one in pod_state.statuses(pod)
                   if ((one.get("state") or {}).get("terminated") or {}).get("exitCode")), None)  # fmt: skip
    container = failed["name"] if failed else pod["spec"]["containers"][0]["name"]
    return Outcome(is_success=False, text=pod_state.verdict(pod, container).text)


def _job(who: str, job: Json) -> Outcome | None:
    for one in (job.get("status") or {}).get("conditions") or []:
        if one.get("status") == "True" and one["type"] == "Complete":
            return Outcome(is_success=True, text=f"{who} is complete")
        if one.get("status") == "True" and one["type"] == "Failed":
            message = str(one.get("message") or "").rstrip(".")
            return Outcome(is_success=False, text=f"{who} failed ({one.get('reason', '')}): {message}")
    return None


def _deployment(who: str, deployment: Json) -> Outcome | None:
    """Judge a rollout as kubectl does: every replica is of the newest template, available, and no older one is left."""
    meta, spec, status = deployment["metadata"], deployment["spec"], deployment.get("status") or {}
    if status.get("observedGeneration", 0) < meta.get("generation", 1):
        return None
    for one in status.get("conditions") or []:
        if one["type"] == "Progressing" and one.get("reason") == "ProgressDeadlineExceeded":
            message = str(one.get("message") or "").rstrip(".")
            return Outcome(is_success=False, text=f"the rollout of {who} is stuck: {message}; look at its pods")
    wanted = spec.get("replicas", 1)
    updated = status.get("updatedReplicas", 0)
    if updated < wanted or status.get("replicas", 0) > updated or status.get("availableReplicas", 0) < updated:
        return None
    return Outcome(is_success=True, text=f"{who} is rolled out: {wanted} replicas")
