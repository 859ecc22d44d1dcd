"""Effective priority: a task's weight, alone or with the weights of everything below or above it.

The sums go over the *set* of descendants (or ancestors): a task that is reached on two paths counts once, as in
Airflow. Sets are bit masks over positions, and a sum is taken per distinct weight with a population count, so that
thousands of tasks cost milliseconds.
"""

from __future__ import annotations

from windlass.planning.topology import ancestors, topology_of
from windlass.spec import DagSpec, WeightRule


def priorities(spec: DagSpec) -> dict[str, int]:
    """Return the effective priority of every task of ``spec``, computed once and kept on it, as its topology is.

    A weight rule that is none of the three built-in ones is a strategy of a plugin or of the DAG's own code. It has
    made the task's weight when the file was parsed, and nothing is added to that.
    """
    known: dict[str, int] | None = spec.__dict__.get("priorities")
    if known is None:
        known = spec.__dict__["priorities"] = _priorities(spec)
    return known


def _priorities(spec: DagSpec) -> dict[str, int]:
    weights = [task.priority_weight for task in spec.tasks]
    masks: dict[int, int] = {}
    for index, weight in enumerate(weights):
        masks[weight] = masks.get(weight, 0) | 1 << index
    wanted = {task.weight_rule for task in spec.tasks}
    below = _descendants(spec) if WeightRule.DOWNSTREAM in wanted else []
    above = ancestors(spec.tasks) if WeightRule.UPSTREAM in wanted else []

    def total(members: int) -> int:
        return sum(weight * (members & mask).bit_count() for weight, mask in masks.items())

    result: dict[str, int] = {}
    for index, task in enumerate(spec.tasks):
        match task.weight_rule:
            case WeightRule.DOWNSTREAM:
                result[task.task_id] = weights[index] + total(below[index])
            case WeightRule.UPSTREAM:
                result[task.task_id] = weights[index] + total(above[index])
            case _:
                result[task.task_id] = weights[index]
    return result


def _descendants(spec: DagSpec) -> list[int]:
    position = topology_of(spec).position
    masks = [0] * len(spec.tasks)
    for index in range(len(spec.tasks) - 1, -1, -1):
        reach = masks[index] | 1 << index
        for name in spec.tasks[index].upstream:
            if name in position:
                masks[position[name]] |= reach
    return masks
