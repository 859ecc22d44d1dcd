"""The board of one run: the states of its task instances, the counters over them, and who has to be judged again.

The board knows how a change spreads, ``plan`` knows what it means. Every change moves one number per edge; an instance
goes into the queue when the *kinds* of states it sees change, when its own state becomes one that can be judged, when
a decision to skip it is made, or when the length it is expanded over changes. The queue is ordered by topological
position and map index, so what comes out of it depends on the states and on nothing else.

Invariant: the counters are exactly what a recount of the states gives.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import Final

from windlass.planning import rules
from windlass.planning.counters import ALL_INDEXES, Counter, Node
from windlass.planning.decisions import Instance
from windlass.planning.mapping import Length, Unknown, map_length
from windlass.planning.rules import SLOT_OF
from windlass.planning.topology import Unit, topology_of
from windlass.spec import DagSpec
from windlass.states import TaskState

#: The states in which a decision can still be made about an instance.
JUDGED: Final = frozenset({TaskState.NONE, TaskState.SCHEDULED, TaskState.UP_FOR_RETRY, TaskState.UP_FOR_RESCHEDULE})


class Board:
    """The instances of a run and what follows from them arithmetically."""

    def __init__(self, spec: DagSpec, instances: Iterable[Instance]) -> None:
        self.spec: Final = spec
        self.topology: Final = topology_of(spec)
        self.nodes: Final[dict[str, Node]] = {}
        #: The nodes by topological position; those of tasks that the spec does not have come last.
        self.at: Final[list[Node]] = []
        self.unfinished = 0
        #: How many unfinished instances have left ``none``.
        self.moving = 0
        self._failures = 0
        self._lengths: Final[dict[str, Length]] = {}
        self._queue: Final[list[tuple[int, int]]] = []
        self._queued: Final[set[tuple[int, int]]] = set()
        self._load(instances)

    @property
    def is_failing_fast(self) -> bool:
        """Whether fail_fast is set and a task has failed (a teardown counts only if it shall fail the run)."""
        return self._failures > 0

    # -- the queue ----------------------------------------------------------------------------------------------

    @property
    def has_changes(self) -> bool:
        """Whether anything waits to be judged."""
        return bool(self._queue)

    def push(self, node: Node, map_index: int) -> None:
        """Have an instance judged, once, however often it is pushed before that."""
        key = (node.position, map_index)
        if key not in self._queued and map_index in node.instances:
            self._queued.add(key)
            heapq.heappush(self._queue, key)

    def pop(self) -> tuple[Node, Instance] | None:
        """Take the first instance to be judged, None when there is none."""
        while self._queue:
            key = heapq.heappop(self._queue)
            self._queued.discard(key)
            node = self.at[key[0]]
            instance = node.instances.get(key[1])
            if instance is not None:  # else it was a placeholder that has been expanded
                return node, instance
        return None

    def _push_waiting(self, node: Node) -> None:
        for index in node.waiting():
            self.push(node, index)

    # -- changes ------------------------------------------------------------------------------------------------

    def change(
        self,
        node: Node,
        instance: Instance,
        state: TaskState,
        skip_targets: tuple[str, ...] = (),
        result_length: int | None = None,
    ) -> None:
        """Write an instance's new truth and carry it along every edge."""
        before = instance.state
        self._keep_decision(node, instance, add=False)
        self._count(node, before, -1)
        instance.state, instance.skip_targets, instance.result_length = state, skip_targets, result_length
        self._count(node, state, 1)
        self._keep_decision(node, instance, add=True)
        source, target = SLOT_OF[before], SLOT_OF[state]
        if source != target:
            node.tally.move(source, target)
            self._carry(node, instance.map_index, source, target)
        if node.position in self.topology.feeds:
            self._forget_lengths(node.position)
        if state in JUDGED:
            self.push(node, instance.map_index)

    def _carry(self, node: Node, map_index: int, source: int, target: int) -> None:
        if node.task is None:
            return
        for edge in self.topology.edges_down[node.position]:
            downstream = self.at[edge.downstream]
            before, after = edge.slots[source], edge.slots[target]
            if not edge.inner:
                if downstream.outer.move(before, after):
                    self._push_waiting(downstream)
                continue
            for index, counter in downstream.inner_counters(map_index):
                if counter.move(before, after):
                    self.push(downstream, index)

    def _count(self, node: Node, state: TaskState, number: int) -> None:
        if not state.is_terminal:
            self.unfinished += number
            if state is not TaskState.NONE:
                self.moving += number
        elif state is TaskState.FAILED and self.spec.fail_fast and node.fails_run:
            self._failures += number
            if number > 0 and self._failures == 1:
                for other in self.at:
                    for index in other.instances:
                        self.push(other, index)

    def _keep_decision(self, node: Node, instance: Instance, *, add: bool) -> None:
        """Enter or take back an instance's decision to skip others; it counts while the state is success."""
        if instance.state is not TaskState.SUCCESS or node.task is None:
            return
        decider = (instance.task_id, instance.map_index)
        for target in instance.skip_targets:
            skipped = self.nodes.get(target)
            if skipped is None or skipped.task is None:
                continue
            inner = self.topology.shares_index(node.position, skipped.position)
            key = instance.map_index if inner else ALL_INDEXES
            if not add:
                skipped.skipped_by.get(key, {}).pop(decider, None)
                continue
            skipped.skipped_by.setdefault(key, {})[decider] = None
            for index in skipped.instances if key is ALL_INDEXES else (key,):
                self.push(skipped, index)

    # -- expansion ----------------------------------------------------------------------------------------------

    def length(self, unit: Unit) -> Length:
        """Return how many instances a mapped task or group has, or why that is not known."""
        length = self._lengths.get(unit.name)
        if length is None:
            length = self._lengths[unit.name] = map_length(unit.map, self._source_length)
        return length

    def expand(self, nodes: list[Node], length: int) -> None:
        """Give each of ``nodes`` the instances 0..length-1; a placeholder becomes index 0."""
        for node in nodes:
            placeholder = node.instances.pop(-1, None)
            if placeholder is not None:
                placeholder.map_index = 0
                node.instances[0] = placeholder
            new = range(len(node.instances), length)
            for index in new:
                node.instances[index] = Instance(task_id=node.task_id, map_index=index)
            self.unfinished += len(new)
            node.tally.add(rules.PENDING, len(new))
            for edge in self.topology.edges_down[node.position]:
                if not edge.inner and self.at[edge.downstream].outer.add(edge.slots[rules.PENDING], len(new)):
                    self._push_waiting(self.at[edge.downstream])
        affected = {node.position for node in nodes}
        affected |= {e.downstream for p in affected for e in self.topology.edges_down[p] if e.inner}
        for position in sorted(affected):
            self._recount_inner(self.at[position])
            self._push_waiting(self.at[position])

    def _recount_inner(self, node: Node) -> None:
        """Make the counters over edges inside the mapped group anew, as instances came or were renumbered."""
        edges = [edge for edge in self.topology.edges_up[node.position] if edge.inner]
        node.inner.clear()
        if not edges:
            return
        for index in node.instances:
            counter = node.inner[index] = Counter()
            for edge in edges:
                upstream = self.at[edge.upstream]
                if index < 0:
                    counter.add_all(edge.slots, upstream.tally)
                    continue
                instance = upstream.instances.get(index) or upstream.instances.get(-1)
                if instance is not None:
                    counter.add(edge.slots[SLOT_OF[instance.state]], 1)

    def _source_length(self, task_id: str) -> Length:
        node = self.nodes.get(task_id)
        if node is None:
            return Unknown.NO_RESULT
        counts = node.tally.counts
        if counts[rules.PENDING]:
            return Unknown.PENDING
        if not counts[rules.SUCCESS]:
            return Unknown.NO_RESULT
        if not node.is_placeholder:
            return len(node.instances) - counts[rules.REMOVED]
        result = node.instances[-1].result_length
        return Unknown.NO_LIST if result is None else result

    def _forget_lengths(self, source: int) -> None:
        """Judge again what is expanded over the source, if that changed its length."""
        for unit in self.topology.feeds[source]:
            before = self._lengths.pop(unit.name, None)
            if before is not None and self.length(unit) != before:
                for position in unit.tasks:
                    self._push_waiting(self.at[position])

    # -- the start ----------------------------------------------------------------------------------------------

    def _load(self, instances: Iterable[Instance]) -> None:
        for position, task in enumerate(self.topology.tasks):
            self.nodes[task.task_id] = Node(position, task.task_id, task)
        self.at.extend(self.nodes.values())
        for instance in instances:
            node = self.nodes.get(instance.task_id)
            if node is None:
                node = self.nodes[instance.task_id] = Node(len(self.at), instance.task_id, None)
                self.at.append(node)
            node.instances[instance.map_index] = instance
        for node in self.at:
            for index, instance in node.instances.items():
                node.tally.add(SLOT_OF[instance.state], 1)
                self._count(node, instance.state, 1)
                self._keep_decision(node, instance, add=True)
                if instance.state in JUDGED:
                    self.push(node, index)
        for position in range(len(self.topology.tasks)):
            for edge in self.topology.edges_up[position]:
                if not edge.inner:
                    self.at[position].outer.add_all(edge.slots, self.at[edge.upstream].tally)
            self._recount_inner(self.at[position])
