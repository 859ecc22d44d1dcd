"""How many instances a mapped task or group gets, once the results it is expanded over are known.

Only ``return_value`` counts, and only if it is a list or a dict. A source that is itself mapped (or lies in a mapped
group) is a list by map index: its length is the number of its instances, whatever each of them returned, so that
index i downstream reads index i upstream. ``removed`` instances do not count.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum

from windlass.planning.topology import topology_of
from windlass.spec import ConcatLength, DagSpec, LengthSpec, LiteralLength, MapSpec, XComLength, ZipLength


class Unknown(Enum):
    """Why a length is not a number."""

    PENDING = "pending"  # a source has not ended
    NO_RESULT = "no_result"  # a source was skipped, failed, or is no part of the run
    NO_LIST = "no_list"  # a source succeeded and returned neither a list nor a dict


Length = int | Unknown
#: The length of a source task's result, by task id.
SourceLength = Callable[[str], Length]


def map_length(spec: MapSpec, source: SourceLength) -> Length:
    """Return the number of instances: the product of the factors, or why there is none yet."""
    return _combine([_length(factor, source) for _, factor in spec.factors], math.prod)


def _length(spec: LengthSpec, source: SourceLength) -> Length:
    match spec:
        case LiteralLength(length=length):
            return length
        case XComLength(task_id=task_id):
            return source(task_id)
        case ZipLength(parts=parts, longest=longest):
            return _combine([_length(part, source) for part in parts], max if longest else min)
        case ConcatLength(parts=parts):
            return _combine([_length(part, source) for part in parts], sum)


def _combine(lengths: list[Length], fold: Callable[[list[int]], int]) -> Length:
    for unknown in Unknown:  # in order: as long as anything is pending, so is the whole
        if unknown in lengths:
            return unknown
    return fold([length for length in lengths if isinstance(length, int)])


def check_map_length(spec: DagSpec, task_id: str, length: int | None) -> str | None:
    """Return why the result of ``task_id`` cannot be expanded over, or None if it can or nothing expands over it.

    To be asked when the task reports success: the text is the reason its attempt fails. ``length`` is that of the
    ``return_value``, None if that is neither a list nor a dict.
    """
    topology = topology_of(spec)
    position = topology.position.get(task_id)
    if position is None or topology.unit_of[position] is not None:
        return None
    units = topology.feeds.get(position)
    if not units:
        return None
    names = ", ".join(f"`{unit.name}`" for unit in units)
    if length is None:
        return (
            f"`{task_id}` returned neither a list nor a dict, so {names} cannot be expanded over it; return one of them"
        )
    if length > spec.max_map_length:
        return (
            f"`{task_id}` returned {length} items to expand {names} over, but max_map_length of DAG `{spec.dag_id}` "
            f"is {spec.max_map_length}; return fewer items or raise max_map_length"
        )
    return None
