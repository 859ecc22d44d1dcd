"""Virtual time, and the actors that live in it: one thread, one agenda, one source of chance.

An actor is a greenlet that runs real code. It gives way in two places only: where it sleeps, and where the database is
about to run a statement outside a write transaction (``interference``). Everything that happens is an entry of the
agenda, ordered by time and then by the order in which it was made, so a seed decides a whole run, and a run can be
repeated to the last statement.
"""

from __future__ import annotations

import hashlib
import heapq
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from greenlet import GreenletExit, getcurrent, greenlet

START = datetime(2026, 3, 1, 12, tzinfo=UTC)

#: More than any run needs that comes to an end.
MOST_STEPS: Final = 8_000
#: Ends the actor that raises it, as kill -9 would.
Killed = GreenletExit


class InvariantBroken(BaseException):
    """A promise did not hold. No ``except Exception`` of the code under test may swallow it."""

    def __init__(self, invariant: str, detail: str) -> None:
        super().__init__(f"{invariant}: {detail}")
        self.invariant = invariant
        self.detail = detail


class World:
    """The clock, the agenda and the trace of one seed. Implements :class:`windlass.ports.Clock`."""

    def __init__(self, seed: int, *, keep_trace: bool = False) -> None:
        self.random = random.Random(seed)  # noqa: S311 - a repeatable run is the point
        self.time = 0.0
        #: How far the calendar was moved against the monotonic clock.
        self.jumped = 0.0
        self.last_jump = float("-inf")
        #: When the last frozen actor goes on.
        self.thawed_at = 0.0
        self.frozen: list[Actor] = []
        #: No faults any more: from here on everything that can end must end.
        self.calm = False
        self.steps = 0
        self.current: Actor | None = None
        self.hub = getcurrent()
        self.trace: list[str] = []
        self._keep_trace = keep_trace
        self._digest = hashlib.sha256()
        self._agenda: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._entries = 0
        self._actors: dict[Actor, None] = {}
        self._doomed: list[Actor] = []

    # --- Clock

    def now(self) -> datetime:
        """Return the calendar's instant, which a jump may have moved."""
        return START + timedelta(seconds=self.time + self.jumped)

    def monotonic(self) -> float:
        """Return the seconds since the start."""
        return self.time

    def jump(self, seconds: float) -> None:
        """Move the calendar forward and leave the monotonic clock alone."""
        self.jumped += seconds
        self.last_jump = self.time
        self.note(f"the calendar jumps {seconds:.0f} s forward")

    # --- Chance

    def chance(self, probability: float) -> bool:
        """Return whether a fault of this probability happens now; never once the world is calm."""
        return probability > 0 and not self.calm and self.random.random() < probability

    # --- Time

    def at(self, delay: float, callback: Callable[..., None], *args: Any) -> None:
        """Call back after ``delay`` seconds."""
        self._entries += 1
        heapq.heappush(self._agenda, (self.time + delay, self._entries, callback, args))

    def run(self, is_over: Callable[[], bool]) -> None:
        """Let time pass until ``is_over``."""
        while self._agenda and not is_over():
            self.time, _, callback, args = heapq.heappop(self._agenda)
            self.steps += 1
            if self.steps > MOST_STEPS:
                raise InvariantBroken("20 liveness", f"no end after {MOST_STEPS} steps")
            callback(*args)
            while self._doomed:
                self._doomed.pop().end()

    def stop(self) -> None:
        """End every actor that is left: a greenlet that waits keeps its whole world alive, for nobody collects it."""
        while self._actors:
            self._actors.popitem()[0].end()
        self._agenda.clear()

    def live(self, actor: Actor) -> None:
        """Take in a new actor."""
        self._actors[actor] = None

    def bury(self, actor: Actor) -> None:
        """Forget an actor that has ended."""
        self._actors.pop(actor, None)

    def doom(self, actor: Actor) -> None:
        """End ``actor`` as soon as nobody runs."""
        self._doomed.append(actor)

    # --- The record

    def note(self, text: str) -> None:
        """Add a line to the trace; its hash is kept whether or not the lines are."""
        who = "" if self.current is None else self.current.name
        line = f"{self.time:9.3f} {who:<12} {text}"
        self._digest.update(line.encode())
        if self._keep_trace:
            self.trace.append(line)

    @property
    def trace_hash(self) -> str:
        """The hash of everything noted so far."""
        return self._digest.hexdigest()


class Actor:
    """Something that runs, waits and can be killed between any two statements."""

    def __init__(self, world: World, name: str, body: Callable[[Actor], None]) -> None:
        self.world = world
        self.name = name
        self.dead = False
        self.born_at = world.time
        #: Until when it was frozen last; a promise about its promptness counts from then.
        self.thawed_at = 0.0
        self._body = body
        self._greenlet = greenlet(self._run, parent=world.hub)
        self._turn = 0
        self._rung = False
        self._waits = False
        world.live(self)
        world.at(0.0, self._resume, 0)

    def sleep(self, seconds: float) -> None:
        """Let others run for this long."""
        self.world.at(seconds, self._resume, self._turn)
        self.world.hub.switch()

    def freeze(self, seconds: float) -> None:
        """Stand still, as a stopped process or a suspended machine does."""
        self.world.note(f"freezes for {seconds:.0f} s")
        self.thawed_at = self.world.time + seconds
        self.world.thawed_at = max(self.world.thawed_at, self.thawed_at)
        self.world.frozen.append(self)
        try:
            self.sleep(seconds)
        finally:
            self.world.frozen.remove(self)
        self.world.note("goes on")

    def thaw(self, delay: float) -> None:
        """End its freeze after ``delay`` seconds, if it is not over by then."""
        self.thawed_at = self.world.time + delay
        self.world.at(delay, self._resume, self._turn)

    def wait(self, seconds: float) -> None:
        """Wait for a ring, at most this long; a ring since the last wait counts."""
        if not self._rung:
            self._waits = True
            self.sleep(seconds)
            self._waits = False
        self._rung = False

    def ring(self) -> None:
        """Wake it if it waits, else let its next wait return at once."""
        self._rung = True
        if self._waits and not self.dead:
            self.world.at(0.0, self._resume, self._turn)

    def kill(self) -> None:
        """End it where it stands, with nothing written that was not committed."""
        if not self.dead:
            self.dead = True
            self.world.doom(self)

    def end(self) -> None:
        """Unwind its greenlet, or see that it never starts; called by the hub."""
        self._greenlet.throw()

    def _resume(self, turn: int) -> None:
        if self.dead or turn != self._turn:
            return
        self._turn += 1
        self.world.current = self
        try:
            self._greenlet.switch()
        finally:
            self.world.current = None

    def _run(self) -> None:
        try:
            self._body(self)
        finally:
            self.dead = True
            self.world.bury(self)
