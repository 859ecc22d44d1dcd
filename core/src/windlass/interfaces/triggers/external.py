"""Triggers that wait for runs and tasks of other DAGs: they ask the supervisor, which asks the database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from typing import Any

from windlass.interfaces.trigger import BaseTrigger, TriggerEvent
from windlass.interfaces.triggers import LEAST_PAUSE
from windlass.ports import all_rows


class DagStateTrigger(BaseTrigger):
    """Fires when every run of ``run_ids`` of a DAG is in one of ``states``; the payload maps run ids to states.

    A run that is gone counts as if it had ended: its state in the payload is None.
    """

    def __init__(
        self, dag_id: str, states: Iterable[str], run_ids: Iterable[str], *, poll_interval: float = 5.0
    ) -> None:
        self.dag_id = dag_id
        self.states = [str(state) for state in states]
        self.run_ids = list(run_ids)
        self.poll_interval = poll_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return which runs, and the states."""
        arguments = {
            "dag_id": self.dag_id,
            "states": self.states,
            "run_ids": self.run_ids,
            "poll_interval": self.poll_interval,
        }
        return "windlass.triggers.DagStateTrigger", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Ask again and again."""
        import asyncio

        while True:
            filters = {"dag_id": self.dag_id, "run_ids": self.run_ids}
            rows = await asyncio.to_thread(all_rows, "runs", filters)
            found = {str(row["run_id"]): str(row["state"]) for row in rows}
            if all(state in self.states for state in found.values()):
                yield TriggerEvent({run_id: found.get(run_id) for run_id in self.run_ids})
                return
            await asyncio.sleep(max(self.poll_interval, LEAST_PAUSE))


class WorkflowTrigger(BaseTrigger):
    """Fires when tasks of another DAG, or its runs, of some logical dates are settled.

    Settled is: all of them are in ``allowed_states``, or one is in ``failed_states`` or ``skipped_states``. The payload
    is ``{"status": "success" | "failed" | "skipped", "state": …}``.
    """

    def __init__(
        self,
        external_dag_id: str,
        logical_dates: Iterable[datetime],
        *,
        external_task_ids: Iterable[str] | None = None,
        external_task_group_id: str | None = None,
        allowed_states: Iterable[str] = ("success",),
        skipped_states: Iterable[str] = (),
        failed_states: Iterable[str] = (),
        poke_interval: float = 2.0,
    ) -> None:
        self.external_dag_id = external_dag_id
        self.logical_dates = list(logical_dates)
        self.external_task_ids = None if external_task_ids is None else list(external_task_ids)
        self.external_task_group_id = external_task_group_id
        self.allowed_states = [str(state) for state in allowed_states]
        self.skipped_states = [str(state) for state in skipped_states]
        self.failed_states = [str(state) for state in failed_states]
        self.poke_interval = poke_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what it waits for."""
        return "windlass.triggers.WorkflowTrigger", dict(vars(self))

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Ask again and again."""
        import asyncio

        while (verdict := await asyncio.to_thread(self._look)) is None:  # noqa: ASYNC110 - nobody tells, so it has to be looked at
            await asyncio.sleep(max(self.poke_interval, LEAST_PAUSE))
        yield TriggerEvent(verdict)

    def _look(self) -> dict[str, str] | None:
        found = [self._states(date) for date in self.logical_dates]
        return settled(found, self.allowed_states, self.skipped_states, self.failed_states)

    def _states(self, date: datetime) -> list[tuple[str, str]]:
        wanted = self.external_task_ids
        rows = external_states(self.external_dag_id, date, wanted, self.external_task_group_id)
        # Until all of them are there, what is there says nothing.
        return rows if wanted is None or {task_id for task_id, _ in rows} == set(wanted) else []


def external_states(
    dag_id: str, date: datetime, task_ids: list[str] | None, group_id: str | None
) -> list[tuple[str, str]]:
    """Return (task id, state) of what there is in the run of ``date``, of the run itself without a task id."""
    filters: dict[str, Any] = {"dag_id": dag_id, "logical_date": date}
    if task_ids is None and group_id is None:
        return [("", str(row["state"])) for row in all_rows("runs", filters)]
    if task_ids is not None:
        filters["task_ids"] = task_ids
    rows = [(str(row["task_id"]), str(row["state"])) for row in all_rows("task_states", filters)]
    return rows if task_ids is not None else [row for row in rows if row[0].startswith(f"{group_id}.")]


def settled(
    found: list[list[tuple[str, str]]], allowed: Iterable[str], skipped: Iterable[str], failed: Iterable[str]
) -> dict[str, str] | None:
    """Return the verdict on the states of each date; None while there is nothing but to wait."""
    states = [state for entry in found for _, state in entry]
    for status, wanted in (("failed", failed), ("skipped", skipped)):
        if (state := next((state for state in states if state in tuple(wanted)), None)) is not None:
            return {"status": status, "state": state}
    if all(entry and all(state in tuple(allowed) for _, state in entry) for entry in found):
        return {"status": "success", "state": states[0] if states else ""}
    return None
