"""How a run ends: from its leaves, or because nothing can move any more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from windlass.planning import rules
from windlass.planning.counters import Node
from windlass.planning.decisions import Conclusion, label
from windlass.planning.topology import Topology
from windlass.states import RunState

#: How many leaves or blocked tasks a reason names.
_NAMED: Final = 5


def concluded(topology: Topology, nodes: Mapping[str, Node]) -> Conclusion:
    """Return the end of a run whose every task instance has ended.

    Any leaf failed or upstream_failed fails it. A leaf is a task with no downstream in this run; a teardown is none
    and hides none, unless it was told to fail the run. A DAG of teardowns only is judged by its last ones.
    """
    present = frozenset(node.position for node in nodes.values() if node.task is not None and node.instances)
    leaves = [position for position in present if topology.is_leaf(position, present)]
    if not leaves:
        leaves = [position for position in present if not topology.has_downstream(position, present)]
    broken = []
    for position in sorted(leaves):
        task_id = topology.tasks[position].task_id
        counts = nodes[task_id].tally.counts
        if counts[rules.FAILED] or counts[rules.UPSTREAM_FAILED]:
            broken.append(task_id)
    if broken:
        return Conclusion(state=RunState.FAILED, reason=f"failed at the end of the graph: {_list(broken)}")
    return Conclusion(state=RunState.SUCCESS, reason="every task at the end of the graph succeeded or was skipped")


def deadlocked(blocked: Mapping[tuple[str, int], Sequence[str]], number: int) -> Conclusion:
    """Return the end of a run with ``number`` instances that nothing will ever start; ``blocked`` says why of some."""
    causes = "; ".join(
        f"`{label(*instance)}`: {'; '.join(sentences) or 'nothing says why'}" for instance, sentences in blocked.items()
    )
    reason = f"deadlock: {number} task instance(s) can never run and nothing is running. {causes}"
    return Conclusion(state=RunState.FAILED, reason=reason)


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown
