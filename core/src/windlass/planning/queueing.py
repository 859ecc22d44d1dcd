"""Which scheduled task instances are queued next: pools, limits and priority, without looking at every candidate.

Candidates that share every limit stand in one :class:`Lane`, in strict order; so the head of a lane speaks for all
behind it. A pick takes the best head whose lane has room, again and again. A lane without room is closed for this
pick and hides nothing of any other lane, which is how no task starves behind a blocked one. A pick that admits k
instances out of n candidates in L lanes costs O((k + L) log n), however large n is.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from typing import TypeVar

import msgspec

from windlass.ports import TaskFacts
from windlass.spec import DagSpec

_K = TypeVar("_K")

#: Sorts candidates: higher priority first (so it is negated), then older runs, then the order of the DAG.
Order = tuple[int, float, int, int, int]


class Lane(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can hold a candidate back. -1 means no limit; ``task_id`` is set only where a task limit is."""

    run: int
    dag_id: str
    pool: str
    pool_slots: int = 1
    max_active_tasks: int = -1
    task_id: str = ""
    max_active_tis_per_dag: int = -1
    max_active_tis_per_dagrun: int = -1


class Limit(StrEnum):
    """What can keep a scheduled task instance from the queue."""

    NO_POOL = "no_pool"  # its pool does not exist
    POOL = "pool"
    MAX_ACTIVE_TASKS = "max_active_tasks"
    MAX_ACTIVE_TIS_PER_DAG = "max_active_tis_per_dag"
    MAX_ACTIVE_TIS_PER_DAGRUN = "max_active_tis_per_dagrun"


def lane_of(spec: DagSpec, task: TaskFacts) -> Lane:
    """Return the limits that stand between ``task``, of a run of ``spec``, and the queue."""
    declared = spec.by_id.get(task.task_id)
    per_dag = None if declared is None else declared.max_active_tis_per_dag
    per_run = None if declared is None else declared.max_active_tis_per_dagrun
    limited = per_dag is not None or per_run is not None
    return Lane(
        run=task.run,
        dag_id=spec.dag_id,
        pool=task.pool,
        pool_slots=task.pool_slots,
        max_active_tasks=spec.max_active_tasks,
        task_id=task.task_id if limited else "",
        max_active_tis_per_dag=-1 if per_dag is None else per_dag,
        max_active_tis_per_dagrun=-1 if per_run is None else per_run,
    )


class Occupancy:
    """How much of every limit is in use, made from the instances that occupy slots."""

    def __init__(self) -> None:
        self.total = 0
        self.pools: Counter[str] = Counter()
        self.runs: Counter[int] = Counter()
        self.tasks: Counter[tuple[str, str]] = Counter()
        self.run_tasks: Counter[tuple[int, str]] = Counter()

    def add(self, *, run: int, dag_id: str, task_id: str, pool: str, pool_slots: int, sign: int = 1) -> None:
        """Count one instance in (or, with ``sign`` -1, out)."""
        self.total += sign
        _count(self.pools, pool, sign * pool_slots)
        _count(self.runs, run, sign)
        if task_id:  # a lane without limits of its task has none
            _count(self.tasks, (dag_id, task_id), sign)
            _count(self.run_tasks, (run, task_id), sign)

    def add_lane(self, lane: Lane, sign: int) -> None:
        """Count one instance of ``lane`` in or out."""
        self.add(
            run=lane.run,
            dag_id=lane.dag_id,
            task_id=lane.task_id,
            pool=lane.pool,
            pool_slots=lane.pool_slots,
            sign=sign,
        )

    def limit(self, lane: Lane, pools: dict[str, int]) -> Limit | None:
        """Return what keeps one more instance of ``lane`` out; None if there is room.

        ``pools`` maps names to slots, -1 meaning unlimited; a pool that is not there admits nothing.
        """
        slots = pools.get(lane.pool)
        if slots is None:
            return Limit.NO_POOL
        if slots >= 0 and self.pools[lane.pool] + lane.pool_slots > slots:
            return Limit.POOL
        if 0 <= lane.max_active_tasks <= self.runs[lane.run]:
            return Limit.MAX_ACTIVE_TASKS
        if 0 <= lane.max_active_tis_per_dag <= self.tasks[lane.dag_id, lane.task_id]:
            return Limit.MAX_ACTIVE_TIS_PER_DAG
        if 0 <= lane.max_active_tis_per_dagrun <= self.run_tasks[lane.run, lane.task_id]:
            return Limit.MAX_ACTIVE_TIS_PER_DAGRUN
        return None

    def obstacle(self, lane: Lane, pools: dict[str, int]) -> str | None:
        """Return :meth:`limit` as a sentence."""
        match self.limit(lane, pools):
            case None:
                return None
            case Limit.NO_POOL:
                return f"pool `{lane.pool}` does not exist; create it with `windlass pools set {lane.pool} SLOTS`"
            case Limit.POOL:
                slots = pools[lane.pool]
                return f"pool `{lane.pool}` has {max(slots - self.pools[lane.pool], 0)} of {slots} slots free"
            case Limit.MAX_ACTIVE_TASKS:
                return f"max_active_tasks ({lane.max_active_tasks}) of the run is reached"
            case Limit.MAX_ACTIVE_TIS_PER_DAG:
                return f"max_active_tis_per_dag ({lane.max_active_tis_per_dag}) of the task is reached"
            case Limit.MAX_ACTIVE_TIS_PER_DAGRUN:
                return f"max_active_tis_per_dagrun ({lane.max_active_tis_per_dagrun}) of the task is reached"


