"""The outbox does not grow for ever: what was delivered more than a day ago is deleted, a little at a time."""

from __future__ import annotations

from typing import Final

from windlass.store.outbox import Outbox

#: Rows that one transaction deletes.
_BATCH: Final = 500
#: Seconds between two looks, and between two batches: others write in between.
_PAUSE: Final = 3600.0
_SHORT_PAUSE: Final = 0.1


class Trimming:
    """Deletes delivered rows. Step it in a thread of its own."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def step(self) -> float:
        """Delete some rows; return the seconds until there may be more."""
        return _SHORT_PAUSE if self._outbox.trim(_BATCH) == _BATCH else _PAUSE
