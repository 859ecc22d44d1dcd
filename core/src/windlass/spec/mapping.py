"""How many instances a mapped task or group has, as an expression over lengths known at run time.

The scheduler needs only lengths: the values themselves are read by the children. ``expand`` is the product of its
arguments' lengths (last keyword fastest), ``expand_kwargs`` the length of its one list.
"""

from __future__ import annotations

import msgspec


class LiteralLength(msgspec.Struct, frozen=True, tag="literal"):
    """A list or dict written in the DAG file."""

    length: int


class XComLength(msgspec.Struct, frozen=True, kw_only=True, tag="xcom"):
    """The ``return_value`` of ``task_id``; of a mapped task, the number of its instances."""

    task_id: str


class ZipLength(msgspec.Struct, frozen=True, kw_only=True, tag="zip"):
    """The shortest of ``parts``, or the longest where a fill value was given."""

    parts: tuple[LengthSpec, ...]
    longest: bool = False


class ConcatLength(msgspec.Struct, frozen=True, kw_only=True, tag="concat"):
    """The sum of ``parts``."""

    parts: tuple[LengthSpec, ...]


LengthSpec = LiteralLength | XComLength | ZipLength | ConcatLength


class MapSpec(msgspec.Struct, frozen=True, kw_only=True):
    """The factors of a mapped task's or group's length, in the order of the keywords. Their product is the length."""

    factors: tuple[tuple[str, LengthSpec], ...]
    #: "product" for expand, "kwargs" for expand_kwargs (one factor).
    kind: str = "product"

    def sources(self) -> frozenset[str]:
        """Return the ids of the tasks whose results decide the length."""
        return frozenset(t for _, length in self.factors for t in length_sources(length))


def length_sources(length: LengthSpec) -> frozenset[str]:
    """Return the ids of the tasks that ``length`` depends on."""
    match length:
        case LiteralLength():
            return frozenset()
        case XComLength(task_id=task_id):
            return frozenset({task_id})
        case ZipLength(parts=parts) | ConcatLength(parts=parts):
            return frozenset(t for part in parts for t in length_sources(part))
