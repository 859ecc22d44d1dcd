"""Several schedulers: what is checked after every commit about who holds which DAG, and who does what about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from windlass.store.database import Database
from windlass_testing.simulation.world import InvariantBroken, World

_HOLDERS: Final = "SELECT dag_id, owner FROM dag"
_LIVING: Final = "SELECT owner FROM scheduler"
_SIGNALS: Final = 'SELECT id, dag_id, kind, run FROM "signal"'
#: Seconds until everybody has looked for what is free.
_HANDOVER: Final = 10.0


class ShareWatch:
    """Compares holders and inbox with what they were at the commit before. ``owner_of`` names the actor's scheduler.

    Idle where there is one scheduler, which needs no holders.
    """

    def __init__(self, world: World, database: Database) -> None:
        self._world = world
        self._database = database
        #: The name under which each scheduler's actor is registered, by that of the actor.
        self.owner_of: Callable[[str], str | None] | None = None
        self._holders: dict[str, str | None] = {}
        self._signals: dict[int, tuple[str, str, int]] = {}
        #: When each DAG has changed hands last.
        self._moved_at: dict[str, float] = {}

    def look(self) -> None:
        """Check what a commit did to holders and inbox."""
        if self.owner_of is None:
            return
        before, self._holders = self._holders, dict(self._database.rows(_HOLDERS))
        living = {row[0] for row in self._database.rows(_LIVING)}
        for dag_id, owner in self._holders.items():
            old = before.get(dag_id)
            if owner == old:
                continue
            self._moved_at[dag_id] = self._world.time
            self._world.note(f"{dag_id} is held by {(owner or 'nobody')[:6]}")
            if owner is not None and old in living:
                raise InvariantBroken("24 one holder", f"{dag_id} was taken of {old}, who lives")
            if owner is not None and owner not in living:
                raise InvariantBroken("24 one holder", f"{dag_id} is held by {owner}, who is dead")
        signals = {row[0]: row[1:] for row in self._database.rows(_SIGNALS)}
        gone, self._signals = self._signals.keys() - signals.keys(), {**self._signals, **signals}
        for number in gone:
            dag_id, kind, run = self._signals.pop(number)
            if dag_id in self._holders:
                self.acts(dag_id, f"took away a {kind} signal of run {run}")

    def acts(self, dag_id: str, what: str) -> None:
        """Check that the scheduler which has just done something to a DAG holds it."""
        actor = self._world.current
        if self.owner_of is None or actor is None or not actor.name.startswith("scheduler"):
            return
        mine, holder = self.owner_of(actor.name), self._holders.get(dag_id)
        if mine != holder:
            raise InvariantBroken("24 the holder decides", f"{actor.name} {what}, but {dag_id} is held by {holder}")

    def check_end(self) -> None:
        """Check that every DAG has come to a scheduler that lives, or is just being handed over."""
        if self.owner_of is None:
            return
        living = {row[0] for row in self._database.rows(_LIVING)}
        for dag_id, owner in self._database.rows(_HOLDERS):
            if owner not in living and self._world.time > self._moved_at.get(dag_id, 0.0) + _HANDOVER:
                raise InvariantBroken("24 one holder", f"{dag_id} is held by nobody in the end")
