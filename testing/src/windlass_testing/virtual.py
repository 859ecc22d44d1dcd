"""A whole installation in one process, on a virtual clock: what production runs, but for the processes.

DAGs are real authoring objects, parsed to specs and stored; runs, clears and marks come through ``windlass.control``; the
real scheduler decides over the SQL store, whose invariants are checked at every commit; and every attempt is run by the
runtime's own code, in this process. So a test says in a few lines what a user would see, and a year takes a second.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from windlass import DAG
from windlass.app.clocks import SeededRng, VirtualClock
from windlass.app.inproc.engine import InlineExecutor
from windlass.control import Control, RunRow, TaskRow
from windlass.ports import Workload
from windlass.scheduler import Scheduler, SchedulerSettings
from windlass.store import ParsedFile, Store
from windlass_testing.scripted_sql import InvariantsAtCommit

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
#: A key for the stored connections and variables; it protects nothing.
KEY = "3Ui4nqRvqjlVb5jHQ7sYPG1CDiFbDLOYEIUxTyx2I_c="
_STEPS = 100_000


class HeldExecutor(InlineExecutor):
    """Runs what it is given, but for the tasks that are told to take their time."""

    def __init__(self, *args: Any) -> None:  # noqa: ANN401 - as the executor's
        super().__init__(*args)
        self.parallelism = 0
        self._held: dict[str, list[Workload]] = {}

    def hold(self, task_id: str) -> None:
        """Leave the instances of a task queued until they are released."""
        self._held.setdefault(task_id, [])

    def release(self, task_id: str) -> None:
        """Let them run."""
        self._waiting.extend(self._held.pop(task_id, ()))

    def submit(self, workloads: Any) -> None:  # noqa: ANN401 - as the executor's
        """Take these."""
        for workload in workloads:
            self._held.get(workload.task_id, self._waiting).append(workload)


class VirtualInstallation:
    """Everything under one roof, and the moves of a user.

    Args:
        folder: a folder of its own; it gets artifacts and nothing else.
        now: where the clock starts.
    """

    def __init__(self, folder: Path, *, now: datetime = START) -> None:
        self.clock = VirtualClock(now)
        self._rng = SeededRng(1)
        self.store = Store.memory(self.clock, self._rng, keys=[KEY])
        self.store.db.probe = InvariantsAtCommit(self.store.db)
        self.control = Control(self.store, clock=self.clock, home=folder, logs=folder / "logs")
        self.dags: dict[str, DAG] = {}
        artifacts = folder / "artifacts"
        artifacts.mkdir(parents=True)
        self.executor = HeldExecutor(self.dags, self.store.gateway, self.clock, artifacts)
        self.scheduler = self.new_scheduler()

    def close(self) -> None:
        """Close the store."""
        self.store.db.probe = None
        self.store.close()

    def new_scheduler(self) -> Scheduler:
        """Return a scheduler that knows nothing yet, as after a restart."""
        return Scheduler(
            self.store.scheduler, self.executor, self.clock, self._rng, SchedulerSettings(owner="virtual")
        )

    def restart_scheduler(self) -> None:
        """Let the scheduler forget everything, as a kill -9 and a new start do."""
        self.scheduler = self.new_scheduler()

    # --- DAGs

    def add(self, *dags: DAG, paused: bool = False) -> None:
        """Store these DAGs, each as a file of its own, or their next versions."""
        for dag in dags:
            file = f"{dag.dag_id}.py"
            version = f"{dag.dag_id}-{id(dag)}"
            self.dags[dag.dag_id] = dag
            parsed = ParsedFile(bundle="main", file=file, code_version=version, specs=(dag.to_spec(file=file),))
            self.store.dags.store_parse_results([parsed], paused=paused)

    # --- Time

    def settle(self) -> float:
        """Run everything that can run now; return after how many seconds the scheduler wants to look again."""
        for _ in range(_STEPS):
            pause = self.scheduler.step()
            if not self.executor.run_next() and pause > 0 and not self.store.scheduler.signals():
                return pause
        raise AssertionError(f"the scheduler does not come to rest: it still wants to go on after {_STEPS} steps")

    def pass_time(self, amount: timedelta) -> None:
        """Let time pass, with a step whenever the scheduler wants one."""
        end = self.clock.now() + amount
        while self.clock.now() < end:
            pause = self.settle()
            self.clock.advance(min(pause, (end - self.clock.now()).total_seconds()))
        self.settle()

    def wait_for(self, condition: Callable[[], object], patience: timedelta = timedelta(days=2)) -> None:
        """Let time pass until ``condition`` holds."""
        end = self.clock.now() + patience
        while not condition():
            if self.clock.now() > end:
                raise AssertionError(f"waited {patience} of virtual time in vain")
            self.clock.advance(self.settle())

    # --- Runs

    def trigger(self, dag_id: str, **options: Any) -> RunRow:  # noqa: ANN401 - as control's
        """Create a manual run, and do nothing else."""
        return self.control.runs.trigger(dag_id, actor="test", **options)

    def run(self, dag: DAG | str, **options: Any) -> RunRow:  # noqa: ANN401 - as control's
        """Trigger a run (of a DAG that is stored first) and let time pass until it has ended."""
        if isinstance(dag, DAG):
            self.add(dag)
        run = self.trigger(dag if isinstance(dag, str) else dag.dag_id, **options)
        return self.end_of(run)

    def end_of(self, run: RunRow) -> RunRow:
        """Let time pass until a run has ended."""
        self.wait_for(lambda: self.now(run).state.is_terminal)
        return self.now(run)

    def now(self, run: RunRow) -> RunRow:
        """Return a run as it is now."""
        return self.control.runs.get(run.dag_id, run.run_id)

    def runs(self, dag_id: str) -> list[RunRow]:
        """Return the runs of a DAG, by logical date."""
        found = self.control.runs.list(dag_id=dag_id, limit=1000).items
        return sorted(found, key=lambda run: run.logical_date)

    def task(self, run: RunRow, task_id: str, map_index: int = -1) -> TaskRow:
        """Return a task instance as it is now."""
        rows = self.control.tasks.of_run(run.dag_id, run.run_id)
        return next(row for row in rows if (row.task_id, row.map_index) == (task_id, map_index))

    def states(self, run: RunRow) -> Mapping[str, str]:
        """Return the states of a run's instances, as ``task`` or ``task[index]``."""
        return {
            row.task_id if row.map_index < 0 else f"{row.task_id}[{row.map_index}]": str(row.state)
            for row in self.control.tasks.of_run(run.dag_id, run.run_id)
        }

    def log(self, run: RunRow, task_id: str, map_index: int = -1) -> str:
        """Return what a task printed and logged, in all its tries."""
        facts = self.store.scheduler.tasks_of(self.control.runs.find(run.dag_id, run.run_id).id)
        task = next(task for task in facts if (task.task_id, task.map_index) == (task_id, map_index))
        return self.executor.logs.get(task.id, "")
