"""The runs that this scheduler owns, and everything that is derived from their task instances.

Each task instance stands in exactly one place by its state: counted as an occupant, waiting in the admission queue,
on a timer, or nowhere. :meth:`OwnedRuns.put` is the only way in and out, so that no count can drift from the states.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime

from windlass.planning.queueing import AdmissionQueue, Occupancy
from windlass.planning.runs import timeout_due
from windlass.ports import RunFacts, TaskFacts
from windlass.scheduler.deadlines import Deadlines
from windlass.scheduler.timers import TimerKey, Timers
from windlass.scheduler.tracked import TrackedRun
from windlass.spec import DagSpec
from windlass.states import OCCUPYING_STATES, RunType, TaskState

#: A deferred instance waits for its trigger, and for its timeout if it has one.
WAITING_FOR_TIME = frozenset({TaskState.UP_FOR_RETRY, TaskState.UP_FOR_RESCHEDULE, TaskState.DEFERRED})


class OwnedRuns:
    """A cache over the store. ``running`` has the plans, ``queued`` the runs that wait for their start."""

    def __init__(self) -> None:
        self.queued: dict[int, RunFacts] = {}
        self.running: dict[int, TrackedRun] = {}
        #: How many of them a DAG has, by type.
        self.open_runs: Counter[tuple[str, RunType]] = Counter()
        self.admissions = AdmissionQueue()
        self.occupancy = Occupancy()
        #: Pools in which deferred instances hold their slots.
        self._deferred_count: frozenset[str] = frozenset()
        self.timers: Timers[TimerKey] = Timers()
        self.deadlines = Deadlines(self.timers)
        #: Runs whose plan has something new to think about, in the order in which they were touched.
        self.dirty: dict[int, None] = {}

    def ids(self) -> list[int]:
        """Return all owned runs."""
        return [*self.queued, *self.running]

    def facts(self) -> Iterable[RunFacts]:
        """Yield the facts of all owned runs."""
        yield from self.queued.values()
        for tracked in self.running.values():
            yield tracked.facts

    def track(self, facts: RunFacts, spec: DagSpec, tasks: Iterable[TaskFacts]) -> TrackedRun:
        """Remember a running run, in place of what was remembered of it."""
        self.forget(facts.id)
        tracked = self.running[facts.id] = TrackedRun(facts, spec, tasks)
        self.open_runs[facts.dag_id, facts.run_type] += 1
        for task in tracked.tasks.values():
            self.put(tracked, None, task)
        due = timeout_due(facts.start_date, spec.dagrun_timeout)
        if due is not None and facts.ending is None:
            self.timers.set(("timeout", facts.id), due)
        self.deadlines.watch(facts, spec)
        self.dirty[facts.id] = None
        return tracked

    def enqueue(self, facts: RunFacts, spec: DagSpec | None) -> None:
        """Remember a run that waits for its start, in place of what was remembered of it."""
        self.forget(facts.id)
        self.queued[facts.id] = facts
        self.open_runs[facts.dag_id, facts.run_type] += 1
        if spec is not None:
            self.deadlines.watch(facts, spec)

    def forget(self, run: int) -> None:
        """Drop what is remembered of a run."""
        queued = self.queued.pop(run, None)
        self.dirty.pop(run, None)
        self.timers.cancel(("timeout", run))
        self.timers.cancel(("interval", run))
        self.deadlines.forget(run)
        tracked = self.running.pop(run, None)
        for task in () if tracked is None else tracked.tasks.values():
            self.put(tracked, task, None)
        facts = queued if tracked is None else tracked.facts
        if facts is not None:
            self.open_runs[facts.dag_id, facts.run_type] -= 1

    def count_deferred_in(self, pools: frozenset[str]) -> None:
        """Let deferred instances of these pools, and of no others, hold their slots from now on."""
        if pools == self._deferred_count:
            return
        deferred = [
            task
            for tracked in self.running.values()
            for task in tracked.tasks.values()
            if task.state is TaskState.DEFERRED
        ]
        for task in deferred:
            self._hold(task, -1)
        self._deferred_count = pools
        for task in deferred:
            self._hold(task, 1)

    def put(self, tracked: TrackedRun | None, before: TaskFacts | None, after: TaskFacts | None) -> None:
        """Count a task instance out as it was ``before`` and in as it is ``after``; None: it was or is nowhere."""
        if tracked is None:
            return
        if before is not None:
            if before.state in OCCUPYING_STATES:
                self._occupy(tracked, before, -1)
            elif before.state is TaskState.SCHEDULED:
                self.admissions.discard(before.id)
            elif before.state in WAITING_FOR_TIME:
                self.timers.cancel(("task", before.run, before.id))
                self._hold(before, -1)
        if after is not None:
            if after.state in OCCUPYING_STATES:
                self._occupy(tracked, after, 1)
            elif after.state is TaskState.SCHEDULED and after.task_id in tracked.spec.by_id:  # else the plan removes it
                self.admissions.push(after.id, tracked.lane(after), tracked.order(after))
            elif after.state in WAITING_FOR_TIME:
                self._hold(after, 1)
                if after.state is TaskState.DEFERRED and after.not_before is None:
                    return
                due = after.not_before or datetime.min.replace(tzinfo=UTC)
                self.timers.set(("task", after.run, after.id), due)

    def _hold(self, task: TaskFacts, sign: int) -> None:
        """Count a deferred instance in or out: it may hold its pool's slots, and nothing else."""
        if task.state is TaskState.DEFERRED and task.pool in self._deferred_count:
            self.occupancy.pools[task.pool] += sign * task.pool_slots

    def _occupy(self, tracked: TrackedRun, task: TaskFacts, sign: int) -> None:
        self.occupancy.add(
            run=task.run,
            dag_id=tracked.facts.dag_id,
            task_id=task.task_id,
            pool=task.pool,
            pool_slots=task.pool_slots,
            sign=sign,
        )
