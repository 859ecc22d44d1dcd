"""A simulation: the real scheduler over a store in memory, whose clock leaps from one thing that happens to the next.

It begins as if every run that was due before had been made and had ended: a DAG whose start lies years back starts with
the run that is due next. It stops at the end of the period, whatever is still running.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import Final

import msgspec

from windlass.app.clocks import VirtualClock
from windlass.app.inproc.gateway import MemoryGateway
from windlass.app.inproc.memory import MemoryStore
from windlass.errors import UsageError
from windlass.moment import iso
from windlass.planning.calendar import next_run
from windlass.planning.queueing import Limit
from windlass.ports import DagFacts, PoolFacts
from windlass.scheduler import Scheduler, SchedulerSettings
from windlass.spec import AssetOrTimeSpec, AssetScheduleSpec, CustomTimetableSpec, DagSpec, TaskSpec
from windlass_testing.simulate.assumptions import LEAST, Assumptions, Behaviours, DagEntry, History
from windlass_testing.simulate.executor import SimulatedExecutor
from windlass_testing.simulate.outcome import SimulatedRun, SimulatedTask, Simulation
from windlass_testing.simulate.waits import Waits

#: Longer than any simulation: nothing polls, reaps or renews by itself.
_FOREVER: Final = 1e12
#: The scheduler is never so long at work while no time passes.
_MOST_STEPS: Final = 10_000
_MOST_RUNS: Final = 1_000_000
#: Objects that are made before the collector looks at the young ones.
_GARBAGE: Final = 100_000
_MOST_COMPLAINTS: Final = 20
#: The pool without end of runs that are not simulated in full, and the one task they have.
_UNLIMITED: Final = "unlimited"
RUN_TASK: Final = "run"


def simulate(
    specs: Sequence[DagSpec],
    since: datetime,
    until: datetime,
    *,
    assumptions: Assumptions | None = None,
    history: History | None = None,
    pools: Mapping[str, int] | None = None,
    parallelism: int = 32,
    runs_only: bool = False,
) -> Simulation:
    """Return what the scheduler would do with ``specs`` from ``since`` (included) to ``until`` (not included).

    Args:
        specs: the DAGs, none of them paused.
        since: where virtual time begins.
        until: where it stops.
        assumptions: what the file says about tasks and pools.
        history: what past runs say about them.
        pools: slots by name, besides those of ``assumptions``, which count first.
        parallelism: how many tasks the executor takes at once; 0 = unlimited.
        runs_only: look at timetables and the limits of runs only: a run takes as long as its longest path of tasks.

    :raises UsageError: if the period is empty, or holds more than can be simulated.
    """
    if until <= since:
        raise UsageError(f"the period from {iso(since)} to {iso(until)} is empty; --to must be later than --from")
    assumptions = assumptions or Assumptions()
    behaviours = Behaviours(assumptions, history or History())
    sources: dict[str, int] = {}
    for spec in specs:
        for task in spec.tasks:
            source = behaviours.of(spec, task.task_id).source
            sources[source] = sources.get(source, 0) + 1
    slots = {"default_pool": 128, **(pools or {}), **assumptions.pools}
    world = _World(specs, since, behaviours, slots, parallelism, runs_only=runs_only)
    world.run(until)
    return world.outcome(until, sources)


class _World:
    """Everything that moves in one simulation."""

    def __init__(
        self,
        specs: Sequence[DagSpec],
        since: datetime,
        behaviours: Behaviours,
        pools: Mapping[str, int],
        parallelism: int,
        *,
        runs_only: bool,
    ) -> None:
        self._since = since
        self._runs_only = runs_only
        self._notes = [note for spec in specs for note in _omissions(spec)]
        if runs_only:
            behaviours = _of_runs(specs, behaviours)
            specs, pools, parallelism = [_one_task(spec) for spec in specs], {_UNLIMITED: -1}, 0
        self._clock = VirtualClock(since)
        self._store = MemoryStore(self._clock)
        for name, slots in pools.items():
            self._store.set_pool(PoolFacts(name=name, slots=slots))
        for spec in specs:
            self._store.add_dag(spec, last_interval=_last_interval(spec, since))
        rng = _Numbers()
        gateway = MemoryGateway(self._store, rng, _know_nothing, _know_nothing)
        self._executor = SimulatedExecutor(self._store, gateway, self._clock, behaviours, parallelism)
        settings = SchedulerSettings(
            executor="simulation",
            poll_interval=_FOREVER,
            reap_interval=_FOREVER,
            queued_timeout=_FOREVER,
        )
        self._scheduler = Scheduler(self._store, self._executor, self._clock, rng, settings)
        self._waits = Waits(self._store, parallelism)

    def run(self, until: datetime) -> None:
        """Let everything happen that happens before ``until``."""
        complaints = _Complaints()
        # Nearly everything that is made here stays to the end, so looking for garbage all the time finds none.
        thresholds = gc.get_threshold()
        gc.set_threshold(_GARBAGE, *thresholds[1:])
        log = logging.getLogger("windlass.scheduler")
        propagate, log.propagate = log.propagate, False
        log.addHandler(complaints)
        try:
            self._run(until, complaints)
        finally:
            gc.set_threshold(*thresholds)
            log.removeHandler(complaints)
            log.propagate = propagate
            self._notes += complaints.sentences
        self._waits.close(until)

    def _run(self, until: datetime, complaints: _Complaints) -> None:
        steps = 0
        while (now := self._clock.now()) < until:
            pause = self._settle()
            steps += 1
            if pause > 0:
                self._leap(pause, until)
            if (self._clock.now() - now).total_seconds() >= LEAST:
                steps = 0
            elif steps > _MOST_STEPS:
                raise UsageError(f"the simulation does not get on after {iso(now)}: the runs of a DAG take no time")
            if len(complaints.sentences) > _MOST_COMPLAINTS or self._store.run_count > _MOST_RUNS:
                reason = next(iter(complaints.sentences), f"it has more than {_MOST_RUNS:,} runs")
                raise UsageError(f"the simulation was given up at {iso(now)}: {reason}")

    def _settle(self) -> float:
        """Do what can be done now; return the seconds until the scheduler has something to do, 0 for at once."""
        self._executor.end_due()
        pause = self._scheduler.step()
        if not self._runs_only:
            self._waits.look(self._clock.now())
        return 0.0 if self._store.signals(1) else pause

    def _leap(self, pause: float, until: datetime) -> None:
        """Go on to the next thing that happens."""
        now = self._clock.now()
        end = self._executor.next_end()
        to = until if end is None else min(end, until)
        if pause < (to - now).total_seconds():
            to = now + timedelta(seconds=pause)
        if not self._runs_only:
            self._waits.pass_time((to - now).total_seconds())
        self._clock.travel_to(to)

    # -- the account --------------------------------------------------------------------------------------------------

    def outcome(self, until: datetime, sources: dict[str, int]) -> Simulation:
        """Return what came of it."""
        runs = sorted(self._store.runs(), key=lambda run: (run.run_after, run.dag_id, run.id))
        shown = []
        for run in runs:
            waited = ((run.start_date or until) - max(run.run_after, self._since)).total_seconds()
            self._waits.add_run(run, waited)
            shown.append(
                SimulatedRun(
                    dag_id=run.dag_id,
                    run_id=run.run_id,
                    logical_date=run.logical_date,
                    data_interval_start=run.data_interval_start,
                    data_interval_end=run.data_interval_end,
                    run_after=run.run_after,
                    start=run.start_date,
                    end=run.end_date,
                    state=run.state,
                    waited=max(0.0, waited),
                )
            )
        length = (until - self._since).total_seconds()
        return Simulation(
            since=self._since,
            until=until,
            runs=tuple(shown),
            tasks=() if self._runs_only else tuple(task for run in runs for task in self._tasks_of(run.id)),
            waits=self._waits.waits(),
            pools=() if self._runs_only else self._waits.pools(length),
            durations=sources,
            notes=(*self._notes, *self._missing_pools(), *self._behind(until)),
        )

    def _tasks_of(self, number: int) -> list[SimulatedTask]:
        run = self._store.run(number)
        return [
            SimulatedTask(
                dag_id=run.dag_id,
                run_id=run.run_id,
                task_id=task.task_id,
                map_index=task.map_index,
                state=task.state,
                try_number=task.try_number,
                start=self._waits.starts.get(task.id),
                end=self._waits.ends.get(task.id),
                waited=self._waits.of_task[task.id] / 1_000_000,
            )
            for task in self._store.tasks_of(number)
            if run is not None
        ]

    def _missing_pools(self) -> list[str]:
        """Return a sentence for each pool that tasks have waited for in vain."""
        names = {wait.pool: None for wait in self._waits.waits() if wait.reason == Limit.NO_POOL}
        return [
            f"pool {name!r} does not exist, so its tasks never start; give it with --pool {name}=SLOTS"
            for name in names
        ]

    def _behind(self, until: datetime) -> list[str]:
        """Return a sentence for each DAG whose next run was due and could not be made yet."""
        found = []
        for dag in self._store.dags():
            info = next_run(dag, self._store.spec(dag.dag_id, dag.spec_version), until)
            if info is not None and info.run_after < until:
                due = iso(info.run_after)
                found.append(f"DAG {dag.dag_id!r} is behind at the end: its next run was due at {due}")
        return found


class _Numbers:
    """Tokens that nobody need guess, one after the other."""

    def __init__(self) -> None:
        self._numbers = count()

    def token(self) -> str:
        """Return the next one."""
        return str(next(self._numbers))

    def key(self) -> str:
        """Return the next one: they are in order already."""
        return self.token()


class _Complaints(logging.Handler):
    """Keeps what the scheduler logs when a run or a step goes wrong, which a person must see."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.sentences: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        sentence = record.getMessage() if error is None else f"{record.getMessage()}: {error}"
        if sentence not in self.sentences:
            self.sentences.append(sentence)


