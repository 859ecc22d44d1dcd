"""One task's pod, from its creation to its end: made or found again, watched, read, judged and cleared away."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from logging import Logger
from typing import Any, Final

from windlass.errors import TaskFailed, XComError
from windlass_kubernetes import pod_state
from windlass_kubernetes.errors import KubernetesError, KubernetesRefused, PodFailed, PodLaunchFailed, PodNotFound
from windlass_kubernetes.hook import KubernetesHook
from windlass_kubernetes.logs import Cursor, read_log
from windlass_kubernetes.manifests import SIDECAR, XCOM_FILE, XCOM_TAKEN
from windlass_kubernetes.naming import CHECKED, selector

Json = dict[str, Any]

#: How many lines, and how many events, a failure shows.
_LAST_LINES: Final = 25
_LAST_EVENTS: Final = 15
_NO_RESULT: Final = 3
#: Seconds that the sidecar may take to start once the other container has ended.
_SIDECAR_START: Final = 60.0


class PodManager:
    """Sees the pods of one task through."""

    def __init__(self, hook: KubernetesHook, log: Logger, namespace: str, base: str) -> None:
        """Look after pods of ``namespace`` whose container ``base`` does the work."""
        self.hook = hook
        self.log = log
        self.namespace = namespace
        self.base = base

    # --- Making it ------------------------------------------------------------------------------------------------

    def create_or_attach(self, manifest: Json, identity: Mapping[str, str], *, reattach: bool) -> Json:
        """Return the pod of a task instance: one that an earlier attempt left behind, else a new one.

        :raises TaskFailed: if the specification is refused; no retry can help.
        """
        if reattach and (found := self.find(identity)) is not None:
            self.log.info("attached to %s, which an earlier attempt began", pod_state.who(found))
            return found
        name = manifest["metadata"]["name"]
        while True:
            try:
                made = self.hook.create_pod(manifest, self.namespace)
            except KubernetesRefused as error:
                if error.status in {400, 422}:
                    raise TaskFailed(str(error)) from None
                if error.status != 409:
                    raise
                if (taken := self._taken(name, identity, reattach=reattach)) is not None:
                    return taken
            else:
                self.log.info("created %s", pod_state.who(made))
                return made

    def find(self, identity: Mapping[str, str]) -> Json | None:
        """Return the newest pod of a task instance that is there to be watched, None if there is none."""
        found = [pod for pod in self.hook.find_pods(self.namespace, selector(identity)) if _is_open(pod)]
        return max(found, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), default=None)

    def _taken(self, name: str, identity: Mapping[str, str], *, reattach: bool) -> Json | None:
        """Return the pod that has the name already if it is the task's own; None once the name is free."""
        pod = self.hook.get_pod(name, self.namespace)
        if pod is None:
            return None
        labels = pod["metadata"].get("labels") or {}
        is_own = all(labels.get(key) == value for key, value in identity.items())
        if is_own and _is_open(pod) and reattach:
            return pod
        if not is_own:
            raise KubernetesError(f"{pod_state.who(pod)} exists already and is not of this task; choose another name")
        if "deletionTimestamp" not in pod["metadata"]:
            self.hook.delete_pod(name, self.namespace)
        self.hook.wait_until_gone({**pod, "apiVersion": "v1", "kind": "Pod"}, self.namespace)
        return None

    # --- Watching it ----------------------------------------------------------------------------------------------

    def await_start(self, pod: Json, *, startup_timeout: float, schedule_timeout: float) -> Json:
        """Wait until the container that does the work runs, or has run.

        :raises PodLaunchFailed: if it does not within ``startup_timeout`` seconds, no node takes the pod within
            ``schedule_timeout``, or it is plain that it never will.
        :raises PodNotFound: if the pod is gone.
        """
        began = time.monotonic()
        first = min(startup_timeout, schedule_timeout) if not pod_state.is_scheduled(pod) else startup_timeout
        for state in self._follow(pod, until=began + first):
            if pod_state.has_started(state, self.base):
                return state
            if (problem := pod_state.startup_problem(state)) is not None:
                raise PodLaunchFailed(problem)
            waited = time.monotonic() - began
            if (late := lateness(state, waited, startup_timeout, schedule_timeout)) is not None:
                raise PodLaunchFailed(late)
        raise AssertionError("a pod is followed until it has started")

    def await_end(self, pod: Json) -> Json:
        """Wait until the container that does the work has ended.

        :raises PodNotFound: if the pod is gone before.
        """
        for state in self._follow(pod):
            if pod_state.has_ended(state, self.base):
                return state
        raise AssertionError("a pod is followed until it has ended")

    def _follow(self, pod: Json, until: float | None = None) -> Iterator[Json]:
        manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": pod["metadata"]["name"]}}
        for state in self.hook.follow(manifest, self.namespace, until=until):
            if state is None or state["metadata"]["uid"] != pod["metadata"]["uid"]:
                raise PodNotFound(gone(pod))
            yield state

    # --- Its log --------------------------------------------------------------------------------------------------

    def write_log(self, pod: Json, container: str, cursor: Cursor, *, follow: bool) -> None:
        """Write the lines of a container's log into the task's; with ``follow`` until the container has ended."""
        name = pod["metadata"]["name"]
        mark = "" if container == self.base else f"[{container}] "
        lines = read_log(
            self.hook.client, self.namespace, name, container, cursor,
            has_ended=self._has_ended(name, container), follow=follow,
        )  # fmt: skip
        for line in lines:
            self.log.info("%s%s", mark, line)

    def _has_ended(self, name: str, container: str) -> Callable[[], bool]:
        def ask() -> bool:
            pod = self.hook.get_pod(name, self.namespace)
            return pod is None or pod_state.has_ended(pod, container)

        return ask

    # --- Its end --------------------------------------------------------------------------------------------------

    def judge(self, pod: Json) -> pod_state.Verdict:
        """Return how the pod ended."""
        return pod_state.verdict(pod, self.base)

    def fail(self, pod: Json, verdict: pod_state.Verdict, *, with_log: bool, with_events: bool) -> PodFailed:
        """Return the error of a pod that ended badly, after the log has been told what is known."""
        self.explain(pod, with_log=with_log, with_events=with_events)
        return PodFailed(verdict.text, exit_code=verdict.exit_code, reason=verdict.reason)

    def explain(self, pod: Json, *, with_log: bool, with_events: bool) -> None:
        """Write into the task's log how the pod's containers ended, their last lines and the pod's events."""
        meta = pod["metadata"]
        for status in pod_state.statuses(pod):
            ended = (status.get("state") or {}).get("terminated")
            if ended and ended.get("exitCode") and status["name"] != SIDECAR:
                self.log.error(
                    "container `%s`: exit code %s (%s)", status["name"], ended["exitCode"], ended.get("reason")
                )
                if with_log or status["name"] != self.base:
                    for line in self.hook.last_lines(meta["name"], self.namespace, status["name"], _LAST_LINES):
                        self.log.error("[%s] %s", status["name"], line)
        if with_events:
            for text in self.events(pod):
                self.log.error("%s", text)

    def events(self, pod: Json) -> list[str]:
        """Return the last events of the pod as sentences; none if they cannot be read."""
        try:
            found = self.hook.events_of(pod)
        except KubernetesError as error:
            return [f"the events of the pod cannot be read: {error}"]
        return [
            f"event: {one.get('type', '')} {one.get('reason', '')}: {str(one.get('message') or '').strip()}"
            + (f" ({one['count']} times)" if (one.get("count") or 1) > 1 else "")
            for one in found[-_LAST_EVENTS:]
        ]

    def result(self, pod: Json) -> Any:  # noqa: ANN401 - any JSON value
        """Return the result that the container has left for the sidecar, None if it has left none.

        :raises XComError: if it is no JSON.
        :raises PodFailed: if it cannot be had.
        """
        name = pod["metadata"]["name"]
        self._await_sidecar(pod)
        script = f"if [ -s {XCOM_FILE} ]; then cat {XCOM_FILE}; else exit {_NO_RESULT}; fi"
        done = self.hook.execute(name, self.namespace, SIDECAR, ["sh", "-c", script])
        if done.exit_code not in {0, _NO_RESULT}:
            text = done.stderr.decode("utf-8", "replace").strip()
            raise PodFailed(f"the result in {XCOM_FILE} of {pod_state.who(pod)} cannot be read: {text}")
        self.release_sidecar(pod)
        if done.exit_code == _NO_RESULT:
            return None
        try:
            return json.loads(done.stdout)
        except ValueError as error:
            raise XComError(
                f"{XCOM_FILE} of {pod_state.who(pod)} holds no JSON ({error}); write json.dumps(result)"
            ) from None

    def _await_sidecar(self, pod: Json) -> None:
        """Wait until the sidecar runs, which may start later than the container that does the work."""
        until = time.monotonic() + _SIDECAR_START
        for state in self._follow(pod, until=until):
            found = pod_state.state_of(state, SIDECAR)
            if "running" in found:
                return
            problem = pod_state.startup_problem(state)
            if "terminated" in found or pod_state.phase(state) in {"Succeeded", "Failed"}:
                why = "an earlier attempt has fetched it, or it was ended from outside"
                problem = f"the result of {pod_state.who(pod)} is gone: its sidecar has ended; {why}"
            elif problem is None and time.monotonic() > until:
                problem = f"the sidecar of {pod_state.who(pod)} did not start within {_SIDECAR_START:g} s"
            if problem is not None:
                raise PodFailed(problem)

    def release_sidecar(self, pod: Json) -> None:
        """Let the sidecar end, so that the pod can."""
        self.hook.execute(pod["metadata"]["name"], self.namespace, SIDECAR, ["sh", "-c", f"touch {XCOM_TAKEN}"])

    def clear_away(self, pod: Json, *, action: str, is_success: bool, has_sidecar: bool) -> None:
        """Delete the pod or mark it as judged, as ``on_finish_action`` says; that this fails changes no verdict."""
        name = pod["metadata"]["name"]
        try:
            if action == "delete_pod" or (action == "delete_succeeded_pod" and is_success):
                self.hook.delete_pod(name, self.namespace)
                return
            self.hook.label_pod(name, self.namespace, {CHECKED: "True"})
            if has_sidecar and not is_success and "running" in pod_state.state_of(pod, SIDECAR):
                self.release_sidecar(pod)
        except KubernetesError as error:
            self.log.warning("%s could not be cleared away: %s", pod_state.who(pod), error)


