"""The clocks and the sources of chance that ``app`` injects: the system's own, and ones that a test can repeat."""

from __future__ import annotations

import os
import random
import time
from datetime import UTC, datetime, timedelta


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        """Return the current instant in UTC."""
        return datetime.now(tz=UTC)

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()


class SystemRng:
    """The operating system's randomness."""

    def token(self) -> str:
        """Return 128 fresh random bits as 32 hex digits."""
        return os.urandom(16).hex()

    def key(self) -> str:
        """Return 48 bits of the time in milliseconds and 80 fresh random ones as 32 hex digits."""
        return f"{time.time_ns() // 1_000_000:012x}{os.urandom(10).hex()}"


class VirtualClock:
    """A clock that stands still until it is told to go on. Both of its clocks move together."""

    def __init__(self, start: datetime) -> None:
        self._start = self._now = start

    def now(self) -> datetime:
        """Return the virtual instant."""
        return self._now

    def monotonic(self) -> float:
        """Return the virtual seconds since the start."""
        return (self._now - self._start).total_seconds()

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass at once, to the microsecond; what is more than nothing is at least one."""
        if seconds > 0.0:  # else who waits for the rest of a microsecond would wait for ever
            self._now += max(timedelta(seconds=seconds), timedelta.resolution)

    def travel_to(self, instant: datetime) -> None:
        """Let time pass until ``instant``, to the microsecond; what has passed stays passed."""
        self._now = max(self._now, instant)


class SeededRng:
    """Tokens that are the same in every run with the same seed; never for production."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - repeatable on purpose

    def token(self) -> str:
        """Return 128 bits as 32 hex digits."""
        return f"{self._random.getrandbits(128):032x}"

    def key(self) -> str:
        """Return the next token: how many pages a commit writes is nothing that a test repeats."""
        return self.token()
