"""Triggers that wait for pods and other objects: they look every ``poll_interval`` seconds, in a thread."""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

from windlass.triggers import BaseTrigger, TriggerEvent

if TYPE_CHECKING:
    from windlass_kubernetes.hook import KubernetesHook

Json = dict[str, Any]

#: The least pause between two looks.
_LEAST_PAUSE: Final = 0.1
#: How long an API server may be away.
_PATIENCE: Final = 120.0


class _PollingTrigger(BaseTrigger):
    """Looks again and again until there is something to tell; an API server that is away for a while is waited for."""

    def __init__(
        self,
        *,
        poll_interval: float,
        kubernetes_conn_id: str,
        cluster_context: str | None,
        config_file: str | None,
        in_cluster: bool | None,
    ) -> None:
        self.poll_interval = poll_interval
        self.kubernetes_conn_id = kubernetes_conn_id
        self.cluster_context = cluster_context
        self.config_file = config_file
        self.in_cluster = in_cluster
        self._hook: KubernetesHook | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and what it was made with."""
        arguments = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        return f"windlass_kubernetes.triggers.{type(self).__name__}", arguments

    @abstractmethod
    def look(self, hook: KubernetesHook) -> Json | None:
        """Return what to tell the task, None while there is nothing; called in a thread."""

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until there is something to tell."""
        from windlass_kubernetes.errors import KubernetesRefused, KubernetesUnreachable

        lost: float | None = None
        while True:
            try:
                found = await asyncio.to_thread(self._look)
                lost = None
            except (KubernetesUnreachable, KubernetesRefused) as error:
                if isinstance(error, KubernetesRefused) and error.status != 429 and error.status < 500:
                    raise
                lost = time.monotonic() if lost is None else lost
                if time.monotonic() - lost > _PATIENCE:
                    raise
                found = None
            if found is not None:
                yield TriggerEvent(found)
                return
            await asyncio.sleep(max(self.poll_interval, _LEAST_PAUSE))

    def _look(self) -> Json | None:
        if self._hook is None:
            from windlass_kubernetes.hook import KubernetesHook

            self._hook = KubernetesHook(
                self.kubernetes_conn_id,
                cluster_context=self.cluster_context,
                config_file=self.config_file,
                in_cluster=self.in_cluster,
            )
            # The pauses are the loop's, which they do not hold, rather than the thread's.
            self._hook.patience = 0.0
        return self.look(self._hook)

    async def cleanup(self) -> None:
        """Close the connections."""
        if self._hook is not None:
            self._hook.client.close()


class KubernetesPodTrigger(_PollingTrigger):
    """Fires when a pod's container has ended, the pod cannot start, is gone, or has run for a ``logging_interval``.

    The payload is ``{"status": "ended" | "failed" | "gone" | "running", "message": …}``. ``began`` is the time of the
    deferral, in seconds since 1970, from which the timeouts count.
    """

    def __init__(
        self,
        *,
        pod_name: str,
        pod_namespace: str,
        pod_uid: str,
        base_container_name: str,
        began: float,
        startup_timeout: float,
        schedule_timeout: float,
        poll_interval: float = 2.0,
        logging_interval: float | None = None,
        kubernetes_conn_id: str = "kubernetes_default",
        cluster_context: str | None = None,
        config_file: str | None = None,
        in_cluster: bool | None = None,
    ) -> None:
        super().__init__(
            poll_interval=poll_interval, kubernetes_conn_id=kubernetes_conn_id, cluster_context=cluster_context,
            config_file=config_file, in_cluster=in_cluster,
        )  # fmt: skip
        self.pod_name = pod_name
        self.pod_namespace = pod_namespace
        self.pod_uid = pod_uid
        self.base_container_name = base_container_name
        self.began = began
        self.startup_timeout = startup_timeout
        self.schedule_timeout = schedule_timeout
        self.logging_interval = logging_interval
        self._woken: float | None = None

    def look(self, hook: KubernetesHook) -> Json | None:
        """Look at the pod."""
        from windlass_kubernetes import pod_state
        from windlass_kubernetes.pod_manager import lateness

        pod = hook.get_pod(self.pod_name, self.pod_namespace)
        if pod is None or pod["metadata"]["uid"] != self.pod_uid:
            text = f"pod `{self.pod_name}` in namespace `{self.pod_namespace}` is gone before it ended"
            return {"status": "gone", "message": f"{text}: somebody deleted it, or its node was lost"}
        if pod_state.has_ended(pod, self.base_container_name):
            return {"status": "ended", "message": ""}
        if not pod_state.has_started(pod, self.base_container_name):
            problem = pod_state.startup_problem(pod)
            waited = time.time() - self.began
            problem = problem or lateness(pod, waited, self.startup_timeout, self.schedule_timeout)
            return None if problem is None else {"status": "failed", "message": problem}
        self._woken = time.monotonic() if self._woken is None else self._woken
        if self.logging_interval is not None and time.monotonic() - self._woken >= self.logging_interval:
            return {"status": "running", "message": ""}
        return None


class KubernetesObjectTrigger(_PollingTrigger):
    """Fires when a pod, job or deployment is done, well or badly.

    The payload is ``{"status": "success" | "failed", "message": …}``. An object that is not there has failed, unless
    it need not exist yet (``must_exist=False``).
    """

    def __init__(
        self,
        *,
        api_version: str,
        kind: str,
        name: str,
        namespace: str,
        must_exist: bool = True,
        poll_interval: float = 10.0,
        kubernetes_conn_id: str = "kubernetes_default",
        cluster_context: str | None = None,
        config_file: str | None = None,
        in_cluster: bool | None = None,
    ) -> None:
        super().__init__(
            poll_interval=poll_interval, kubernetes_conn_id=kubernetes_conn_id, cluster_context=cluster_context,
            config_file=config_file, in_cluster=in_cluster,
        )  # fmt: skip
        self.api_version = api_version
        self.kind = kind
        self.name = name
        self.namespace = namespace
        self.must_exist = must_exist

    def look(self, hook: KubernetesHook) -> Json | None:
        """Look at the object."""
        from windlass_kubernetes.object_state import outcome

        manifest = {"apiVersion": self.api_version, "kind": self.kind, "metadata": {"name": self.name}}
        obj = hook.read(manifest, self.namespace)
        if obj is None and not self.must_exist:
            return None
        found = outcome(self.kind, self.name, self.namespace, obj)
        if found is None:
            return None
        return {"status": "success" if found.is_success else "failed", "message": found.text}
