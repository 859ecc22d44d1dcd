"""``execution_timeout`` where a task runs in this process: an alarm, since nobody stands beside it to end it.

The alarm raises TaskTimeout in the task. Code that swallows it is told a second later by an exit, as a child is by
SIGTERM, and so on every second; whatever it does then, the try counts as timed out. Virtual time counts too: a sensor
that waits beyond its limit is ended at the limit.

An alarm is delivered to the main thread only, and there is one per process: whoever had set it before (a test's own
time limit) gets it in time, during the task as afterwards, and finds its handler where it was.
"""

from __future__ import annotations

import logging
import math
import signal
import sys
import threading
import time
from datetime import datetime
from types import FrameType
from typing import Final

from windlass.app.clocks import VirtualClock
from windlass.authoring.dag import DAG
from windlass.errors import TaskTimeout
from windlass.ports import TaskSession, clock_scope
from windlass.protocol import AttemptContext, Finish, Outcome
from windlass.runtime.attempt import Ending, StandIn, run_attempt

#: Seconds until code that has swallowed the timeout is told again.
_AGAIN: Final = 1.0
#: The shortest time for which an alarm can be set; 0 would mean none.
_SOON: Final = 1e-6
_TERMINATED: Final = 128 + 15
#: The modules whose trace functions are a debugger's: who looks around in a task shall not be thrown out of it.
_DEBUGGERS: Final = ("bdb", "pdb", "pydevd", "_pydevd")

log = logging.getLogger("windlass.task")


class TimeLimits:
    """The limits of the attempts of one test; says once in the log if this process cannot keep them."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._told = False

    def of(self, seconds: float | None) -> TimeLimit:
        """Return the limit of one attempt; None is no limit."""
        can_alarm = _can_alarm()
        if seconds is not None and not can_alarm and not self._told:
            self._told = True
            log.warning("execution_timeout is not enforced here: that takes the main thread of a POSIX system")
        return TimeLimit(self._clock, seconds, _Alarm(seconds) if seconds is not None and can_alarm else None)


class TimeLimit:
    """Runs one attempt, by the virtual clock and within its limit."""

    def __init__(self, clock: VirtualClock, seconds: float | None, alarm: _Alarm | None) -> None:
        self._seconds = seconds
        self._alarm = alarm
        self._clock: VirtualClock | _LimitedClock = clock if seconds is None else _LimitedClock(clock, seconds)

    def run(self, dag: DAG, attempt: AttemptContext, session: TaskSession, stand_in: StandIn | None = None) -> Ending:
        """Run the attempt; one that took too long has failed, whatever its code made of being told."""
        with clock_scope(self._clock):
            ending = run_attempt(dag, attempt, session, stand_in=stand_in, limit=self._alarm)
        if not self._has_expired:
            return ending
        return Finish(
            outcome=Outcome.FAIL,
            started_at=ending.started_at,
            ended_at=ending.ended_at,
            reason=_sentence(self._seconds),
        )

    @property
    def _has_expired(self) -> bool:
        is_late = isinstance(self._clock, _LimitedClock) and self._clock.expired
        return is_late or (self._alarm is not None and self._alarm.expired)


class _LimitedClock:
    """A virtual clock that a wait moves on, but not beyond the limit."""

    def __init__(self, clock: VirtualClock, seconds: float) -> None:
        self.now = clock.now
        self.monotonic = clock.monotonic
        self.expired = False
        self._clock = clock
        self._seconds = seconds
        self._due = clock.monotonic() + seconds

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass.

        :raises TaskTimeout: if there are not as many left.
        """
        left = self._due - self.monotonic()
        self._clock.advance(min(seconds, left))
        if left < seconds:
            self.expired = True
            raise TaskTimeout(_sentence(self._seconds))

    def travel_to(self, instant: datetime) -> None:
        """Let time pass until ``instant``."""
        self.advance(max(0.0, (instant - self.now()).total_seconds()))


class _Alarm:
    """The process's alarm, shared with whoever has set it before."""

    def __init__(self, seconds: float) -> None:
        self.expired = False
        self._seconds = seconds
        self._due = self._outer_due = math.inf
        self._outer_interval = 0.0
        self._outer: signal._HANDLER = None

    def __enter__(self) -> None:
        now = time.monotonic()
        left, self._outer_interval = signal.setitimer(signal.ITIMER_REAL, 0)
        self._outer = signal.signal(signal.SIGALRM, self._ring)
        self._due = now + self._seconds
        self._outer_due = now + left if left > 0 else math.inf
        self._arm()

    def __exit__(self, *exc_info: object) -> None:
        """Give it back, with as much time as its owner has left."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._outer)
        if self._outer_due < math.inf:
            left = max(_SOON, self._outer_due - time.monotonic())
            signal.setitimer(signal.ITIMER_REAL, left, self._outer_interval)

    def _arm(self) -> None:
        left = min(self._due, self._outer_due) - time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, max(_SOON, left))

    def _ring(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        is_ours, is_theirs = now >= self._due, now >= self._outer_due
        if is_ours:
            self._due = now + _AGAIN
        if is_theirs:
            self._outer_due = now + self._outer_interval if self._outer_interval > 0 else math.inf
        self._arm()
        if is_theirs and callable(self._outer):
            self._outer(number, frame)
        if is_ours and not _is_debugging():
            told, self.expired = self.expired, True
            raise SystemExit(_TERMINATED) if told else TaskTimeout(_sentence(self._seconds))


def _sentence(seconds: float | None) -> str:
    """Return the reason, in the words of a supervisor."""
    return f"it ran longer than its execution_timeout of {seconds:g} s"


def _can_alarm() -> bool:
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        return False
    return signal.getsignal(signal.SIGALRM) is not None  # else it is not Python's, and could not be given back


def _is_debugging() -> bool:
    module = getattr(sys.gettrace(), "__module__", None) or ""
    return module.partition(".")[0] in _DEBUGGERS
