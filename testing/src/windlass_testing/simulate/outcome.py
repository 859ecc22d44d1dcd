"""What came of a simulation, as plain data; field names are those of ``-o json``. Instants are UTC, lengths seconds."""

from __future__ import annotations

from datetime import datetime

import msgspec

from windlass.states import RunState, TaskState


class SimulatedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run. One that had not ended, or not begun, when the simulation stopped has no end, or no start."""

    dag_id: str
    run_id: str
    logical_date: datetime
    data_interval_start: datetime
    data_interval_end: datetime
    run_after: datetime
    start: datetime | None
    end: datetime | None
    state: RunState
    #: From when it was due to its start, or to the end of the simulation.
    waited: float


class SimulatedTask(msgspec.Struct, frozen=True, kw_only=True):
    """A task instance in its last try; ``waited`` counts all that held it since it might have run."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    state: TaskState
    try_number: int
    start: datetime | None
    end: datetime | None
    waited: float


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """All waits of one task (or, with no ``task_id``, of the runs of a DAG) for one reason.

    The reason is a limit (``pool``, ``no_pool``, ``max_active_tasks``, ``max_active_tis_per_dag``,
    ``max_active_tis_per_dagrun``, ``parallelism``, ``max_active_runs``), the run before (``depends_on_past``), or time
    (``retry_delay``, ``poke_interval``). ``pool`` is the pool's name.
    """

    dag_id: str
    task_id: str | None
    reason: str
    pool: str | None
    #: How many task instances or runs waited.
    count: int
    total: float
    longest: float


class PoolUse(msgspec.Struct, frozen=True, kw_only=True):
    """What was used of a pool, or of the executor's ``parallelism``; -1 slots are unlimited."""

    name: str
    slots: int
    peak: int
    #: How long every slot was taken.
    saturated: float
    #: Task instances that waited because of it, and how long together.
    count: int
    waited: float
    #: Average share of the slots that was taken, from 0 to 1; None where they are unlimited.
    used: float | None


class Simulation(msgspec.Struct, frozen=True, kw_only=True):
    """One simulation of ``since`` (included) to ``until`` (not included)."""

    since: datetime
    until: datetime
    runs: tuple[SimulatedRun, ...]
    tasks: tuple[SimulatedTask, ...]
    waits: tuple[Wait, ...]
    pools: tuple[PoolUse, ...]
    #: How many tasks have their duration from the file, from history, or by default.
    durations: dict[str, int]
    #: What the simulation left out, or ran into, a sentence each.
    notes: tuple[str, ...]

    @property
    def summary(self) -> str:
        """The whole in one sentence."""
        failed = sum(run.state is RunState.FAILED for run in self.runs)
        open_ = sum(not run.state.is_terminal for run in self.runs)
        dags = len({run.dag_id for run in self.runs})
        return f"{len(self.runs)} run(s) of {dags} DAG(s): {failed} failed, {open_} not ended"
