"""Operators that run inside of another task: the engine knows nothing of them, so it says so, or refuses.

What a task executes by hand has no state, no retries and no timeout of its own, its templates are not rendered and its
callbacks are not called. ``allow_nested_operators`` of the inner operator says whether that is a warning or an error.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Any

from windlass.errors import AuthoringError

if TYPE_CHECKING:
    from windlass.authoring.operator import BaseOperator

#: The operator that is running.
_running: ContextVar[BaseOperator | None] = ContextVar("windlass_running_operator", default=None)
#: Make an operator the one that runs, whatever runs around it, and undo that with what this returned.
start_running, stop_running = _running.set, _running.reset


def watched(execute: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``execute`` of an operator class so that it is noticed when it is called inside another operator's."""

    @wraps(execute)
    def wrapper(self: BaseOperator, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever the author's own takes and returns
        outer = _running.get()
        if outer is self:  # the engine's call, or one of super()
            return execute(self, *args, **kwargs)
        if outer is not None:
            _complain(self, outer)
        token = start_running(self)
        try:
            return execute(self, *args, **kwargs)
        finally:
            stop_running(token)

    return wrapper


def _complain(inner: BaseOperator, outer: BaseOperator) -> None:
    text = (
        f"{inner.task_type} {inner.task_id!r} is executed inside task {outer.task_id!r}, so it has no retries, "
        "timeout, templates and callbacks of its own; make it a task of the DAG, or use a hook"
    )
    if not inner.allow_nested_operators:
        raise AuthoringError(text)
    inner.log.warning("%s", text)
