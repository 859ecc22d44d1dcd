"""Questions for connections and variables: answered by the secrets chain, without ever making the loop wait.

What the answer holds in secrets is hidden in the attempt's log before the answer leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from windlass.errors import WindlassError
from windlass.interfaces.connection import Connection
from windlass.protocol import GetConnection, Variable, Verb
from windlass.secrets.chain import Kind
from windlass.secrets.masking import secrets_of_fields, secrets_of_variable
from windlass.supervisor.reactor import Reactor, Timer

#: Raises a WindlassError to refuse a connection to a task (DAG id, task id) or to the top level of a file ("", None).
Policy = Callable[[Connection, str, str | None], None]
Found = Callable[[Connection | str | None, WindlassError | None], None]
#: Gets the value, the texts to hide in it, or the error.
Answered = Callable[[Any, Sequence[str], WindlassError | None], None]


class Lookups(Protocol):
    """The secrets chain as a loop needs it; ``windlass.secrets.resolver.Resolver`` is the real one."""

    def resolve(self, kind: Kind, key: str, found: Found) -> None:
        """Look ``key`` up and call ``found`` once: at once, or from :meth:`receive` or :meth:`expire`."""
        ...

    def fileno(self) -> int | None:
        """Return the descriptor to watch for reading; None if there is nothing to watch."""
        ...

    def receive(self) -> None:
        """Continue the lookups whose answers have come."""
        ...

    def deadline(self) -> float | None:
        """Return when (monotonic) :meth:`expire` is due, None while nothing waits."""
        ...

    def expire(self) -> None:
        """End the lookups that have waited too long."""
        ...


def is_secret_question(verb: Verb) -> bool:
    """Return whether ``verb`` is answered by the secrets chain: reading a connection or a variable."""
    return isinstance(verb, GetConnection) or (isinstance(verb, Variable) and verb.op == "get")


class Questions:
    """Asks the chain on behalf of children; what ``policy`` refuses they do not get."""

    def __init__(self, lookups: Lookups, reactor: Reactor, policy: Policy) -> None:
        self._lookups = lookups
        self._policy = policy
        self._reactor = reactor
        self._timer: Timer | None = None
        fd = lookups.fileno()
        if fd is not None:
            reactor.watch(fd, self._receive)

    def ask(
        self, verb: GetConnection | Variable, then: Answered, *, dag_id: str = "", task_id: str | None = None
    ) -> None:
        """Look up what ``verb`` names, for a task or for a file's top level; ``then`` is called once, now or later."""

        def found(value: Connection | str | None, error: WindlassError | None) -> None:
            if error is not None:
                then(None, (), error)
            elif isinstance(value, Connection):
                fields = value.to_fields()
                try:
                    self._policy(value, dag_id, task_id)
                except WindlassError as refusal:
                    then(None, secrets_of_fields(fields), refusal)  # a policy may quote what it has seen
                else:
                    then(fields, secrets_of_fields(fields), None)
            else:
                then(value, secrets_of_variable(verb.key, value or "") if isinstance(verb, Variable) else (), None)

        if isinstance(verb, GetConnection):
            self._lookups.resolve(Kind.CONNECTION, verb.conn_id, found)
        else:
            self._lookups.resolve(Kind.VARIABLE, verb.key, found)
        self._set_timer()

    def _receive(self) -> None:
        self._lookups.receive()
        self._set_timer()

    def _expire(self) -> None:
        self._lookups.expire()
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._lookups.deadline()
        if deadline is not None:
            self._timer = self._reactor.after(max(0.0, deadline - self._reactor.monotonic()), self._expire)
