"""The types of a spec, checked once it is made: what an author gave in place of a text, a number or a switch.

Most arguments are handed on as they are, so one look at the finished spec finds what a check at each of them would. The
error names the DAG, the task and the argument as the author wrote it.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final

import msgspec

from windlass.errors import AuthoringError
from windlass.spec import DagSpec

_PROBLEM: Final = re.compile(r"Expected `([^`]+)`(?:, got `[^`]+`)?.* - at `\$([^`]*)`")
_STEP: Final = re.compile(r"\.(\w+)|\[(\d+)\]|\[(\.\.\.)\]")
#: What msgspec calls a type -> what people call it.
_WORDS: Final = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "True or False",
    "object": "a dict",
    "array": "a list",
}
#: Where an argument has another name than the field of the spec.
_ARGUMENTS: Final = {"doc": "doc_md", "retry_backoff": "retry_exponential_backoff"}
_NAMES: Final = {"dag": "dag_display_name", "task": "task_display_name", "group": "group_display_name"}


def check_types(spec: DagSpec) -> DagSpec:
    """Return the spec if each of its values is of the type that it must be.

    :raises AuthoringError: naming the first that is not.
    """
    data: Any = msgspec.to_builtins(spec, builtin_types=(datetime,))
    try:
        msgspec.convert(data, DagSpec)
    except msgspec.ValidationError as error:
        raise AuthoringError(_sentence(spec.dag_id, data, str(error))) from None
    return spec


def _sentence(dag_id: str, data: Any, problem: str) -> str:  # noqa: ANN401 - plain data
    match = _PROBLEM.search(problem)
    if match is None:
        return f"DAG {dag_id!r} holds something that it cannot: {problem}"
    wanted = " or ".join(_WORDS.get(name, name) for name in match[1].split(" | ") if name != "null")
    if "null" in match[1]:
        wanted += " or None"
    owner, kind, field = f"DAG {dag_id!r}", "dag", ""
    value: Any = data
    for name, number, _ in _STEP.findall(match[2]):
        value = value[name] if name else value[int(number)] if number else next(iter(value.values()), None)
        if number and field in {"tasks", "groups"}:
            kind = field.removesuffix("s")
            owner = f"DAG {dag_id!r}, {kind} {value[f'{kind}_id']!r}"
            field = ""
        elif name:
            field = f"{field}.{name}" if field else name
    argument = _NAMES[kind] if field == "display_name" else _ARGUMENTS.get(field, field)
    return f"{owner}: {argument} must be {wanted}, not {value!r:.80}"
