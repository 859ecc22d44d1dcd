"""A trigger that waits for a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from glob import iglob
from pathlib import Path
from typing import Any

from windlass.interfaces.trigger import BaseTrigger, TriggerEvent
from windlass.interfaces.triggers import LEAST_PAUSE


class FileTrigger(BaseTrigger):
    """Fires when a file, or a folder with a file in it, is at ``filepath``, which may be a pattern such as ``*.csv``.

    The payload is the path that was found. The disk is looked at every ``poke_interval`` seconds, in a thread.
    """

    def __init__(self, filepath: str, *, recursive: bool = False, poke_interval: float = 5.0) -> None:
        self.filepath = filepath
        self.recursive = recursive
        self.poke_interval = poke_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the path and how it is looked for."""
        arguments = {"filepath": self.filepath, "recursive": self.recursive, "poke_interval": self.poke_interval}
        return "windlass.triggers.FileTrigger", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look again and again."""
        import asyncio

        found = None
        while found is None:
            found = await asyncio.to_thread(find_file, self.filepath, recursive=self.recursive)
            if found is None:
                await asyncio.sleep(max(self.poke_interval, LEAST_PAUSE))
        yield TriggerEvent(found)


def find_file(pattern: str, *, recursive: bool) -> str | None:
    """Return the first file, or folder with a file in it, that ``pattern`` matches."""
    for found in iglob(pattern, recursive=recursive):  # noqa: PTH207 - the pattern may be absolute
        path = Path(found)
        if path.is_file() or (path.is_dir() and any(child.is_file() for child in path.rglob("*"))):
            return found
    return None
