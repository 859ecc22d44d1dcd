"""The deadlines of open runs: one timer per run, for the earliest that has not fired.

Nothing here remembers across a restart, nor needs to: what was missed meanwhile fires at once, and the store notes each
miss once.
"""

from __future__ import annotations

from datetime import datetime

from windlass.planning.deadlines import dues, miss_reason
from windlass.ports import DeadlineMiss, RunFacts
from windlass.scheduler.timers import TimerKey, Timers
from windlass.spec import DagSpec


class Deadlines:
    """What is still to come, by run."""

    def __init__(self, timers: Timers[TimerKey]) -> None:
        self._timers = timers
        #: (due, place), the latest first.
        self._ahead: dict[int, list[tuple[datetime, int]]] = {}
        self._specs: dict[int, DagSpec] = {}

    def watch(self, run: RunFacts, spec: DagSpec) -> None:
        """Set the timer of a run that is queued or running."""
        if spec.deadlines:
            self._ahead[run.id] = sorted(((due, position) for position, due in dues(spec, run)), reverse=True)
            self._specs[run.id] = spec
            self._set(run.id)

    def forget(self, run: int) -> None:
        """Drop the timer of a run."""
        if self._ahead.pop(run, None) is not None:
            del self._specs[run]
            self._timers.cancel(("deadline", run))

    def missed(self, run: int, now: datetime) -> list[DeadlineMiss]:
        """Return the deadlines of a run that have passed, each once, and set the timer for the next."""
        ahead = self._ahead.get(run, [])
        misses = []
        while ahead and ahead[-1][0] <= now:
            due, position = ahead.pop()
            reason = miss_reason(self._specs[run].deadlines[position], due)
            misses.append(DeadlineMiss(run=run, position=position, due=due, reason=reason))
        self._set(run)
        return misses

    def _set(self, run: int) -> None:
        ahead = self._ahead.get(run)
        if ahead:
            self._timers.set(("deadline", run), ahead[-1][0])
