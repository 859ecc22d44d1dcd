"""What may go wrong in a run, and how often.

Each seed switches on a random subset (swarm testing): a run with every fault at once finds less than many runs with
few, because faults cover up for each other. A restarted scheduler, for one, repairs what a lost signal breaks.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, fields


@dataclass
class Faults:
    """Probabilities, 0 where a fault is switched off; those of statements and commits are per event."""

    lose_workload: float = 0.15
    repeat_workload: float = 0.2
    delay_workload: float = 0.15
    lose_ring: float = 0.5
    lose_stop: float = 0.5
    kill_scheduler: float = 0.004
    kill_supervisor: float = 0.004
    kill_task: float = 0.12
    linger: float = 0.15
    freeze_scheduler: float = 0.004
    freeze_supervisor: float = 0.008
    busy: float = 0.03
    lose_answer: float = 0.06
    jump: float = 0.5
    operator: float = 1.0
    kill_trigger_host: float = 0.7
    late_event: float = 0.3
    repeat_event: float = 0.6
    #: Of several schedulers: that one is stopped by a person, per step, and that one sleeps through the end of its
    #: lease between a decision and its write. Drawn with their number.
    leave: float = 0.0
    oversleep: float = 0.0

    @classmethod
    def drawn(cls, source: random.Random) -> Faults:
        """Return a random subset; now and then none at all, or a single one."""
        share = source.choice((0.0, 0.15, 0.35, 0.35, 0.6))
        faults = cls()
        for field in fields(cls):
            if field.name in {"leave", "oversleep"}:
                continue
            if source.random() >= share:
                setattr(faults, field.name, 0.0)
        return faults

    @property
    def harmless_to_queued(self) -> bool:
        """Whether all that can happen to a queued instance is that its supervisor is started again."""
        lossy = self.lose_workload + self.delay_workload + self.kill_task + self.jump + self.linger
        return not lossy + self.kill_scheduler + self.freeze_scheduler + self.freeze_supervisor

    def names(self) -> list[str]:
        """Return what is switched on."""
        return [field.name for field in fields(self) if getattr(self, field.name)]
