"""What the scheduler reads from and writes to the store.

Reads happen in autocommit; every write is one :class:`Changes`, applied in one short transaction of guarded
statements. A change carries the state it expects to find and, per run, the ``generation`` of the run it was decided
on: a clear, a mark or another holder of its DAG raises the generation, so a decision made on states that no longer hold
is refused as a whole run's conflict and made again. All ids are the store's integers; ``op_id`` makes a repeated commit
(the answer to the first was lost) harmless.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

import msgspec

from windlass.ports.backfill import BackfillFacts, Reuse
from windlass.ports.gateway import StopRequest
from windlass.ports.timetables import Asked
from windlass.protocol import TimetableQuestion
from windlass.spec import DagSpec
from windlass.states import Actor, RunState, RunType, TaskState


class SignalKind(StrEnum):
    """What a row in the scheduler's inbox is about."""

    TASK = "task"  # a task instance changed by somebody else than its run's owner
    RUN = "run"  # a run was created, cleared or marked: read it again as a whole
    DAG = "dag"  # a DAG was stored, paused, unpaused or removed
    ASSET = "asset"  # an asset that a DAG listens to was updated
    POOL = "pool"  # a pool changed
    BACKFILL = "backfill"  # a backfill of the DAG was created or cancelled


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the inbox; deleted in the transaction that acts on it, so none is lost.

    One that is ``unheld`` is about a DAG that no scheduler holds; it is left for whoever takes the DAG.
    """

    id: int
    kind: SignalKind
    dag_id: str = ""
    run: int = 0
    task: int = 0
    unheld: bool = False


class DagFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A DAG as the scheduler needs it. ``stale`` DAGs are no longer in any file: they get no new runs."""

    dag_id: str
    bundle: str
    file: str
    spec_version: str
    code_version: str
    paused: bool
    stale: bool = False
    unpaused_at: datetime | None = None
    #: Bounds of the data interval of the newest scheduled run, None if there is none.
    last_interval_start: datetime | None = None
    last_interval_end: datetime | None = None


