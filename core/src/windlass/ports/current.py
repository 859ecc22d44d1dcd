"""The contextvar through which hooks, ``Variable`` and ``get_current_context`` reach the process around them.

``runtime`` sets it in a task child (over the pipe), ``app.inproc`` in ``dag.test()`` (in memory), a parse child sets
one that answers only connections and variables. Anywhere else it is unset, and asking says where it is available.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from windlass.errors import ContextUnavailable
from windlass.protocol import Query, Verb

if TYPE_CHECKING:
    from windlass.interfaces.connection import Connection

#: Rows per question; the engine gives no more at once.
_PAGE = 1000


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


@runtime_checkable
class KnowsHooks(Protocol):
    """A session that also knows which hooks are installed: that of a task or trigger, whose process reads manifests."""

    def hook_class(self, conn_type: str | None) -> Any:  # noqa: ANN401 - a class of a provider's
        """Return the hook class that an installed provider's manifest names for a type of connection, imported.

        :raises PluginError: if no installed provider declares that type, or declares it without a hook.
        """
        ...

    def check_fields(self, connection: Connection) -> None:
        """Warn in the log of each field of a connection that an installed provider's manifest does not declare."""
        ...


class WallClock(Protocol):
    """As much of a :class:`~windlass.ports.Clock` as running code may ask for."""

    def now(self) -> datetime:
        """Return the current instant, aware, in UTC."""
        ...


_clock: ContextVar[WallClock] = ContextVar("windlass_clock")


def instant_now() -> datetime:
    """Return the instant by which running code goes: that of the virtual clock in ``dag.test()``, else the system's."""
    clock = _clock.get(None)
    return datetime.now(UTC) if clock is None else clock.now()


@contextmanager
def clock_scope(clock: WallClock) -> Iterator[None]:
    """Let :func:`instant_now` go by ``clock`` for the duration of the block."""
    token = _clock.set(clock)
    try:
        yield
    finally:
        _clock.reset(token)


def current_clock() -> WallClock | None:
    """Return the clock of the surrounding :func:`clock_scope`, None where time is the system's."""
    return _clock.get(None)


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


#: Make a session the current one, and undo that with what this returned. For an attempt, to which each line of Python
#: that it need not run is worth a page; everybody else writes ``with session_scope(session):``.
enter_session, leave_session = _current.set, _current.reset


@contextmanager
def session_scope(session: TaskSession) -> Iterator[TaskSession]:
    """Make ``session`` the current one for the duration of the block."""
    token = enter_session(session)
    try:
        yield session
    finally:
        leave_session(token)


def all_rows(what: str, filters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return every row that answers a question about runs, task states or asset events, page by page."""
    session = current_session()
    found: list[dict[str, Any]] = []
    while True:
        page = session.ask(Query(what=what, filters=dict(filters), offset=len(found), limit=_PAGE))
        found += [dict(row) for row in page]
        if len(page) < _PAGE:
            return found
