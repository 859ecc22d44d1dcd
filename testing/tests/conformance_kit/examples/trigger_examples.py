"""Triggers that TriggerSuite must reject, each the example's trigger with one thing wrong; the first is sound."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from variants import provider, server

from windlass.triggers import TriggerEvent
from windlass_testing.conformance import TriggerSuite

NAMES = ("Forgetful", "Incomplete", "Early", "Blocking", "Stubborn", "Untold", "Silent", "Untidy")
LISTED = "".join(f'            "windlass_kit.variants.{name}": "trigger_examples:{name}",\n' for name in NAMES)
provider("kit", ("plugin.py", "        triggers={\n", f"        triggers={{\n{LISTED}"))
SERVER = server("kit")

from windlass_kit.triggers import KitTrigger  # noqa: E402 - it was installed just now


class Variant(KitTrigger):
    """A trigger with one thing wrong, listed by the manifest."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"windlass_kit.variants.{type(self).__name__}", super().serialize()[1]


class Kit(TriggerSuite):
    """Its server answers; Bob arrives when the suite says so."""

    @pytest.fixture(autouse=True)
    def nobody(self) -> None:
        SERVER.guests = set()

    @pytest.fixture
    def connections(self) -> dict[str, Any]:
        return {"kit_default": SERVER.uri}

    def waiting(self) -> Any:
        return self.trigger_class("Bob", "kit_default", poke_interval=0.01)  # type: ignore[call-arg]

    def make_it_fire(self) -> None:
        SERVER.guests.add("Bob")


class TestSound(Kit):
    breaks: set[str] = set()
    trigger_class = KitTrigger


class Unlisted(Variant):
    pass


class TestIsNotListed(Kit):
    breaks = {"test_it_comes_back_equal_from_its_name_and_its_arguments"}
    trigger_class = Unlisted


class Forgetful(Variant):
    def serialize(self) -> tuple[str, dict[str, Any]]:
        name, arguments = super().serialize()
        del arguments["poke_interval"]
        return name, arguments


class TestForgetsAnArgument(Kit):
    breaks = {"test_it_comes_back_equal_from_its_name_and_its_arguments"}
    trigger_class = Forgetful


class Incomplete(Variant):
    def serialize(self) -> tuple[str, dict[str, Any]]:
        name, arguments = super().serialize()
        return name, {**arguments, "lock": object()}


class TestHandsOverWhatCannotTravel(Kit):
    breaks = {"test_it_comes_back_equal_from_its_name_and_its_arguments"}
    trigger_class = Incomplete


class Early(Variant):
    async def run(self) -> AsyncIterator[TriggerEvent]:
        yield TriggerEvent(self.name)


class TestFiresBeforeTheTime(Kit):
    breaks = {
        "test_it_waits_and_fires_once_what_it_waits_for_is_there",
        "test_it_can_be_cancelled_and_cleaned_up",
    }
    trigger_class = Early


class Blocking(Variant):
    async def run(self) -> AsyncIterator[TriggerEvent]:
        await asyncio.sleep(0)
        time.sleep(1.5)  # noqa: ASYNC251 - the point
        async for event in super().run():
            yield event


class TestBlocksTheOthers(Kit):
    breaks = {"test_while_it_waits_the_others_go_on"}
    trigger_class = Blocking


class Stubborn(Variant):
    async def run(self) -> AsyncIterator[TriggerEvent]:
        try:
            async for event in super().run():
                yield event
        except asyncio.CancelledError:
            yield TriggerEvent("cancelled")


class TestGoesOnWhenItIsCancelled(Kit):
    breaks = {"test_it_can_be_cancelled_and_cleaned_up"}
    trigger_class = Stubborn


class Untold(Variant):
    async def run(self) -> AsyncIterator[TriggerEvent]:
        async for _ in super().run():
            yield TriggerEvent(object())


class TestHasAPayloadThatCannotTravel(Kit):
    breaks = {"test_it_waits_and_fires_once_what_it_waits_for_is_there"}
    trigger_class = Untold


class Silent(Variant):
    async def run(self) -> AsyncIterator[TriggerEvent]:
        async for event in super().run():
            if event is None:
                yield event


class TestEndsWithoutAnEvent(Kit):
    breaks = {"test_it_waits_and_fires_once_what_it_waits_for_is_there"}
    trigger_class = Silent


class Untidy(Variant):
    client: Any = None

    async def run(self) -> AsyncIterator[TriggerEvent]:
        self.client = []
        async for event in super().run():
            yield event

    async def cleanup(self) -> None:
        self.client.clear()


class TestCannotCleanUpWhatNeverBegan(Kit):
    breaks = {"test_it_can_be_cancelled_and_cleaned_up"}
    trigger_class = Untidy
