"""How running code waits: by sleeping, or in a test by letting virtual time pass at once."""

from __future__ import annotations

import time
from typing import Protocol, runtime_checkable

from windlass.ports.current import WallClock, current_clock


@runtime_checkable
class PassableClock(WallClock, Protocol):
    """A clock that goes on when it is told to."""

    def monotonic(self) -> float:
        """Return the virtual seconds since some start."""
        ...

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass."""
        ...


def sleep(seconds: float) -> None:
    """Wait: really, or inside a :func:`~windlass.ports.clock_scope` of a virtual clock by moving that on."""
    clock = current_clock()
    if isinstance(clock, PassableClock):
        clock.advance(seconds)
    else:
        time.sleep(seconds)


def elapsed() -> float:
    """Return seconds that never go back, of the clock by which :func:`sleep` waits."""
    clock = current_clock()
    return clock.monotonic() if isinstance(clock, PassableClock) else time.monotonic()
