"""The sentences of a plan: why something happens, and why something has not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Final, Literal, NamedTuple

from windlass.planning import rules
from windlass.planning.counters import Node
from windlass.planning.decisions import label
from windlass.planning.rules import SLOT_OF
from windlass.planning.topology import Topology, Unit
from windlass.spec import TaskSpec, TriggerRule
from windlass.states import TaskState

#: How many names a sentence lists before it only counts.
_NAMED: Final = 5

_COUNTED: Final = (
    (rules.SUCCESS, "succeeded"),
    (rules.FAILED, "failed"),
    (rules.UPSTREAM_FAILED, "upstream_failed"),
    (rules.SKIPPED, "skipped"),
    (rules.REMOVED, "removed"),
    (rules.PENDING, "unfinished"),
)


class Obstacle(NamedTuple):
    """Why an instance has not been let go: what kind of thing holds it, as a sentence, and the instances that do."""

    kind: Literal["trigger_rule", "map_length", "past"]
    sentence: str
    instances: tuple[tuple[str, int], ...] = ()


@lru_cache(maxsize=1024)  # a wide run asks the same for each of its tasks
def rule_reason(rule: TriggerRule, counts: tuple[int, ...]) -> str:
    """Return what decided: the rule and what it saw."""
    seen = ", ".join(f"{counts[slot]} {word}" for slot, word in _COUNTED if counts[slot])
    return f"trigger rule {rule}: {seen} upstream" if seen else f"trigger rule {rule}: nothing upstream"


def waiting_rule(topology: Topology, nodes: Mapping[str, Node], node: Node, map_index: int) -> Obstacle:
    """Return which upstream instances a trigger rule still waits for."""
    counts = node.counts(map_index)
    task = topology.tasks[node.position]
    pending = list(islice(_pending_upstreams(topology, nodes, node, map_index), _NAMED))
    shown = [f"`{label(name, index)}` ({state})" for name, index, state in pending]
    # Counted over every edge, so a setup that is also a direct upstream stands in it twice; names are exact.
    more = counts[rules.PENDING] - len(shown) if len(shown) == _NAMED else 0
    rest = " and more" if more > 0 else ""
    sentence = f"trigger rule {task.trigger_rule} waits for {', '.join(shown)}{rest}"
    return Obstacle("trigger_rule", sentence, tuple((name, index) for name, index, _ in pending))


def waiting_length(nodes: Mapping[str, Node], unit: Unit) -> Obstacle:
    """Return which sources a mapped task or group waits for to know its length."""
    sources = [
        (source, index, instance.state)
        for source in sorted(unit.map.sources())
        if source in nodes
        for index, instance in nodes[source].instances.items()
        if SLOT_OF[instance.state] == rules.PENDING
    ]
    rest = f" and {len(sources) - _NAMED} more" if len(sources) > _NAMED else ""
    shown = ", ".join(f"`{label(source, index)}` ({state})" for source, index, state in sources[:_NAMED])
    sentence = f"`{unit.name}` is expanded when its length is known; it waits for {shown}{rest}"
    return Obstacle("map_length", sentence, tuple((source, index) for source, index, _ in sources[:_NAMED]))


def waiting_past(task: TaskSpec) -> Obstacle:
    """Return which promise about the previous run is not proven."""
    if task.wait_for_downstream:
        name = f"`{task.task_id}` and its direct downstreams"
        return Obstacle("past", f"wait_for_downstream: {name} are not done in the previous run")
    return Obstacle("past", f"depends_on_past: `{task.task_id}` has not succeeded in the previous run")


def _pending_upstreams(
    topology: Topology, nodes: Mapping[str, Node], node: Node, map_index: int
) -> Iterator[tuple[str, int, TaskState]]:
    seen: set[int] = set()
    for edge in topology.edges_up[node.position]:
        if edge.upstream in seen:
            continue
        seen.add(edge.upstream)
        upstream = nodes[topology.tasks[edge.upstream].task_id]
        for index, instance in upstream.instances.items():
            if edge.inner and map_index >= 0 and index not in (-1, map_index):
                continue
            if SLOT_OF[instance.state] == rules.PENDING:
                yield instance.task_id, index, instance.state
