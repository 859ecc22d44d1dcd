"""Bugs to plant: each takes one guard of the protocol away, and the simulation has to notice.

A guard that can be removed without any seed failing is either useless or unproven. So every promise that the engine's
code makes by a clause, a comparison or an order of two calls has a counterpart here, and a test asserts that some seed
among the first few hundred finds each of them.
"""

from __future__ import annotations

from windlass_testing.simulation.bugs import (  # noqa: F401 - each registers its bugs
    backfills,
    calendar,
    deferrals,
    ends,
    events,
    exchanges,
    leases,
    memory,
    sharing,
    steps,
)
from windlass_testing.simulation.bugs.planting import BUGS, Bug

__all__ = ["BUGS", "Bug"]
