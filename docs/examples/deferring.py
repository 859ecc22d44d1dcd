"""Tasks that wait without a process: a sensor that defers, and an operator with a trigger of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

from windlass import BaseOperator, dag
from windlass.sensors import TimeDeltaSensor
from windlass.triggers import BaseTrigger, TriggerEvent


class QueueTrigger(BaseTrigger):
    """Waits until a queue is short enough. Here it shortens by itself, one entry a minute."""

    def __init__(self, longest: int) -> None:
        self.longest = longest

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "deferring.QueueTrigger", {"longest": self.longest}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        length = 5
        while length > self.longest:
            await asyncio.sleep(60)
            length -= 1
        yield TriggerEvent({"length": length})


class WaitForQueue(BaseOperator):
    """Defers until the queue is short, then goes on in ``drained``."""

    def __init__(self, longest: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.longest = longest

    def execute(self, context: Mapping[str, Any]) -> None:
        self.defer(
            trigger=QueueTrigger(self.longest),
            method_name="drained",
            kwargs={"wanted": self.longest},
            timeout=timedelta(hours=1),
        )

    def drained(self, context: Mapping[str, Any], event: dict[str, int], wanted: int) -> str:
        return f"{event['length']} left, {wanted} wanted"


@dag(schedule=None)
def deferring() -> None:
    TimeDeltaSensor(task_id="an_hour_later", delta=timedelta(hours=1), deferrable=True) >> WaitForQueue(
        task_id="queue", longest=2
    )


deferring()
