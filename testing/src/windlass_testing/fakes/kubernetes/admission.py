"""What the API server does to an object before it is stored: defaults, and the reasons to refuse it."""

from __future__ import annotations

import copy
import re
from typing import Any, Final

from windlass_testing.fakes.kubernetes.problems import bad_request, forbidden, invalid
from windlass_testing.fakes.kubernetes.resources import Resource, named
from windlass_testing.fakes.kubernetes.selectors import spec_selector
from windlass_testing.fakes.kubernetes.store import Store

Json = dict[str, Any]
Causes = list[tuple[str, str, str]]

_LABEL_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL_VALUE: Final = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
_LABEL_KEY: Final = re.compile(rf"({_SUBDOMAIN.pattern}/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_ENV_NAME: Final = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_QUANTITY: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?")
_POD_DEFAULTS: Final[Json] = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "schedulerName": "default-scheduler",
    "securityContext": {},
}
_SUBDOMAIN_TEXT: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and"
    " end with an alphanumeric character (e.g. 'example.com', regex used for validation is"
    " '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_TEXT: Final = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with"
    " an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is"
    " '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_VALUE_TEXT: Final = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and"
    " end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is"
    " '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)


def admit(store: Store, resource: Resource, namespace: str, obj: Json) -> None:
    """Fill in defaults and check an object that is to be created.

    :raises Problem: 400, 403, 404 or 422.
    """
    if obj.get("kind", resource.kind) != resource.kind or obj.get("apiVersion", resource.api_version) != (
        resource.api_version
    ):
        text = (
            f"{obj.get('kind')} in version {str(obj.get('apiVersion'))!r} cannot be handled as a {resource.kind}: "
            "the API version in the data does not match the expected API version"
        )
        raise bad_request(text)
    meta = obj.setdefault("metadata", {})
    if resource.namespaced:
        if meta.get("namespace", namespace) != namespace:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
        store.get(named("namespaces"), "", namespace)
    default(resource, obj)
    causes = _metadata(meta) + validate(resource, obj)
    if causes:
        raise invalid(resource.kind, resource.group, meta.get("name") or "", causes)
    if resource.plural == "pods":
        _service_account(store, namespace, obj)


def _service_account(store: Store, namespace: str, pod: Json) -> None:
    account = pod["spec"]["serviceAccountName"]
    if store.find(named("serviceaccounts"), namespace, account) is None:
        name = pod["metadata"].get("name") or pod["metadata"].get("generateName", "")
        text = f'error looking up service account {namespace}/{account}: serviceaccount "{account}" not found'
        raise forbidden("pods", "", name, text)


# --- Defaults ---------------------------------------------------------------------------------------------------------


def default(resource: Resource, obj: Json) -> None:
    """Fill in what the API server fills in and clients rely on."""
    spec = obj.get("spec")
    if resource.plural == "secrets":
        _secret_data(obj)
    if not isinstance(spec, dict):
        return
    match resource.plural:
        case "pods":
            default_pod(spec)
            obj["status"] = {"phase": "Pending", "qosClass": "BestEffort"}
        case "jobs":
            spec.setdefault("backoffLimit", 6)
            spec.setdefault("parallelism", 1)
            if "completions" not in spec and spec["parallelism"] == 1:
                spec["completions"] = 1
            obj["status"] = {}
        case "deployments":
            spec.setdefault("replicas", 1)
            spec.setdefault("progressDeadlineSeconds", 600)
            spec.setdefault("revisionHistoryLimit", 10)
            rolling = {"maxUnavailable": "25%", "maxSurge": "25%"}
            spec.setdefault("strategy", {"type": "RollingUpdate", "rollingUpdate": rolling})
            obj["status"] = {}
        case "services":
            spec.setdefault("type", "ClusterIP")
            spec.setdefault("sessionAffinity", "None")
            for port in spec.get("ports") or []:
                port.setdefault("protocol", "TCP")
                port.setdefault("targetPort", port.get("port"))
    if resource.plural in {"jobs", "deployments"} and isinstance(spec.get("template"), dict):
        default_pod(spec["template"].setdefault("spec", {}))


