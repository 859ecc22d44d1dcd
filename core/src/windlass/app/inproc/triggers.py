"""Deferred tasks inside the caller's process: their triggers run here, on a loop whose time is the virtual clock.

A sleep in a trigger passes at once, as retry delays do, while nothing else is going on in the loop: no open connection,
no thread at work. What really takes time (a network, a thread) is waited for, and the virtual clock goes on with it.
All triggers of a run share one loop, so that what would fire first fires first.
"""

# ruff: noqa: ANN401 - asyncio's own signatures
from __future__ import annotations

import asyncio
import contextvars
import selectors
import threading
import time
from collections.abc import Callable
from typing import Any

from windlass.app.clocks import VirtualClock
from windlass.errors import ContextUnavailable
from windlass.ports import Fired, TaskSession, WaitKey, clock_scope
from windlass.protocol import ArtifactCommit, ArtifactOpen, GetConnection, Mask, Query, Variable, Verb, XComValue
from windlass.runtime.installed import InstalledHooks
from windlass.runtime.trigger_run import TriggerFailed, first_event
from windlass.runtime.trigger_watch import current_wait

STARVED = "its trigger waits for something that nothing in this process brings about"


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop in which time passes at once where there is nothing else to wait for."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        #: Where to stop and return: when a trigger is done, at ``until``, or when nothing can happen any more.
        self.until: float | None = None
        self.pause: asyncio.Future[bool] | None = None
        self._threads: set[Any] = set()
        self._events = _Selector(self)
        super().__init__(self._events)

    def time(self) -> float:
        """Return the virtual clock's monotonic time."""
        return self.clock.monotonic()

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:  # type: ignore[override] # passed on
        """Remember the thread's work while it lasts: it takes real time."""
        future = super().run_in_executor(executor, func, *args)
        self._threads.add(future)
        future.add_done_callback(self._threads.discard)
        return future

    @property
    def is_busy(self) -> bool:
        """Whether something is going on that takes real time; the loop's own wake-up socket is not."""
        return bool(self._threads) or len(self._events.get_map() or ()) > 1

    def has_timers(self) -> bool:
        """Return whether time alone can bring anything about."""
        return any(not timer.cancelled() for timer in self._scheduled)  # type: ignore[attr-defined] # asyncio's own

    def stop_here(self, *, starved: bool = False) -> None:
        """Return from :meth:`run_on`."""
        if self.pause is not None and not self.pause.done():
            self.pause.set_result(starved)

    def run_on(self, seconds: float | None) -> bool:
        """Run for at most ``seconds``, or until :meth:`stop_here`; return whether nothing can happen any more."""
        self.until = None if seconds is None else self.time() + seconds
        self.pause = self.create_future()
        try:
            return self.run_until_complete(self.pause)
        finally:
            self.pause = None


class _Selector(selectors.SelectSelector):
    """Waits for what is really going on, and lets the virtual clock go on instead of waiting for it."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Let ``timeout`` pass, at most until the loop is to stop."""
        loop = self._loop
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if loop.until is not None:
            left = max(0.0, loop.until - loop.time())
            timeout = left if timeout is None else min(timeout, left)
        if loop.is_busy:
            begun = time.monotonic()
            ready = super().select(timeout)
            loop.clock.advance(time.monotonic() - begun)
        elif timeout is None:
            loop.stop_here(starved=True)
        else:
            loop.clock.advance(timeout)
        if loop.until is not None and loop.time() >= loop.until:
            loop.stop_here(starved=not loop.is_busy and not loop.has_timers())
        return ready


class WaitSession(InstalledHooks):
    """What a trigger may ask: it only watches."""

    context = None

    def __init__(self, session: TaskSession) -> None:
        self._session = session

    def ask(self, verb: Verb) -> Any:
        """Answer ``verb``."""
        reads = isinstance(verb, Variable) and verb.op == "get"
        if reads or isinstance(verb, GetConnection | Mask | Query | ArtifactOpen | ArtifactCommit):
            return self._session.ask(verb)
        raise ContextUnavailable(f"a trigger only watches: it cannot use `{verb.__struct_config__.tag}`")

    def tell(self, verb: Verb) -> None:
        """Ask and forget the answer."""
        self.ask(verb)


class InlineTriggers:
    """The triggers of one engine; what has begun goes on where it is whenever the engine has nothing else to do."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._loop: VirtualLoop | None = None
        self._tasks: dict[WaitKey, asyncio.Task[XComValue]] = {}
        #: Waits that end without an event as well, by a timeout.
        self._bounded: set[WaitKey] = set()

    @property
    def keys(self) -> list[WaitKey]:
        """The waits that have begun and not ended."""
        return list(self._tasks)

    def begin(self, key: WaitKey, trigger: str, kwargs: XComValue, session: TaskSession, *, bounded: bool) -> None:
        """Start a trigger; ``bounded``: its wait has a timeout."""
        if self._loop is None:
            self._loop = VirtualLoop(self._clock)

        async def wait() -> XComValue:
            current_wait.set(key)
            return await first_event(trigger, kwargs, WaitSession(session))

        with clock_scope(self._clock):
            task = self._tasks[key] = self._loop.create_task(wait())
        task.add_done_callback(lambda _: None if self._loop is None else self._loop.stop_here())
        if bounded:
            self._bounded.add(key)

    def end(self, key: WaitKey) -> None:
        """Cancel a trigger."""
        task = self._tasks.pop(key, None)
        if task is not None:
            task.cancel()

    def run(self, seconds: float | None) -> list[Fired]:
        """Let at most ``seconds`` pass (None: as many as it takes), until a trigger is done; return what came of it.

        A trigger that nothing can wake, and whose wait has no timeout, is failed.
        """
        loop = self._loop
        if loop is None or not self._tasks:
            return []
        starved = _beside(lambda: loop.run_on(seconds))
        done = [self._fired(key) for key in self.keys if self._tasks[key].done()]
        if starved and not done:
            hopeless = [key for key in self.keys if key not in self._bounded]
            for key in hopeless:
                self.end(key)
            done = [Fired(task=task, epoch=epoch, failure=STARVED) for task, epoch in hopeless]
        return done

    def _fired(self, key: WaitKey) -> Fired:
        task = self._tasks.pop(key)
        try:
            return Fired(task=key[0], epoch=key[1], event=task.result())
        except TriggerFailed as error:
            return Fired(task=key[0], epoch=key[1], failure=str(error))
        except asyncio.CancelledError:
            return Fired(task=key[0], epoch=key[1], failure="its trigger was cancelled by its own code")

    def close(self) -> None:
        """Cancel what is left and close the loop."""
        loop, self._loop = self._loop, None
        if loop is None:
            return
        for key in self.keys:
            self.end(key)
        _beside(lambda: loop.run_on(0.0))
        loop.close()


def _beside(function: Callable[[], Any]) -> Any:
    """Call ``function`` here, or in a thread where a loop runs already, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return function()
    result: list[Any] = []
    context = contextvars.copy_context()
    thread = threading.Thread(target=lambda: result.append(context.run(function)))
    thread.start()
    thread.join()
    return result[0]
