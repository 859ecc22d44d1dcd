"""The scheduler's view of the database: the StorePort over SQL."""

# ruff: noqa: S608 - statements are put together from constants; values are always parameters

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from windlass.ports import (
    Asked,
    AssetName,
    Changes,
    Committed,
    DagFacts,
    NewRun,
    Occupied,
    PoolFacts,
    PreviousFacts,
    RunFacts,
    Signal,
    SignalKind,
    TaskFacts,
    WaitingEvent,
)
from windlass.protocol import TimetableQuestion
from windlass.spec import DagSpec
from windlass.states import TaskState
from windlass.store import assets
from windlass.store import changes as writing
from windlass.store.creation import Creation
from windlass.store.database import Database, Row, Transaction
from windlass.store.endings import Endings
from windlass.store.facts import (
    DAG_COLUMNS,
    RUN_COLUMNS,
    TASK_COLUMNS,
    dag_facts,
    run_facts,
    task_facts,
    task_state,
    to_json,
)
from windlass.store.filling import Filling
from windlass.store.questions import Questions
from windlass.store.reaping import Reaper
from windlass.store.specs import Specs

_SIGNALS: Final = 'SELECT id, kind, dag_id, run, task FROM "signal" ORDER BY id LIMIT :limit'
_DAGS: Final = f"SELECT {DAG_COLUMNS} FROM dag WHERE stale = 0 ORDER BY dag_id"
_DAG: Final = f"SELECT {DAG_COLUMNS} FROM dag WHERE dag_id = :dag_id"
_POOLS: Final = "SELECT name, slots, include_deferred FROM pool ORDER BY name"
# A join would let a planner that knows how long history is begin with `run`: nobody tells it how few rows are alive.
_OCCUPIED: Final = (
    "SELECT t.id, t.run, (SELECT dag_id FROM run WHERE id = t.run), t.task_id, t.pool, t.pool_slots, t.state"
    " FROM ti t WHERE t.state IN ('queued','running')"
    " UNION ALL"
    " SELECT t.id, t.run, (SELECT dag_id FROM run WHERE id = t.run), t.task_id, t.pool, t.pool_slots, t.state"
    " FROM pool p JOIN ti t ON t.pool = p.name"
    " WHERE t.state = 'deferred' AND p.include_deferred = 1"
)
_OPEN_RUNS: Final = f"SELECT {RUN_COLUMNS} FROM run WHERE state IN ('queued','running') ORDER BY run_after, id"
_RUN: Final = f"SELECT {RUN_COLUMNS} FROM run WHERE id = :id"
_OWN: Final = f"SELECT {RUN_COLUMNS} FROM run WHERE id IN IDS(:ids) ORDER BY id"
_TASKS_OF: Final = f"SELECT {TASK_COLUMNS} FROM ti WHERE run = :run ORDER BY task_id, map_index"
_TASKS: Final = f"SELECT {TASK_COLUMNS} FROM ti WHERE id IN IDS(:ids)"
_QUEUED: Final = f"SELECT {TASK_COLUMNS} FROM ti WHERE state = 'queued' ORDER BY queued_at, id"
_BEFORE: Final = (
    "SELECT p.id, p.spec_version FROM run r JOIN run p ON p.dag_id = r.dag_id AND p.logical_date < r.logical_date"
    " WHERE r.id = :run {types} ORDER BY p.logical_date DESC LIMIT 1"
)
_ANY_BEFORE: Final = _BEFORE.format(types="")
_SCHEDULED_BEFORE: Final = _BEFORE.format(types="AND p.run_type <> 'manual'")
_FIRST_OF_BACKFILL: Final = (
    "SELECT 1 FROM run r WHERE r.id = :run AND r.backfill_id IS NOT NULL AND NOT EXISTS"
    " (SELECT 1 FROM run p WHERE p.backfill_id = r.backfill_id AND p.logical_date < r.logical_date)"
)
_STATE_THERE: Final = "SELECT state FROM ti WHERE run = :run AND task_id = :task_id AND map_index = :map_index"
_EARLIER: Final = (
    "SELECT 1 FROM run r JOIN run p ON p.dag_id = r.dag_id AND p.logical_date < r.logical_date"
    " JOIN ti t ON t.run = p.id AND t.task_id = :task_id WHERE r.id = :run LIMIT 1"
)
_UNDONE: Final = (
    "SELECT 1 FROM ti WHERE run = :run AND task_id IN NAMES(:names) AND state NOT IN ('success','skipped') LIMIT 1"
)


