"""How many tasks run at once: what comes on top of that waits here, in the order in which it came.

The scheduler hands over a little more than may run while tasks are short, so that a slot which falls free is taken in
the same turn. A slot is free when its task has said that it succeeded, or when nothing of its process is left. Work
that is not a task's (callbacks, questions to timetables) takes no slot.
"""

from __future__ import annotations

from collections.abc import Callable

from windlass.planning.pace import Pace
from windlass.ports import Workload, WorkloadKind


class Slots:
    """Launches workloads as far as ``limit`` (0 = none) allows."""

    def __init__(self, launch: Callable[[Workload], None], monotonic: Callable[[], float]) -> None:
        self.limit = 0
        #: How fast slots fall free.
        self.pace = Pace()
        self._monotonic = monotonic
        self._launch = launch
        self._taken: set[str] = set()
        self._waiting: dict[str, Workload] = {}

    @property
    def taken(self) -> int:
        """How many slots are taken."""
        return len(self._taken)

    @property
    def waiting(self) -> int:
        """How many workloads wait for a slot."""
        return len(self._waiting)

    def has(self, ticket: str) -> bool:
        """Return whether a workload with this ticket waits here."""
        return ticket in self._waiting

    def submit(self, workload: Workload) -> None:
        """Launch it, now or when there is a slot."""
        if workload.kind is not WorkloadKind.TASK:
            self._launch(workload)
        else:
            self._waiting[workload.ticket] = workload
            self.fill()

    def free(self, ticket: str) -> None:
        """Give the slot of this workload back, if it has one."""
        if ticket in self._taken:
            self._taken.remove(ticket)
            self.pace.ended(1, self._monotonic())

    def fill(self) -> None:
        """Launch what there are slots for."""
        while self._waiting and not 0 < self.limit <= len(self._taken):
            ticket = next(iter(self._waiting))
            workload = self._waiting.pop(ticket)
            self._taken.add(ticket)
            self._launch(workload)

    def clear(self) -> None:
        """Forget what waits: the store still has it as queued."""
        self._waiting.clear()
