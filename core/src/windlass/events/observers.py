"""Observer hooks, told of every change at least once.

A change is claimed for a minute, told, and noted as delivered; a server that dies in between leaves it to be told
again. Each provider has its own rows in the outbox and its own claims: one whose observer raises is told of that change
again after ten seconds, four times, and is then left with a row that stays undelivered, which ``windlass doctor``
shows, while its other changes and all other providers go on. Changes are told in the order in which they were written
as far as nothing failed; an observer that needs to know the order looks at ``at``.

Rows are found by their state, never by reading on from the last id: ids are not in the order of commits. The outbox
is looked at once a second, which is one indexed read per provider that observes anything; with none there is nothing
to look at.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, Protocol

from windlass.registry import PluginModules
from windlass.store.observations import (
    ASSET_HOOK,
    IMPORT_ERROR_HOOK,
    RUN_HOOK,
    TASK_HOOK,
    Observation,
)
from windlass.store.outbox import MOST_FAILURES

log = logging.getLogger(__name__)

#: The hooks of observers, with the name of their argument.
HOOKS: Final = {TASK_HOOK: "change", RUN_HOOK: "change", IMPORT_ERROR_HOOK: "change", ASSET_HOOK: "event"}
#: Seconds between two looks at an outbox that had nothing.
_PAUSE: Final = 1.0
#: Changes told between two notes of what was delivered.
_BATCH: Final = 100

Caller = Callable[..., object]


class Outbox(Protocol):
    """What this room needs of the store: :class:`windlass.store.observations.Observations`."""

    def announce(self, hooks: Mapping[str, Collection[str]]) -> None:
        """Say which hooks each provider implements: from now on its rows are written."""

    def claim(self, by: str, provider: str, *, limit: int = ..., seconds: float = ...) -> list[Observation]:
        """Take the oldest changes that this provider is owed and nobody holds, for ``seconds``."""

    def delivered(self, ids: Sequence[int], by: str) -> None:
        """Note that these were told."""

    def failed(self, row: int, by: str) -> None:
        """Note that telling failed."""


class Observers:
    """Tells the installed observers what happened. Create it before anything is scheduled, then step it."""

    def __init__(self, outbox: Outbox, observers: PluginModules, *, by: str) -> None:
        self._outbox = outbox
        self._by = by
        #: Provider -> hook -> what to call.
        self._callers: dict[str, dict[str, list[Caller]]] = {}
        for hook in HOOKS:
            for provider, caller in observers.callers(hook):
                self._callers.setdefault(provider, {}).setdefault(hook, []).append(caller)
        outbox.announce(self._callers)

    def __bool__(self) -> bool:
        """Whether anybody observes anything."""
        return bool(self._callers)

    def step(self) -> float:
        """Tell each provider the oldest of what it is owed; return the seconds until there may be more."""
        more = [self._tell(provider) for provider in self._callers]
        return 0.0 if any(more) else _PAUSE

    def _tell(self, provider: str) -> bool:
        """Tell one provider a batch; return whether there may be more."""
        owed = self._outbox.claim(self._by, provider, limit=_BATCH)
        told = [observation.id for observation in owed if self._told(provider, observation)]
        if told:
            self._outbox.delivered(told, self._by)
        return len(owed) == _BATCH

    def _told(self, provider: str, owed: Observation) -> bool:
        callers = self._callers[provider].get(owed.hook, ())
        try:
            for caller in callers:
                caller(**{HOOKS[owed.hook]: owed.change})
        except (Exception, SystemExit) as error:  # whatever a stranger's observer raises
            self._outbox.failed(owed.id, self._by)
            failures = owed.failures + 1
            log.warning(
                "%s of provider %s failed on outbox row %d (%s: %s), %d of %d times; %s",
                owed.hook,
                provider,
                owed.id,
                type(error).__name__,
                error,
                failures,
                MOST_FAILURES,
                "it is told again" if failures < MOST_FAILURES else "it is not told again",
                exc_info=failures == 1,
            )
            return False
        return True
