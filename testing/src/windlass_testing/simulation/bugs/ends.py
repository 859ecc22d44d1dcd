"""What goes wrong when attempts end."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

from windlass.planning import endings as planned_endings
from windlass.ports import SignalKind
from windlass.states import Actor, TaskState
from windlass.store import commands, endings, gateway, xcoms
from windlass.store.database import Row
from windlass_testing.simulation.bugs.planting import bug, replace, without


@bug("a report ends whatever attempt is running")
def _report_any_lease(stack: ExitStack) -> None:
    without(stack, endings, "_END", " AND epoch = :epoch", " AND lease_id = :lease")
    without(stack, endings, "_CLOSE", " AND ended_at IS NULL")
    without(stack, endings, "_HELD", " AND t.lease_id = a.lease_id")


@bug("an end tells nobody")
def _silent_end(stack: ExitStack) -> None:
    replace(stack, endings, "SignalKind", SimpleNamespace(TASK=SignalKind.DAG))


@bug("a result that arrives after a person's stop overrules it")
def _result_overrules_stop(stack: ExitStack) -> None:
    replace(stack, endings, "_stop_wins", lambda _stop, _report: False)


@bug("a success that a clear overrules frees its task instance before its process is gone")
def _overruled_too_early(stack: ExitStack) -> None:
    replace(stack, gateway, "is_overruled", lambda _held, _report: False)


@bug("a callback is forgotten")
def _no_outbox(stack: ExitStack) -> None:
    replace(stack, endings, "_outbox", lambda _closing, _now: None)


@bug("a new try sees the XComs of the one before")
def _keep_xcoms(stack: ExitStack) -> None:
    replace(stack, xcoms, "wipe", lambda _transaction, _tasks: None)


@bug("a failure is retried for ever")
def _endless_retries(stack: ExitStack) -> None:
    replace(stack, planned_endings, "after_failure", lambda *_args, **_more: TaskState.UP_FOR_RETRY)


@bug("a clear does not wait for the running process")
def _clear_overlaps(stack: ExitStack) -> None:
    without(stack, commands, "_CLEAR", " AND lease_id IS NULL")
    original = commands.Step.clear

    def clear(self: Any, rows: Sequence[Row]) -> None:  # noqa: ANN401 - a private class
        original(self, [row for row in rows if row[3] != "running"])
        running = [(row, TaskState.NONE) for row in rows if row[3] == "running"]
        self._move(commands._CLEAR, running, Actor.CLEAR, "cleared")  # noqa: SLF001

    replace(stack, commands.Step, "clear", clear)
