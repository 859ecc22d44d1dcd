"""What goes wrong with assets and their events."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import msgspec

from windlass.planning import assets as planned_assets
from windlass.planning.assets import condition_of
from windlass.ports import RunFacts
from windlass.scheduler import calendar
from windlass.store import assets, creation
from windlass.store.database import Transaction
from windlass_testing.simulation.bugs.planting import bug, replace


@bug("a run takes every event that waits, also one that came after it was decided on")
def _consume_unseen(stack: ExitStack) -> None:
    def consume(transaction: Transaction, dag_id: str, run: int, _events: Sequence[int]) -> bool:
        sql = "UPDATE asset_delivery SET run = :run WHERE dag_id = :dag_id AND run IS NULL"
        return transaction.run(sql, {"run": run, "dag_id": dag_id}) > 0

    replace(stack, creation, "consume_events", consume)


@bug("an event tells nobody")
def _silent_event(stack: ExitStack) -> None:
    replace(stack, assets, "_TELL", assets._TELL.replace("'asset'", "'pool'"))  # noqa: SLF001 - what is patched


@bug("an event that comes while a DAG is paused calls for a run")
def _count_while_paused(stack: ExitStack) -> None:
    replace(stack, assets, "_DELIVER", assets._DELIVER.replace("1 - d.paused", "1"))  # noqa: SLF001


@bug("an event through an alias reaches only the listeners of its asset")
def _deaf_alias(stack: ExitStack) -> None:
    replace(stack, assets, "_DELIVER", assets._DELIVER.replace(":is_alias", "0 * :is_alias"))  # noqa: SLF001


@bug("events that waited for room are forgotten when a run ends")
def _no_look_after_end(stack: ExitStack) -> None:
    original = calendar.Calendar.run_ended

    def run_ended(self: calendar.Calendar, facts: RunFacts) -> None:
        dag_id = facts.dag_id
        known, was_due = self._dags.get(dag_id), dag_id in self._due
        original(self, facts)
        spec = None if known is None else self.spec(dag_id, known.spec_version)
        if not was_due and spec is not None and condition_of(spec.schedule) is not None:
            del self._due[dag_id]

    replace(stack, calendar.Calendar, "run_ended", run_ended)


@bug("the interval of a run that takes several events is that of the last one")
def _narrow_interval(stack: ExitStack) -> None:
    original = planned_assets.consume

    def consume(condition: Any, waiting: Any) -> Any:  # noqa: ANN401 - passed on
        due = original(condition, waiting)
        return due if due is None else msgspec.structs.replace(due, start=due.end)

    replace(stack, calendar, "consume", consume)
