"""Names and labels that Kubernetes accepts, made from ids that may hold anything.

A label's value, and a pod's name, has at most 63 characters of a small alphabet. What fits stays as it is; what does
not is made to fit and gets a digest of the whole, so that different ids never meet in one name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

_LONGEST: Final = 63
_LABEL: Final = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
MANAGED_BY: Final = "app.kubernetes.io/managed-by"
#: Set to "True" once what became of a pod was judged: no later attempt takes it for its own.
CHECKED: Final = "already_checked"
#: Tells what was made before a task was cleared from what is made since.
INSTANCE: Final = "windlass/instance"


def label_value(text: str) -> str:
    """Return a text as the value of a label."""
    if len(text) <= _LONGEST and _LABEL.fullmatch(text):
        return text
    made = re.sub(r"[^-A-Za-z0-9_.]+", "_", text)
    made = re.sub(r"^[^A-Za-z0-9]+", "", made)[: _LONGEST - 10]
    made = re.sub(r"[^A-Za-z0-9]+$", "", made)
    return f"{made}-{digest(text, 9)}" if made else digest(text, 9)


def object_name(text: str, *parts: str) -> str:
    """Return a name for an object, with a digest of ``parts`` at its end if there are any; always the same."""
    made = re.sub(r"[^-a-z0-9]+", "-", text.lower()).strip("-")
    if not parts:
        fitting = made[:_LONGEST].rstrip("-")
        return fitting if fitting == text else f"{made[: _LONGEST - 10].rstrip('-')}-{digest(text, 9)}".lstrip("-")
    return f"{made[: _LONGEST - 11].rstrip('-')}-{digest(chr(0).join(parts), 10)}".lstrip("-")


def digest(text: str, length: int) -> str:
    """Return a short digest of a text."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:length]


def identity(ti: Any) -> dict[str, str]:  # noqa: ANN401 - a task instance
    """Return the labels by which a task instance knows its pods, of any try since it was last cleared."""
    return {
        "dag_id": label_value(ti.dag_id),
        "task_id": label_value(ti.task_id),
        "run_id": label_value(ti.run_id),
        "map_index": str(ti.map_index) if ti.map_index >= 0 else "none",
        MANAGED_BY: "windlass",
        INSTANCE: digest(chr(0).join(attempt_parts(ti)[:-1]), 16),
    }


def selector(labels: Mapping[str, str]) -> str:
    """Return labels as a selector."""
    return ",".join(f"{name}={value}" for name, value in sorted(labels.items()))


def attempt_parts(ti: Any) -> tuple[str, ...]:  # noqa: ANN401 - a task instance
    """Return what tells one try of a task instance from every other, also from those before it was cleared."""
    return (ti.idempotency_key, ti.dag_id, ti.run_id, ti.task_id, str(ti.map_index), str(ti.try_number))
