"""The shape of a DAG as planning needs it: positions, edges as counter mappings, what expands together.

Computed once per spec and shared by all its runs. Two things are worth knowing. An edge says *into which slot* of the
downstream's counter an upstream instance goes, so that setups and the work between a setup and its teardown are
ordinary edges with another mapping. And an edge is *inner* when both ends lie in one mapped group: then index i
looks at index i only, while over every other edge all instances of the upstream count together.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from windlass.planning import rules
from windlass.spec import DagSpec, MapSpec, TaskSpec, TriggerRule

#: No slot: an instance in that state is not counted over the edge.
NOWHERE: Final = -1

_UPSTREAM: Final = (rules.PENDING, rules.SUCCESS, rules.FAILED, rules.UPSTREAM_FAILED, rules.SKIPPED, rules.REMOVED)
_SETUP: Final = (
    rules.PENDING,
    rules.SETUP_SUCCESS,
    rules.SETUP_FAILED,
    rules.SETUP_FAILED,
    rules.SETUP_SKIPPED,
    NOWHERE,
)
_BETWEEN: Final = (rules.PENDING, NOWHERE, NOWHERE, NOWHERE, NOWHERE, NOWHERE)


class Edge(NamedTuple):
    """From ``upstream`` to ``downstream`` (positions): an upstream instance in slot s counts in ``slots[s]`` there."""

    upstream: int
    downstream: int
    slots: tuple[int, ...]
    inner: bool


class Unit(NamedTuple):
    """What expands together: one mapped task, or all tasks of a mapped group."""

    name: str
    map: MapSpec
    tasks: tuple[int, ...]
    is_group: bool


class Topology:
    """The positions, edges and units of one spec."""

    def __init__(self, spec: DagSpec) -> None:
        self.tasks: Final = spec.tasks
        self.position: Final = {task.task_id: position for position, task in enumerate(spec.tasks)}
        self.unit_of: Final[list[Unit | None]] = [None] * len(spec.tasks)
        #: The units whose length the task's result decides.
        self.feeds: Final[dict[int, list[Unit]]] = {}
        self._add_units(spec)
        self.edges_down: Final[list[list[Edge]]] = [[] for _ in spec.tasks]
        self.edges_up: Final[list[list[Edge]]] = [[] for _ in spec.tasks]
        self._ancestors: list[int] | None = None
        for task in spec.tasks:
            self._add_edges(task)

    def shares_index(self, one: int, other: int) -> bool:
        """Return whether both tasks lie in the same mapped group, where index i only concerns index i."""
        unit = self.unit_of[one]
        return unit is not None and unit.is_group and unit is self.unit_of[other]

    def is_leaf(self, position: int, present: frozenset[int]) -> bool:
        """Return whether the task decides the run's state, among the tasks that are ``present`` in the run.

        A teardown is no leaf and hides none, unless its failure shall fail the run.
        """
        if _ignorable(self.tasks[position]):
            return False
        return all(
            _ignorable(self.tasks[edge.downstream])
            for edge in self.edges_down[position]
            if edge.slots is _UPSTREAM and edge.downstream in present
        )

    def has_downstream(self, position: int, present: frozenset[int]) -> bool:
        """Return whether any task that is ``present`` in the run lies directly downstream."""
        return any(e.slots is _UPSTREAM and e.downstream in present for e in self.edges_down[position])

    def _add_units(self, spec: DagSpec) -> None:
        grouped: dict[str, list[int]] = {}
        for position, task in enumerate(spec.tasks):
            group = spec.mapped_group_of(task.task_id)
            if group is not None:
                grouped.setdefault(group.group_id, []).append(position)
            elif task.map is not None:
                self._add_unit(Unit(task.task_id, task.map, (position,), is_group=False))
        for group_id, positions in grouped.items():
            mapping = spec.groups_by_id[group_id].map
            if mapping is not None:
                self._add_unit(Unit(group_id, mapping, tuple(positions), is_group=True))

    def _add_unit(self, unit: Unit) -> None:
        for position in unit.tasks:
            self.unit_of[position] = unit
        for source in sorted(unit.map.sources()):
            if source in self.position:
                self.feeds.setdefault(self.position[source], []).append(unit)

    def _add_edges(self, task: TaskSpec) -> None:
        here = self.position[task.task_id]
        direct = [self.position[name] for name in task.upstream if name in self.position]
        for upstream in direct:
            self._add_edge(upstream, here, _UPSTREAM)
        if task.trigger_rule is not TriggerRule.ALL_DONE_SETUP_SUCCESS:
            return
        named = [self.position[name] for name in task.setups if name in self.position]
        setups = named or [position for position in direct if self.tasks[position].is_setup]
        for setup in setups:
            self._add_edge(setup, here, _SETUP)
        for between in sorted(self._between(setups, here) - {*direct, *setups}):
            self._add_edge(between, here, _BETWEEN)

    def _add_edge(self, upstream: int, downstream: int, slots: tuple[int, ...]) -> None:
        edge = Edge(upstream, downstream, slots, self.shares_index(upstream, downstream))
        self.edges_down[upstream].append(edge)
        self.edges_up[downstream].append(edge)

    def _between(self, setups: Iterable[int], teardown: int) -> set[int]:
        """Return the tasks on any path from a setup to the teardown, both ends left out.

        Waiting for the direct upstreams is not enough: one of them may be done early (``one_failed``, or an
        ``upstream_failed``) while a task before it still uses what the setup made.
        """
        if self._ancestors is None:
            self._ancestors = ancestors(self.tasks)
        wanted = sum(1 << setup for setup in set(setups))
        mask = self._ancestors[teardown]
        return {p for p in range(len(self.tasks)) if mask >> p & 1 and self._ancestors[p] & wanted}


def topology_of(spec: DagSpec) -> Topology:
    """Return the topology of ``spec``, computed once and kept on it, as its own cached properties are."""
    cached = spec.__dict__.get("topology")
    if not isinstance(cached, Topology):
        cached = spec.__dict__["topology"] = Topology(spec)
    return cached


def ancestors(tasks: tuple[TaskSpec, ...]) -> list[int]:
    """Return for each task the set of all its ancestors, as a bit mask over positions. ``tasks`` are topological."""
    position = {task.task_id: index for index, task in enumerate(tasks)}
    masks: list[int] = []
    for index, task in enumerate(tasks):
        mask = 0
        for name in task.upstream:
            above = position.get(name, index)
            if above < index:
                mask |= masks[above] | 1 << above
        masks.append(mask)
    return masks


def _ignorable(task: TaskSpec) -> bool:
    return task.is_teardown and not task.on_failure_fail_dagrun
