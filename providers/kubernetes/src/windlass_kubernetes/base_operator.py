"""What the operators and sensors share: which cluster they reach, and how. The client is imported in ``execute``."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from windlass.operators import BaseOperator

if TYPE_CHECKING:
    from windlass_kubernetes.hook import KubernetesHook


class KubernetesBaseOperator(BaseOperator):
    """The base of the operators and sensors on a cluster.

    Args:
        kubernetes_conn_id: the connection.
        in_cluster: use the service account of the pod around the task.
        cluster_context: the context in the kubeconfig.
        config_file: path of a kubeconfig.
        **kwargs: see BaseOperator.
    """

    def __init__(
        self,
        *,
        kubernetes_conn_id: str | None = "kubernetes_default",
        in_cluster: bool | None = None,
        cluster_context: str | None = None,
        config_file: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.kubernetes_conn_id = kubernetes_conn_id or "kubernetes_default"
        self.in_cluster = in_cluster
        self.cluster_context = cluster_context
        self.config_file = config_file

    @cached_property
    def hook(self) -> KubernetesHook:
        """The hook; made in the task's process."""
        from windlass_kubernetes.hook import KubernetesHook

        return KubernetesHook(**self.cluster_arguments)

    @property
    def cluster_arguments(self) -> dict[str, Any]:
        """What says to a hook or a trigger which cluster to reach, and how."""
        return {
            "kubernetes_conn_id": self.kubernetes_conn_id,
            "cluster_context": self.cluster_context,
            "config_file": self.config_file,
            "in_cluster": self.in_cluster,
        }
