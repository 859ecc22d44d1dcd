"""What the state of a pod means: pure functions of its dict."""

from __future__ import annotations

from typing import Any, Final

import msgspec

Json = dict[str, Any]

#: Reasons for which a container waits that do not pass by themselves.
_HOPELESS: Final = {
    "ErrImagePull": "its image `{image}` cannot be pulled",
    "ImagePullBackOff": "its image `{image}` cannot be pulled",
    "InvalidImageName": "the name of its image, `{image}`, is invalid",
    "ErrImageNeverPull": "its image `{image}` is not on the node, and image_pull_policy forbids to pull it",
    "CreateContainerConfigError": "a secret, a config map or a key that it needs is missing",
    "CreateContainerError": "it cannot be created",
    "RunContainerError": "it cannot be started",
}
_POD_REASONS: Final = {
    "Evicted": "was evicted from its node",
    "DeadlineExceeded": "was active for longer than its active_deadline_seconds",
    "Preempted": "had to make room for a more important pod",
    "NodeLost": "was lost together with its node",
    "NodeShutdown": "was ended because its node shut down",
    "Shutdown": "was ended because its node shut down",
}


class Verdict(msgspec.Struct, frozen=True):
    """How a pod ended."""

    is_success: bool
    text: str
    exit_code: int | None = None
    reason: str = ""


def who(pod: Json) -> str:
    """Return what sentences call a pod."""
    return f"pod `{pod['metadata']['name']}` in namespace `{pod['metadata'].get('namespace', '')}`"


def phase(pod: Json) -> str:
    """Return Pending, Running, Succeeded, Failed or Unknown."""
    return str((pod.get("status") or {}).get("phase") or "Pending")


def statuses(pod: Json) -> list[Json]:
    """Return the statuses of its containers, the init containers' first."""
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def state_of(pod: Json, container: str) -> Json:
    """Return the state of a container: a dict with ``waiting``, ``running`` or ``terminated``, or empty."""
    return next((one.get("state") or {} for one in statuses(pod) if one["name"] == container), {})


def is_scheduled(pod: Json) -> bool:
    """Return whether a node has taken it."""
    return bool((pod.get("spec") or {}).get("nodeName"))


def has_started(pod: Json, container: str) -> bool:
    """Return whether a container runs or has run, or the pod has ended without it."""
    state = state_of(pod, container)
    return "running" in state or "terminated" in state or phase(pod) in {"Succeeded", "Failed"}


def has_ended(pod: Json, container: str) -> bool:
    """Return whether a container has ended for good."""
    if phase(pod) in {"Succeeded", "Failed"}:
        return True
    restarts = (pod.get("spec") or {}).get("restartPolicy", "Never") != "Never"
    return "terminated" in state_of(pod, container) and not restarts


def startup_problem(pod: Json) -> str | None:
    """Return why a pod that has not started never will, None while it may."""
    images = {one["name"]: one.get("image", "") for one in _containers(pod)}
    for one in statuses(pod):
        waiting = (one.get("state") or {}).get("waiting") or {}
        reason = waiting.get("reason", "")
        if reason in _HOPELESS:
            why = _HOPELESS[reason].format(image=images.get(one["name"], one.get("image", "")))
            message = f": {waiting['message']}" if waiting.get("message") else ""
            return f"{who(pod)} cannot start: container `{one['name']}`: {why} ({reason}{message})"
    return None


def why_unscheduled(pod: Json) -> str:
    """Return what the scheduler says about a pod that no node has taken."""
    for one in (pod.get("status") or {}).get("conditions") or []:
        if one["type"] == "PodScheduled" and one["status"] != "True" and one.get("message"):
            return str(one["message"])
    return "the scheduler has not said why"


def verdict(pod: Json, container: str) -> Verdict:
    """Return how a pod ended whose container ``container`` does the work."""
    status = pod.get("status") or {}
    ended = state_of(pod, container).get("terminated")
    if ended is not None and ended.get("exitCode") == 0 and not status.get("reason"):
        return Verdict(is_success=True, text=f"{who(pod)} succeeded", exit_code=0, reason="Completed")
    if reason := str(status.get("reason") or ""):
        how = _POD_REASONS.get(reason, f"failed ({reason})")
        message = f": {status['message'].strip().rstrip('.')}" if status.get("message") else ""
        code = None if ended is None else int(ended["exitCode"])
        return Verdict(is_success=False, text=f"{who(pod)} {how}{message}", exit_code=code, reason=reason)
    failed_init = next((one for one in status.get("initContainerStatuses") or [] if _code(one) not in {None, 0}), None)
    if ended is None and failed_init is not None:
        return _by_container(pod, failed_init["name"], failed_init["state"]["terminated"], kind="init container")
    if ended is None:
        return Verdict(is_success=False, text=f"{who(pod)} ended in phase {phase(pod)} before `{container}` ran")
    return _by_container(pod, container, ended, kind="container")


def _by_container(pod: Json, name: str, ended: Json, *, kind: str) -> Verdict:
    code, reason = int(ended["exitCode"]), str(ended.get("reason") or "Error")
    message = f": {ended['message'].strip()}" if ended.get("message") else ""
    if reason == "OOMKilled":
        limit = next(
            (((one.get("resources") or {}).get("limits") or {}).get("memory") for one in _containers(pod)
             if one["name"] == name), None,
        )  # fmt: skip
        of = f"its limit of {limit}" if limit else "its node could give"
        text = f"{who(pod)} failed: {kind} `{name}` used more memory than {of} and was killed (OOMKilled)"
        remedy = "; raise the memory limit in container_resources, or let the task use less"
        return Verdict(is_success=False, text=text + remedy, exit_code=code, reason=reason)
    text = f"{who(pod)} failed: {kind} `{name}` ended with exit code {code} ({reason}){message}"
    return Verdict(is_success=False, text=text, exit_code=code, reason=reason)


def _code(status: Json) -> int | None:
    ended = (status.get("state") or {}).get("terminated")
    return None if ended is None else int(ended["exitCode"])


def _containers(pod: Json) -> list[Json]:
    spec = pod.get("spec") or {}
    return [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]
