"""Sensors that wait for a pod, a job, or the rollout of a deployment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from windlass.errors import TaskFailed
from windlass.operators import Context
from windlass.sensors import BaseSensorOperator
from windlass_kubernetes.base_operator import KubernetesBaseOperator

Json = dict[str, Any]


class _ObjectSensor(KubernetesBaseOperator, BaseSensorOperator):
    """Waits until an object is done. One that is not there yet is waited for; one that failed fails the task."""

    template_fields: Sequence[str] = ("name", "namespace", "kubernetes_conn_id", "cluster_context", "config_file")
    _api_version: ClassVar[str]
    _kind: ClassVar[str]

    def __init__(
        self,
        *,
        name: str,
        namespace: str | None = None,
        deferrable: bool = False,
        **kwargs: Any,
    ) -> None:
        """Declare the sensor.

        Args:
            name: of the object.
            namespace: by default the connection's.
            deferrable: let a trigger look every ``poke_interval`` seconds.
            **kwargs: see KubernetesBaseOperator and BaseSensorOperator.
        """
        super().__init__(**kwargs)
        self.name = name
        self.namespace = namespace
        self.deferrable = deferrable

    def poke(self, context: Context) -> bool:
        """Look at the object.

        :raises TaskFailed: if it failed; no retry can help.
        """
        from windlass_kubernetes.object_state import outcome

        namespace = self.namespace or self.hook.get_namespace()
        manifest = {"apiVersion": self._api_version, "kind": self._kind, "metadata": {"name": self.name}}
        obj = self.hook.read(manifest, namespace)
        if obj is None:
            self.log.info("%s `%s` is not there yet", self._kind.lower(), self.name)
            return False
        found = outcome(self._kind, self.name, namespace, obj)
        if found is not None and not found.is_success:
            raise TaskFailed(found.text)
        return found is not None

    def execute(self, context: Context) -> Any:  # noqa: ANN401 - the base's signature
        """Look here, or defer until it is done."""
        if self.deferrable and not self.poke(context):
            from windlass_kubernetes.triggers import KubernetesObjectTrigger

            trigger = KubernetesObjectTrigger(
                api_version=self._api_version, kind=self._kind, name=self.name,
                namespace=self.namespace or self.hook.get_namespace(), must_exist=False,
                poll_interval=self.poke_interval, **self.cluster_arguments,
            )  # fmt: skip
            self.defer_to(trigger)
        return None if self.deferrable else super().execute(context)

    def execute_complete(self, context: Context, event: Mapping[str, Any] | None = None) -> None:
        """Judge what the trigger has found.

        :raises TaskFailed: if the object failed; no retry can help.
        """
        if event is not None and event["status"] == "failed":
            raise TaskFailed(str(event["message"]))


class KubernetesPodSensor(_ObjectSensor):
    """Wait until a pod has succeeded."""

    _api_version, _kind = "v1", "Pod"


class KubernetesJobSensor(_ObjectSensor):
    """Wait until a job is complete."""

    _api_version, _kind = "batch/v1", "Job"


class KubernetesDeploymentRolloutSensor(_ObjectSensor):
    """Wait until a deployment is rolled out, as ``kubectl rollout status`` does; a rollout that is stuck fails."""

    _api_version, _kind = "apps/v1", "Deployment"
