"""The manifest of windlass-kubernetes."""

from __future__ import annotations

from windlass.plugin import ConnectionField, ConnectionType, Provider, hookimpl

_FIELDS = (
    ConnectionField(name="host", label="API server", description="Address, if no kubeconfig says it."),
    ConnectionField(name="port", kind="int", label="Port"),
    ConnectionField(name="password", label="Token", description="Bearer token for the address.", secret=True),
    ConnectionField(name="namespace", label="Namespace", description="Where objects go that name none."),
    ConnectionField(
        name="in_cluster", kind="bool", label="In cluster", description="Use the service account of the pod around."
    ),
    ConnectionField(name="kube_config_path", label="Kubeconfig path", description="On the machine that runs the task."),
    ConnectionField(name="kube_config", kind="json", label="Kubeconfig", description="A whole one.", secret=True),
    ConnectionField(name="cluster_context", label="Context", description="In the kubeconfig; else its current one."),
    ConnectionField(
        name="disable_verify_ssl", kind="bool", label="Do not check the certificate", default=False
    ),
    ConnectionField(name="disable_tcp_keepalive", kind="bool", label="No TCP keep-alive", default=False),
    ConnectionField(
        name="patience", kind="float", label="Patience", default=120.0,
        description="Seconds for which the API server may be away before a request fails.",
    ),
    ConnectionField(name="ssl_ca_cert", label="CA file", description="PEM file of the CA, for the address."),
    ConnectionField(
        name="xcom_sidecar_container_image", label="Sidecar image", description="Keeps a pod's result; needs a shell.",
        default="alpine",
    ),
    ConnectionField(name="xcom_sidecar_container_resources", kind="json", label="Sidecar resources"),
)  # fmt: skip


@hookimpl
def windlass_provider() -> Provider:
    """Return what this distribution brings."""
    return Provider(
        name="kubernetes",
        description="Run Windlass tasks as Kubernetes pods and jobs, and manage Kubernetes objects.",
        connection_types=(
            ConnectionType(
                conn_type="kubernetes",
                label="Kubernetes",
                hook="windlass_kubernetes.hook:KubernetesHook",
                description="A Kubernetes cluster; without any field, as kubectl finds it.",
                fields=_FIELDS,
            ),
        ),
        hooks={"KubernetesHook": "windlass_kubernetes.hook:KubernetesHook"},
        operators={
            name: f"windlass_kubernetes.operators:{name}"
            for name in (
                "KubernetesPodOperator",
                "KubernetesJobOperator",
                "KubernetesDeleteJobOperator",
                "KubernetesPatchJobOperator",
                "KubernetesCreateResourceOperator",
                "KubernetesApplyResourceOperator",
                "KubernetesDeleteResourceOperator",
            )
        },
        sensors={
            name: f"windlass_kubernetes.sensors:{name}"
            for name in ("KubernetesPodSensor", "KubernetesJobSensor", "KubernetesDeploymentRolloutSensor")
        },
        triggers={
            f"windlass_kubernetes.triggers.{name}": f"windlass_kubernetes.triggers:{name}"
            for name in ("KubernetesPodTrigger", "KubernetesObjectTrigger")
        },
        task_decorators={"kubernetes": "windlass_kubernetes.decorators:kubernetes_task"},
        secrets_backends={"KubernetesSecretsBackend": "windlass_kubernetes.secrets_backend:KubernetesSecretsBackend"},
    )
