"""Who observes what, as one process knows it.

Every writer of a change must know whether some provider's observers are to hear of it, and a task must not pay a
statement for that. So the answer is kept, and read again at the first write after a second: an observer that was just
installed hears of changes that other processes make at most a second later than of its own server's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

KNOWN: Final = "SELECT name, hooks FROM observer ORDER BY name"
#: Seconds.
_TRUSTED: Final = 1.0


class Audience:
    """The providers that implement each observer hook."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._until = 0.0
        self._providers: dict[str, tuple[str, ...]] = {}

    @property
    def outdated(self) -> bool:
        """Whether it is time to :meth:`learn` again."""
        return self._monotonic() >= self._until

    def learn(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """Take what :data:`KNOWN` has returned."""
        providers: dict[str, tuple[str, ...]] = {}
        for name, hooks in rows:
            for hook in msgspec.json.decode(hooks, type=list[str]):
                providers[hook] = (*providers.get(hook, ()), name)
        self._providers = providers
        self._until = self._monotonic() + _TRUSTED

    def of(self, hook: str) -> tuple[str, ...]:
        """Return the names of the providers that observe ``hook``."""
        return self._providers.get(hook, ())
