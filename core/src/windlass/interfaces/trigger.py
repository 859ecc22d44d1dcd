"""The base of triggers: what a deferred task waits for without holding a process."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from typing import Any


class TriggerEvent:
    """What a trigger tells its task when it fires. ``payload`` must be a value that an XCom can hold."""

    __slots__ = ("payload",)

    def __init__(self, payload: Any = None) -> None:  # noqa: ANN401 - any value with a codec
        self.payload = payload

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TriggerEvent) and self.payload == other.payload

    __hash__ = None  # type: ignore[assignment] # a payload may be mutable

    def __repr__(self) -> str:
        return f"TriggerEvent({self.payload!r})"


class BaseTrigger(ABC):
    """Waits for something with asyncio, together with many others in one process, the trigger host.

    A trigger must never block: an ordinary ``sleep`` or request would hold all the others. It may be run more than
    once, also at the same time in two hosts after a failure, so it only watches and changes nothing. Its class is
    found through a provider's manifest or in the pinned code of its DAG, never by a name in stored data alone.
    """

    @abstractmethod
    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the dotted path of the class and the keyword arguments that make an equal trigger."""

    @abstractmethod
    def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield one event; written as ``async def`` with ``yield``. The first event resumes the task.

        An exception, or an end without an event, fails the task and says so.
        """

    async def cleanup(self) -> None:  # noqa: B027 - most triggers hold nothing
        """Let go of what :meth:`run` opened. Called once after it ended or was cancelled."""