def _know_nothing(_name: str) -> None:
    """Know no connection and no variable."""


def _last_interval(spec: DagSpec, since: datetime) -> tuple[datetime, datetime] | None:
    """Return the interval of the last run that was due before ``since``, None if there was none."""
    facts = DagFacts(dag_id=spec.dag_id, bundle="", file="", spec_version="", code_version="", paused=False)
    lately = since - timedelta.resolution
    info = next_run(facts, msgspec.structs.replace(spec, catchup=False), lately)
    if info is None or info.run_after >= since:
        return None
    return info.data_interval.start, info.data_interval.end


def _omissions(spec: DagSpec) -> list[str]:
    """Return what of a DAG is not simulated."""
    match spec.schedule:
        case CustomTimetableSpec(name=name):
            return [f"DAG {spec.dag_id!r} has no runs here: its timetable {name!r} is a plugin's"]
        case AssetScheduleSpec():
            return [f"DAG {spec.dag_id!r} has no runs here: assets decide when it runs"]
        case AssetOrTimeSpec(timetable=CustomTimetableSpec(name=name)):
            return [f"DAG {spec.dag_id!r} has no runs here: its timetable {name!r} is a plugin's, or assets make them"]
        case AssetOrTimeSpec():
            return [f"DAG {spec.dag_id!r} has only its timed runs here: assets may make others"]
    return []


def _one_task(spec: DagSpec) -> DagSpec:
    """Return the DAG with one task in place of all, which holds no slot of any limit."""
    task = TaskSpec(task_id=RUN_TASK, pool=_UNLIMITED)
    return msgspec.structs.replace(spec, tasks=(task,), groups=(), edge_labels=(), max_active_tasks=-1)


def _of_runs(specs: Sequence[DagSpec], behaviours: Behaviours) -> Behaviours:
    """Return behaviours for those: each takes as long as the longest path through the DAG it stands for."""
    dags = {spec.dag_id: DagEntry(tasks={RUN_TASK: behaviours.longest_path(spec)}) for spec in specs}
    return Behaviours(Assumptions(dags=dags), History())
