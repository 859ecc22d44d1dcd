"""What is due when: a heap of instants and names. A timer that is set again simply replaces the earlier one."""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from datetime import datetime
from typing import Generic, Literal, TypeVar

K = TypeVar("K", bound=Hashable)
#: What a timer is for: the next run of a DAG; a run's dagrun_timeout, its next deadline, or the interval that a
#: timetable is to say; the intervals of a backfill that it is to say; a task instance (run, task) that may go on.
TimerKey = (
    tuple[Literal["dag"], str]
    | tuple[Literal["timeout", "deadline", "interval", "backfill"], int]
    | tuple[Literal["task"], int, int]
)


class Timers(Generic[K]):
    """At most one instant per key."""

    def __init__(self) -> None:
        self._due: dict[K, datetime] = {}
        self._heap: list[tuple[datetime, int, K]] = []
        self._count = 0

    def set(self, key: K, due: datetime) -> None:
        """Let ``key`` be due at ``due``, whatever it was before."""
        if self._due.get(key) != due:
            self._due[key] = due
            self._count += 1
            heapq.heappush(self._heap, (due, self._count, key))

    def cancel(self, key: K) -> None:
        """Forget ``key``; it is no error if it was not set."""
        self._due.pop(key, None)

    def pop_due(self, now: datetime) -> list[K]:
        """Remove and return the keys that are due, in order."""
        keys: list[K] = []
        while self._heap and self._heap[0][0] <= now:
            due, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == due:
                del self._due[key]
                keys.append(key)
        return keys

    def next(self) -> datetime | None:
        """Return the earliest instant that is still set."""
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None
