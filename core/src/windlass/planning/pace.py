"""How much work an executor may hold beyond what runs, so that a slot which falls free need not wait for the scheduler.

While tasks take milliseconds, the way from the end of one through the scheduler to the start of the next is a large
part of their time, and cores stand idle on it. So an executor that can may be given more than it may run at once: as
many as have ended within the last tenth of a second. By Little's law that is how long what is handed over waits, and
how long something urgent that comes later waits behind it. Where tasks take seconds, nothing is handed over ahead.

The past may deceive: the tasks that wait may turn out long. What is too much for a second is taken back. So a run may
begin as fast as the last one of its DAG went: what ended then counts as ended now.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

#: Seconds of work that may wait in the executor.
_AHEAD: Final = 0.1
#: Seconds for which there may be too much of it.
_PATIENCE: Final = 1.0


class Pace:
    """How fast tasks end, by the monotonic seconds that its methods are given."""

    def __init__(self) -> None:
        self._ends: deque[tuple[float, int]] = deque()
        self._number = 0
        self._too_much_since: float | None = None

    def ended(self, number: int, now: float) -> None:
        """Take note that so many tasks have ended."""
        self._ends.append((now, number))
        self._number += number

    def ahead(self, now: float) -> int:
        """Return how many may wait in the executor, beyond those that may run."""
        while self._ends and self._ends[0][0] <= now - _AHEAD:
            self._number -= self._ends.popleft()[1]
        return self._number

    def within(self, seconds: float, now: float) -> float:
        """Return how many will end within so many ``seconds``, at the pace since the first of those that count.

        Where all that count have ended just now nobody can tell, and it may be any number.
        """
        number = self.ahead(now)
        passed = now - self._ends[0][0] if self._ends else math.inf
        return number * seconds / passed if passed > 0 else math.inf

    def is_too_much(self, number: int, now: float) -> bool:
        """Return whether ``number`` waiting in the executor are too many, and have been for a second."""
        if number <= self.ahead(now):
            self._too_much_since = None
        elif self._too_much_since is None:
            self._too_much_since = now
        return self._too_much_since is not None and now - self._too_much_since >= _PATIENCE
