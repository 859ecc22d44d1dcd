"""TriggerSuite: how a trigger travels to the host that runs it, and how it waits there among many."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import pytest

from windlass.errors import WindlassError
from windlass.ports import session_scope
from windlass.registry import registry
from windlass.runtime.codecs import decode, encode
from windlass.triggers import BaseTrigger, TriggerEvent
from windlass_testing.conformance.suite import Suite, must_give
from windlass_testing.fixtures import Given

#: How often another thread, which sleeps a hundredth of a second at a time, may wake up during one step of a trigger.
#: What a busy machine takes from the loop it takes from that thread as well: only a step that blocks lets it wake up.
_MOST_TICKS: Final = 40
_TICK: Final = 0.01
_PATIENCE: Final = 30.0


class TriggerSuite(Suite):
    """Checks a trigger.

    A subclass::

        class TestHelloTrigger(TriggerSuite):
            trigger_class = HelloTrigger

            def waiting(self):
                return HelloTrigger(name="Nobody", hello_conn_id="hello_default", poke_interval=0.05)

            def make_it_fire(self): ...  # add the greeting to the server
    """

    #: The class under test.
    trigger_class: type[BaseTrigger]

    def waiting(self) -> BaseTrigger:
        """Return a trigger whose event has not come yet and comes only by :meth:`make_it_fire`. Override it."""
        must_give(self, "waiting(): a trigger that does not fire by itself")

    def make_it_fire(self) -> None:
        """Bring about what :meth:`waiting` waits for. Override it."""
        must_give(self, "make_it_fire(), which brings about what waiting() waits for")

    @pytest.fixture
    def connections(self) -> dict[str, Any]:
        """Return the connections that it may ask for, by id."""
        return {}

    def test_it_comes_back_equal_from_its_name_and_its_arguments(self) -> None:
        """`serialize` gives the name under which its provider lists it, and arguments that make its equal."""
        trigger = self.waiting()
        assert isinstance(trigger, self.trigger_class)
        name, _ = trigger.serialize()
        assert registry().find("triggers", name) is not None, f"no manifest lists the trigger {name}"
        assert registry().lookup("triggers", name) is self.trigger_class
        assert not round_trip_complaints(trigger)

    def test_it_waits_and_fires_once_what_it_waits_for_is_there(self, connections: dict[str, Any]) -> None:
        """No event before, one event after, with a payload that an XCom can hold."""
        event = asyncio.run(self._fired(connections))
        assert isinstance(event, TriggerEvent), f"run() yielded {event!r}"
        codec, data = encode(event.payload, "the payload")
        assert decode(codec, data) == event.payload

    def test_while_it_waits_the_others_go_on(self, connections: dict[str, Any]) -> None:
        """No step of it blocks the loop that it shares with hundreds."""
        ticks = asyncio.run(self._longest_step(connections))
        assert ticks < _MOST_TICKS, f"one step kept the loop for {ticks * _TICK:.1f} s; await instead, or use a thread"

    def test_it_can_be_cancelled_and_cleaned_up(self, connections: dict[str, Any]) -> None:
        """Cancelled, it ends soon, and `cleanup` works also when `run` never began."""
        asyncio.run(self._cancelled(connections))
        asyncio.run(self.waiting().cleanup())

    async def _fired(self, connections: dict[str, Any]) -> TriggerEvent:
        trigger = self.waiting()
        with session_scope(_given(connections)):
            wait = asyncio.ensure_future(_first(trigger))
            for _ in range(5):
                await asyncio.sleep(0.02)
                assert not wait.done(), f"it fired before make_it_fire(): {wait.result()!r}"
            self.make_it_fire()
            try:
                return await asyncio.wait_for(wait, _PATIENCE)
            finally:
                await trigger.cleanup()

    async def _longest_step(self, connections: dict[str, Any]) -> int:
        """Return how often a thread woke up during the longest step of half a second's."""
        loop = asyncio.get_running_loop()
        trigger = self.waiting()
        longest = 0
        with session_scope(_given(connections)), _ticking() as ticks:
            wait = asyncio.ensure_future(_first(trigger))
            until = loop.time() + 0.5
            while loop.time() < until:
                before = len(ticks)
                await asyncio.sleep(_TICK)
                longest = max(longest, len(ticks) - before)
            wait.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await wait
            await trigger.cleanup()
        return longest

    async def _cancelled(self, connections: dict[str, Any]) -> None:
        trigger = self.waiting()
        with session_scope(_given(connections)):
            wait = asyncio.ensure_future(_first(trigger))
            await asyncio.sleep(0.05)
            wait.cancel()
            done, _ = await asyncio.wait([wait], timeout=_PATIENCE)
            assert done, "it goes on after it was cancelled"
            assert wait.cancelled(), "it swallows asyncio.CancelledError; let it pass"
            await trigger.cleanup()


@contextlib.contextmanager
def _ticking() -> Iterator[list[None]]:
    """Let a thread add to a list every hundredth of a second, as well as it gets to run."""
    ticks: list[None] = []
    ended = threading.Event()

    def tick() -> None:
        while not ended.wait(_TICK):
            ticks.append(None)

    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield ticks
    finally:
        ended.set()
        thread.join()


async def _first(trigger: BaseTrigger) -> TriggerEvent:
    events = trigger.run()
    assert isinstance(events, AsyncIterator), "run() must be written as `async def` with `yield`"
    try:
        async for event in events:
            return event
    finally:
        if hasattr(events, "aclose"):
            await events.aclose()
    raise AssertionError("run() ended without an event")


def _given(connections: dict[str, Any]) -> Given:
    given = Given()
    given.connections.update(connections)
    return given


def round_trip_complaints(trigger: BaseTrigger) -> list[str]:
    """Say what is lost when ``trigger`` travels as its name and its arguments."""
    name, arguments = trigger.serialize()
    try:
        codec, data = encode(arguments, "the arguments")
        again = type(trigger)(**decode(codec, data))
    except (WindlassError, TypeError) as error:
        return [f"{name} cannot be made again from what serialize() returns: {error}"]
    complaints = []
    if again.serialize() != (name, arguments):
        complaints.append(
            f"{name} serialises differently after a round trip: {again.serialize()!r} is not {arguments!r}"
        )
    if vars(again) != vars(trigger):
        differing = sorted(
            key for key in {**vars(again), **vars(trigger)} if vars(again).get(key) != vars(trigger).get(key)
        )
        complaints.append(f"{name} is not equal after a round trip: {', '.join(differing)} differ")
    return complaints