def lateness(pod: Json, waited: float, startup_timeout: float, schedule_timeout: float) -> str | None:
    """Return what to say of a pod that has not started ``waited`` seconds after its creation; None while it may."""
    if not pod_state.is_scheduled(pod) and waited >= min(schedule_timeout, startup_timeout):
        why = pod_state.why_unscheduled(pod).strip().rstrip(".")
        which = "schedule_timeout_seconds" if schedule_timeout <= startup_timeout else "startup_timeout_seconds"
        text = f"no node took {pod_state.who(pod)} within {min(schedule_timeout, startup_timeout):g} s: {why}"
        return f"{text}; ask for less, make room, or raise {which}"
    if waited >= startup_timeout:
        states = ", ".join(f"`{one['name']}` {_in_words(one)}" for one in pod_state.statuses(pod)) or "no container yet"
        text = f"{pod_state.who(pod)} did not start within {startup_timeout:g} s: {states}"
        return f"{text}; raise startup_timeout_seconds if it needs longer"
    return None


def _in_words(status: Json) -> str:
    state = status.get("state") or {}
    if "waiting" in state:
        return f"waits ({state['waiting'].get('reason', '')})"
    return "runs" if "running" in state else "has ended"


def gone(pod: Json) -> str:
    """Return what to say of a pod that is not there any more."""
    return f"{pod_state.who(pod)} is gone before it ended: somebody deleted it, or its node was lost"


def _is_open(pod: Json) -> bool:
    meta = pod["metadata"]
    return "deletionTimestamp" not in meta and (meta.get("labels") or {}).get(CHECKED) != "True"
