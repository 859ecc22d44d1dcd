"""Label selectors and field selectors, as text in a query and as objects in a spec."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from windlass_testing.fakes.kubernetes.problems import bad_request

Json = dict[str, Any]
Match = Callable[[Json], bool]

_SET: Final = re.compile(r"^\s*(?P<key>[^\s!=,()]+)\s+(?P<op>in|notin)\s*\((?P<values>[^)]*)\)\s*$")
_EQUAL: Final = re.compile(r"^\s*(?P<key>[^\s!=,()]+)\s*(?P<op>==|=|!=)\s*(?P<value>[^\s,()=!]*)\s*$")
_KEY: Final = re.compile(r"^\s*(?P<not>!?)\s*(?P<key>[^\s!=,()]+)\s*$")
_FIELD: Final = re.compile(r"^\s*(?P<path>[\w.]+)\s*(?P<op>==|=|!=)\s*(?P<value>.*?)\s*$")
#: Which fields can be asked for besides the name and the namespace, by plural.
_FIELDS: Final = {
    "pods": {"spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "status.phase",
             "status.podIP"},
    "events": {"involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
               "involvedObject.apiVersion", "involvedObject.fieldPath", "reason", "reportingComponent", "source",
               "type"},
    "secrets": {"type"},
    "namespaces": {"status.phase"},
    "nodes": {"spec.unschedulable"},
    "jobs": {"status.successful"},
    "replicasets": {"status.replicas"},
}  # fmt: skip


def label_selector(text: str) -> Match:
    """Return what a ``labelSelector`` of a query matches."""
    tests = [_label_test(part) for part in _split(text)]
    return lambda obj: all(test(obj.get("metadata", {}).get("labels") or {}) for test in tests)


def _split(text: str) -> list[str]:
    """Split at the commas outside parentheses."""
    return [part for part in re.split(r",(?![^(]*\))", text) if part.strip()]


def _label_test(part: str) -> Callable[[Mapping[str, str]], bool]:
    if match := _SET.match(part):
        key, values = match["key"], {value.strip() for value in match["values"].split(",")}
        if match["op"] == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if match := _EQUAL.match(part):
        key, value = match["key"], match["value"]
        if match["op"] == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    if match := _KEY.match(part):
        key = match["key"]
        if match["not"]:
            return lambda labels: key not in labels
        return lambda labels: key in labels
    raise bad_request(f"unable to parse requirement: found '{part.strip()}'")


def field_selector(text: str, plural: str) -> Match:
    """Return what a ``fieldSelector`` of a query matches."""
    allowed = {"metadata.name", "metadata.namespace"} | _FIELDS.get(plural, set())
    tests: list[tuple[str, str, bool]] = []
    for part in _split(text):
        match = _FIELD.match(part)
        if match is None:
            raise bad_request(f"invalid selector: '{part}'; can't understand '{part}'")
        if match["path"] not in allowed:
            raise bad_request(f"field label not supported: {match['path']}")
        tests.append((match["path"], match["value"], match["op"] != "!="))
    return lambda obj: all((_field(obj, path) == value) is wanted for path, value, wanted in tests)


def _field(obj: Json, path: str) -> str:
    value: Any = obj
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return "" if value is None else str(value)


def spec_selector(selector: Json | None) -> Match:
    """Return what a ``selector`` of a spec (``matchLabels`` and ``matchExpressions``) matches."""
    wanted = (selector or {}).get("matchLabels") or {}
    expressions = (selector or {}).get("matchExpressions") or []

    def matches(obj: Json) -> bool:
        labels = obj.get("metadata", {}).get("labels") or {}
        return all(labels.get(key) == value for key, value in wanted.items()) and all(
            _expression(labels, one) for one in expressions
        )

    return matches


def _expression(labels: Mapping[str, str], one: Json) -> bool:
    key, values = one["key"], one.get("values") or []
    match one["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels
