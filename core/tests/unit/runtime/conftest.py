"""A session in memory, and running one attempt over it."""

# ruff: noqa: ANN401 - fixtures of a conftest have no importable type, and authors' values any
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from windlass import DAG
from windlass.authoring import collect
from windlass.errors import ConnectionNotDefined, NotFound, VariableNotDefined
from windlass.protocol import (
    ArtifactCommit,
    ArtifactOpen,
    AttemptContext,
    Defer,
    Finish,
    GetConnection,
    Query,
    Rendered,
    Reschedule,
    TriggerRun,
    Variable,
    Verb,
    XComGet,
    XComInfo,
    XComSet,
    XComValue,
    encode,
)
from windlass.runtime.attempt import run_attempt
from windlass.runtime.xcom import pack, unpack

LOGICAL = datetime(2026, 3, 1, tzinfo=UTC)


class FakeSession:
    """What a supervisor would answer, kept in memory. Everything told must fit the protocol's bytes."""

    def __init__(self, folder: Path) -> None:
        self.context: Mapping[str, Any] | None = None
        self.folder = folder
        self.told: list[Verb] = []
        self.asked: list[Verb] = []
        #: (dag, run, task, key) -> map index -> value
        self.xcoms: dict[tuple[str, str, str, str], dict[int, XComValue]] = {}
        self.instances: dict[str, int] = {}
        self.variables: dict[str, str] = {}
        self.connections: dict[str, dict[str, Any]] = {}
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self.errors: dict[str, Exception] = {}
        self.attempt: AttemptContext | None = None

    def tell(self, verb: Verb) -> None:
        encode(verb)
        self.told.append(verb)
        if isinstance(verb, XComSet):
            attempt = self.attempt
            assert attempt is not None
            place = (attempt.dag_id, attempt.run_id, attempt.task_id, verb.key)
            self.xcoms.setdefault(place, {})[attempt.map_index] = verb.value

    def ask(self, verb: Verb) -> Any:
        encode(verb)
        self.asked.append(verb)
        name = type(verb).__name__
        if name in self.errors:
            raise self.errors[name]
        return getattr(self, f"_{name.lower()}")(verb)

    def _xcoms_of(self, verb: XComGet | XComInfo) -> dict[int, XComValue]:
        dag_id = getattr(verb, "dag_id", None) or "d"
        return self.xcoms.get((dag_id, verb.run_id or "r", verb.task_id, verb.key), {})

    def _xcomget(self, verb: XComGet) -> list[Any]:
        found = sorted(self._xcoms_of(verb).items())
        if verb.map_index is not None:
            found = [(index, value) for index, value in found if index == verb.map_index]
        end = None if verb.limit is None else verb.offset + verb.limit
        return [[index, value] for index, value in found[verb.offset : end]]

    def _xcominfo(self, verb: XComInfo) -> dict[str, Any]:
        found = self._xcoms_of(verb)
        return {"count": len(found), "length": None, "instances": self.instances.get(verb.task_id, len(found))}

    def _variable(self, verb: Variable) -> str | None:
        if verb.op == "set":
            assert verb.value is not None
            self.variables[verb.key] = verb.value
            return None
        if verb.key not in self.variables:
            raise VariableNotDefined(f"variable `{verb.key}` is not defined")
        return self.variables[verb.key] if verb.op == "get" else self.variables.pop(verb.key)

    def _getconnection(self, verb: GetConnection) -> dict[str, Any]:
        if verb.conn_id not in self.connections:
            raise ConnectionNotDefined(f"connection `{verb.conn_id}` is not defined")
        return self.connections[verb.conn_id]

    def _query(self, verb: Query) -> list[dict[str, Any]]:
        rows = self.rows.get(verb.what, [])
        if verb.what != "asset_events":
            return rows
        rows = [row for row in rows if verb.filters.get("uri", row["uri"]) == row["uri"]]
        ordered = rows[::-1] if verb.filters.get("newest_first") else rows
        return ordered[verb.offset : verb.offset + verb.limit]

    def _triggerrun(self, verb: TriggerRun) -> dict[str, Any]:
        return {"run_id": verb.run_id}

    def _artifactopen(self, verb: ArtifactOpen) -> dict[str, str]:
        if verb.digest is None:
            return {"path": str(self.folder / f"new{len(self.asked)}")}
        path = self.folder / verb.digest
        if not path.exists():
            raise NotFound(f"artifact {verb.digest} is not there")
        return {"path": str(path)}

    def _artifactcommit(self, verb: ArtifactCommit) -> None:
        Path(verb.path).rename(self.folder / verb.digest)


class Lab:
    """Runs attempts of one DAG (``d``) in one run (``r``)."""

    def __init__(self, folder: Path) -> None:
        self.session = FakeSession(folder)

    def run(self, dag: DAG, task_id: str, map_index: int = -1, **facts: Any) -> Finish | Defer | Reschedule:
        attempt = AttemptContext(
            **{
                "dag_id": dag.dag_id,
                "run_id": "r",
                "task_id": task_id,
                "map_index": map_index,
                "try_number": 1,
                "max_tries": 0,
                "epoch": 3,
                "lease_id": "lease",
                "run_type": "scheduled",
                "logical_date": LOGICAL,
                "data_interval_start": LOGICAL,
                "data_interval_end": LOGICAL + timedelta(days=1),
                "run_after": LOGICAL + timedelta(days=1),
                "idempotency_key": "key",
                **facts,
            }
        )
        self.session.attempt = attempt
        ending = run_attempt(dag, attempt, self.session)
        encode(ending)
        return ending

    def finish(self, dag: DAG, task_id: str, map_index: int = -1, **facts: Any) -> Finish:
        ending = self.run(dag, task_id, map_index, **facts)
        assert isinstance(ending, Finish), ending
        return ending

    def value(self, dag: DAG, task_id: str, map_index: int = -1, **facts: Any) -> Any:
        """Run the task and return what it returned."""
        ending = self.finish(dag, task_id, map_index, **facts)
        assert ending.outcome == "success", ending.reason
        stored = self.session.xcoms.get(("d", "r", task_id, "return_value"), {}).get(map_index)
        return None if stored is None else unpack(stored, self.session)

    def give(
        self, task_id: str, value: Any, map_index: int = -1, *, key: str = "return_value", dag_id: str = "d"
    ) -> None:
        """Store an XCom as if the task had run."""
        self.session.xcoms.setdefault((dag_id, "r", task_id, key), {})[map_index] = pack(value, "it", self.session)

    @property
    def rendered(self) -> dict[str, Any]:
        return [verb for verb in self.session.told if isinstance(verb, Rendered)][-1].fields


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    collect()
    yield Lab(tmp_path)
    collect()


@pytest.fixture
def dag() -> Iterator[DAG]:
    with DAG("d") as made:
        yield made


Make = Callable[..., Any]
