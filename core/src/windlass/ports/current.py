"""The contextvar through which hooks, ``Variable`` and ``get_current_context`` reach the process around them.

``runtime`` sets it in a task child (over the pipe), ``app.inproc`` in ``dag.test()`` (in memory), a parse child sets
one that answers only connections and variables. Anywhere else it is unset, and asking says where it is available.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Protocol

from windlass.errors import ContextUnavailable
from windlass.protocol import Verb


class TaskSession(Protocol):
    """One process's line to its gateway."""

    def ask(self, verb: Verb) -> Any:  # noqa: ANN401 - msgpack values
        """Send ``verb`` and return its result.

        :raises WindlassError: the error that the other side answered with.
        """
        ...

    def tell(self, verb: Verb) -> None:
        """Send ``verb`` without waiting; it is applied before anything sent later."""
        ...

    @property
    def context(self) -> Mapping[str, Any] | None:
        """The template context of the running task; None while a file is parsed."""
        ...


_current: ContextVar[TaskSession] = ContextVar("windlass_session")


def current_session() -> TaskSession:
    """Return the session of the running task.

    :raises ContextUnavailable: outside a task, a parse or ``dag.test()``.
    """
    try:
        return _current.get()
    except LookupError:
        msg = (
            "connections, variables and the task context are available only inside a running task, while a DAG file "
            "is parsed, and in dag.test(); here there is none. Move the call into a task, or use `windlass connections`"
        )
        raise ContextUnavailable(msg) from None


class session_scope:  # noqa: N801 - used like a function; a class is cheaper in a child than a generator
    """Make ``session`` the current one for the duration of the block."""

    __slots__ = ("_session", "_token")

    def __init__(self, session: TaskSession) -> None:
        self._session = session

    def __enter__(self) -> TaskSession:
        self._token = _current.set(self._session)
        return self._session

    def __exit__(self, *_: object) -> None:
        _current.reset(self._token)
