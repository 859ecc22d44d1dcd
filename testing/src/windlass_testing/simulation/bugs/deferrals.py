"""What goes wrong with deferrals and their triggers."""

from __future__ import annotations

from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import msgspec

from windlass.ports import SignalKind
from windlass.scheduler import owned, progress, tracked
from windlass.states import TaskState
from windlass.store import changes, commands, endings, pinning, waits
from windlass.store.gateway import SqlGateway
from windlass.supervisor.ledger import Ledger
from windlass.supervisor.waiting import Waiting
from windlass_testing.simulation.bugs.planting import bug, replace, without


@bug("an event resumes whatever deferral its task instance is in by now")
def _event_of_another_wait(stack: ExitStack) -> None:
    without(stack, waits, "_FIRE", " AND epoch = :epoch AND lease_id IS NULL", " AND w.epoch = :epoch")
    without(stack, waits, "_CLOSE", " AND epoch = :epoch")


@bug("an event moves a task instance that is deferred no more")
def _event_for_anybody(stack: ExitStack) -> None:
    sql = waits._FIRE.partition(" AND state =")[0]  # noqa: SLF001 - what is patched
    replace(stack, waits, "_FIRE", sql)


@bug("a trigger's event tells nobody")
def _silent_fire(stack: ExitStack) -> None:
    replace(stack, waits, "SignalKind", SimpleNamespace(TASK=SignalKind.DAG))


@bug("an event that could not be written is forgotten")
def _event_forgotten(stack: ExitStack) -> None:
    original = Ledger._suspend  # noqa: SLF001 - what is patched

    def suspend(self: Ledger, doing: str, error: Exception) -> None:
        original(self, doing, error)
        if doing.startswith("resuming"):
            self._fired = []

    replace(stack, Ledger, "_suspend", suspend)


@bug("a clear leaves the trigger waiting")
def _clear_keeps_wait(stack: ExitStack) -> None:
    replace(stack, commands, "DROP_WAITS", f"{pinning.DROP_WAITS} AND 1 = 0")


@bug("the timeout of a deferral leaves its trigger waiting")
def _timeout_keeps_wait(stack: ExitStack) -> None:
    replace(stack, changes, "_RESUME_WAIT", f"{changes._RESUME_WAIT} AND 1 = 0")  # noqa: SLF001


@bug("the timeout of a deferral never comes")
def _no_deferral_timeout(stack: ExitStack) -> None:
    fewer = owned.WAITING_FOR_TIME - {TaskState.DEFERRED}
    replace(stack, owned, "WAITING_FOR_TIME", fewer)
    replace(stack, progress, "WAITING_FOR_TIME", fewer)


@bug("going on after a deferral is charged as a new try")
def _charge_resumption(stack: ExitStack) -> None:
    replace(stack, tracked, "_NEW_TRY", tracked._NEW_TRY | {TaskState.DEFERRED})  # noqa: SLF001


@bug("a deferral is gone on after once more, when the attempt that did so has ended")
def _resume_again(stack: ExitStack) -> None:
    replace(stack, endings, "_DROP_WAIT", f"{endings._DROP_WAIT} AND 1 = 0")  # noqa: SLF001


@bug("a trigger host that has died is not started again")
def _dead_host(stack: ExitStack) -> None:
    replace(stack, Waiting, "_start_again", lambda _self, _key: None)


@bug("a trigger host that is started again gets none of its waits")
def _empty_host(stack: ExitStack) -> None:
    original = Waiting._of  # noqa: SLF001 - what is patched

    def of(self: Waiting, key: Any) -> Any:  # noqa: ANN401 - a private list
        return [] if self._deaths[key] else original(self, key)

    replace(stack, Waiting, "_of", of)


@bug("a supervisor does not take up the waits of the one before it")
def _waits_left_behind(stack: ExitStack) -> None:
    original = Waiting.refresh

    def refresh(self: Waiting) -> None:
        if not getattr(self, "begun", False):
            self.begun = True  # type: ignore[attr-defined]
            before = self._gateway.waits([], self._supervisor)
            self._leaving |= {wait.key for wait in before.begun}
        original(self)

    replace(stack, Waiting, "refresh", refresh)


@bug("a trigger goes on when its task does not wait any more")
def _trigger_goes_on(stack: ExitStack) -> None:
    original = SqlGateway.waits

    def changes_of(self: SqlGateway, known: Any, supervisor: str) -> Any:  # noqa: ANN401 - passed on
        return msgspec.structs.replace(original(self, known, supervisor), ended=())

    replace(stack, SqlGateway, "waits", changes_of)
