"""What the fixtures of the plugin hand to a test: callables, with the types by which a test may annotate them."""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from windlass.app.clocks import VirtualClock
from windlass.app.inproc.preset import XComs
from windlass.app.inproc.results import DagTestResult, TaskTestResult
from windlass.app.inproc.testing import run_task, test_dag
from windlass.authoring.dag import DAG
from windlass.authoring.operator import BaseOperator
from windlass.errors import ConnectionNotDefined, UsageError, VariableNotDefined
from windlass.interfaces.connection import Connection
from windlass.protocol import GetConnection, Mask, Variable, Verb
from windlass.runtime.installed import InstalledHooks
from windlass.secrets.env import EnvironmentSource
from windlass_testing.bag import DagBag

#: A URI, a dict of fields, or a connection.
ConnectionLike = str | Mapping[str, Any] | Connection


class Given(InstalledHooks):
    """The connections and variables of one test. As the test's session it answers hooks that are used outside a task.

    What a test gives comes first, then the environment (``WINDLASS_CONN_…``, ``WINDLASS_VAR_…``).
    """

    context: Mapping[str, Any] | None = None

    def __init__(self) -> None:
        self.connections: dict[str, ConnectionLike] = {}
        self.variables: dict[str, str] = {}
        self._environment = EnvironmentSource()

    def ask(self, verb: Verb) -> Any:
        """Answer a hook, or ``Variable``.

        :raises ConnectionNotDefined, VariableNotDefined: if the test has not given it.
        """
        match verb:
            case GetConnection(conn_id=conn_id):
                return self._connection(conn_id).to_fields()
            case Variable(op="get", key=key):
                value = self.variables.get(key)
                value = self._environment.get_variable(key) if value is None else value
                if value is None:
                    raise VariableNotDefined(f"variable `{key}` is not defined; give it with variable({key!r}, …)")
                return value
            case Variable(op="set", key=key, value=text):
                self.variables[key] = str(text)
            case Variable(key=key):
                self.variables.pop(key, None)
            case Mask():
                pass  # there is no log outside a task
            case _:
                raise UsageError(f"{type(verb).__name__} is answered inside a task only; use run_task or run_dag")
        return None

    def tell(self, verb: Verb) -> None:
        """Take ``verb`` in, as :meth:`ask` does."""
        self.ask(verb)

    def _connection(self, conn_id: str) -> Connection:
        value = self.connections.get(conn_id)
        if value is None:
            found = self._environment.get_connection(conn_id)
            if found is None:
                text = f"connection `{conn_id}` is not defined; give it with connection({conn_id!r}, …)"
                raise ConnectionNotDefined(text)
            return found
        return made(conn_id, value)


def made(conn_id: str, value: ConnectionLike) -> Connection:
    """Return a connection, whatever form it was given in."""
    if isinstance(value, Connection):
        return value
    return Connection.parse(conn_id, value) if isinstance(value, str) else Connection.from_fields(conn_id, value)


class SetConnection:
    """The fixture ``connection``: ``connection("db", "postgres://ada@host/db")`` or with fields as keywords."""

    def __init__(self, given: Given) -> None:
        self._given = given

    def __call__(self, conn_id: str, value: ConnectionLike | None = None, **fields: Any) -> Connection:
        """Let ``conn_id`` be this connection for the rest of the test, and return it."""
        if (value is None) == (not fields):
            raise UsageError(f"connection {conn_id!r}: give a URI, a dict or a Connection, or else fields by name")
        connection = made(conn_id, fields if value is None else value)
        self._given.connections[conn_id] = connection
        return connection


class SetVariable:
    """The fixture ``variable``: ``variable("colour", "blue")``; what is no text is written as JSON."""

    def __init__(self, given: Given) -> None:
        self._given = given

    def __call__(self, key: str, value: object) -> None:
        """Let ``key`` be this variable for the rest of the test."""
        if isinstance(value, str):
            self._given.variables[key] = value
            return
        import json

        self._given.variables[key] = json.dumps(value)


class RunDag:
    """The fixture ``run_dag``: :meth:`DAG.test` with what the test has given, on its virtual clock."""

    def __init__(self, given: Given, clock: VirtualClock, bag: Callable[[], DagBag]) -> None:
        self._given = given
        self._clock = clock
        self._bag = bag

    def __call__(
        self,
        dag: DAG | str,
        *,
        logical_date: datetime | None = None,
        conf: Mapping[str, Any] | None = None,
        fakes: Mapping[str, Any] | None = None,
        connections: Mapping[str, ConnectionLike] | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> DagTestResult:
        """Run a DAG, or the one of that id in ``dag_bag``, and return what came of it."""
        return test_dag(
            self._bag()[dag] if isinstance(dag, str) else dag,
            logical_date=logical_date,
            conf=conf,
            fakes=fakes,
            connections={**self._given.connections, **(connections or {})},
            variables={**self._given.variables, **(variables or {})},
            clock=self._clock,
        )


class RunTask:
    """The fixture ``run_task``: one try of one operator, with what the test has given, on its virtual clock."""

    def __init__(self, given: Given, clock: VirtualClock) -> None:
        self._given = given
        self._clock = clock

    def __call__(
        self,
        task: BaseOperator,
        *,
        logical_date: datetime | None = None,
        conf: Mapping[str, Any] | None = None,
        map_index: int = -1,
        xcoms: XComs | None = None,
        connections: Mapping[str, ConnectionLike] | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> TaskTestResult:
        """Run the operator; ``xcoms`` says what its upstreams have left."""
        return run_task(
            task,
            logical_date=logical_date,
            conf=conf,
            map_index=map_index,
            xcoms=xcoms,
            connections={**self._given.connections, **(connections or {})},
            variables={**self._given.variables, **(variables or {})},
            clock=self._clock,
        )