def default_pod(spec: Json) -> None:
    """Fill in the defaults of a pod's spec."""
    for name, value in _POD_DEFAULTS.items():
        spec.setdefault(name, copy.copy(value))
    spec["serviceAccountName"] = spec.get("serviceAccountName") or spec.get("serviceAccount") or "default"
    spec["serviceAccount"] = spec["serviceAccountName"]
    for container in [*_dicts(spec.get("containers")), *_dicts(spec.get("initContainers"))]:
        image = str(container.get("image", ""))
        latest = ":" not in image.rpartition("/")[2] or image.endswith(":latest")
        container.setdefault("imagePullPolicy", "Always" if latest else "IfNotPresent")
        container.setdefault("terminationMessagePath", "/dev/termination-log")
        container.setdefault("terminationMessagePolicy", "File")
        container.setdefault("resources", {})


def _secret_data(obj: Json) -> None:
    import base64

    obj.setdefault("type", "Opaque")
    for key, text in (obj.pop("stringData", None) or {}).items():
        obj.setdefault("data", {})[key] = base64.b64encode(text.encode()).decode()
    for key, text in (obj.get("data") or {}).items():
        try:
            base64.b64decode(text or "", validate=True)
        except ValueError:
            raise bad_request(f"illegal base64 data in the data of the Secret at key {key!r}") from None


# --- Reasons to refuse ------------------------------------------------------------------------------------------------


def _metadata(meta: Json) -> Causes:
    causes: Causes = []
    name = meta.get("name") or (meta.get("generateName", "") + "x" if meta.get("generateName") else "")
    if not name:
        causes.append(("metadata.name", "FieldValueRequired", "Required value: name or generateName is required"))
    elif len(name) > 253 or not _SUBDOMAIN.fullmatch(name):
        text = _SUBDOMAIN_TEXT if len(name) <= 253 else "must be no more than 253 characters"
        causes.append(("metadata.name", "FieldValueInvalid", f'Invalid value: "{name}": {text}'))
    for key, value in (meta.get("labels") or {}).items():
        if not isinstance(value, str):
            raise bad_request(f"json: cannot unmarshal the label {key!r} into Go value of type string")
        if not _LABEL_KEY.fullmatch(key):
            text = f"Invalid value: \"{key}\": name part must consist of alphanumeric characters, '-', '_' or '.'"
            causes.append(("metadata.labels", "FieldValueInvalid", text))
        if len(value) > 63 or not _LABEL_VALUE.fullmatch(value):
            text = "must be no more than 63 characters" if len(value) > 63 else _VALUE_TEXT
            causes.append(("metadata.labels", "FieldValueInvalid", f'Invalid value: "{value}": {text}'))
    for key, value in (meta.get("annotations") or {}).items():
        if not isinstance(value, str):
            raise bad_request(f"json: cannot unmarshal the annotation {key!r} into Go value of type string")
    return causes


def validate(resource: Resource, obj: Json) -> Causes:
    """Return what is wrong with an object, beside its metadata."""
    spec = obj.get("spec")
    match resource.plural:
        case "pods":
            return _pod(spec if isinstance(spec, dict) else {}, "spec", {"Always", "OnFailure", "Never"})
        case "jobs":
            template = (spec or {}).get("template") or {}
            return _pod(template.get("spec") or {}, "spec.template.spec", {"OnFailure", "Never"})
        case "deployments":
            template = (spec or {}).get("template") or {}
            causes = _pod(template.get("spec") or {}, "spec.template.spec", {"Always"})
            selector = (spec or {}).get("selector")
            if not selector:
                causes.append(("spec.selector", "FieldValueRequired", "Required value"))
            elif not spec_selector(selector)(template):
                labels = (template.get("metadata") or {}).get("labels")
                text = f"Invalid value: {labels!r}: `selector` does not match template `labels`"
                causes.append(("spec.template.metadata.labels", "FieldValueInvalid", text))
            return causes
    return []


def _pod(spec: Json, path: str, policies: set[str]) -> Causes:
    causes: Causes = []
    containers = _dicts(spec.get("containers"))
    if not containers:
        causes.append((f"{path}.containers", "FieldValueRequired", "Required value"))
    policy = spec.get("restartPolicy", "Always")
    if policy not in policies and policy == "Always":
        text = 'Required value: valid values: "OnFailure", "Never"'
        causes.append((f"{path}.restartPolicy", "FieldValueRequired", text))
    elif policy not in policies:
        listed = ", ".join(f'"{one}"' for one in sorted(policies))
        text = f'Unsupported value: "{policy}": supported values: {listed}'
        causes.append((f"{path}.restartPolicy", "FieldValueNotSupported", text))
    volumes = {volume.get("name") for volume in _dicts(spec.get("volumes"))}
    seen: set[str] = set()
    for kind in ("initContainers", "containers"):
        for index, container in enumerate(_dicts(spec.get(kind))):
            causes += _container(container, f"{path}.{kind}[{index}]", volumes, seen)
    return causes