class AssetName(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """What an asset schedule waits for: an asset, by its URI, or an alias, by its name."""

    name: str
    is_alias: bool = False


class WaitingEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event that was delivered to a DAG and that no run of it has consumed.

    One that came while the DAG was paused does not count: it calls for no run, and goes to the next one.
    """

    id: int
    uri: str
    alias: str | None
    at: datetime
    counts: bool = True


class NewRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run to be created, with its task instances, in state ``queued``."""

    dag_id: str
    run_type: RunType
    logical_date: datetime
    data_interval_start: datetime
    data_interval_end: datetime
    run_after: datetime
    #: None: made from the type and the logical date.
    run_id: str | None = None
    conf: dict[str, Any] = msgspec.field(default_factory=dict)
    #: None: the DAG's newest.
    spec_version: str | None = None
    code_version: str | None = None
    #: Move the logical date on by microseconds until it is free (manual runs without an explicit date).
    bump: bool = False
    triggered_by: str = "scheduler"
    backfill_id: int | None = None
    note: str | None = None
    #: The waiting events that the run consumes: all of them, in the transaction that creates it, or there is no run.
    asset_events: tuple[int, ...] = ()
    #: The interval given is not the real one, which a plugin's timetable will be asked for before the run starts.
    interval_pending: bool = False
    #: The tasks that are part of the run; None means all.
    task_ids: tuple[str, ...] | None = None


class RunFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A run. ``generation`` counts clears, marks and changes of its DAG's holder; decisions are guarded by it."""

    id: int
    dag_id: str
    run_id: str
    run_type: RunType
    state: RunState
    logical_date: datetime
    data_interval_start: datetime
    data_interval_end: datetime
    run_after: datetime
    queued_at: datetime
    start_date: datetime | None
    end_date: datetime | None
    spec_version: str
    code_version: str
    bundle: str
    file: str
    generation: int
    conf: dict[str, Any] = msgspec.field(default_factory=dict)
    backfill_id: int | None = None
    #: Set when the run was told to end (dagrun_timeout, a mark) but has processes to wait for.
    ending: RunState | None = None
    ending_reason: str | None = None
    interval_pending: bool = False


class TaskFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A task instance."""

    id: int
    run: int
    task_id: str
    map_index: int
    state: TaskState
    try_number: int
    max_tries: int
    epoch: int
    pool: str = "default_pool"
    pool_slots: int = 1
    ticket: str | None = None
    lease_id: str | None = None
    queued_at: datetime | None = None
    #: When an up_for_retry or up_for_reschedule instance may go on, and when a deferral times out.
    not_before: datetime | None = None
    result_length: int | None = None
    skip_targets: tuple[str, ...] = ()


class PoolFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A pool: its slots (-1 = unlimited) and whether deferred tasks hold one."""

    name: str
    slots: int
    include_deferred: bool = False


class Occupied(msgspec.Struct, frozen=True, kw_only=True):
    """A task instance that holds slots now (queued, running, or deferred in a pool that counts those)."""

    task: int
    run: int
    dag_id: str
    task_id: str
    pool: str
    pool_slots: int
    state: TaskState


class TaskMove(msgspec.Struct, frozen=True, kw_only=True):
    """One guarded transition of a task instance. ``charge`` starts a new try (try_number + 1)."""

    task: int
    run: int
    before: TaskState
    to: TaskState
    epoch: int
    actor: Actor
    op_id: str
    reason: str = ""
    charge: bool = False


class Expansion(msgspec.Struct, frozen=True, kw_only=True):
    """A mapped task's placeholder (map index -1) becomes instance 0, and instances 1 … length-1 are added."""

    task: int
    run: int
    task_id: str
    length: int


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """``scheduled -> queued`` with the next epoch and a fresh ticket, if pools and limits still have room.

    ``epoch`` is the one found; -1 means no limit. The store counts occupied rows again inside the transaction, with
    ``planning.queueing.Occupancy``, and refuses what has no room any more.
    """

    task: int
    run: int
    dag_id: str
    task_id: str
    epoch: int
    op_id: str
    ticket: str
    executor: str
    queue: str
    pool: str
    pool_slots: int
    max_active_tasks: int = -1
    max_active_tis_per_dag: int = -1
    max_active_tis_per_dagrun: int = -1


class DeadlineMiss(msgspec.Struct, frozen=True, kw_only=True):
    """A run that has not ended by one of its deadlines; noted, and its callback owed, once."""

    run: int
    position: int
    due: datetime
    reason: str


class RunMove(msgspec.Struct, frozen=True, kw_only=True):
    """One guarded transition of a run. With ``to == before`` it only records ``ending`` and its reason.

    A start may bring the ``interval`` that was pending. A failure pauses the DAG if its ``pauses_after`` newest ended
    runs are failures too; 0 never does.
    """

    run: int
    before: RunState
    to: RunState
    actor: Actor
    op_id: str
    reason: str = ""
    ending: RunState | None = None
    interval: tuple[datetime, datetime] | None = None
    pauses_after: int = 0


class Changes(msgspec.Struct, kw_only=True):
    """Everything one step of the scheduler writes, in one transaction.

    Applied in the order of the fields. A run whose ``generations`` entry no longer holds, or one of whose guarded
    statements finds nothing, keeps none of this step's changes; the other runs' changes stand.
    """

    generations: dict[int, int] = msgspec.field(default_factory=dict)
    misses: list[DeadlineMiss] = msgspec.field(default_factory=list)
    run_moves: list[RunMove] = msgspec.field(default_factory=list)
    expansions: list[Expansion] = msgspec.field(default_factory=list)
    task_moves: list[TaskMove] = msgspec.field(default_factory=list)
    admissions: list[Admission] = msgspec.field(default_factory=list)
    stops: list[StopRequest] = msgspec.field(default_factory=list)
    signals: list[int] = msgspec.field(default_factory=list)

    @property
    def only_queues(self) -> bool:
        """Whether all of it prepares attempts. Nothing depends on that but their claims, which are written after it."""
        others = self.misses or self.run_moves or self.expansions or self.stops
        return not others and all(move.to is TaskState.SCHEDULED for move in self.task_moves)

    def __bool__(self) -> bool:
        return any(
            (
                self.misses,
                self.run_moves,
                self.expansions,
                self.task_moves,
                self.admissions,
                self.stops,
                self.signals,
            )
        )


class Committed(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a :class:`Changes`."""

    #: Runs whose changes were refused: read them again.
    conflicts: frozenset[int] = frozenset()
    #: Instances made by expansions, the reused placeholder first.
    expanded: tuple[TaskFacts, ...] = ()
    #: Ids of admissions that found no room; they stay scheduled.
    refused: frozenset[int] = frozenset()
    #: Epochs of admitted instances.
    admitted: dict[int, int] = msgspec.field(default_factory=dict)
    queued_at: datetime | None = None


class PreviousFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The same task in the run before: None as state when that run has no such instance."""

    run: int
    state: TaskState | None
    #: Whether any earlier run has an instance of the task.
    has_earlier_instance: bool
    #: Whether its direct downstream tasks in that run have all ended well or been skipped.
    downstream_done: bool
    #: Whether this run is the first of its backfill, which the past does not hold up.
    first_of_backfill: bool = False


class BackfillStep(msgspec.Struct, frozen=True, kw_only=True):
    """What comes next of a backfill, written whole or not at all.

    Its guard is the number of intervals that were dealt with in ``backfill``, as it was when this was decided.
    """

    backfill: BackfillFacts
    #: How many there are, as far as the step has learnt it.
    intervals: int
    dealt: int
    reached: datetime
    created: tuple[NewRun, ...] = ()
    reused: tuple[Reuse, ...] = ()
    #: The tasks that run in the reused ones; None means all.
    task_ids: tuple[str, ...] | None = None


class StorePort(Protocol):
    """The scheduler's view of the database.

    Where several schedulers share it, each has a view of its own, which shows the signals and runs of the DAGs that it
    holds, and refuses what is decided about others (:class:`~windlass.ports.DagLeases`).
    """

    def signals(self, limit: int = 1000) -> list[Signal]:
        """Return the oldest rows of the inbox; they stay until a :class:`Changes` names them."""
        ...

    def dags(self) -> list[DagFacts]:
        """Return every DAG that is not stale."""
        ...

    def dag(self, dag_id: str) -> DagFacts | None:
        """Return one DAG, stale or not; None if it is unknown."""
        ...

    def spec(self, dag_id: str, spec_version: str) -> DagSpec:
        """Return a stored spec (cached).

        :raises DagNotFound: if there is none.
        """
        ...

    def pools(self) -> list[PoolFacts]:
        """Return all pools."""
        ...

    def occupied(self) -> list[Occupied]:
        """Return every task instance that holds slots now."""
        ...

    def create_run(self, new: NewRun) -> RunFacts | None:
        """Create a run with its task instances (a mapped task gets one placeholder, map index -1) and signal it.

        Return None when the DAG already has a run of that id or logical date, when one of the ``asset_events`` does not
        wait any more, or when another scheduler holds the DAG by now.
        """
        ...

    def updated_assets(self, dag_id: str) -> list[AssetName]:
        """Return which of the assets and aliases that a DAG listens to have a waiting event that counts."""
        ...

    def waiting_events(self, dag_id: str) -> list[WaitingEvent]:
        """Return the events that wait for the next asset-triggered run of a DAG, oldest first."""
        ...

    def open_runs(self) -> list[RunFacts]:
        """Return the runs in ``queued`` or ``running``, oldest ``run_after`` first."""
        ...

    def run(self, run: int) -> RunFacts | None:
        """Return one run."""
        ...

    def own(self, runs: Sequence[int]) -> list[RunFacts]:
        """Return these runs as they are now; those that are gone, or whose DAG another scheduler holds, are left out.

        What is decided by them is refused once another scheduler has taken their DAG, by their generation.
        """
        ...

    def tasks_of(self, run: int) -> list[TaskFacts]:
        """Return the task instances of a run."""
        ...

    def tasks(self, ids: Iterable[int]) -> list[TaskFacts]:
        """Return these task instances; unknown ids are left out."""
        ...

    def queued(self) -> list[TaskFacts]:
        """Return the task instances in ``queued`` (with their tickets), oldest first."""
        ...

    def previous(self, run: int, task_id: str, map_index: int, *, scheduled_only: bool) -> PreviousFacts | None:
        """Return what became of the task in the run before this one; None when there is no run before it.

        ``scheduled_only`` looks at scheduled and backfill runs only (catchup), else at every type, by logical date.
        """
        ...

    def asked(self, dag_id: str, run: int = 0) -> Asked | None:
        """Return the question to a plugin's timetable about a DAG's next run, or about a manual run's interval."""
        ...

    def ask(self, question: TimetableQuestion, digest: str, seen: Asked | None) -> Asked | None:
        """Put a question, under a fresh ticket, in place of what was ``seen``; return what is asked now.

        That is another's question if somebody else was quicker, and None if its run has been started meanwhile.
        Failures are counted on if the digest is the same.
        """
        ...

    def backfills(self) -> list[BackfillFacts]:
        """Return the backfills that are not completed."""
        ...

    def backfill(self, backfill: int) -> BackfillFacts | None:
        """Return one backfill, completed or not; None if there is none."""
        ...

    def runs_at(self, dag_id: str, dates: Sequence[datetime], run_ids: Sequence[str]) -> list[RunFacts]:
        """Return the DAG's runs that have one of these logical dates or ids."""
        ...

    def advance_backfill(self, step: BackfillStep) -> bool:
        """Write a step; False, and nothing is written, if what it was decided on no longer holds."""
        ...

    def complete_backfill(self, backfill: int) -> bool:
        """Note that a backfill has nothing left to do, if that is so; return whether it was."""
        ...

    def commit(self, changes: Changes) -> Committed:
        """Apply ``changes`` in one transaction. Idempotent by op_id."""
        ...

    def reap(self, *, queued_timeout: float) -> int:
        """End what is dead, each by compare-and-set on database time; signal its run; return how many.

        An expired lease is lost (retried at once while tries remain, else failed "lost"); an instance ``queued`` for
        longer than ``queued_timeout`` seconds goes back to ``scheduled``.
        """
        ...
