"""KubernetesHook: what tasks do with a cluster, in plain dicts."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from windlass.errors import ConnectionNotDefined
from windlass.hooks import BaseHook, Connection, mask_secret
from windlass_kubernetes import logs, paths
from windlass_kubernetes.client import APPLY, MERGE, KubeClient, quoted
from windlass_kubernetes.configuration import access, default_namespace
from windlass_kubernetes.errors import KubernetesError, KubernetesRefused
from windlass_kubernetes.execution import Executed, execute
from windlass_kubernetes.watching import follow

Json = dict[str, Any]

#: What the sidecar that keeps a pod's result runs in; it needs a shell.
DEFAULT_SIDECAR_IMAGE = "alpine"


class KubernetesHook(BaseHook):
    """A client of a Kubernetes cluster. Objects are plain dicts, as in their manifests.

    Where the connection ``kubernetes_default`` is not defined, the pod's service account or the machine's kubeconfig
    is used, as kubectl does.
    """

    conn_name_attr = "kubernetes_conn_id"
    default_conn_name = "kubernetes_default"
    conn_type = "kubernetes"
    hook_name = "Kubernetes"

    #: Seconds for which a request that fails in a passing way is repeated; None as the connection says, 120 by default.
    patience: float | None = None

    def __init__(
        self,
        conn_id: str | None = None,
        *,
        config_file: str | None = None,
        config_dict: Json | None = None,
        cluster_context: str | None = None,
        in_cluster: bool | None = None,
        disable_verify_ssl: bool | None = None,
        disable_tcp_keepalive: bool | None = None,
        **arguments: object,
    ) -> None:
        """Name the connection (by position or as ``kubernetes_conn_id``); an argument here wins over it.

        Args:
            conn_id: the connection.
            config_file: path of a kubeconfig.
            config_dict: a kubeconfig.
            cluster_context: the context in the kubeconfig; by default its current one.
            in_cluster: use the service account of the pod around this process.
            disable_verify_ssl: do not check the server's certificate.
            disable_tcp_keepalive: let idle connections be.
            **arguments: ``kubernetes_conn_id``.
        """
        super().__init__(conn_id, **arguments)
        self.kubernetes_conn_id: str = getattr(self, self.conn_name_attr)
        self._arguments = {
            "kube_config_path": config_file,
            "kube_config": config_dict,
            "cluster_context": cluster_context,
            "in_cluster": in_cluster,
            "disable_verify_ssl": disable_verify_ssl,
            "disable_tcp_keepalive": disable_tcp_keepalive,
        }

    @cached_property
    def connection(self) -> Connection:
        """The connection; an empty one where the default is not defined."""
        try:
            return self.get_connection(self.kubernetes_conn_id)
        except ConnectionNotDefined:
            if self.kubernetes_conn_id != self.default_conn_name:
                raise
            return Connection(self.kubernetes_conn_id, "kubernetes")

    @cached_property
    def client(self) -> KubeClient:
        """The client, made once.

        :raises ConfigError: if the connection or its kubeconfig cannot be used.
        """
        to = access(self.connection, self.kubernetes_conn_id, **self._arguments)
        return KubeClient(to, patience=self.patience)

    def get_conn(self) -> KubeClient:
        """Return the client, which takes and gives plain dicts; the client library's own is :attr:`api_client`."""
        return self.client

    @cached_property
    def api_client(self) -> Any:  # noqa: ANN401 - importing its type takes half a second
        """A ``kubernetes.client.ApiClient`` with the connection's login, for what this hook has no method for.

        Every request that is sent through it is the caller's own: it is not repeated, and its errors are the library's.
        """
        from kubernetes.client import ApiClient

        return ApiClient(self.client.configuration)

    @property
    def core_v1_client(self) -> Any:  # noqa: ANN401 - as above
        """The client library's ``CoreV1Api`` over :attr:`api_client`."""
        from kubernetes.client import CoreV1Api

        return CoreV1Api(self.api_client)

    @property
    def apps_v1_client(self) -> Any:  # noqa: ANN401 - as above
        """The client library's ``AppsV1Api`` over :attr:`api_client`."""
        from kubernetes.client import AppsV1Api

        return AppsV1Api(self.api_client)

    @property
    def batch_v1_client(self) -> Any:  # noqa: ANN401 - as above
        """The client library's ``BatchV1Api`` over :attr:`api_client`."""
        from kubernetes.client import BatchV1Api

        return BatchV1Api(self.api_client)

    def get_namespace(self) -> str:
        """Return the namespace of the connection, of its context, or of the pod around this process; else default."""
        return default_namespace(self.client.access) or "default"

    def test_connection(self) -> tuple[bool, str]:
        """Ask the API server for its version."""
        try:
            self.client.patience = min(self.client.patience, 5.0)
            found = self.client.ask("read the version", "GET", "/version")
        except ImportError:
            raise  # whoever tests says how to install what is missing
        except Exception as error:  # noqa: BLE001 - any failure is the answer; its sentence holds no secret
            return False, str(error)
        return True, f"Kubernetes {found.get('gitVersion', '')} at {self.client.host}"

    @property
    def sidecar_image(self) -> str:
        """The image of the sidecar that keeps a pod's result."""
        return str(self.connection.extra_dejson.get("xcom_sidecar_container_image") or DEFAULT_SIDECAR_IMAGE)

    @property
    def sidecar_resources(self) -> Json | None:
        """The resources of that sidecar."""
        import json

        found = self.connection.extra_dejson.get("xcom_sidecar_container_resources")
        return json.loads(found) if isinstance(found, str) and found else found or None

    # --- Any object -----------------------------------------------------------------------------------------------

    def create(self, manifest: Json, namespace: str | None = None) -> Json:
        """Create an object and return it as the server has it.

        :raises KubernetesRefused: 409 if there is one of that name, 422 if it cannot be.
        """
        path, name = self._place(manifest, namespace)
        return self.client.ask(_doing("create", manifest, name, path), "POST", path, body=manifest)

    def apply(
        self, manifest: Json, namespace: str | None = None, *, manager: str = "windlass", force: bool = True
    ) -> Json:
        """Create an object or bring it into this state, by the server (server-side apply)."""
        path, name = self._place(manifest, namespace)
        query = {"fieldManager": manager, "force": force}
        path = f"{path}/{quoted(name)}"
        doing = _doing("apply", manifest, name, path)
        return self.client.ask(doing, "PATCH", path, query=query, body=manifest, content_type=APPLY)

    def read(self, manifest: Json, namespace: str | None = None) -> Json | None:
        """Return the object that a manifest names, as the server has it; None if it is not there.

        What a Secret holds is hidden in the task's log.
        """
        path, name = self._place(manifest, namespace)
        found = self._or_none(_doing("read", manifest, name, path), "GET", f"{path}/{quoted(name)}")
        if found is not None and manifest["kind"] == "Secret":
            mask_secret({key: _plain(value) for key, value in (found.get("data") or {}).items()})
        return found

    def replace(self, manifest: Json, namespace: str | None = None) -> Json:
        """Replace an object."""
        path, name = self._place(manifest, namespace)
        doing = _doing("replace", manifest, name, path)
        return self.client.ask(doing, "PUT", f"{path}/{quoted(name)}", body=manifest)

    def patch(self, manifest: Json, change: Json, namespace: str | None = None, *, content_type: str = MERGE) -> Json:
        """Change the object that a manifest names."""
        path, name = self._place(manifest, namespace)
        doing = _doing("change", manifest, name, path)
        return self.client.ask(doing, "PATCH", f"{path}/{quoted(name)}", body=change, content_type=content_type)

    def delete(
        self,
        manifest: Json,
        namespace: str | None = None,
        *,
        propagation_policy: str = "Background",
        grace_period_seconds: int | None = None,
        uid: str | None = None,
    ) -> bool:
        """Delete the object that a manifest names; return whether it was there. With ``uid`` only just that one."""
        path, name = self._place(manifest, namespace)
        options: Json = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation_policy}
        if grace_period_seconds is not None:
            options["gracePeriodSeconds"] = grace_period_seconds
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        doing = _doing("delete", manifest, name, path)
        return self._or_none(doing, "DELETE", f"{path}/{quoted(name)}", body=options) is not None

    def list_objects(
        self,
        manifest: Json,
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
        page: int = 500,
    ) -> Iterator[Json]:
        """Yield the objects of a manifest's kind, read page by page; a list that grew too old begins anew."""
        path, _ = self._place(manifest, namespace)
        doing = f"list {manifest['kind']} objects"
        seen: set[str] = set()
        token: str | None = None
        while True:
            query = {"labelSelector": label_selector, "fieldSelector": field_selector, "limit": page, "continue": token}
            try:
                found = self.client.ask(doing, "GET", path, query=query)
            except KubernetesRefused as error:
                if error.status != 410 or token is None:
                    raise
                token = None
                continue
            for obj in found.get("items") or []:
                if obj["metadata"]["uid"] not in seen:
                    seen.add(obj["metadata"]["uid"])
                    yield {"apiVersion": manifest["apiVersion"], "kind": manifest["kind"], **obj}
            token = found["metadata"].get("continue")
            if not token:
                return

    def follow(
        self, manifest: Json, namespace: str | None = None, *, until: float | None = None
    ) -> Iterator[Json | None]:
        """Yield the states of an object as they come; see :func:`windlass_kubernetes.watching.follow`."""
        path, name = self._place(manifest, namespace)
        return follow(self.client, path, name, until=until)

    def wait_until_gone(self, manifest: Json, namespace: str | None = None, *, timeout: float = 300.0) -> None:
        """Wait until the object that a manifest names is not there any more; if it has a uid, that one.

        :raises KubernetesError: if it is still there after ``timeout`` seconds.
        """
        until, uid = time.monotonic() + timeout, manifest["metadata"].get("uid")
        for obj in self.follow(manifest, namespace, until=until):
            if obj is None or (uid is not None and obj["metadata"]["uid"] != uid):
                return
            if time.monotonic() > until:
                name = manifest["metadata"]["name"]
                raise KubernetesError(
                    f"{manifest['kind']} `{name}` is still there {timeout:.0f} s after it was deleted; "
                    "look at its finalizers"
                )

    def ask_service(
        self,
        name: str,
        path: str = "/",
        *,
        namespace: str | None = None,
        port: int | str = "",
        scheme: str = "http",
        method: str | None = None,
        body: bytes | None = None,
        content_type: str = "application/octet-stream",
        is_repeatable: bool | None = None,
    ) -> bytes:
        """Ask a service over HTTP and return the body of its answer.

        The request goes through the API server, so it needs no way into the cluster's network; the account needs a
        role that allows ``get``, ``create`` or what else the method stands for on ``services/proxy``. It is for a look
        at a service, not for its users' traffic.

        Args:
            name: of the service.
            path: what to ask for, quoted, perhaps with a query.
            namespace: by default the connection's.
            port: its number or its name; not needed where the service has one port without a name.
            scheme: ``http`` or ``https``; certificates of services are not checked.
            method: by default GET, and POST with a body.
            body: what to send.
            content_type: of the body.
            is_repeatable: whether the service may be asked twice; by default as the method is.

        :raises KubernetesRefused: if the service answers with an error (``status`` is its own), is not there, or none
            of its pods is ready.
        """
        said = {"http": "", "https": "https:"}[scheme] + name + (f":{port}" if port else "")
        where = paths.collection("v1", "services", namespace or self.get_namespace())
        method = method or ("GET" if body is None else "POST")
        return self.client.fetch(
            f"ask service `{name}` for {method} {path}", method, f"{where}/{quoted(said)}/proxy/{path.lstrip('/')}",
            data=body, content_type=content_type, accept="*/*", is_repeatable=is_repeatable,
        )  # fmt: skip

    # --- Pods -----------------------------------------------------------------------------------------------------

    def get_pod(self, name: str, namespace: str) -> Json | None:
        """Return a pod, None if there is none."""
        return self._or_none(f"read pod `{name}`", "GET", paths.pods(namespace, name))

    def create_pod(self, manifest: Json, namespace: str) -> Json:
        """Create a pod; that it exists already, or that the answer was lost, is the caller's to find out.

        :raises KubernetesRefused: 409 if there is one of that name: perhaps just this one.
        """
        doing = f"create pod `{manifest['metadata']['name']}` in namespace `{namespace}`"
        return self.client.ask(doing, "POST", paths.pods(namespace), body=manifest, is_repeatable=True)

    def find_pods(self, namespace: str, label_selector: str) -> list[Json]:
        """Return the pods with these labels."""
        return list(self.list_objects({"apiVersion": "v1", "kind": "Pod"}, namespace, label_selector=label_selector))

    def delete_pod(self, name: str, namespace: str, *, grace_period_seconds: int | None = None) -> bool:
        """Delete a pod; return whether it was there."""
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}}
        return self.delete(pod, namespace, grace_period_seconds=grace_period_seconds)

    def label_pod(self, name: str, namespace: str, labels: Mapping[str, str]) -> None:
        """Give a pod more labels, if it is still there."""
        body = {"metadata": {"labels": dict(labels)}}
        self._or_none(f"label pod `{name}`", "PATCH", paths.pods(namespace, name), body=body, content_type=MERGE)

    def events_of(self, obj: Json) -> list[Json]:
        """Return what the cluster has noted about an object, the oldest first."""
        meta = obj["metadata"]
        selector = f"involvedObject.uid={meta['uid']}"
        event = {"apiVersion": "v1", "kind": "Event"}
        found = self.list_objects(event, meta.get("namespace"), field_selector=selector)
        return sorted(found, key=lambda one: (_when(one), int(one["metadata"].get("resourceVersion") or 0)))

    def last_lines(self, name: str, namespace: str, container: str, count: int) -> list[str]:
        """Return the last lines of a container's log; none if it has none."""
        return logs.last_lines(self.client, namespace, name, container, count)

    def execute(self, name: str, namespace: str, container: str, command: list[str]) -> Executed:
        """Run a command in a container."""
        return execute(self.client, namespace, name, container, command)

    # --- Within ---------------------------------------------------------------------------------------------------

    def _place(self, manifest: Json, namespace: str | None) -> tuple[str, str]:
        return paths.of_object(manifest, namespace or self.get_namespace(), self._discover)

    def _discover(self, api_version: str) -> Json:
        path = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        return self._or_none(f"look up {api_version}", "GET", path) or {}

    def _or_none(self, doing: str, method: str, path: str, **more: Any) -> Json | None:
        try:
            return self.client.ask(doing, method, path, **more)
        except KubernetesRefused as error:
            if error.status == 404:
                return None
            raise


def _doing(verb: str, manifest: Json, name: str, path: str) -> str:
    parts = path.split("/")
    where = f" in namespace `{parts[parts.index('namespaces') + 1]}`" if "namespaces" in parts[:-1] else ""
    return f"{verb} {manifest['kind']} `{name}`{where}"


def _when(event: Json) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp") or "")


def _plain(value: str) -> str:
    """Return the text in a value of a Secret; one that is no text stays in base64."""
    try:
        return base64.b64decode(value).decode()
    except ValueError:
        return value