def _container(container: Json, path: str, volumes: set[Any], seen: set[str]) -> Causes:
    causes: Causes = []
    name = container.get("name")
    if not name:
        causes.append((f"{path}.name", "FieldValueRequired", "Required value"))
    elif not _LABEL_NAME.fullmatch(name) or len(name) > 63:
        causes.append((f"{path}.name", "FieldValueInvalid", f'Invalid value: "{name}": {_LABEL_TEXT}'))
    elif name in seen:
        causes.append((f"{path}.name", "FieldValueDuplicate", f'Duplicate value: "{name}"'))
    seen.add(name or "")
    if not container.get("image"):
        causes.append((f"{path}.image", "FieldValueRequired", "Required value"))
    return causes + _in_container(container, path, volumes)


def _in_container(container: Json, path: str, volumes: set[Any]) -> Causes:
    causes: Causes = []
    for index, mount in enumerate(_dicts(container.get("volumeMounts"))):
        if mount.get("name") not in volumes:
            text = f'Not found: "{mount.get("name")}"'
            causes.append((f"{path}.volumeMounts[{index}].name", "FieldValueNotFound", text))
    for index, one in enumerate(_dicts(container.get("env"))):
        if not isinstance(one.get("value", ""), str):
            raise bad_request(
                f"json: cannot unmarshal the value of env {one.get('name')!r} into Go value of type string"
            )
        if not _ENV_NAME.fullmatch(one.get("name") or ""):
            text = f'Invalid value: "{one.get("name")}": a valid environment variable name must consist of alphabetic'
            causes.append(
                (f"{path}.env[{index}].name", "FieldValueInvalid", f"{text} characters, digits, '_', '-', or '.'")
            )
    for kind in ("limits", "requests"):
        for value in ((container.get("resources") or {}).get(kind) or {}).values():
            if not _QUANTITY.fullmatch(str(value)):
                pattern = "^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"
                raise bad_request(f"quantities must match the regular expression '{pattern}'")
    return causes


def _dicts(value: object) -> list[Json]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise bad_request(f"json: cannot unmarshal {type(value).__name__} into Go value of type list of objects")
    return value


def check_update(resource: Resource, before: Json, after: Json) -> None:
    """Refuse a change of what may not change, and what is wrong after the change.

    :raises Problem: 422.
    """
    name = before["metadata"]["name"]
    causes = _metadata(after["metadata"]) + validate(resource, after)
    if resource.plural == "pods" and _fixed(before["spec"]) != _fixed(after.get("spec") or {}):
        text = (
            "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
            " `spec.initContainers[*].image`, `spec.activeDeadlineSeconds` or `spec.tolerations` (only additions to"
            " existing tolerations)"
        )
        causes.append(("spec", "FieldValueForbidden", text))
    if resource.plural == "jobs":
        for field in ("template", "selector", "completions"):
            if before["spec"].get(field) != after["spec"].get(field):
                text = f"Invalid value: {after['spec'].get(field)!r}: field is immutable"
                causes.append((f"spec.{field}", "FieldValueInvalid", text))
    if resource.plural in {"configmaps", "secrets"} and before.get("immutable"):
        for field in ("data", "binaryData", "type"):
            if before.get(field) != after.get(field):
                causes.append((field, "FieldValueForbidden", "Forbidden: field is immutable when `immutable` is set"))
    if causes:
        raise invalid(resource.kind, resource.group, name, causes)


def _fixed(spec: Json) -> Json:
    kept = {
        key: value for key, value in spec.items() if key not in {"activeDeadlineSeconds", "tolerations", "nodeName"}
    }
    for kind in ("containers", "initContainers"):
        if kind in kept:
            kept[kind] = [{k: v for k, v in one.items() if k != "image"} for one in _dicts(kept[kind])]
    return kept
