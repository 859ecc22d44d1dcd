"""What goes wrong when the scheduler writes a step."""

from __future__ import annotations

from contextlib import ExitStack

from windlass.store import changes
from windlass.store.room import Room
from windlass.store.transaction import Savepoint
from windlass_testing.simulation.bugs.planting import bug, replace, without


@bug("a move does not look at the state it finds")
def _move_any_state(stack: ExitStack) -> None:
    without(stack, changes, "_MOVE", " AND state = :before", " AND lease_id IS NULL")


@bug("a step is written although the run was cleared, marked or taken over since")
def _ignore_generation(stack: ExitStack) -> None:
    replace(stack, changes, "_outdated", lambda _transaction, _generations: set)


@bug("pools and limits are believed to have room, as the scheduler remembers it, instead of counting rows")
def _count_from_memory(stack: ExitStack) -> None:
    replace(stack, Room, "admit", lambda _self, _wanted: True)


@bug("queueing keeps the epoch")
def _keep_epoch(stack: ExitStack) -> None:
    original = changes._queue_values  # noqa: SLF001 - what is patched
    replace(stack, changes, "_queue_values", lambda *args: {**original(*args), "queues": 0})


@bug("a conflict leaves half of a run's changes behind")
def _half_conflict(stack: ExitStack) -> None:
    replace(stack, Savepoint, "undo", lambda _self: None)


@bug("a step deletes every signal, also what came after it had read the inbox")
def _delete_all_signals(stack: ExitStack) -> None:
    replace(stack, changes, "_DELETE_SIGNALS", 'DELETE FROM "signal" WHERE :ids = :ids OR :conflicts = :ids')