class SqlStore(Filling):
    """Implements :class:`windlass.ports.StorePort`."""

    def __init__(self, database: Database, specs: Specs | None = None) -> None:
        super().__init__(database, specs or Specs(database))
        self._reaper = Reaper(database, Endings(database, self._specs))
        self._questions = Questions(database)

    # --- Reading

    def signals(self, limit: int = 1000) -> list[Signal]:
        """Return the oldest rows of the inbox."""
        rows = self._database.rows(_SIGNALS, {"limit": limit})
        return [Signal(id=i, kind=SignalKind(kind), dag_id=dag, run=run, task=task) for i, kind, dag, run, task in rows]

    def dags(self) -> list[DagFacts]:
        """Return every DAG that is not stale."""
        return [dag_facts(row) for row in self._database.rows(_DAGS)]

    def dag(self, dag_id: str) -> DagFacts | None:
        """Return one DAG, stale or not."""
        row = self._database.row(_DAG, {"dag_id": dag_id})
        return None if row is None else dag_facts(row)

    def spec(self, dag_id: str, spec_version: str) -> DagSpec:
        """Return a stored spec."""
        return self._specs.get(dag_id, spec_version)

    def pools(self) -> list[PoolFacts]:
        """Return all pools."""
        rows = self._database.rows(_POOLS)
        return [PoolFacts(name=name, slots=slots, include_deferred=bool(deferred)) for name, slots, deferred in rows]

    def occupied(self) -> list[Occupied]:
        """Return every task instance that holds slots now."""
        return [_occupied(row) for row in self._database.rows(_OCCUPIED)]

    def open_runs(self) -> list[RunFacts]:
        """Return the runs in ``queued`` or ``running``, oldest ``run_after`` first."""
        return [run_facts(row) for row in self._database.rows(_OPEN_RUNS)]

    def run(self, run: int) -> RunFacts | None:
        """Return one run."""
        row = self._database.row(_RUN, {"id": run})
        return None if row is None else run_facts(row)

    def own(self, runs: Sequence[int]) -> list[RunFacts]:
        """Return these runs as they are now; those that are gone are left out."""
        return [run_facts(row) for row in self._database.rows(_OWN, {"ids": to_json(list(runs))})] if runs else []

    def tasks_of(self, run: int) -> list[TaskFacts]:
        """Return the task instances of a run."""
        return [task_facts(row) for row in self._database.rows(_TASKS_OF, {"run": run})]

    def tasks(self, ids: Iterable[int]) -> list[TaskFacts]:
        """Return these task instances; unknown ids are left out."""
        return [task_facts(row) for row in self._database.rows(_TASKS, {"ids": to_json(list(ids))})]

    def queued(self) -> list[TaskFacts]:
        """Return the task instances in ``queued``, oldest first."""
        return [task_facts(row) for row in self._database.rows(_QUEUED)]

    def previous(self, run: int, task_id: str, map_index: int, *, scheduled_only: bool) -> PreviousFacts | None:
        """Return what became of the task in the run before this one."""
        before = self._database.row(_SCHEDULED_BEFORE if scheduled_only else _ANY_BEFORE, {"run": run})
        if before is None:
            return None
        state = self._database.row(_STATE_THERE, {"run": before[0], "task_id": task_id, "map_index": map_index})
        earlier = state is not None or self._database.row(_EARLIER, {"run": run, "task_id": task_id}) is not None
        return PreviousFacts(
            run=before[0],
            state=None if state is None else task_state(state[0]),
            has_earlier_instance=earlier,
            downstream_done=self._downstream_done(run, before[0], before[1], task_id),
            first_of_backfill=self._database.row(_FIRST_OF_BACKFILL, {"run": run}) is not None,
        )

    def _downstream_done(self, run: int, before: int, spec_version: str, task_id: str) -> bool:
        facts = self.run(run)
        spec = None if facts is None else self._specs.get(facts.dag_id, spec_version)
        names = () if spec is None else spec.downstream.get(task_id, ())
        if not names:
            return True
        return self._database.row(_UNDONE, {"run": before, "names": to_json(names)}) is None

    # --- Writing

    def create_run(self, new: NewRun) -> RunFacts | None:
        """Create a run with its task instances and signal it; None when its id, logical date or events are taken."""
        creation = Creation(self._database, self._specs, new)

        def work(transaction: Transaction) -> RunFacts | None:
            return creation.write(transaction) if self._may_decide(transaction, new.dag_id) else None

        return self._database.write(work)

    def updated_assets(self, dag_id: str) -> list[AssetName]:
        """Return which of the assets and aliases that a DAG listens to have a waiting event that counts."""
        return assets.updated_assets(self._database, dag_id)

    def waiting_events(self, dag_id: str) -> list[WaitingEvent]:
        """Return the events that wait for the next asset-triggered run of a DAG, oldest first."""
        return assets.waiting_events(self._database, dag_id)

    def asked(self, dag_id: str, run: int = 0) -> Asked | None:
        """Return the question to a plugin's timetable about a DAG's next run, or about a manual run."""
        return self._questions.asked(dag_id, run)

    def ask(self, question: TimetableQuestion, digest: str, seen: Asked | None) -> Asked | None:
        """Put a question in place of what was ``seen``; return what is asked now."""
        return self._questions.ask(question, digest, seen)

    def commit(self, changes: Changes) -> Committed:
        """Apply ``changes`` in one transaction. Idempotent by op_id."""
        return writing.commit(self._database, changes)

    def reap(self, *, queued_timeout: float) -> int:
        """End what is dead: expired leases and instances queued for too long."""
        return self._reaper.reap(queued_timeout)


def _occupied(row: Row) -> Occupied:
    return Occupied(
        task=row[0],
        run=row[1],
        dag_id=row[2],
        task_id=row[3],
        pool=row[4],
        pool_slots=row[5],
        state=TaskState(row[6]),
    )
