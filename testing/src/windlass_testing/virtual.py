"""A whole installation in one process, on a virtual clock: what production runs, but for the processes.

DAGs are real authoring objects, parsed to specs, checked and stored; runs, clears and marks come through
``windlass.control``; the real scheduler decides over the SQL store, whose invariants are checked at every commit; and
every attempt is run by the runtime's own code, in this process (:mod:`windlass_testing.virtual_worker`). So a test says
in a few lines what a user would see, and a year takes a second.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from windlass import DAG
from windlass.app.clocks import SeededRng, VirtualClock
from windlass.app.services import StoredSecrets
from windlass.authoring import scope
from windlass.config import Settings
from windlass.control import Control, RunRow, TaskRow
from windlass.dagfiles.checks import checked
from windlass.events import Callbacks
from windlass.runtime.loader import load_dag_file
from windlass.runtime.xcom import unpack
from windlass.scheduler import Scheduler, SchedulerSettings
from windlass.secrets.resolver import open_resolver
from windlass.spec import encode_spec
from windlass.store import ParsedFile, xcoms
from windlass.store.sharing import Leases
from windlass_testing.scripted_sql import InvariantsAtCommit
from windlass_testing.stores import new_store
from windlass_testing.virtual_worker import Decoding, VirtualWorker

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
#: A key for the stored connections and variables; it protects nothing.
KEY = "3Ui4nqRvqjlVb5jHQ7sYPG1CDiFbDLOYEIUxTyx2I_c="
_STEPS = 20_000


class VirtualInstallation:
    """Everything under one roof, and the moves of a user.

    Args:
        folder: the home. Nothing is written there but artifacts and what a test puts into it.
        now: where the clock starts.
    """

    def __init__(self, folder: Path, *, now: datetime = START) -> None:
        self.folder = folder
        self.clock = VirtualClock(now)
        self._rng = SeededRng(1)
        self.store = new_store(self.clock, self._rng, keys=[KEY])
        self._invariants = InvariantsAtCommit(self.store.db)
        self.control = Control(self.store, clock=self.clock, home=folder, logs=folder / "logs")
        #: What the environment holds, besides the settings of the installation.
        self.environ: dict[str, str] = {}
        #: DAGs by code version.
        self._code: dict[str, DAG] = {}
        self._versions = itertools.count(1)
        settings = Settings.load(environ={"WINDLASS_HOME": str(folder)}, cwd=folder)
        resolver = open_resolver(settings, StoredSecrets(self.store), environ=self.environ)
        self.worker = VirtualWorker(self._code, self.store.gateway, resolver, self.clock, folder / "artifacts")
        self._callbacks = Callbacks(self.store.outbox, self.worker, by="virtual")
        self.schedulers = {"virtual": self._new_scheduler()}

    def close(self) -> None:
        """End what waits, and close the store."""
        self.worker.close()
        self._invariants.close()
        self.store.close()

    # --- Schedulers

    def _new_scheduler(self, leases: Leases | None = None) -> Scheduler:
        # Signals are seen at once and timers are known, so nothing needs to be looked at just because time passes.
        settings = SchedulerSettings(poll_interval=timedelta(days=1).total_seconds())
        view = self.store.scheduler if leases is None else self.store.scheduler_with(leases)
        return Scheduler(view, self.worker, self.clock, self._rng, settings, leases)

    def restart_scheduler(self) -> None:
        """Let the scheduler forget everything, as a kill -9 and a new start do."""
        self.schedulers["virtual"] = self._new_scheduler()

    def share(self, *homes: str) -> None:
        """Let several schedulers work from now on, one in each of these homes."""
        self.schedulers = {home: self._new_scheduler(Leases(self.store.db, home)) for home in homes}
        self.settle()

    # --- DAGs

    def add(self, *dags: DAG, paused: bool = False) -> None:
        """Store these DAGs, each as a file of its own, or their next versions.

        :raises WindlassError: what a user would see as an import error.
        """
        for dag in dags:
            file = f"{dag.dag_id}.py"
            version = f"{dag.dag_id}-{next(self._versions)}"
            spec = checked(encode_spec(dag.to_spec(file=file)), file)
            self._code[version] = dag
            parsed = ParsedFile(bundle="main", file=file, code_version=version, specs=(spec,))
            self.store.dags.store_parse_results([parsed], paused=paused)

    def add_source(self, source: str, name: str = "dags.py") -> list[DAG]:
        """Import a DAG file from its text, store what it defines, and return that."""
        scope.collect()
        dags = scope.collect(load_dag_file(str(self.folder / "dags"), name, source.encode()))
        self.add(*dags)
        return dags

    # --- Time

    def settle(self) -> float:
        """Do everything that can be done now; return after how many seconds the next thing is due."""
        for _ in range(_STEPS):
            self.worker.heartbeat()
            pauses = [scheduler.step() for scheduler in self.schedulers.values()]
            self._callbacks.step()
            waiting = self.store.scheduler.signals() if len(pauses) == 1 else ()
            if not self.worker.turn() and min(pauses, default=1.0) > 0 and not waiting:
                due = self.worker.next_due()
                left = [] if due is None else [(due - self.clock.now()).total_seconds()]
                return min([*pauses, *left], default=timedelta(days=1).total_seconds())
        raise AssertionError(f"the installation does not come to rest: it still wants to go on after {_STEPS} steps")

    def jump_to(self, instant: datetime) -> None:
        """Set the clock, before anything was made that could be due meanwhile."""
        self.clock.advance((instant - self.clock.now()).total_seconds())

    def pass_time(self, amount: timedelta) -> None:
        """Let time pass, with a step whenever something is due."""
        end = self.clock.now() + amount
        while (left := (end - self.clock.now()).total_seconds()) > 0:
            self.worker.let_pass(min(self.settle(), left))
        self.settle()
        self.worker.let_pass(0.0)  # what is due at this very instant
        self.settle()

    def wait_for(self, condition: Callable[[], object], patience: timedelta = timedelta(days=20)) -> None:
        """Let time pass until ``condition`` holds."""
        end = self.clock.now() + patience
        pause = self.settle()
        while not condition():
            if self.clock.now() > end:
                raise AssertionError(f"waited {patience} of virtual time in vain")
            self.worker.let_pass(pause)
            pause = self.settle()

    # --- Runs

    def trigger(self, dag_id: str, **options: Any) -> RunRow:
        """Create a manual run, and do nothing else."""
        return self.control.runs.trigger(dag_id, actor="test", **options)

    def run(self, dag: DAG | str, **options: Any) -> RunRow:
        """Trigger a run (of a DAG that is stored first) and let time pass until it has ended."""
        if isinstance(dag, DAG):
            self.add(dag)
        run = self.trigger(dag if isinstance(dag, str) else dag.dag_id, **options)
        return self.end_of(run)

    def start(self, dag: DAG | str, **options: Any) -> RunRow:
        """Trigger a run (of a DAG that is stored first) and do what can be done now."""
        if isinstance(dag, DAG):
            self.add(dag)
        run = self.trigger(dag if isinstance(dag, str) else dag.dag_id, **options)
        self.settle()
        return self.now(run)

    def end_of(self, run: RunRow) -> RunRow:
        """Let time pass until a run has ended, and what is owed for it is delivered."""
        self.wait_for(lambda: self.now(run).state.is_terminal)
        return self.now(run)

    def now(self, run: RunRow) -> RunRow:
        """Return a run as it is now."""
        return self.control.runs.get(run.dag_id, run.run_id)

    def runs(self, dag_id: str) -> list[RunRow]:
        """Return the runs of a DAG, by logical date."""
        found = self.control.runs.list(dag_id=dag_id, limit=1000).items
        return sorted(found, key=lambda run: run.logical_date)

    def intervals(self, dag_id: str) -> list[tuple[datetime, datetime]]:
        """Return the data intervals of a DAG's runs, by logical date; a timetable must have said all of them."""
        found = [(run.data_interval_start, run.data_interval_end) for run in self.runs(dag_id)]
        return [(start, end) for start, end in found if start is not None and end is not None]

    def clear(self, run: RunRow, task_regex: str, **options: Any) -> None:
        """Clear tasks of a run, and do nothing else; ``latest`` re-pins it."""
        latest = options.pop("latest", False)
        selected = self.control.tasks.select(run.dag_id, run_ids=[run.run_id], task_regex=task_regex, **options)
        self.control.tasks.clear(selected, actor="test", latest=latest)

    # --- Tasks

    def task(self, run: RunRow, task_id: str, map_index: int = -1) -> TaskRow:
        """Return a task instance as it is now."""
        return self.control.tasks.get(run.dag_id, run.run_id, task_id, map_index)

    def states(self, run: RunRow) -> Mapping[str, str]:
        """Return the states of a run's instances, as ``task`` or ``task[index]``."""
        return {
            row.task_id if row.map_index < 0 else f"{row.task_id}[{row.map_index}]": str(row.state)
            for row in self.control.tasks.of_run(run.dag_id, run.run_id)
        }

    def reason(self, run: RunRow, task_id: str, map_index: int = -1) -> str:
        """Return why a task instance is in the state in which it is."""
        return self.store.queries.transitions(self._id(run, task_id, map_index))[-1].reason

    def run_reason(self, run: RunRow) -> str:
        """Return why a run is in the state in which it is."""
        return self.store.queries.run_transitions(self.control.runs.find(run.dag_id, run.run_id).id)[-1].reason

    def log(self, run: RunRow, task_id: str, map_index: int = -1) -> str:
        """Return what a task printed and logged, in all its tries."""
        return self.worker.logs.get(self._id(run, task_id, map_index), "")

    def rendered(self, run: RunRow, task_id: str, map_index: int = -1) -> dict[str, Any]:
        """Return the rendered fields of the latest attempt, as people see them."""
        return self.store.queries.attempts(self._id(run, task_id, map_index))[-1].rendered

    def xcom(self, run: RunRow, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:  # noqa: ANN401
        """Return what a task has left under a key, None if nothing."""
        sql = f"SELECT {xcoms.COLUMNS} FROM xcom WHERE ti_id = :task AND name = :name"  # noqa: S608 - constants
        row = self.store.db.row(sql, {"task": self._id(run, task_id, map_index), "name": key})
        return None if row is None else unpack(xcoms.value(row), Decoding(self.worker.artifacts))

    def started(self) -> list[str]:
        """Return the task instances in the order of their attempts, as ``task`` or ``task[index]``."""
        rows = self.store.db.rows(
            "SELECT t.task_id, t.map_index FROM transition x JOIN ti t ON t.id = x.ti_id WHERE x.to_state = 'running'"
            " ORDER BY x.seq"
        )
        return [task_id if index < 0 else f"{task_id}[{index}]" for task_id, index in rows]

    def _id(self, run: RunRow, task_id: str, map_index: int) -> int:
        return self.control.tasks.find(run.dag_id, run.run_id, task_id, map_index).id
