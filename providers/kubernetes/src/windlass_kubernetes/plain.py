"""Plain dicts from whatever describes a part of an object: dicts, the client library's models, our Secret.

DAG files of Airflow write ``k8s.V1Volume(...)``. Such a model is read through its ``attribute_map``, which every
version of the library has; the models are never imported here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

Json = dict[str, Any]


def plain(value: Any) -> Any:  # noqa: ANN401 - whatever an author wrote
    """Return ``value`` as JSON data; fields that are None are left out."""
    names = getattr(type(value), "attribute_map", None)
    if isinstance(names, Mapping):
        found = {wire: getattr(value, own, None) for own, wire in names.items()}
        return {wire: plain(one) for wire, one in found.items() if one is not None}
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items() if one is not None}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [plain(one) for one in value]
    return value


def plain_list(value: Any) -> list[Json]:  # noqa: ANN401 - whatever an author wrote
    """Return a list of dicts; a single one counts as a list of it, None as empty."""
    made = plain(value)
    if made is None:
        return []
    return made if isinstance(made, list) else [made]
