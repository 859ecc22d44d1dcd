"""What people ask: DAGs, runs, task instances, their attempts and history, import errors, XComs.

Every list has a cursor that names the last item seen, so pages are stable while rows come and go, and a page costs the
same wherever it stands. Cursors are opaque to callers.
"""

# ruff: noqa: S608 - statements are put together from constants; values are always parameters

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Generic, TypeVar

import msgspec

from windlass.errors import DagNotFound, RunNotFound, TaskNotFound, UsageError
from windlass.ports import RunFacts
from windlass.spec import DagSpec
from windlass.states import RunState
from windlass.store.database import Database, Row
from windlass.store.facts import RUN_COLUMNS, run_facts, to_dict, to_json
from windlass.store.instants import SECOND, instant
from windlass.store.selection import TASK_ROW, TaskRow, task_row
from windlass.store.specs import Specs

T = TypeVar("T")

_DAG_COLUMNS: Final = (
    "dag_id, bundle, file, spec_version, code_version, paused, stale, created_at, updated_at, paused_by, paused_reason"
)
_RUN: Final = f"SELECT {RUN_COLUMNS} FROM run WHERE dag_id = :dag_id AND run_id = :run_id"
_ATTEMPTS: Final = (
    "SELECT lease_id, epoch, try_number, supervisor, hostname, pid, claimed_at, started_at, ended_at, duration_us,"
    " outcome, reason, log_size, rendered, lease_until FROM attempt WHERE ti_id = :task ORDER BY epoch"
)
_TRANSITIONS: Final = (
    "SELECT from_state, to_state, epoch, actor, who, reason, at FROM transition WHERE ti_id = :task ORDER BY seq"
)
_RUN_TRANSITIONS: Final = (
    "SELECT from_state, to_state, 0, actor, who, reason, at FROM run_transition WHERE run = :run ORDER BY seq"
)
_XCOMS: Final = "SELECT name, codec, size, length, preview, artifact FROM xcom WHERE ti_id = :task ORDER BY name"


class Page(msgspec.Struct, Generic[T], frozen=True):
    """Some of the items, and the cursor to ask for the rest with; None at the end."""

    items: tuple[T, ...]
    cursor: str | None = None


class DagRow(msgspec.Struct, frozen=True, kw_only=True):
    """A DAG as stored; what it looks like stands in its spec."""

    dag_id: str
    bundle: str
    file: str
    spec_version: str
    code_version: str
    paused: bool
    stale: bool
    created_at: datetime
    updated_at: datetime
    #: Who paused it, and why where that was not a person's wish; None while it is not paused.
    paused_by: str | None = None
    paused_reason: str | None = None


class AttemptRow(msgspec.Struct, frozen=True, kw_only=True):
    """One leased process of a task instance. Its lease id is a right, so it is not shown."""

    epoch: int
    try_number: int
    supervisor: str
    hostname: str
    pid: int
    claimed_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    duration: float | None
    outcome: str | None
    reason: str | None
    log_size: int
    rendered: dict[str, Any]
    #: Until when its process holds the lease; of an ended attempt, until when it did.
    lease_until: datetime


class TransitionRow(msgspec.Struct, frozen=True, kw_only=True):
    """One change of state, and who made it."""

    before: str
    after: str
    epoch: int
    actor: str
    who: str
    reason: str
    at: datetime


class ImportErrorRow(msgspec.Struct, frozen=True, kw_only=True):
    """Something wrong with a DAG file; ``severity`` is error or warning."""

    bundle: str
    file: str
    severity: str
    message: str
    output: str
    at: datetime


class XComRow(msgspec.Struct, frozen=True, kw_only=True):
    """An XCom as people see it."""

    key: str
    codec: str
    size: int
    length: int | None
    preview: str
    artifact: str | None


