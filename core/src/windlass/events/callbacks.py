"""Callbacks of tasks and runs: from the outbox to a supervisor, which calls them in a child of the run's own code.

A row is taken for a minute and sent as a workload; the supervisor makes the hold its own, and acknowledges the row when
every function it stands for has returned. Nothing is remembered here: what is lost on the way is free again when its
hold is over. Only a few are under way at once, so that a thousand tasks that fail together do not become a thousand
processes. The outbox is looked at once a second, and faster while it has more.
"""

from __future__ import annotations

from typing import Final

from windlass.ports import ExecutorPort, Workload, WorkloadKind
from windlass.store.outbox import Outbox, OutboxRow, ticket_of

#: Callbacks under way at once.
_AT_ONCE: Final = 8
#: Seconds between two looks at an outbox that had nothing, and at one that had more than may be under way.
_PAUSE: Final = 1.0
_SHORT_PAUSE: Final = 0.1


class Callbacks:
    """Sends what the outbox owes to callbacks; ``by`` names who does so. Step it in a thread of its own."""

    def __init__(self, outbox: Outbox, executor: ExecutorPort, *, by: str) -> None:
        self._outbox = outbox
        self._executor = executor
        self._by = by

    def step(self) -> float:
        """Send the oldest callbacks that there is room for; return the seconds until the next look."""
        room = _AT_ONCE - self._outbox.in_flight()
        if room <= 0:
            return _SHORT_PAUSE
        rows = self._outbox.claim(self._by, limit=room)
        self._executor.submit([_workload(row, self._by) for row in rows])
        return _SHORT_PAUSE if rows else _PAUSE


def _workload(row: OutboxRow, by: str) -> Workload:
    return Workload(
        kind=WorkloadKind.CALLBACK,
        id=row.id,
        epoch=row.failures,
        ticket=ticket_of(by, row.id),
        queue="default",
        code_version=row.code_version,
        bundle=row.bundle,
        file=row.file,
        dag_id=row.dag_id,
        run_id=row.run_id,
        task_id=row.task_id or "",
        map_index=-1 if row.map_index is None else row.map_index,
    )
