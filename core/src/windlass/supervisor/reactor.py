"""The supervisor's heart: one selector, one heap of timers, one turn at a time.

A turn waits for descriptors and timers, calls back whoever is concerned, and leaves what should be done together
(claims, reports) to whoever calls :meth:`Reactor.turn`. A callback may close any descriptor, also one whose event of
the same turn is still to come: that event is dropped.
"""

from __future__ import annotations

import heapq
import itertools
import selectors
from collections.abc import Callable

Callback = Callable[[], None]


class Timer:
    """Something to do later, unless cancelled."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callback) -> None:
        self.callback: Callback | None = callback

    def cancel(self) -> None:
        """Never call back."""
        self.callback = None


class Reactor:
    """Descriptors and timers of a single-threaded process."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self.monotonic = monotonic
        self._selector = selectors.DefaultSelector()
        #: What is watched; the selector's own map makes an object of every look at it.
        self._keys: dict[int, selectors.SelectorKey] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()

    def watch(self, fd: int, readable: Callback, writable: Callback | None = None) -> None:
        """Call ``readable`` whenever ``fd`` can be read (or has ended), and ``writable`` when it can be written."""
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if writable else 0)
        data = (readable, writable)
        change = self._selector.modify if fd in self._keys else self._selector.register
        self._keys[fd] = change(fd, events, data)

    def unwatch(self, fd: int) -> None:
        """Forget ``fd``; call it before closing. Unknown ones are fine."""
        if self._keys.pop(fd, None) is not None:
            self._selector.unregister(fd)

    def after(self, seconds: float, callback: Callback) -> Timer:
        """Call back once, ``seconds`` from now."""
        timer = Timer(callback)
        heapq.heappush(self._timers, (self.monotonic() + seconds, next(self._order), timer))
        return timer

    def turn(self, longest: float = 60.0) -> None:
        """Wait for the next event or timer, at most ``longest`` seconds, and call back whoever is due."""
        for key, mask in self._selector.select(self._wait(longest)):
            if self._keys.get(key.fd) is not key:
                continue  # closed, or closed and opened again, by a callback of this turn
            readable, writable = key.data
            if mask & selectors.EVENT_READ:
                readable()
            elif writable is not None:
                writable()
        now = self.monotonic()
        while self._timers and self._timers[0][0] <= now:
            callback = heapq.heappop(self._timers)[2].callback
            if callback is not None:
                callback()

    def close(self) -> None:
        """Give the selector back."""
        self._selector.close()

    def _wait(self, longest: float) -> float:
        while self._timers and self._timers[0][2].callback is None:
            heapq.heappop(self._timers)
        if not self._timers:
            return longest
        return min(longest, max(0.0, self._timers[0][0] - self.monotonic()))
