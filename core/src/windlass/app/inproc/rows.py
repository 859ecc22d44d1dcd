"""The rows of the store in memory, with what serves as their indexes, and the ways to write one.

What is written of a run whose changes are being committed can be taken back: each such write leaves in ``undo`` how.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from itertools import count
from typing import Any

import msgspec

from windlass.errors import DagNotFound, StoreError
from windlass.planning.queueing import Occupancy
from windlass.ports import DagFacts, PoolFacts, RunFacts, Signal, SignalKind, StopRequest, TaskFacts
from windlass.spec import DagSpec, TaskSpec
from windlass.states import OCCUPYING_STATES, Actor, TaskState, is_legal


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the transition log."""

    task: int
    before: TaskState
    to: TaskState
    epoch: int
    actor: Actor
    op_id: str
    reason: str = ""


class MemoryRows:
    """All rows of the scheduler's tables, and their indexes."""

    def __init__(self) -> None:
        self.dags: dict[str, DagFacts] = {}
        self.specs: dict[tuple[str, str], DagSpec] = {}
        self.pools = {"default_pool": PoolFacts(name="default_pool", slots=128)}
        self.runs: dict[int, RunFacts] = {}
        #: Why runs have ended.
        self.run_reasons: dict[int, str] = {}
        self.tasks: dict[int, TaskFacts] = {}
        self.of_run: dict[int, dict[int, None]] = {}
        #: The runs of each DAG by logical date, and by id.
        self.dated: dict[str, list[tuple[datetime, int]]] = {}
        self.named: dict[tuple[str, str], int] = {}
        #: The task instances that hold slots, and what they hold.
        self.occupying: dict[int, None] = {}
        self.occupancy = Occupancy()
        #: How many instances a task has in a run.
        self.counts: Counter[tuple[int, str]] = Counter()
        self.stops: dict[int, StopRequest] = {}
        #: When each missed deadline, by run and place, was due.
        self.missed: dict[tuple[int, int], datetime] = {}
        self.transitions: list[Transition] = []
        #: The op ids of all that was moved.
        self.ops: set[str] = set()
        self.signals: dict[int, Signal] = {}
        self.ids = count(1)
        #: How to take back what was written of the run that is being committed.
        self.undo: list[Callable[[], Any]] = []

    # -- reading ------------------------------------------------------------------------------------------------------

    def spec(self, dag_id: str, spec_version: str) -> DagSpec:
        """Return a stored spec."""
        try:
            return self.specs[dag_id, spec_version]
        except KeyError:
            msg = f"DAG `{dag_id}` has no stored version {spec_version}"
            raise DagNotFound(msg) from None

    def tasks_of(self, run: int) -> list[TaskFacts]:
        """Return the instances of a run."""
        return [self.tasks[task] for task in self.of_run.get(run, ())]

    def is_taken(self, dag_id: str, logical_date: datetime) -> bool:
        """Return whether the DAG has a run of this logical date."""
        dated = self.dated.get(dag_id, [])
        place = bisect_left(dated, (logical_date, 0))
        return place < len(dated) and dated[place][0] == logical_date

    # -- writing ------------------------------------------------------------------------------------------------------

    def add_run(self, run: RunFacts) -> None:
        """Put a new run, without instances yet, where it is looked for."""
        self.runs[run.id] = run
        self.named[run.dag_id, run.run_id] = run.id
        insort(self.dated.setdefault(run.dag_id, []), (run.logical_date, run.id))
        self.of_run[run.id] = {}

    def create_task(self, run: int, task: TaskSpec, map_index: int) -> TaskFacts:
        """Create an instance, of which nothing was done yet."""
        facts = TaskFacts(
            id=next(self.ids),
            run=run,
            task_id=task.task_id,
            map_index=map_index,
            state=TaskState.NONE,
            try_number=0,
            max_tries=task.retries,
            epoch=0,
            pool=task.pool,
            pool_slots=task.pool_slots,
        )
        self.tasks[facts.id] = facts
        self.of_run[run][facts.id] = None
        self.counts[run, task.task_id] += 1
        return facts

    def delete_task(self, task: TaskFacts) -> None:
        """Drop an instance that :meth:`create_task` made."""
        del self.tasks[task.id]
        del self.of_run[task.run][task.id]
        self.counts[task.run, task.task_id] -= 1

    def put(self, task: TaskFacts) -> None:
        """Let ``task`` be what is known of its instance."""
        self.tasks[task.id] = task
        holds, held = task.state in OCCUPYING_STATES, task.id in self.occupying
        if holds == held:
            return
        if holds:
            self.occupying[task.id] = None
        else:
            del self.occupying[task.id]
        self.occupancy.add(
            run=task.run,
            dag_id=self.runs[task.run].dag_id,
            task_id=task.task_id,
            pool=task.pool,
            pool_slots=task.pool_slots,
            sign=1 if holds else -1,
        )

    def transit(self, task: TaskFacts, move: Transition) -> TaskFacts:
        """Write a transition that the table of ``states`` allows; ``task`` is the instance as it shall be."""
        if not is_legal(move.before, move.to, move.actor):
            msg = f"{move.actor} may not move a task instance from {move.before} to {move.to}"
            raise StoreError(msg)
        self.ops.add(move.op_id)
        self.transitions.append(move)
        before = self.tasks[task.id]
        self.put(task)

        def undo() -> None:
            self.ops.discard(move.op_id)
            self.transitions.pop()
            self.put(before)

        self.undo.append(undo)
        return task

    def signal(self, kind: SignalKind, *, dag_id: str = "", run: int = 0, task: int = 0) -> None:
        """Put a row into the inbox of the schedulers."""
        number = next(self.ids)
        self.signals[number] = Signal(id=number, kind=kind, dag_id=dag_id, run=run, task=task)
