"""The engine's store in memory: what ``dag.test()`` runs on, without a database.

It keeps the contract of the real store (the same conformance suite runs against both) with dicts instead of tables: a
step of the scheduler is applied whole, per run, guarded by generation, state and epoch, and every transition is kept
with its op id. There is one process and one scheduler, so nothing here waits, locks or expires by itself.

A simulation of a year makes tens of thousands of runs, so no question and no change costs more the more runs there
are: what the tables' indexes are to the real store, those of ``rows`` are here. ``creation`` makes runs, ``changes``
applies the scheduler's steps; ``assets``, ``backfills`` and ``questions`` keep what their names say.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice

from windlass.app.inproc.assets import MemoryAssets
from windlass.app.inproc.backfills import MemoryBackfills
from windlass.app.inproc.changes import MemoryChanges
from windlass.app.inproc.creation import MemoryCreation
from windlass.app.inproc.questions import MemoryQuestions
from windlass.app.inproc.rows import MemoryRows, Transition
from windlass.ports import (
    Asked,
    AssetName,
    BackfillFacts,
    BackfillStep,
    Changes,
    Clock,
    Committed,
    DagFacts,
    Expansion,
    NewBackfill,
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
from windlass.protocol import AssetEvent, Rendered, TimetableQuestion, XComValue
from windlass.spec import DagSpec, spec_version
from windlass.states import RunType, TaskState

_ENDED_WELL = frozenset({TaskState.SUCCESS, TaskState.SKIPPED})


class MemoryStore:
    """Implements :class:`~windlass.ports.StorePort`; the gateway beside it writes through :meth:`transit`."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        #: Task instance -> key -> value.
        self.xcoms: dict[int, dict[str, XComValue]] = {}
        self.rendered: dict[int, Rendered] = {}
        self.assets = MemoryAssets()
        self.questions = MemoryQuestions(clock, self._tell)
        self._rows = MemoryRows()
        self._creation = MemoryCreation(self._rows, clock, self.assets)
        self._backfills = MemoryBackfills(self._rows, clock, self._creation, self.questions)
        self._changes = MemoryChanges(self._rows, clock, self.questions)
        # what the gateway, results and tests read
        self.transitions = self._rows.transitions
        self.run_reasons = self._rows.run_reasons
        self.missed = self._rows.missed
        self.stops = self._rows.stops

    # -- what a test or the gateway puts in ---------------------------------------------------------------------------

    def add_dag(
        self,
        spec: DagSpec,
        *,
        code_version: str = "inproc",
        bundle: str = "inproc",
        paused: bool = False,
        stale: bool = False,
        last_interval: tuple[datetime, datetime] | None = None,
    ) -> None:
        """Store a DAG, or its next version. A stale one has no scheduled runs.

        ``last_interval`` is that of the newest scheduled run, if it had any before all that is remembered here.
        """
        version = spec_version(spec)
        self._rows.specs[spec.dag_id, version] = spec
        known = self._rows.dags.get(spec.dag_id)
        if last_interval is None and known is not None and known.last_interval_start and known.last_interval_end:
            last_interval = (known.last_interval_start, known.last_interval_end)
        fresh = DagFacts(
            dag_id=spec.dag_id,
            bundle=bundle,
            file=spec.file,
            spec_version=version,
            code_version=code_version,
            paused=paused,
            stale=stale,
            last_interval_start=None if last_interval is None else last_interval[0],
            last_interval_end=None if last_interval is None else last_interval[1],
        )
        self._rows.dags[spec.dag_id] = fresh
        self.assets.forget(spec.dag_id, spec)
        self._rows.signal(SignalKind.DAG, dag_id=spec.dag_id)

    def set_pool(self, pool: PoolFacts) -> None:
        """Create or change a pool."""
        self._rows.pools[pool.name] = pool
        self._rows.signal(SignalKind.POOL)

    def expand(self, run: int, task_id: str, length: int) -> None:
        """Let a mapped task have ``length`` instances, as if the scheduler had decided it."""
        first = next(task for task in self._rows.tasks_of(run) if task.task_id == task_id)
        self._changes.expand(Expansion(task=first.id, run=run, task_id=task_id, length=length))

    def transit(self, task: TaskFacts, move: Transition) -> TaskFacts:
        """Write a transition that the table of ``states`` allows; ``task`` is the instance as it shall be."""
        return self._rows.transit(task, move)

    def signal_task(self, task: TaskFacts) -> None:
        """Tell the run's scheduler that somebody else changed ``task``."""
        self._rows.signal(SignalKind.TASK, run=task.run, task=task.id)

    def add_backfill(self, new: NewBackfill) -> BackfillFacts:
        """Record a backfill."""
        return self._backfills.add(new)

    def cancel_backfill(self, backfill: int) -> None:
        """Make no more runs of a backfill; those that wait for their start fail."""
        self._backfills.cancel(backfill)

    def record_asset_event(self, event: AssetEvent, source: tuple[str, str, str, int] | None = None) -> None:
        """Record an event and tell the DAGs that listen."""
        listeners = [(dag, self._rows.spec(dag.dag_id, dag.spec_version)) for dag in self.dags()]
        for dag_id in self.assets.record(event, self.clock.now(), listeners, source):
            self._rows.signal(SignalKind.ASSET, dag_id=dag_id)

    def task(self, task: int) -> TaskFacts:
        """Return one task instance."""
        return self._rows.tasks[task]

    def count_of(self, run: int, task_id: str) -> int:
        """Return how many instances a task has in a run."""
        return self._rows.counts[run, task_id]

    @property
    def run_count(self) -> int:
        """How many runs there are."""
        return len(self._rows.runs)

    def run_named(self, dag_id: str, run_id: str) -> RunFacts | None:
        """Return one run by its names."""
        number = self._rows.named.get((dag_id, run_id))
        return None if number is None else self._rows.runs[number]

    def _tell(self, question: TimetableQuestion) -> None:
        kind = SignalKind.RUN if question.run else SignalKind.BACKFILL if question.backfill else SignalKind.DAG
        self._rows.signal(kind, dag_id=question.dag_id, run=question.run)

    # -- StorePort: reading -------------------------------------------------------------------------------------------

    def signals(self, limit: int = 1000) -> list[Signal]:
        """Return the oldest rows of the inbox."""
        return list(islice(self._rows.signals.values(), limit))

    def dags(self) -> list[DagFacts]:
        """Return the DAGs that are not stale."""
        return [dag for dag in self._rows.dags.values() if not dag.stale]

    def dag(self, dag_id: str) -> DagFacts | None:
        """Return one DAG."""
        return self._rows.dags.get(dag_id)

    def spec(self, dag_id: str, spec_version: str) -> DagSpec:
        """Return a stored spec."""
        return self._rows.spec(dag_id, spec_version)

    def pools(self) -> list[PoolFacts]:
        """Return all pools."""
        return list(self._rows.pools.values())

    def occupied(self) -> list[Occupied]:
        """Return the instances that hold slots."""
        return [
            Occupied(
                task=task.id,
                run=task.run,
                dag_id=self._rows.runs[task.run].dag_id,
                task_id=task.task_id,
                pool=task.pool,
                pool_slots=task.pool_slots,
                state=task.state,
            )
            for task in map(self._rows.tasks.__getitem__, self._rows.occupying)
        ]

    def open_runs(self) -> list[RunFacts]:
        """Return the unfinished runs, oldest first."""
        runs = [run for run in self._rows.runs.values() if not run.state.is_terminal]
        return sorted(runs, key=lambda run: (run.run_after, run.id))

    def runs(self) -> list[RunFacts]:
        """Return all runs, in the order of their creation."""
        return list(self._rows.runs.values())

    def run(self, run: int) -> RunFacts | None:
        """Return one run."""
        return self._rows.runs.get(run)

    def own(self, runs: Sequence[int]) -> list[RunFacts]:
        """Return these runs; there is one scheduler."""
        return [self._rows.runs[run] for run in runs if run in self._rows.runs]

    def tasks_of(self, run: int) -> list[TaskFacts]:
        """Return the instances of a run."""
        return self._rows.tasks_of(run)

    def tasks(self, ids: Iterable[int]) -> list[TaskFacts]:
        """Return these instances."""
        return [self._rows.tasks[task] for task in ids if task in self._rows.tasks]

    def queued(self) -> list[TaskFacts]:
        """Return the queued instances."""
        occupying = map(self._rows.tasks.__getitem__, self._rows.occupying)
        return [task for task in occupying if task.state is TaskState.QUEUED]

    def previous(self, run: int, task_id: str, map_index: int, *, scheduled_only: bool) -> PreviousFacts | None:
        """Return the same task in the run before."""
        here = self._rows.runs[run]
        kinds = set(RunType) - ({RunType.MANUAL} if scheduled_only else set())

        def every_earlier() -> Iterator[RunFacts]:
            dated = self._rows.dated[here.dag_id]
            for place in range(bisect_left(dated, (here.logical_date, 0)) - 1, -1, -1):
                yield self._rows.runs[dated[place][1]]

        def earlier() -> Iterator[RunFacts]:
            return (other for other in every_earlier() if other.run_type in kinds)

        last = next(earlier(), None)
        if last is None:
            return None
        states = {(task.task_id, task.map_index): task.state for task in self._rows.tasks_of(last.id)}
        spec = self._rows.spec(here.dag_id, here.spec_version)
        below = spec.downstream.get(task_id, ())
        return PreviousFacts(
            run=last.id,
            state=states.get((task_id, map_index)),
            has_earlier_instance=any(
                (task.task_id, task.map_index) == (task_id, map_index)
                for other in earlier()
                for task in self._rows.tasks_of(other.id)
            ),
            downstream_done=all(state in _ENDED_WELL for (name, _), state in states.items() if name in below),
            first_of_backfill=here.backfill_id is not None
            and all(other.backfill_id != here.backfill_id for other in every_earlier()),
        )

    def updated_assets(self, dag_id: str) -> list[AssetName]:
        """Return which of the DAG's assets and aliases have a waiting event that counts."""
        dag = self._rows.dags[dag_id]
        return self.assets.updated(dag_id, self._rows.spec(dag_id, dag.spec_version))

    def waiting_events(self, dag_id: str) -> list[WaitingEvent]:
        """Return the events that wait for a run of the DAG."""
        return self.assets.waiting(dag_id)

    def backfills(self) -> list[BackfillFacts]:
        """Return the backfills that are not completed."""
        return self._backfills.incomplete()

    def backfill(self, backfill: int) -> BackfillFacts | None:
        """Return one backfill."""
        return self._backfills.get(backfill)

    def runs_at(self, dag_id: str, dates: Sequence[datetime], run_ids: Sequence[str]) -> list[RunFacts]:
        """Return the DAG's runs that have one of these logical dates or ids."""
        return self._backfills.runs_at(dag_id, dates, run_ids)

    # -- StorePort: writing -------------------------------------------------------------------------------------------

    def create_run(self, new: NewRun) -> RunFacts | None:
        """Create a run with its instances, unless it exists."""
        return self._creation.create(new)

    def advance_backfill(self, step: BackfillStep) -> bool:
        """Write a step, unless what it was decided on no longer holds."""
        return self._backfills.advance(step)

    def complete_backfill(self, backfill: int) -> bool:
        """Note that a backfill has nothing left to do, if that is so."""
        return self._backfills.complete(backfill)

    def asked(self, dag_id: str, run: int = 0) -> Asked | None:
        """Return the question about a DAG's next run, or about a manual run."""
        return self.questions.asked(dag_id, run)

    def ask(self, question: TimetableQuestion, digest: str, seen: Asked | None) -> Asked | None:
        """Put a question in place of what was ``seen``."""
        return self.questions.ask(question, digest, seen)

    def commit(self, changes: Changes) -> Committed:
        """Apply each run's changes whole or not at all."""
        return self._changes.commit(changes)

    def reap(self, *, queued_timeout: float) -> int:
        """Nothing dies here: the tasks run in this process."""
        return 0