def _count(counter: Counter[_K], key: _K, number: int) -> None:
    """Add to a counter that forgets what has come back to nothing: runs come and go, and a scheduler lives long."""
    value = counter.get(key, 0) + number
    if value:
        counter[key] = value
    else:
        counter.pop(key, None)


class AdmissionQueue:
    """The scheduled task instances, by lane and in order."""

    def __init__(self) -> None:
        self._lanes: dict[Lane, list[tuple[Order, int]]] = {}
        self._lane_of: dict[int, Lane] = {}

    def __len__(self) -> int:
        return len(self._lane_of)

    def __contains__(self, task: int) -> bool:
        return task in self._lane_of

    def push(self, task: int, lane: Lane, order: Order) -> None:
        """Add an instance; a second push of it changes nothing."""
        if task not in self._lane_of:
            self._lane_of[task] = lane
            heapq.heappush(self._lanes.setdefault(lane, []), (order, task))

    def discard(self, task: int) -> None:
        """Take an instance out (its entry in the lane is dropped when it comes up)."""
        self._lane_of.pop(task, None)

    def pick(
        self, occupancy: Occupancy, pools: dict[str, int], parallelism: int, closed: Callable[[Lane], bool]
    ) -> list[tuple[int, Lane]]:
        """Take out and return the instances to queue now, best first.

        ``parallelism`` bounds the total (0 = unbounded); lanes that are ``closed`` (of paused DAGs) are passed over.
        ``occupancy`` is left as it was: the caller counts in what it commits.
        """
        heads = [(head, lane) for lane in list(self._lanes) if (head := self._head(lane)) and not closed(lane)]
        ranked = [(order, task, number, lane) for number, ((order, task), lane) in enumerate(heads)]
        heapq.heapify(ranked)
        picked: list[tuple[int, Lane]] = []
        while ranked and (parallelism <= 0 or occupancy.total < parallelism):
            _, task, number, lane = ranked[0]
            if occupancy.limit(lane, pools) is not None:
                heapq.heappop(ranked)
                continue
            heapq.heappop(self._lanes[lane])
            del self._lane_of[task]
            picked.append((task, lane))
            occupancy.add_lane(lane, 1)
            following = self._head(lane)
            if following is None:
                heapq.heappop(ranked)
            else:
                heapq.heapreplace(ranked, (*following, number, lane))
        for _, lane in picked:
            occupancy.add_lane(lane, -1)
        return picked

    def _head(self, lane: Lane) -> tuple[Order, int] | None:
        entries = self._lanes[lane]
        while entries:
            if self._lane_of.get(entries[0][1]) == lane:
                return entries[0]
            heapq.heappop(entries)
        del self._lanes[lane]
        return None
