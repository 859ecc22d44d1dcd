"""A secrets backend that reads connections and variables from the Secrets of a cluster."""

from __future__ import annotations

import base64
import json
from functools import cached_property
from typing import Any

from windlass.backends import SecretsBackend
from windlass.errors import SecretsError
from windlass_kubernetes import paths
from windlass_kubernetes.client import KubeClient
from windlass_kubernetes.configuration import Access, default_namespace
from windlass_kubernetes.errors import KubernetesError, KubernetesRefused
from windlass_kubernetes.naming import label_value, object_name

Json = dict[str, Any]


class KubernetesSecretsBackend(SecretsBackend):
    """Finds connections, variables and configuration in Secrets, by a label or by name.

    By label, the Secret of the connection ``db`` is the one with the label ``windlass/connection-id: db``, whatever its
    name. By name (where a prefix is given), it is the one called ``<prefix>db``. Its key ``value`` holds the connection
    as a URI or JSON, or the text of the variable; a Secret without that key holds the fields of a connection, each
    under its own key (``conn_type``, ``host``, ``login``, ``password``, ``schema``, ``port``, ``extra``).

    What a label or a name cannot hold is made to fit as :func:`windlass_kubernetes.naming.label_value` and
    :func:`~windlass_kubernetes.naming.object_name` do.
    """

    def __init__(
        self,
        *,
        namespace: str | None = None,
        connections_label: str | None = "windlass/connection-id",
        variables_label: str | None = "windlass/variable-key",
        config_label: str | None = "windlass/config-key",
        connections_prefix: str | None = None,
        variables_prefix: str | None = None,
        config_prefix: str | None = None,
        data_key: str = "value",
        in_cluster: bool | None = None,
        config_file: str | None = None,
        cluster_context: str | None = None,
        patience: float = 6.0,
    ) -> None:
        """Keep where the Secrets are; nothing is asked yet.

        Args:
            namespace: of the Secrets; by default that of the pod around the server, or of the kubeconfig's context.
            connections_label: the label that holds a connection's id; None looks none up.
            variables_label: the label that holds a variable's key.
            config_label: the label that holds what a ``…_SECRET`` setting refers to.
            connections_prefix: look connections up by name, with this before it, instead.
            variables_prefix: the same for variables.
            config_prefix: the same for configuration.
            data_key: the key of the Secret that holds the value.
            in_cluster: use the service account of the pod around the server.
            config_file: path of a kubeconfig.
            cluster_context: the context in the kubeconfig.
            patience: seconds for which a lookup is repeated that fails in a passing way; an answer is due within 10.
        """
        self._patience = patience
        self._places = {
            "connection": (connections_label, connections_prefix),
            "variable": (variables_label, variables_prefix),
            "setting": (config_label, config_prefix),
        }
        self._namespace = namespace
        self._data_key = data_key
        self._access = Access(in_cluster=in_cluster, kube_config_path=config_file, cluster_context=cluster_context)

    @cached_property
    def _client(self) -> KubeClient:
        return KubeClient(self._access, patience=self._patience, timeout=3.0)

    @cached_property
    def namespace(self) -> str:
        """The namespace of the Secrets."""
        return self._namespace or default_namespace(self._access) or "default"

    def get_conn_value(self, conn_id: str) -> str | None:
        """Return the connection as a URI or as JSON."""
        data = self._data("connection", conn_id)
        if data is None:
            return None
        return data[self._data_key] if self._data_key in data else json.dumps(data)

    def get_variable(self, key: str) -> str | None:
        """Return the text of the variable."""
        return self._value("variable", key)

    def get_config(self, key: str) -> str | None:
        """Return what a setting refers to."""
        return self._value("setting", key)

    def _value(self, kind: str, key: str) -> str | None:
        data = self._data(kind, key)
        if data is None:
            return None
        if self._data_key not in data:
            raise SecretsError(
                f"the Secret of {kind} `{key}` in namespace `{self.namespace}` has no key `{self._data_key}`; add it"
            )
        return data[self._data_key]

    def _data(self, kind: str, key: str) -> dict[str, str] | None:
        label, prefix = self._places[kind]
        path = paths.collection("v1", "secrets", self.namespace)
        try:
            if prefix is not None:
                name = object_name(prefix + key)
                found = [self._client.ask(f"read secret `{name}`", "GET", f"{path}/{name}")]
            elif label is not None:
                query = {"labelSelector": f"{label}={label_value(key)}"}
                found = self._client.ask(f"look up {kind} `{key}`", "GET", path, query=query)["items"]
            else:
                return None
        except KubernetesRefused as error:
            if error.status == 404:
                return None
            raise SecretsError(str(error)) from None
        except KubernetesError as error:
            raise SecretsError(str(error)) from None
        if len(found) > 1:
            names = ", ".join(sorted(f"`{one['metadata']['name']}`" for one in found))
            raise SecretsError(
                f"{kind} `{key}` is in several Secrets of namespace `{self.namespace}` ({names}); keep one"
            )
        return _decoded(found[0], kind, key) if found else None


def _decoded(secret: Json, kind: str, key: str) -> dict[str, str]:
    try:
        return {name: base64.b64decode(value).decode() for name, value in (secret.get("data") or {}).items()}
    except ValueError:
        name = secret["metadata"]["name"]
        raise SecretsError(f"the Secret `{name}` of {kind} `{key}` holds bytes that are no text; store UTF-8") from None
