"""Who waited for what, and how full the pools were, read from a simulation's transitions and never from its scheduler.

Task instances that share every limit stand in one lane and wait for the same thing, so time is charged to lanes: each
has a clock per reason, and an instance waited what its lane's clocks have gone on while it stood there. What holds a
lane is asked of the same arithmetic by which the scheduler admits.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from windlass.app.inproc.memory import MemoryStore
from windlass.app.inproc.rows import Transition
from windlass.planning.queueing import Lane, Limit, Occupancy, lane_of
from windlass.ports import RunFacts, TaskFacts
from windlass.spec import DagSpec
from windlass.states import OCCUPYING_STATES, TaskState
from windlass_testing.simulate.outcome import PoolUse, Wait

PARALLELISM: Final = "parallelism"
_TIMED: Final = {TaskState.UP_FOR_RETRY: "retry_delay", TaskState.UP_FOR_RESCHEDULE: "poke_interval"}
_PAST: Final = "depends_on_past"
_OF_POOLS: Final = frozenset({Limit.POOL, Limit.NO_POOL})

#: DAG, task (None: a run), reason, pool.
_Key = tuple[str, str | None, str, str | None]


@dataclass(slots=True)
class _LaneClock:
    waiting: int = 0
    charged: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class _Total:
    seconds: float = 0.0
    longest: float = 0.0
    waiters: set[int] = field(default_factory=set)


@dataclass(slots=True)
class _Use:
    slots: int
    peak: int = 0
    saturated: float = 0.0
    taken: float = 0.0


class Waits:
    """Follows the transitions of one simulation."""

    def __init__(self, store: MemoryStore, parallelism: int) -> None:
        self._store = store
        self._parallelism = parallelism
        self._read = 0
        self._pools = {pool.name: pool.slots for pool in store.pools()}
        self._uses = {name: _Use(slots) for name, slots in self._pools.items()}
        self._whole = _Use(parallelism if parallelism > 0 else -1)
        self._occupancy = Occupancy()
        self._lanes: dict[Lane, _LaneClock] = {}
        #: Scheduled task instance -> its lane, and that lane's clocks when it came.
        self._standing: dict[int, tuple[Lane, dict[str, float]]] = {}
        #: Since when an instance waits for time to pass.
        self._since: dict[int, datetime] = {}
        #: When the tasks of runs that look at the past have ended.
        self._ended: dict[tuple[int, str], datetime] = {}
        self._totals: dict[_Key, _Total] = {}
        self.of_task: Counter[int] = Counter()
        self.starts: dict[int, datetime] = {}
        self.ends: dict[int, datetime] = {}

    # -- following ----------------------------------------------------------------------------------------------------

    def look(self, now: datetime) -> None:
        """Read the transitions that are new, all of which happened ``now``."""
        log = self._store.transitions
        for number in range(self._read, len(log)):
            self._follow(log[number], now)
        self._read = len(log)
        for name, use in self._uses.items():
            use.peak = max(use.peak, self._occupancy.pools[name])
        self._whole.peak = max(self._whole.peak, self._occupancy.total)

    def pass_time(self, length: float) -> None:
        """Charge ``length`` seconds, in which nothing happens, to what waits and to what is taken."""
        for lane, clock in self._lanes.items():
            if clock.waiting:
                limit = self._limit(lane)
                clock.charged[limit] = clock.charged.get(limit, 0.0) + length
        for name, use in self._uses.items():
            _charge(use, self._occupancy.pools[name], length)
        _charge(self._whole, self._occupancy.total, length)

    def _limit(self, lane: Lane) -> str:
        limit = self._occupancy.limit(lane, self._pools)
        return PARALLELISM if limit is None else limit.value

    def _follow(self, move: Transition, now: datetime) -> None:
        task = self._store.task(move.task)
        run = self._store.run(task.run)
        assert run is not None  # noqa: S101 - an instance exists with its run only
        self._leave(move, task, run, now)
        if move.to in OCCUPYING_STATES:
            if move.before not in OCCUPYING_STATES:
                self._occupy(task, run, 1)
            if move.to is TaskState.RUNNING:
                self.starts[task.id] = now
        elif move.to is TaskState.SCHEDULED:
            self._enter(move, task, run, now)
        elif move.to in _TIMED:
            self._since[task.id] = now
        elif move.to.is_terminal:
            self.ends[task.id] = now
            self._ended[run.id, task.task_id] = now

    def _leave(self, move: Transition, task: TaskFacts, run: RunFacts, now: datetime) -> None:
        if move.before in OCCUPYING_STATES and move.to not in OCCUPYING_STATES:
            self._occupy(task, run, -1)
        elif move.before is TaskState.SCHEDULED and task.id in self._standing:
            self._go(task, run)
        elif move.before in _TIMED:
            waited = (now - self._since.pop(task.id, now)).total_seconds()
            self._add((run.dag_id, task.task_id, _TIMED[move.before], None), task.id, waited)

    def _enter(self, move: Transition, task: TaskFacts, run: RunFacts, now: datetime) -> None:
        spec = self._store.spec(run.dag_id, run.spec_version)
        declared = spec.by_id[task.task_id]
        if move.before is TaskState.NONE and (declared.depends_on_past or declared.wait_for_downstream):
            ready = self._ready(run, spec, task, now)
            self._add((run.dag_id, task.task_id, _PAST, None), task.id, (now - ready).total_seconds())
        lane = lane_of(spec, task)
        clock = self._lanes.setdefault(lane, _LaneClock())
        clock.waiting += 1
        self._standing[task.id] = (lane, dict(clock.charged))

    def _ready(self, run: RunFacts, spec: DagSpec, task: TaskFacts, now: datetime) -> datetime:
        """Return since when nothing but the past has held the instance."""
        ends = [
            self._ended[run.id, name] for name in spec.by_id[task.task_id].upstream if (run.id, name) in self._ended
        ]
        return max([run.start_date or now, *ends])

    def _go(self, task: TaskFacts, run: RunFacts) -> None:
        lane, before = self._standing.pop(task.id)
        clock = self._lanes[lane]
        clock.waiting -= 1
        for reason, charged in clock.charged.items():
            pool = lane.pool if reason in _OF_POOLS else None
            waited = charged - before.get(reason, 0.0)
            self._add((run.dag_id, task.task_id, reason, pool), task.id, waited)
        if not clock.waiting:
            del self._lanes[lane]

    def _occupy(self, task: TaskFacts, run: RunFacts, sign: int) -> None:
        self._occupancy.add(
            run=task.run,
            dag_id=run.dag_id,
            task_id=task.task_id,
            pool=task.pool,
            pool_slots=task.pool_slots,
            sign=sign,
        )

    def _add(self, key: _Key, waiter: int, waited: float) -> None:
        if waited <= 0:
            return
        total = self._totals.setdefault(key, _Total())
        total.seconds += waited
        total.longest = max(total.longest, waited)
        total.waiters.add(waiter)
        if key[1] is not None:
            self.of_task[waiter] += round(waited * 1_000_000)

    # -- the account --------------------------------------------------------------------------------------------------

    def close(self, now: datetime) -> None:
        """Count what still waits at the end."""
        for task_id in list(self._standing):
            task = self._store.task(task_id)
            run = self._store.run(task.run)
            if run is not None:
                self._go(task, run)
        for task_id, since in self._since.items():
            task = self._store.task(task_id)
            run = self._store.run(task.run)
            if run is not None:
                waited = (now - since).total_seconds()
                self._add((run.dag_id, task.task_id, _TIMED[task.state], None), task_id, waited)

    def add_run(self, run: RunFacts, waited: float) -> None:
        """Count what a run has waited for its start."""
        self._add((run.dag_id, None, "max_active_runs", None), run.id, waited)

    def waits(self) -> tuple[Wait, ...]:
        """Return all waits, the longest together first."""
        found = [
            Wait(
                dag_id=dag_id,
                task_id=task_id,
                reason=reason,
                pool=pool,
                count=len(total.waiters),
                total=total.seconds,
                longest=total.longest,
            )
            for (dag_id, task_id, reason, pool), total in self._totals.items()
        ]
        return tuple(sorted(found, key=lambda wait: (-wait.total, wait.dag_id, wait.task_id or "", wait.reason)))

    def pools(self, length: float) -> tuple[PoolUse, ...]:
        """Return the use of every pool, and of the executor, over ``length`` seconds."""
        held: dict[str, list[_Total]] = {}
        for (_, _, reason, pool), total in self._totals.items():
            if pool is not None or reason == PARALLELISM:
                held.setdefault(pool or PARALLELISM, []).append(total)
        uses = {**self._uses, PARALLELISM: self._whole}
        return tuple(
            PoolUse(
                name=name,
                slots=use.slots,
                peak=use.peak,
                saturated=use.saturated,
                count=sum(len(total.waiters) for total in held.get(name, ())),
                waited=sum(total.seconds for total in held.get(name, ())),
                used=use.taken / (use.slots * length) if use.slots > 0 and length > 0 else None,
            )
            for name, use in uses.items()
        )


def _charge(use: _Use, taken: int, length: float) -> None:
    use.taken += taken * length
    if 0 <= use.slots <= taken:
        use.saturated += length
