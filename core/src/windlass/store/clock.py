"""Database time, where the database has a clock of its own.

Leases are compared across hosts, so all of them must read one clock: the database's. Asking it for every decision would
cost a round trip each; so each process asks now and then how far the database's clock is from its own monotonic one,
and counts from there. What the two drift apart in between is microseconds, where leases are seconds; when the
database's clock is set, everybody notices within :data:`_TRUSTED` seconds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: Seconds for which the distance between the clocks is believed.
_TRUSTED: Final = 10.0


class DatabaseClock:
    """The clock of the database's host; ``ask`` returns it in microseconds since 1970."""

    def __init__(self, ask: Callable[[], int], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._monotonic = monotonic
        self._lock = threading.Lock()
        #: Database time minus monotonic time, in microseconds.
        self._ahead = 0
        self._until = float("-inf")

    def now(self) -> datetime:
        """Return the database's current instant.

        Raises:
            StoreError: the database had to be asked and did not answer.
        """
        here = self._monotonic()
        if here >= self._until:
            with self._lock:
                if self._monotonic() >= self._until:
                    self._measure()
            here = self._monotonic()
        return _EPOCH + timedelta(microseconds=self._ahead + int(here * 1e6))

    def monotonic(self) -> float:
        """Return seconds of this host that never go back."""
        return self._monotonic()

    def _measure(self) -> None:
        """Ask, and assume that the answer was true halfway between question and answer."""
        before = self._monotonic()
        there = self._ask()
        after = self._monotonic()
        self._ahead = there - int((before + after) / 2 * 1e6)
        self._until = after + _TRUSTED
