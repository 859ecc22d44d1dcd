"""Windlass's answers, in one process: the real scheduler and planning over memory, attempts in this thread.

The clock is set as for Airflow, for the scheduler and for what user code reads, and moves to whatever comes next.
``live_side`` plays a part of the same scenarios through real processes.
"""

from __future__ import annotations

import contextlib
import io
import runpy
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import time_machine
from testing.oracle.document import Document, label, run_document
from testing.oracle.scenario import DAGS, Scenario, Trigger, dag_files, scenarios

from windlass.app.clocks import SeededRng
from windlass.app.inproc.engine import InlineExecutor, InlineSession
from windlass.app.inproc.gateway import MemoryGateway
from windlass.app.inproc.memory import MemoryStore
from windlass.authoring import scope
from windlass.authoring.dag import DAG
from windlass.errors import ParamInvalid
from windlass.planning.calendar import manual_interval
from windlass.ports import NewRun, RunFacts
from windlass.runtime.loader import add_root, load_dag_file
from windlass.runtime.xcom import unpack
from windlass.scheduler import Scheduler, SchedulerSettings
from windlass.spec.params import check_conf
from windlass.states import RunType, TaskState

#: Times that the scheduler is called in one scenario, before something must be wrong.
MAX_STEPS = 5000
_WAITING = (TaskState.UP_FOR_RETRY, TaskState.UP_FOR_RESCHEDULE)


class Dags:
    """The DAGs of the folder and their scenarios."""

    def __init__(self) -> None:
        add_root(str(DAGS))
        self.dags: dict[str, DAG] = {}
        self.scenarios: list[Scenario] = []
        #: Scenario -> the DAG file that tells it.
        self.homes: dict[str, str] = {}
        for file in dag_files():
            with scope.detached():
                scope.collect()
                found = scope.collect(load_dag_file(str(DAGS), file.name, file.read_bytes()))
            self.dags.update({dag.dag_id: dag for dag in found})
            with scope.detached():
                told = runpy.run_path(str(file)).get("SCENARIOS", {})
                scope.collect()
            mine = scenarios([dag.dag_id for dag in found], told)
            self.scenarios += mine
            self.homes.update({scenario.dag_id: file.stem for scenario in mine})

    @property
    def inproc(self) -> list[Scenario]:
        """The scenarios that can be played in one process."""
        return [scenario for scenario in self.scenarios if not scenario.processes]


class MachineClock:
    """This machine's clock, which time-machine has stopped; both of its readings move together."""

    def now(self) -> datetime:
        """Return the instant that it was set to."""
        return datetime.now(tz=UTC)

    def monotonic(self) -> float:
        """Return the same as seconds."""
        return self.now().timestamp()


class Engine:
    """The engine of one scenario."""

    def __init__(self, dags: dict[str, DAG], artifacts: Path) -> None:
        self.dags = dags
        clock, rng = MachineClock(), SeededRng(0)
        self.store = MemoryStore(clock)
        gateway = MemoryGateway(self.store, rng, lambda _: None, lambda _: None)
        self.executor = InlineExecutor(dags, gateway, clock, artifacts)  # type: ignore[arg-type] # it is only kept
        settings = SchedulerSettings(executor="inproc", poll_interval=timedelta(days=3650).total_seconds())
        self.scheduler = Scheduler(self.store, self.executor, clock, rng, settings)
        self.reader = InlineSession(gateway, "", artifacts, clock)  # type: ignore[arg-type] # it is only kept
        for dag in dags.values():
            self.store.add_dag(dag.to_spec())

    def trigger(self, dag_id: str, trigger: Trigger) -> bool:
        """Create a manual run as ``windlass dags trigger`` does; return False if it is refused."""
        spec, now = self.dags[dag_id].to_spec(), datetime.now(tz=UTC)
        try:
            check_conf(spec, trigger.conf)
        except ParamInvalid:
            return False
        interval = manual_interval(spec, trigger.logical_date or now)
        new = NewRun(
            dag_id=dag_id,
            run_type=RunType.MANUAL,
            logical_date=trigger.logical_date or now,
            data_interval_start=interval.start,
            data_interval_end=interval.end,
            run_after=now,
            conf=trigger.conf,
            bump=trigger.logical_date is None,
        )
        return self.store.create_run(new) is not None

    def settle(self) -> datetime:
        """Do everything that can be done at this instant; return when there is more to do."""
        for _ in range(MAX_STEPS):
            pause = self.scheduler.step()
            if not self.executor.run_next() and pause > 0:
                return datetime.now(tz=UTC) + timedelta(seconds=pause)
        raise AssertionError(f"{next(iter(self.dags))}: the scheduler does not come to rest")

    def is_waiting(self) -> bool:
        """Return whether time alone will move an open run on."""
        return any(
            self.dags[run.dag_id].dagrun_timeout is not None
            or any(task.state in _WAITING for task in self.store.tasks_of(run.id))
            for run in self.store.open_runs()
        )

    def document(self, run: RunFacts, *, rendered: bool) -> Document:
        """Return what came of a run."""
        tasks = {task.id: task for task in self.store.tasks_of(run.id)}
        xcoms: dict[str, dict[str, Any]] = {}
        for task in tasks.values():
            for key, value in self.store.xcoms.get(task.id, {}).items():
                xcoms.setdefault(label(task.task_id, task.map_index), {})[key] = unpack(value, self.reader)
        fields = {
            label(task.task_id, task.map_index): dict(self.store.rendered[task.id].fields)
            for task in tasks.values()
            if rendered and task.id in self.store.rendered
        }
        return run_document(
            dag_id=run.dag_id,
            run_id=run.run_id,
            run_type=str(run.run_type),
            state=str(run.state),
            logical_date=run.logical_date,
            interval=(run.data_interval_start, run.data_interval_end),
            tasks=[(label(task.task_id, task.map_index), str(task.state), task.try_number) for task in tasks.values()],
            xcoms=xcoms,
            rendered=fields,
        )


def play(dags: Dags, scenario: Scenario) -> Document:
    """Play one scenario and return what came of it."""
    artifacts = Path(tempfile.mkdtemp(prefix="windlass-oracle-"))
    try:
        with time_machine.travel(scenario.at, tick=False) as clock, contextlib.redirect_stdout(io.StringIO()):
            engine = Engine({dag_id: dags.dags[dag_id] for dag_id in scenario.dag_ids}, artifacts)
            refused = _drive(engine, scenario, clock)
            runs = sorted(engine.store.runs(), key=lambda run: (run.dag_id, run.logical_date))
            return {"runs": [engine.document(run, rendered=scenario.rendered) for run in runs], "refused": refused}
    finally:
        shutil.rmtree(artifacts)


def _drive(engine: Engine, scenario: Scenario, clock: time_machine.Traveller) -> int:
    """Let time pass from one event to the next; return how many triggers were refused."""
    refused = 0
    triggers = sorted(scenario.triggers, key=lambda trigger: trigger.at)
    for _ in range(MAX_STEPS):
        while triggers and triggers[0].at <= datetime.now(tz=UTC):
            refused += not engine.trigger(scenario.dag_id, triggers.pop(0))
        due = engine.settle()
        coming = [trigger.at for trigger in triggers]
        if due <= scenario.until or engine.is_waiting():
            coming.append(due)
        if not coming:
            return refused
        clock.move_to(min(coming))
    raise AssertionError(f"{scenario.dag_id}: no end after {MAX_STEPS} steps of the clock")
