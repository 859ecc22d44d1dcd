"""From a connection to the client library's configuration: where the API server is and how to log in to it.

Only here are kubeconfigs read, by the library, which knows exec plug-ins, certificates and tokens that expire. An
argument of the hook wins over the connection. Without any of them, inside a pod its service account is used, else the
kubeconfig of the machine (``KUBECONFIG``, ``~/.kube/config``).
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

import msgspec

from windlass.errors import ConfigError
from windlass.hooks import Connection

Json = dict[str, Any]

_TOKEN: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
_NAMESPACE: Final = _TOKEN.with_name("namespace")


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach a cluster; what is not given is None or False."""

    conn_id: str | None = None
    in_cluster: bool | None = None
    kube_config_path: str | None = None
    kube_config: str | Json | None = None
    cluster_context: str | None = None
    namespace: str | None = None
    disable_verify_ssl: bool = False
    disable_tcp_keepalive: bool = False
    ssl_ca_cert: str | None = None
    host: str | None = None
    port: int | None = None
    token: str | None = None
    #: Seconds for which the API server may be away.
    patience: float = 120.0

    def __repr__(self) -> str:
        return f"Access(conn_id={self.conn_id!r})"


def access(connection: Connection | None, conn_id: str | None, **arguments: Any) -> Access:
    """Return how to reach the cluster of a connection; ``arguments`` that are not None win over it.

    :raises ConfigError: if the connection says something that cannot be.
    """
    extra = {} if connection is None else connection.extra_dejson
    given: Json = {name: extra[name] for name in _EXTRA if extra.get(name) not in (None, "")}
    if connection is not None:
        given |= {"host": connection.host or None, "port": connection.port, "token": connection.password or None}
    given |= {name: value for name, value in arguments.items() if value is not None}
    for name in ("in_cluster", "disable_verify_ssl", "disable_tcp_keepalive"):
        if isinstance(given.get(name), str):
            given[name] = given[name].lower() in {"1", "true", "yes"}
    try:
        made = Access(conn_id=conn_id, **{**given, "patience": float(given.get("patience", 120.0))})
    except ValueError:
        raise ConfigError(f"connection `{conn_id}`: patience must be a number of seconds") from None
    chosen = [name for name in ("in_cluster", "kube_config_path", "kube_config", "host") if getattr(made, name)]
    if len(chosen) > 1:
        raise ConfigError(f"connection `{conn_id}` says {' and '.join(chosen)}, which exclude each other; keep one")
    return made


_EXTRA: Final = ("in_cluster", "kube_config_path", "kube_config", "cluster_context", "namespace", "disable_verify_ssl",
                 "disable_tcp_keepalive", "ssl_ca_cert", "patience")  # fmt: skip


def configure(to: Access) -> Any:  # noqa: ANN401 - kubernetes.client.Configuration, which is not imported by those who call
    """Return the library's configuration.

    :raises ConfigError: if there is no kubeconfig, or it cannot be used.
    """
    from kubernetes import client
    from kubernetes.config import ConfigException

    config = _library()
    made = client.Configuration()
    who = f"connection `{to.conn_id}`" if to.conn_id else "Kubernetes"
    try:
        if to.host:
            _by_host(to, made)
        elif to.in_cluster or (to.in_cluster is None and _is_unsaid(to) and _TOKEN.exists()):
            config.load_incluster_config(client_configuration=made)
        elif to.kube_config is not None:
            config.load_kube_config_from_dict(_parsed(to), context=to.cluster_context, client_configuration=made)
        else:
            path = None if to.kube_config_path is None else str(Path(to.kube_config_path).expanduser())
            config.load_kube_config(path, context=to.cluster_context, client_configuration=made)
    except ConfigException as error:
        raise ConfigError(f"{who}: {_plain(error)}; {_remedy(to)}") from None
    if to.disable_verify_ssl:
        made.verify_ssl = False
        made.assert_hostname = False
    return made


def default_namespace(to: Access) -> str | None:
    """Return the namespace that the connection, its context, or the pod around this process names."""
    if to.namespace:
        return to.namespace
    if to.in_cluster or (to.in_cluster is None and _is_unsaid(to) and _TOKEN.exists()):
        return _NAMESPACE.read_text().strip() if _NAMESPACE.exists() else None
    if to.host:
        return None
    from kubernetes.config import ConfigException

    config = _library()
    context: Json
    try:
        if to.kube_config is not None:
            document = _parsed(to)
            name = to.cluster_context or document.get("current-context")
            context = next((one for one in document.get("contexts") or [] if one.get("name") == name), {})
        else:
            path = None if to.kube_config_path is None else str(Path(to.kube_config_path).expanduser())
            contexts, active = config.list_kube_config_contexts(path)
            context = next((one for one in contexts if one["name"] == to.cluster_context), active)
    except ConfigException:
        return None
    return (context.get("context") or {}).get("namespace")


def _library() -> Any:  # noqa: ANN401 - a module that has no types
    from kubernetes import config

    return config


def _is_unsaid(to: Access) -> bool:
    return to.kube_config is None and to.kube_config_path is None and not os.environ.get("KUBECONFIG")


def _by_host(to: Access, made: Any) -> None:  # noqa: ANN401 - see configure
    host = str(to.host)
    made.host = host if "://" in host else f"https://{host}"
    if to.port:
        made.host = f"{made.host.rstrip('/')}:{to.port}"
    if to.token:
        made.api_key["authorization"] = f"Bearer {to.token}"
    if to.ssl_ca_cert:
        made.ssl_ca_cert = to.ssl_ca_cert


def _parsed(to: Access) -> Json:
    document = to.kube_config
    if isinstance(document, str):
        try:
            document = json.loads(document)
        except ValueError:
            import yaml

            try:
                document = yaml.safe_load(document)
            except yaml.YAMLError:
                document = None
    if not isinstance(document, dict):
        raise ConfigError(f"connection `{to.conn_id}`: kube_config is neither JSON nor YAML; give a whole kubeconfig")
    return document


def _plain(error: Exception) -> str:
    return str(error).strip().rstrip(".").partition("\n")[0]


def _remedy(to: Access) -> str:
    if to.in_cluster:
        return "in_cluster works inside a pod with a service account only"
    return "give kube_config_path, kube_config or host and token in a connection, or set KUBECONFIG"
