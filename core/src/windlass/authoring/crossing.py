"""What of a function's call can cross over to another Python: its source, and its arguments as JSON.

Nothing is pickled. So the function must import what it needs inside itself, and take and return plain JSON values; the
other Python needs no Windlass.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from windlass.errors import AuthoringError, XComError

if TYPE_CHECKING:
    from windlass.authoring.operator import Context
    from windlass.authoring.operators.python import CallableOperator

#: Context values that cross over: those that are text, numbers or JSON.
_CROSSING: Final = frozenset(
    {"ds", "ds_nodash", "params", "run_id", "task_instance_key_str", "templates_dict", "try_number", "ts", "ts_nodash",
     "ts_nodash_with_tz"}
)  # fmt: skip


def check_source(function: Callable[..., Any], task_id: str) -> None:
    """Refuse a function that has no source of its own.

    :raises AuthoringError: for a lambda.
    """
    if getattr(function, "__name__", "<lambda>") == "<lambda>":
        raise AuthoringError(f"task {task_id!r}: a lambda has no source to run elsewhere; write a function")


def source_of(function: Callable[..., Any]) -> str:
    """Return a function's source, without decorators and at the margin."""
    import inspect
    from textwrap import dedent

    lines = dedent(inspect.getsource(function)).splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith(("def ", "async def ")))
    return "\n".join(lines[start:])


def crossing_call(operator: CallableOperator, context: Context) -> str:
    """Return the arguments of an operator's call, as the JSON ``{"args": […], "kwargs": {…}}``.

    :raises XComError: if one of them is no plain data.
    """
    arguments = {
        name: value
        for name, value in operator.call_arguments(context).items()
        if name in operator.op_kwargs or name in _CROSSING
    }
    try:
        return json.dumps({"args": list(operator.op_args), "kwargs": arguments}, default=_plain)
    except TypeError as error:
        raise XComError(
            f"task {operator.task_id!r}: an argument cannot cross to another Python ({error}); pass plain data"
        ) from None


def _plain(value: object) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Iterable):
        return list(value)
    raise TypeError(f"{type(value).__name__} is not JSON serializable")
