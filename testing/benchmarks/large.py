"""Large things: a thousand tasks in a file, ten thousand instances of a task, a thousand runs at once."""

from __future__ import annotations

import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from testing.benchmarks import processes
from testing.benchmarks.engine import BenchmarkError, Engine
from testing.benchmarks.measures import Measure
from testing.benchmarks.workloads import Session

from windlass.app.clocks import SystemRng, VirtualClock
from windlass.ports import NewRun
from windlass.protocol import Outcome
from windlass.scheduler import Scheduler, SchedulerSettings
from windlass.spec import DagSpec, MapSpec, TaskSpec, XComLength
from windlass.states import RunState, RunType
from windlass.store import ParsedFile, migrate, open_store
from windlass_testing.scripted import Result, ScriptedExecutor

_RUNS = 1000
_MAPPED = 10_000
_PATIENCE = 120.0


def large_file(session: Session) -> list[Measure]:
    """Time from a file of a thousand tasks appearing in the DAG folder until its DAG is visible."""
    walls = []
    for number in range(session.repeat):
        with Engine({"single.py": "single.py"}) as engine:
            session.pause()
            started = datetime.now(UTC)
            engine.put({f"thousand_{number}.py": "thousand.py"})
            walls.append((engine.wait_for_dags({f"thousand_{number}"}, poll=0.02) - started).total_seconds())
    return [Measure("DAG of 1,000 tasks, appearing to visible", "s", walls, 1.5)]


def large_expansion(session: Session) -> list[Measure]:
    """Time of the scheduler from the end of a task that returned 10,000 items to as many scheduled instances."""
    walls = []
    for _ in range(session.repeat):
        with tempfile.TemporaryDirectory(prefix="windlass-benchmark-") as folder:
            session.pause()
            walls.append(_expansion_seconds(Path(folder)))
    return [Measure("expansion of 10,000 instances, planned and written", "s", walls, 2.0)]


def _expansion_seconds(folder: Path) -> float:
    url = f"sqlite:///{folder}/windlass.db"
    migrate(url)
    clock = VirtualClock(datetime.now(UTC))
    store = open_store(url, clock=clock, rng=SystemRng(), checkpoints=True)
    try:
        mapped = TaskSpec(
            task_id="each", upstream=("source",), map=MapSpec(factors=(("n", XComLength(task_id="source")),))
        )
        spec = DagSpec(dag_id="wide", tasks=(TaskSpec(task_id="source"), mapped), max_map_length=_MAPPED)
        store.dags.store_parse_results(
            [ParsedFile(bundle="main", file="wide.py", code_version="code", specs=(spec,))], paused=False
        )
        executor = ScriptedExecutor(
            store.gateway, clock, script=lambda _work, _try_number: Result(Outcome.SUCCESS, _MAPPED)
        )
        scheduler = Scheduler(store.scheduler, executor, clock, SystemRng(), SchedulerSettings())
        now = clock.now()
        run = store.scheduler.create_run(
            NewRun(
                dag_id="wide", run_type=RunType.MANUAL, logical_date=now, data_interval_start=now,
                data_interval_end=now, run_after=now,
            )
        )  # fmt: skip
        while not executor.waiting:
            scheduler.step()
        executor.run_one()
        started = time.perf_counter()
        while scheduler.step() == 0:
            pass
        elapsed = time.perf_counter() - started
        found = 0 if run is None else len(store.scheduler.tasks_of(run.id))
        if found != _MAPPED + 1 or not executor.waiting:
            raise BenchmarkError(f"the expansion made {found} instances")
        return elapsed
    finally:
        store.close()


def many_active_runs(session: Session) -> list[Measure]:
    """Memory of the server with a thousand active runs of ten tasks."""
    with Engine({"asleep.py": "asleep.py"}, {"core.parallelism": "1"}) as engine:
        session.pause()
        before = processes.memory_mb([engine.pid])
        for _ in range(_RUNS):
            engine.trigger("asleep")
        deadline = time.monotonic() + _PATIENCE
        while _active(engine) < _RUNS:
            if time.monotonic() > deadline:
                raise BenchmarkError(f"only {_active(engine)} of {_RUNS} runs are active")
            time.sleep(0.2)
        memory = processes.memory_mb([engine.pid])
    return [
        Measure("server with 1,000 active runs of 10 tasks (PSS)", "MB", [memory], 250.0),
        Measure("the same server without runs", "MB", [before]),
    ]


def _active(engine: Engine) -> int:
    found, cursor = 0, None
    while True:
        page = engine.control.runs.list(dag_id="asleep", state=RunState.RUNNING, cursor=cursor, limit=500)
        found, cursor = found + len(page.items), page.next
        if cursor is None:
            return found
