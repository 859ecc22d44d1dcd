"""The kinds of patch: merge (RFC 7386), strategic merge for the lists that clients send, and JSON patch (RFC 6902)."""

from __future__ import annotations

import copy
from typing import Any, Final

from windlass_testing.fakes.kubernetes.problems import Problem, bad_request

Json = dict[str, Any]

#: Lists that are merged item by item, and what tells the items apart. Other lists are replaced.
_MERGE_KEYS: Final = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "volumes": "name",
    "env": "name",
    "volumeMounts": "mountPath",
    "ports": "containerPort",
    "conditions": "type",
    "imagePullSecrets": "name",
    "ownerReferences": "uid",
    "hostAliases": "ip",
    "secrets": "name",
}
#: Lists of plain values that are united.
_UNITED: Final = {"finalizers"}


def merge_patch(target: Any, patch: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return ``target`` with a JSON merge patch applied."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def strategic_merge_patch(target: Any, patch: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return ``target`` with a strategic merge patch applied."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    if patch.get("$patch") == "replace":
        return {key: copy.deepcopy(value) for key, value in patch.items() if key != "$patch"}
    if patch.get("$patch") == "delete":
        return {}
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if key.startswith(("$setElementOrder/", "$retainKeys")):
            continue
        if key.startswith("$deleteFromPrimitiveList/"):
            name = key.partition("/")[2]
            merged[name] = [one for one in merged.get(name) or [] if one not in value]
        elif value is None:
            merged.pop(key, None)
        elif isinstance(value, list):
            merged[key] = _merge_list(key, merged.get(key), value)
        else:
            merged[key] = strategic_merge_patch(merged.get(key), value)
    return merged


def _merge_list(name: str, target: list[Any] | None, patch: list[Any]) -> list[Any]:
    if name in _UNITED:
        return list(dict.fromkeys([*(target or []), *patch]))
    key = merge_key(name, [*(target or []), *patch])
    if key is None:
        return copy.deepcopy(patch)
    if any(one.get("$patch") == "replace" and len(one) == 1 for one in patch):
        return copy.deepcopy([one for one in patch if "$patch" not in one])
    merged = {one.get(key): one for one in target or []}
    for one in patch:
        if one.get("$patch") == "delete":
            merged.pop(one.get(key), None)
        else:
            merged[one.get(key)] = strategic_merge_patch(merged.get(one.get(key)), one)
    return list(merged.values())


def merge_key(name: str, items: list[Any]) -> str | None:
    """Return what tells the items of the list called ``name`` apart, None if the list is one value."""
    key = _MERGE_KEYS.get(name)
    if key is None or not all(isinstance(one, dict) for one in items):
        return None
    if name == "ports" and not all("containerPort" in one for one in items):
        return "port"  # those of a service
    return key


def json_patch(target: Json, operations: Any) -> Json:  # noqa: ANN401 - what a client sent
    """Return ``target`` with the operations of a JSON patch applied in order."""
    if not isinstance(operations, list):
        raise bad_request("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    document: Any = copy.deepcopy(target)
    for operation in operations:
        try:
            document = _operate(document, operation)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            text = "the server rejected our request due to an error in our request"
            raise Problem(422, "Invalid", text) from error
    result: Json = document
    return result


def _operate(document: Any, operation: Json) -> Any:  # noqa: ANN401 - any JSON value
    path = _pointer(operation["path"])
    match operation["op"]:
        case "add":
            return _add(document, path, copy.deepcopy(operation["value"]))
        case "remove":
            _remove(document, path)
        case "replace":
            if path:
                _look(document, path)
                _remove(document, path)
            return _add(document, path, copy.deepcopy(operation["value"]))
        case "move":
            source = _pointer(operation["from"])
            value = _look(document, source)
            _remove(document, source)
            return _add(document, path, value)
        case "copy":
            return _add(document, path, copy.deepcopy(_look(document, _pointer(operation["from"]))))
        case "test":
            if _look(document, path) != operation["value"]:
                raise ValueError("testing value failed")
        case other:
            raise ValueError(f"unexpected kind: {other}")
    return document


def _pointer(text: str) -> list[str]:
    if text and not text.startswith("/"):
        raise ValueError(f"{text!r} is no JSON pointer")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _look(document: Any, path: list[str]) -> Any:  # noqa: ANN401 - any JSON value
    for part in path:
        document = document[int(part)] if isinstance(document, list) else document[part]
    return document


def _add(document: Any, path: list[str], value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if not path:
        return value
    parent, last = _look(document, path[:-1]), path[-1]
    if isinstance(parent, list):
        index = len(parent) if last == "-" else int(last)
        if index > len(parent):
            raise IndexError(f"index {index} is out of range")
        parent.insert(index, value)
    else:
        parent[last] = value
    return document


def _remove(document: Any, path: list[str]) -> None:  # noqa: ANN401 - any JSON value
    parent = _look(document, path[:-1])
    del parent[int(path[-1]) if isinstance(parent, list) else path[-1]]
