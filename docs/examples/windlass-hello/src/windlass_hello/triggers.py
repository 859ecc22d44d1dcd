"""The trigger of the deferred sensor. It shares its process with many others, so it never blocks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from windlass.triggers import BaseTrigger, TriggerEvent


class HelloTrigger(BaseTrigger):
    """Fires when ``name`` has arrived, with that name; the service is asked every ``poke_interval`` seconds."""

    def __init__(self, name: str, hello_conn_id: str, poke_interval: float = 60.0) -> None:
        self.name = name
        self.hello_conn_id = hello_conn_id
        self.poke_interval = poke_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the name in the manifest, and the arguments that make an equal trigger."""
        arguments = {
            "name": self.name,
            "hello_conn_id": self.hello_conn_id,
            "poke_interval": self.poke_interval,
        }
        return "windlass_hello.triggers.HelloTrigger", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Ask again and again, each time in a thread, as the client would block the others."""
        while not await asyncio.to_thread(self._look):
            await asyncio.sleep(self.poke_interval)
        yield TriggerEvent(self.name)

    def _look(self) -> bool:
        from windlass_hello.hook import HelloHook

        return HelloHook(self.hello_conn_id).has_arrived(self.name)
