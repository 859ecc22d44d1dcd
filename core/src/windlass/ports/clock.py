"""Time, chance and waking up, as arguments."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Two clocks: one for the calendar, one for durations."""

    def now(self) -> datetime:
        """Return the current instant, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        ...


class Rng(Protocol):
    """The source of tickets, op ids and lease ids: unguessable in production, seeded in the simulation."""

    def token(self) -> str:
        """Return 128 fresh random bits as 32 hex digits."""
        ...

    def key(self) -> str:
        """Return a fresh random key of a row as 32 hex digits.

        In production it begins with 48 bits of the time in milliseconds, before 80 random ones, as a UUID of version 7
        does (RFC 9562): so an index over many of them grows at its end, and a commit writes few of its pages.
        """
        ...


class Doorbell(Protocol):
    """Wakes one waiting scheduler. A ring is a hint: losing one costs at most a second, never a decision."""

    def ring(self) -> None:
        """Wake whoever waits. Never blocks and never fails."""
        ...

    def wait(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds for a ring (rings since the last wait count); return whether one came."""
        ...
