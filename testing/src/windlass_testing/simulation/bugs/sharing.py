"""What goes wrong when several schedulers share the DAGs."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import msgspec

from windlass.ports import Signal
from windlass.scheduler import sharing as shares
from windlass.scheduler.scheduler import Scheduler
from windlass.scheduler.sharing import Moved, Share
from windlass.store import sharing
from windlass.store.scheduling import SqlStore
from windlass.store.sharing import Leases, SharedStore
from windlass_testing.simulation.bugs.planting import bug, replace, without


@bug("a DAG is taken although the lease of its holder lives")
def _take_living(stack: ExitStack) -> None:
    for name in ("_FREE", "_FREE_OF"):
        sql = getattr(sharing, name).replace(sharing._IS_FREE, "1 = 1")  # noqa: SLF001 - what is patched
        replace(stack, sharing, name, sql)


@bug("a lease is ended before it has lapsed")
def _end_living(stack: ExitStack) -> None:
    original = Leases.living

    def living(self: Leases) -> Any:  # noqa: ANN401 - passed on
        rows = self._database.rows("SELECT owner FROM scheduler WHERE owner <> :owner", {"owner": self._owner})
        for row in rows:
            self._database.write(lambda t, o=row[0]: t.run("DELETE FROM scheduler WHERE owner = :o", {"o": o}))  # type: ignore[misc]
        return original(self)

    replace(stack, Leases, "living", living)


@bug("who takes a DAG leaves the generations of its runs as they are")
def _take_quietly(stack: ExitStack) -> None:
    without(stack, sharing, "_RAISE", " + 1")


@bug("a scheduler creates runs of DAGs that it does not hold any more")
def _create_for_others(stack: ExitStack) -> None:
    replace(stack, Leases, "holds", lambda _self, _transaction, _dag_id: True)


@bug("a scheduler reads and takes away the signals of another one's DAGs")
def _take_foreign_signals(stack: ExitStack) -> None:
    def signals(self: SharedStore, limit: int = 1000) -> list[Signal]:
        return SqlStore.signals(self, limit)

    replace(stack, SharedStore, "signals", signals)


@bug("a scheduler goes on deciding about what it has released")
def _hold_on(stack: ExitStack) -> None:
    replace(stack, Scheduler, "_let_go", lambda _self, _dags: None)
    replace(stack, SharedStore, "own", SqlStore.own)


@bug("a scheduler whose lease was ended believes that it still has it")
def _lapse_unnoticed(stack: ExitStack) -> None:
    original = Share.look

    def look(self: Share) -> Moved:
        return msgspec.structs.replace(original(self), lapsed=False)

    replace(stack, Share, "look", look)


@bug("what is taken is not read")
def _take_unread(stack: ExitStack) -> None:
    replace(stack, Scheduler, "_take_over", lambda _self, _dags: None)


@bug("nobody looks for what is free")
def _never_look(stack: ExitStack) -> None:
    replace(stack, shares, "_LOOK_PAUSE", 1e9)
    replace(stack, Share, "look_soon", lambda _self: None)


@bug("a pool that has changed is read by the scheduler that was told alone")
def _pools_unread(stack: ExitStack) -> None:
    original = Share.look

    def look(self: Share) -> Moved:
        moved = original(self)
        self.has_others = False
        return moved

    replace(stack, Share, "look", look)
