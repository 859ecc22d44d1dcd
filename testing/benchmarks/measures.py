"""What a workload gives back: named samples, and the budget that their median is held against."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Measure:
    """The samples of one quantity.

    ``budget`` is the most that the median may be, or with ``at_least`` the least; None means that it is shown only.
    ``why`` says where a budget comes from that was itself measured. ``peers`` has the samples of the same workload,
    run in turns with ours, by the peer's name.
    """

    name: str
    unit: str
    samples: Sequence[float]
    budget: float | None = None
    dream: float | None = None
    at_least: bool = False
    why: str = ""
    peers: dict[str, list[float]] = field(default_factory=dict)

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.samples)

    @property
    def met(self) -> bool | None:
        """Whether the budget is met; None without one."""
        return None if self.budget is None else self._within(self.budget)

    @property
    def dream_met(self) -> bool:
        """Whether the dream came true."""
        return self.dream is not None and self._within(self.dream)

    def _within(self, bound: float) -> bool:
        return self.median >= bound if self.at_least else self.median <= bound

    def ratio(self, peer: str) -> float:
        """Return our median over the peer's."""
        return self.median / statistics.median(self.peers[peer])

    def as_json(self) -> dict[str, Any]:
        """Return everything for a file."""
        return {
            "name": self.name,
            "unit": self.unit,
            "median": self.median,
            "min": min(self.samples),
            "max": max(self.samples),
            "samples": list(self.samples),
            "budget": self.budget,
            "dream": self.dream,
            "at_least": self.at_least,
            "met": self.met,
            "why": self.why,
            "peers": {
                name: {"samples": samples, "median": statistics.median(samples), "ratio": self.ratio(name)}
                for name, samples in self.peers.items()
            },
        }
