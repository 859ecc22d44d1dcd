"""The manifest of a pod: a template, a full specification, and an operator's arguments, each over the one before."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from windlass.errors import TaskFailed
from windlass_kubernetes.plain import plain, plain_list

Json = dict[str, Any]

SIDECAR: Final = "windlass-xcom-sidecar"
XCOM_FOLDER: Final = "/airflow/xcom"
XCOM_FILE: Final = f"{XCOM_FOLDER}/return.json"
XCOM_TAKEN: Final = f"{XCOM_FOLDER}/.taken"
_XCOM_VOLUME: Final = "xcom"
#: The sidecar waits until what it guards was fetched; it ends at once when the pod is deleted.
_SIDECAR_SCRIPT: Final = f'trap "exit 0" INT TERM; until [ -e {XCOM_TAKEN} ]; do sleep 1; done'

#: What tells the items of a list apart when two of them are merged.
_KEYS: Final = {"containers": "name", "initContainers": "name", "volumes": "name", "env": "name",
                "volumeMounts": "mountPath", "ports": "containerPort", "imagePullSecrets": "name"}  # fmt: skip
#: Operator argument -> field of the pod's spec, and of the container.
_OF_POD: Final = {
    "affinity": "affinity",
    "node_selector": "nodeSelector",
    "service_account_name": "serviceAccountName",
    "automount_service_account_token": "automountServiceAccountToken",
    "security_context": "securityContext",
    "dnspolicy": "dnsPolicy",
    "dns_config": "dnsConfig",
    "hostname": "hostname",
    "subdomain": "subdomain",
    "schedulername": "schedulerName",
    "priority_class_name": "priorityClassName",
    "active_deadline_seconds": "activeDeadlineSeconds",
    "termination_grace_period": "terminationGracePeriodSeconds",
}
_LISTS_OF_POD: Final = {
    "volumes": "volumes",
    "tolerations": "tolerations",
    "init_containers": "initContainers",
    "host_aliases": "hostAliases",
}
_OF_CONTAINER: Final = {
    "image": "image",
    "cmds": "command",
    "arguments": "args",
    "image_pull_policy": "imagePullPolicy",
    "container_resources": "resources",
    "container_security_context": "securityContext",
    "termination_message_policy": "terminationMessagePolicy",
}
_LISTS_OF_CONTAINER: Final = {"ports": "ports", "volume_mounts": "volumeMounts", "env_from": "envFrom"}


def build_pod(operator: Any) -> Json:  # noqa: ANN401 - the pod operator, whose rendered fields are read
    """Return the manifest of an operator's pod, without name, namespace and identity.

    :raises TaskFailed: if a template cannot be read; no retry can help.
    """
    pod = _template(operator)
    if operator.full_pod_spec is not None:
        pod = overlay(pod, plain(operator.full_pod_spec))
    spec, meta = pod.setdefault("spec", {}), pod.setdefault("metadata", {})
    pod["apiVersion"], pod["kind"] = "v1", "Pod"
    for kind in ("labels", "annotations"):
        given = {str(name): str(value) for name, value in (plain(getattr(operator, kind)) or {}).items()}
        if given:
            meta[kind] = {**(meta.get(kind) or {}), **given}
    container = _base_container(spec, operator.base_container_name)
    _add_fields(operator, spec, _OF_POD)
    _add_fields(operator, container, _OF_CONTAINER)
    _add_lists(operator, spec, _LISTS_OF_POD)
    _add_lists(operator, container, _LISTS_OF_CONTAINER)
    if operator.hostnetwork:
        spec["hostNetwork"] = True
    if operator.image_pull_secrets:
        given = operator.image_pull_secrets
        names = given.split(",") if isinstance(given, str) else given
        found = [{"name": one.strip()} if isinstance(one, str) else plain(one) for one in names]
        spec["imagePullSecrets"] = merge_lists("imagePullSecrets", spec.get("imagePullSecrets"), found)
    env = environment(operator.env_vars)
    if env:
        container["env"] = merge_lists("env", container.get("env"), env)
    for name in operator.configmaps or []:
        container.setdefault("envFrom", []).append({"configMapRef": {"name": name}})
    for secret in operator.secrets or []:
        secret.add_to(pod, container)
    spec.setdefault("restartPolicy", "Never")
    return pod


def _template(operator: Any) -> Json:  # noqa: ANN401 - see build_pod
    if operator.pod_template_dict is not None:
        found = plain(operator.pod_template_dict)
    elif operator.pod_template_file is not None:
        found = read_yaml(str(operator.pod_template_file), f"task {operator.task_id!r}")
    else:
        return {}
    if not isinstance(found, dict):
        raise TaskFailed(f"task {operator.task_id!r}: the pod template is no object; give a whole pod")
    return copy.deepcopy(found)


def read_yaml(file: str, who: str) -> Any:  # noqa: ANN401 - whatever the file holds
    """Return what a file of YAML or JSON holds.

    :raises TaskFailed: if it cannot be read.
    """
    import yaml

    try:
        return yaml.safe_load(Path(file).read_text("utf-8"))
    except OSError as error:
        raise TaskFailed(f"{who}: {file} cannot be read: {error.strerror}; correct the path") from None
    except yaml.YAMLError as error:
        raise TaskFailed(f"{who}: {file} is no YAML: {str(error).partition(chr(10))[0]}; correct it") from None


def _base_container(spec: Json, name: str) -> Json:
    """Return the container that does the work, made if there is none: the one of that name, else the first."""
    containers: list[Json] = spec.setdefault("containers", [])
    for one in containers:
        if one.get("name") == name:
            return one
    if containers and not containers[0].get("name"):
        containers[0]["name"] = name
        return containers[0]
    made: Json = {"name": name}
    containers.insert(0, made)
    return made


def _add_fields(operator: Any, target: Json, fields: Mapping[str, str]) -> None:  # noqa: ANN401 - see build_pod
    for argument, field in fields.items():
        value = plain(getattr(operator, argument))
        if value is None or value in ([], {}):
            continue
        if argument in {"cmds", "arguments"}:
            value = [str(part) for part in ([value] if isinstance(value, str) else value)]
        target[field] = value


def _add_lists(operator: Any, target: Json, fields: Mapping[str, str]) -> None:  # noqa: ANN401 - see build_pod
    for argument, field in fields.items():
        value = plain_list(getattr(operator, argument))
        if value:
            target[field] = merge_lists(field, target.get(field), value)


def environment(given: Any) -> list[Json]:  # noqa: ANN401 - a dict, a list, or models
    """Return variables as a container lists them."""
    if isinstance(given, Mapping):
        return [{"name": str(name), "value": _as_text(value)} for name, value in given.items()]
    found = plain_list(given)
    return [{**one, "value": _as_text(one["value"])} if "value" in one else one for one in found]


def _as_text(value: Any) -> str:  # noqa: ANN401 - any value
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def overlay(under: Json, over: Json) -> Json:
    """Return ``over`` laid on ``under``: objects are merged, lists by the names of their items, values replaced."""
    merged = dict(under)
    for name, value in over.items():
        if isinstance(value, dict) and isinstance(merged.get(name), dict):
            merged[name] = overlay(merged[name], value)
        elif isinstance(value, list):
            merged[name] = merge_lists(name, merged.get(name), value)
        else:
            merged[name] = copy.deepcopy(value)
    return merged


def merge_lists(name: str, under: list[Any] | None, over: list[Any]) -> list[Any]:
    """Return two lists as one; items of the same name are merged, ``over`` wins."""
    key = _KEYS.get(name)
    if key is None or not under:
        return copy.deepcopy([*(under or []), *over] if name in {"envFrom", "tolerations"} else over)
    merged = {one.get(key): one for one in under}
    for one in over:
        merged[one.get(key)] = overlay(merged[one.get(key)], one) if one.get(key) in merged else copy.deepcopy(one)
    return list(merged.values())


def add_sidecar(pod: Json, base: str, image: str, resources: Json | None) -> None:
    """Give a pod the sidecar that keeps the result of the container ``base`` until it was fetched."""
    spec = pod["spec"]
    mount = {"name": _XCOM_VOLUME, "mountPath": XCOM_FOLDER}
    spec["volumes"] = merge_lists("volumes", spec.get("volumes"), [{"name": _XCOM_VOLUME, "emptyDir": {}}])
    for container in spec["containers"]:
        if container["name"] == base:
            container["volumeMounts"] = merge_lists("volumeMounts", container.get("volumeMounts"), [mount])
    sidecar = {
        "name": SIDECAR,
        "image": image,
        "command": ["sh", "-c", _SIDECAR_SCRIPT],
        "volumeMounts": [mount],
        "resources": resources or {"requests": {"cpu": "1m", "memory": "10Mi"}},
    }
    spec["containers"] = [*spec["containers"], sidecar]
