"""The counters a plan keeps per task: what its own instances are, and what they see upstream.

``outer`` is shared by all instances of a task, so an upstream of a mapped task costs one touch and not one per
instance; ``inner`` exists per map index, for edges inside a mapped group. A counter reports when its *sight* (which
slots are occupied) changes; only then is there anything to judge again.
"""

from __future__ import annotations

from typing import Final

from windlass.planning.decisions import Instance
from windlass.planning.rules import SLOTS
from windlass.planning.topology import NOWHERE
from windlass.spec import TaskSpec
from windlass.states import TaskState

#: The index under which a decision is kept that skips every instance of a task.
ALL_INDEXES: Final = None


class Counter:
    """How many upstream instances stand in each slot."""

    __slots__ = ("counts", "seen")

    def __init__(self) -> None:
        self.counts: Final = [0] * SLOTS
        #: A bit per occupied slot.
        self.seen = 0

    def add(self, slot: int, number: int) -> bool:
        """Change a slot and return whether the sight changed."""
        if slot == NOWHERE or not number:
            return False
        before = self.seen
        self.counts[slot] += number
        if self.counts[slot]:
            self.seen |= 1 << slot
        else:
            self.seen &= ~(1 << slot)
        return self.seen != before

    def add_all(self, slots: tuple[int, ...], tally: Counter) -> None:
        """Add everything that ``tally`` counts of a task's own instances, slot by slot as ``slots`` maps them."""
        for source, target in enumerate(slots):
            self.add(target, tally.counts[source])

    def move(self, source: int, target: int) -> bool:
        """Take one from ``source`` to ``target`` and return whether the sight changed."""
        before = self.seen
        self.add(source, -1)
        self.add(target, 1)
        return self.seen != before


class Node:
    """One task of one run: its instances and its counters. Either the placeholder (-1) exists, or indexes from 0."""

    __slots__ = ("inner", "instances", "outer", "position", "skipped_by", "tally", "task", "task_id")

    def __init__(self, position: int, task_id: str, task: TaskSpec | None) -> None:
        self.position: Final = position
        self.task_id: Final = task_id
        #: None: the task is no longer in the DAG, only instances of it are left in the run.
        self.task: Final = task
        self.instances: Final[dict[int, Instance]] = {}
        self.tally: Final = Counter()
        self.outer: Final = Counter()
        self.inner: Final[dict[int, Counter]] = {}
        #: Map index (or ALL_INDEXES) -> the instances whose decision skips it, in the order they decided.
        self.skipped_by: Final[dict[int | None, dict[tuple[str, int], None]]] = {}

    @property
    def is_placeholder(self) -> bool:
        """Whether the task is mapped and not expanded, or not mapped at all."""
        return -1 in self.instances

    @property
    def is_unexpanded(self) -> bool:
        """Whether the task has a placeholder that has not started."""
        return self.is_placeholder and self.instances[-1].state is TaskState.NONE

    @property
    def is_teardown(self) -> bool:
        """Whether the task is a teardown: never skipped by a decision or by fail_fast."""
        return self.task is not None and self.task.is_teardown

    @property
    def fails_run(self) -> bool:
        """Whether a failure of the task is one of the run; that of a teardown is not, unless it says so."""
        return self.task is not None and (not self.task.is_teardown or self.task.on_failure_fail_dagrun)

    def seen(self, map_index: int) -> int:
        """Return the sight of an instance: a bit per kind of upstream state."""
        inner = self.inner.get(map_index)
        return self.outer.seen | inner.seen if inner is not None else self.outer.seen

    def counts(self, map_index: int) -> list[int]:
        """Return how many upstream instances an instance sees in each slot."""
        inner = self.inner.get(map_index)
        if inner is None:
            return list(self.outer.counts)
        return [a + b for a, b in zip(self.outer.counts, inner.counts, strict=True)]

    def inner_counters(self, upstream_index: int) -> list[tuple[int, Counter]]:
        """Return the inner counters in which an upstream instance of the same mapped group stands.

        Index i stands in index i; an upstream that was never expanded stands for every index; and a placeholder
        looks at all there is.
        """
        if upstream_index < 0:
            return list(self.inner.items())
        return [(index, self.inner[index]) for index in (-1, upstream_index) if index in self.inner]

    def skipper(self, map_index: int) -> tuple[str, int] | None:
        """Return the instance whose kept decision skips this one, if any."""
        for key in (ALL_INDEXES, map_index):
            for decider in self.skipped_by.get(key, ()):
                return decider
        return None

    def waiting(self) -> list[int]:
        """Return the map indexes that have not started."""
        return [index for index, instance in self.instances.items() if instance.state is TaskState.NONE]
