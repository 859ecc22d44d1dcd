"""How several schedulers share the DAGs of one database: each DAG has one holder, named by arithmetic alone.

The shares come of rendezvous hashing: every scheduler draws a number for a DAG, always the same one, and the highest
takes it. So all agree without a word, each gets about as many as the others, and one that comes or goes moves only the
DAGs that it gets or had. What is drawn with is the scheduler's home, which outlives its process: a restart moves
nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import msgspec


class Rebalancing(msgspec.Struct, frozen=True, kw_only=True):
    """What a scheduler does to come to its share: the DAGs to ``take``, which are free, and those to ``release``."""

    take: tuple[str, ...] = ()
    release: tuple[str, ...] = ()


def holder_of(dag_id: str, living: Mapping[str, str]) -> str:
    """Return whose a DAG is to be, among the ``living`` schedulers: their names, each with its home.

    Of two of the same home, which should not be, the one whose name sorts last has all.
    """
    return max(living, key=lambda owner: (_draw(living[owner], dag_id), owner))


def rebalance(owner: str, living: Mapping[str, str], held: Iterable[str], free: Iterable[str]) -> Rebalancing:
    """Return what ``owner``, who is one of the ``living``, takes of what is ``free`` and releases of what it has."""
    if living.keys() == {owner}:
        return Rebalancing(take=tuple(sorted(free)))
    return Rebalancing(
        take=tuple(sorted(dag_id for dag_id in free if holder_of(dag_id, living) == owner)),
        release=tuple(sorted(dag_id for dag_id in held if holder_of(dag_id, living) != owner)),
    )


def _draw(home: str, dag_id: str) -> bytes:
    key = hashlib.blake2b(home.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    return hashlib.blake2b(dag_id.encode("utf-8", "surrogatepass"), digest_size=16, key=key).digest()