class Queries:
    """Reads for people and for commands; never for decisions."""

    def __init__(self, database: Database, specs: Specs) -> None:
        self._database = database
        self._specs = specs

    # --- DAGs

    def dags(self, *, after: str | None = None, limit: int = 100) -> Page[DagRow]:
        """Return DAGs by id, stale ones included."""
        last = decode_cursor(after, str) if after is not None else ""
        sql = f"SELECT {_DAG_COLUMNS} FROM dag WHERE dag_id > :last ORDER BY dag_id LIMIT :limit"
        rows = self._database.rows(sql, {"last": last, "limit": limit + 1})
        items = tuple(_dag(row) for row in rows[:limit])
        return Page(items, encode_cursor(items[-1].dag_id) if len(rows) > limit else None)

    def dag(self, dag_id: str) -> DagRow:
        """Return one DAG.

        Raises:
            DagNotFound: there is none.
        """
        row = self._database.row(f"SELECT {_DAG_COLUMNS} FROM dag WHERE dag_id = :dag_id", {"dag_id": dag_id})
        if row is None:
            raise DagNotFound(f"DAG {dag_id!r} is not known; `windlass dags list` shows all")
        return _dag(row)

    def spec(self, dag_id: str, spec_version: str | None = None) -> DagSpec:
        """Return a version of a DAG, its newest by default.

        Raises:
            DagNotFound: there is none.
        """
        return self._specs.get(dag_id, spec_version or self.dag(dag_id).spec_version)

    def import_errors(self) -> list[ImportErrorRow]:
        """Return what is wrong with DAG files."""
        sql = "SELECT bundle, file, severity, message, output, at FROM import_error ORDER BY bundle, file, id"
        return [
            ImportErrorRow(bundle=bundle, file=file, severity=kind, message=text, output=output, at=instant(at))
            for bundle, file, kind, text, output, at in self._database.rows(sql)
        ]

    # --- Runs

    def runs(
        self,
        dag_id: str | None = None,
        *,
        states: Sequence[RunState] = (),
        after: str | None = None,
        limit: int = 100,
    ) -> Page[RunFacts]:
        """Return runs, the newest logical date first."""
        conditions = []
        values: dict[str, Any] = {"limit": limit + 1}
        if dag_id is not None:
            conditions.append("dag_id = :dag_id")
            values["dag_id"] = dag_id
        if states:
            conditions.append("state IN NAMES(:states)")
            values["states"] = to_json(list(states))
        if after is not None:
            date, number = decode_cursor(after, tuple[int, int])
            conditions.append("(logical_date < :date OR (logical_date = :date AND id < :number))")
            values.update(date=date, number=number)
        where = " AND ".join(conditions) or "1 = 1"
        sql = f"SELECT {RUN_COLUMNS} FROM run WHERE {where} ORDER BY logical_date DESC, id DESC LIMIT :limit"
        rows = self._database.rows(sql, values)
        items = tuple(run_facts(row) for row in rows[:limit])
        return Page(items, encode_cursor((rows[limit - 1][5], rows[limit - 1][0])) if len(rows) > limit else None)

    def run(self, dag_id: str, run_id: str) -> RunFacts:
        """Return one run.

        Raises:
            RunNotFound: there is none.
        """
        row = self._database.row(_RUN, {"dag_id": dag_id, "run_id": run_id})
        if row is None:
            raise RunNotFound(f"DAG {dag_id!r} has no run {run_id!r}; `windlass runs list {dag_id}` shows all")
        return run_facts(row)

    def count_runs(self, dag_id: str) -> int:
        """Return how many runs a DAG has."""
        count: int = self._database.rows("SELECT COUNT(*) FROM run WHERE dag_id = :dag_id", {"dag_id": dag_id})[0][0]
        return count

    def run_transitions(self, run: int) -> list[TransitionRow]:
        """Return the history of a run, oldest first."""
        return [_transition(row) for row in self._database.rows(_RUN_TRANSITIONS, {"run": run})]

    # --- Task instances

    def tasks(self, dag_id: str, run_id: str, *, after: str | None = None, limit: int = 1000) -> Page[TaskRow]:
        """Return the task instances of a run, by task id and map index.

        Raises:
            RunNotFound: there is no such run.
        """
        values: dict[str, Any] = {"run": self.run(dag_id, run_id).id, "limit": limit + 1, "task_id": "", "index": -2}
        if after is not None:
            values["task_id"], values["index"] = decode_cursor(after, tuple[str, int])
        sql = (
            f"{TASK_ROW} WHERE r.id = :run"
            " AND (t.task_id > :task_id OR (t.task_id = :task_id AND t.map_index > :index))"
            " ORDER BY t.task_id, t.map_index LIMIT :limit"
        )
        rows = self._database.rows(sql, values)
        items = tuple(task_row(row) for row in rows[:limit])
        return Page(items, encode_cursor((items[-1].task_id, items[-1].map_index)) if len(rows) > limit else None)

    def task(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> TaskRow:
        """Return one task instance.

        Raises:
            RunNotFound: there is no such run.
            TaskNotFound: the run has no such instance.
        """
        values = {"run": self.run(dag_id, run_id).id, "task_id": task_id, "index": map_index}
        sql = f"{TASK_ROW} WHERE r.id = :run AND t.task_id = :task_id AND t.map_index = :index"
        row = self._database.row(sql, values)
        if row is None:
            which = f"task {task_id!r}" if map_index < 0 else f"task {task_id!r} with map index {map_index}"
            raise TaskNotFound(f"run {run_id!r} of DAG {dag_id!r} has no {which}")
        return task_row(row)

    def attempts(self, task: int) -> list[AttemptRow]:
        """Return the attempts of a task instance, oldest first."""
        return [_attempt(row) for row in self._database.rows(_ATTEMPTS, {"task": task})]

    def transitions(self, task: int) -> list[TransitionRow]:
        """Return the history of a task instance, oldest first."""
        return [_transition(row) for row in self._database.rows(_TRANSITIONS, {"task": task})]

    def xcoms(self, task: int) -> list[XComRow]:
        """Return what a task instance has left."""
        return [
            XComRow(key=key, codec=codec, size=size, length=length, preview=preview, artifact=artifact)
            for key, codec, size, length, preview, artifact in self._database.rows(_XCOMS, {"task": task})
        ]


def _dag(row: Row) -> DagRow:
    return DagRow(
        dag_id=row[0],
        bundle=row[1],
        file=row[2],
        spec_version=row[3],
        code_version=row[4],
        paused=bool(row[5]),
        stale=bool(row[6]),
        created_at=instant(row[7]),
        updated_at=instant(row[8]),
        paused_by=row[9] if row[5] else None,
        paused_reason=row[10] if row[5] else None,
    )


def _attempt(row: Row) -> AttemptRow:
    return AttemptRow(
        epoch=row[1],
        try_number=row[2],
        supervisor=row[3],
        hostname=row[4],
        pid=row[5],
        claimed_at=instant(row[6]),
        started_at=instant(row[7]),
        ended_at=instant(row[8]),
        duration=None if row[9] is None else row[9] / SECOND,
        outcome=row[10],
        reason=row[11],
        log_size=row[12],
        rendered=to_dict(row[13]),
        lease_until=instant(row[14]),
    )


def _transition(row: Row) -> TransitionRow:
    before, after, epoch, actor, who, reason, at = row
    return TransitionRow(before=before, after=after, epoch=epoch, actor=actor, who=who, reason=reason, at=instant(at))


def encode_cursor(position: object) -> str:
    """Return the cursor of a position in a list."""
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).decode()


def decode_cursor(cursor: str, shape: Any) -> Any:  # noqa: ANN401 - a JSON edge
    """Return the position that a cursor stands for.

    Raises:
        UsageError: no list gave that cursor out.
    """
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(cursor), type=shape)
    except (ValueError, msgspec.MsgspecError):
        raise UsageError(f"cursor {cursor!r} is not one that this list gave out; start again without it") from None
