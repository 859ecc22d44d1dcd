"""The workloads W1 to W9: each starts an engine of its own, warms it up once, and measures it several times.

The clock of a run starts before the call that triggers it and stops at its ``end_date``; a task's times are stamped by
its own process just before and after user code. Where peers were asked for, each repetition is followed by theirs.
"""

from __future__ import annotations

import itertools
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from testing.benchmarks import machine, processes
from testing.benchmarks.engine import DAGS, WINDLASS, BenchmarkError, Engine, environment
from testing.benchmarks.measures import Measure
from testing.benchmarks.peers import Peer

from windlass.control import RunRow, TaskRow

#: Pause before a repetition, so that it starts on an idle engine.
_PAUSE = 0.3
_PARALLELISM_8 = {"core.parallelism": "8"}


@dataclass
class Session:
    """What all workloads of one invocation share."""

    repeat: int
    peers: list[Peer] = field(default_factory=list)
    idle_seconds: float = 60.0
    #: How long a repetition may wait for others on the machine to be quiet.
    patience: float = 0.0
    #: How many repetitions began although others were not.
    disturbed: int = 0

    def pause(self) -> None:
        """Let the engine, and if wanted the rest of the machine, come to rest before a repetition."""
        time.sleep(_PAUSE)
        if self.patience > 0 and not processes.wait_until_quiet(self.patience):
            self.disturbed += 1


Workload = Callable[[Session], list[Measure]]


def chain_of_small_tasks(session: Session) -> list[Measure]:
    """W1 and W9: one run of forty tasks in a row, and the gap between one task's end and the next one's start."""
    walls = Measure("W1", "s", [], 0.30)
    wall_samples, gaps, multiples, cpu = [], [], [], []
    with Engine({"chain_40.py": "chain_40.py"}) as engine:
        engine.run("chain_40")
        for _ in range(session.repeat):
            session.pause()
            limits = machine.measure(quick=True)
            before = engine.cpu_seconds()
            wall, tasks = timed_run(engine, "chain_40")
            cpu.append((engine.cpu_seconds() - before) / len(tasks) * 1000)
            wall_samples.append(wall)
            gaps.append(statistics.median(_gaps(tasks)))
            multiples.append(gaps[-1] / limits.gap_ms)
            _ask_peers(session, "W1", walls)
    walls.samples = wall_samples
    if "dbos" in walls.peers:
        walls.dream = statistics.median(walls.peers["dbos"])
    return [
        walls,
        Measure("W9 gap", "ms", gaps),
        Measure("W9 gap / (fork + 2 commits + 4 round trips)", "x", multiples, 3.0, 2.0),
        Measure("W1 CPU per task", "ms", cpu),
    ]


def chain_of_large_tasks(session: Session) -> list[Measure]:
    """W2: one run of ten tasks in a row of half a second each, against the same function in a bare interpreter."""
    walls = Measure("W2", "s", [])
    wall_samples, overheads, outside = [], [], []
    with Engine({"chain_10.py": "chain_10.py"}) as engine:
        engine.run("chain_10")
        for _ in range(session.repeat):
            session.pause()
            before = _bare_chain()
            wall, tasks = timed_run(engine, "chain_10")
            bare = (before + _bare_chain()) / 2
            wall_samples.append(wall)
            overheads.append((wall / bare - 1) * 100)
            outside.append((wall / sum(task.duration or 0.0 for task in tasks) - 1) * 100)
            _ask_peers(session, "W2", walls)
    walls.samples = wall_samples
    return [
        walls,
        Measure("W2 over the bare function", "%", overheads, 2.0, 1.0),
        Measure("W2 over its tasks' own durations", "%", outside, 2.0, 1.0),
    ]


def _bare_chain() -> float:
    """Return the seconds that W2's ten calls take in an interpreter that does nothing else."""
    code = (
        "import time\n"
        "def fibo(n):\n    return n if n < 2 else fibo(n - 1) + fibo(n - 2)\n"
        "started = time.perf_counter()\n"
        "for _ in range(10): fibo(33)\n"
        "print(time.perf_counter() - started)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment())
    return float(answer.stdout)


def fan_out(width: int) -> Workload:
    """W3: one run of independent tasks that do nothing, eight at a time."""

    def measure(session: Session) -> list[Measure]:
        name, dag_id = f"W3-{width}", f"fan_out_{width}"
        rates = Measure(name, "tasks/s", [], at_least=True)
        samples: list[float] = []
        shares: dict[bool, list[float]] = {False: [], True: []}
        cpu: dict[str, list[float]] = {}
        with Engine({f"{dag_id}.py": "fan_out.py"}, _PARALLELISM_8) as engine:
            engine.run(dag_id)
            file = engine.dags_folder / f"{dag_id}.py"
            for _ in range(session.repeat):
                session.pause()
                bare = _bare_forks(file)
                before = engine.cpu_by_role()
                wall, _ = timed_run(engine, dag_id)
                after = engine.cpu_by_role()
                for lightened, rate in _bare_forks(file).items():  # before and after: the machine's pace changes
                    shares[lightened].append(width / wall / ((rate + bare[lightened]) / 2))
                for role, seconds in after.items():
                    cpu.setdefault(role, []).append((seconds - before[role]) / width * 1000)
                samples.append(width / wall)
                _ask_peers(session, name, rates)
        rates.samples = samples
        share = Measure(f"{name} / bare forks on all cores", "x", shares[False], 0.5, 0.7, at_least=True)
        harder = Measure(f"{name} / bare forks, lightened", "x", shares[True], at_least=True)
        return [
            rates,
            share,
            harder,
            *(Measure(f"{name} CPU per task, {role}", "ms", values) for role, values in cpu.items()),
        ]

    return measure


def _bare_forks(file: Path) -> dict[bool, float]:
    """Return how many children per second bare zygotes of ``file`` fork on all cores: as Python does, and lightened."""
    cores = os.cpu_count() or 1
    return {lightened: machine.forks(cores, 200, file, lightened=lightened)[1] for lightened in (False, True)}


def many_runs(session: Session) -> list[Measure]:
    """W4: fifty runs of five tasks in a row, submitted at once from one process."""
    rates = Measure("W4", "tasks/s", [], 200.0, at_least=True)
    samples, submits = [], []
    with Engine({"chain_5.py": "chain_5.py"}) as engine:
        engine.run("chain_5")
        for _ in range(session.repeat):
            session.pause()
            started = datetime.now(UTC)
            runs = [engine.trigger("chain_5") for _ in range(50)]
            submits.append((datetime.now(UTC) - started).total_seconds())
            samples.append(250 / (last_end(engine, runs) - started).total_seconds())
            _ask_peers(session, "W4", rates)
    rates.samples = samples
    if "dbos" in rates.peers:
        rates.dream = statistics.median(rates.peers["dbos"])
    return [rates, Measure("W4 submitting 50", "s", submits)]


def many_commands(session: Session) -> list[Measure]:
    """W4-cli: the same, submitted by fifty ``windlass dags trigger`` at once; and the time of one such command."""
    rates, singles, refused = [], [], []
    with Engine({"chain_5.py": "chain_5.py"}) as engine:
        engine.run("chain_5")
        command = [str(WINDLASS), "dags", "trigger", "chain_5"]
        for _ in range(session.repeat):
            session.pause()
            wall = time.perf_counter()
            subprocess.run(command, env=engine.environment, stdout=subprocess.DEVNULL, check=True)
            singles.append((time.perf_counter() - wall) * 1000)
            session.pause()
            known = {run.run_id for run in _all_runs(engine)}
            started = datetime.now(UTC)
            clients = [
                subprocess.Popen(
                    command, env=engine.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
                )
                for _ in range(50)
            ]
            errors = [client.communicate()[1] for client in clients]
            refused.append(float(sum(client.returncode != 0 for client in clients)))
            if refused[-1]:
                print(next(error for client, error in zip(clients, errors, strict=True) if client.returncode))
            runs = [run for run in _all_runs(engine) if run.run_id not in known]
            rates.append(5 * len(runs) / (last_end(engine, runs) - started).total_seconds())
    return [
        Measure("W4-cli", "tasks/s", rates, 20.0, 40.0, at_least=True),
        Measure("W4-cli commands refused", "of 50", refused, 0.0, 0.0),
        Measure("W4-cli one command", "ms", singles, 350.0, 200.0),
    ]


def trigger_to_start(session: Session) -> list[Measure]:
    """W5 on an idle engine with a warm zygote: from the commit of the trigger to the first task's start."""
    latencies = Measure("W5 warm", "ms", [], 15.0, 8.0)
    samples = []
    with Engine({"single.py": "single.py"}) as engine:
        engine.run("single")
        for _ in range(max(20, session.repeat)):
            session.pause()
            samples.append(latency_ms(*engine.run("single")))
            _ask_peers(session, "W5", latencies)
    latencies.samples = samples
    return [latencies]


def trigger_to_cold_start(session: Session) -> list[Measure]:
    """W5 for DAGs whose file no process has imported yet; each repetition is the first run of another DAG."""
    count = max(6, session.repeat)
    names = [f"single_{i}" for i in range(count)]
    samples, bare = [], []
    with Engine({f"{name}.py": "single.py" for name in names}) as engine:
        for name in names:
            time.sleep(2.0)
            samples.append(latency_ms(*engine.run(name)))
            bare.append(_bare_import_ms())
    alone = statistics.median(bare)
    return [
        Measure("interpreter + DAG's import", "ms", bare),
        Measure("W5 cold", "ms", samples, alone + 30, alone + 10, why="interpreter + the DAG's import + 30 ms"),
    ]


def _bare_import_ms() -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-P", str(DAGS / "single.py")], check=True, env=environment())
    return (time.perf_counter() - started) * 1000


def idle(session: Session) -> list[Measure]:
    """W7: the memory and the CPU time of every process below the home, idle, with one warm zygote."""
    with Engine({"chain_40.py": "chain_40.py"}) as engine:
        engine.run("chain_40")
        time.sleep(session.idle_seconds / 2)
        memory, count = processes.memory_mb(processes.tree(engine.pid)), len(processes.tree(engine.pid))
        before = engine.cpu_seconds()
        time.sleep(session.idle_seconds)
        cpu = (engine.cpu_seconds() - before) * 60 / session.idle_seconds
    return [
        Measure("W7 memory (PSS)", "MB", [memory], 120.0, 60.0),
        Measure("W7 CPU per 60 s", "s", [cpu], 0.3, 0.05),
        Measure("W7 processes", "", [count]),
    ]


def many_files(session: Session) -> list[Measure]:
    """W8: three hundred new DAG files, from appearing on disk to all visible; and what is parsed again afterwards."""
    names = [f"ten_{i:03d}" for i in range(300)]
    walls, again = [], []
    for _ in range(session.repeat):
        with Engine({"single.py": "single.py"}) as engine:
            session.pause()
            started = datetime.now(UTC)
            engine.put({f"{name}.py": "ten.py" for name in names})
            walls.append((engine.wait_for_dags(set(names), poll=0.05) - started).total_seconds())
            time.sleep(1.0)
            parsed = {row.file: row.parsed_at for row in engine.control.dagfiles.report()}
            time.sleep(3.0)
            again.append(float(sum(parsed[row.file] != row.parsed_at for row in engine.control.dagfiles.report())))
    return [
        Measure("W8", "s", walls, 4.0, 2.0),
        Measure("W8 parsed again unchanged", "files", again, 0.0, 0.0),
    ]


#: In the order in which they run.
WORKLOADS: dict[str, Workload] = {
    "W1": chain_of_small_tasks,
    "W2": chain_of_large_tasks,
    "W3-200": fan_out(200),
    "W3-1000": fan_out(1000),
    "W4": many_runs,
    "W4-cli": many_commands,
    "W5": trigger_to_start,
    "W5-cold": trigger_to_cold_start,
    "W7": idle,
    "W8": many_files,
    "W3-10000": fan_out(10_000),
}
#: Only when named: it takes minutes.
OPT_IN = frozenset({"W3-10000"})


def timed_run(engine: Engine, dag_id: str) -> tuple[float, list[TaskRow]]:
    """Return the seconds from before the trigger to the run's end, and its tasks."""
    started = datetime.now(UTC)
    run, tasks = engine.run(dag_id)
    return (_end(run) - started).total_seconds(), tasks


def last_end(engine: Engine, runs: Sequence[RunRow]) -> datetime:
    """Wait for the end of these runs and return that of the last."""
    return max(_end(engine.ended(run)) for run in runs)


def _all_runs(engine: Engine) -> list[RunRow]:
    found: list[RunRow] = []
    cursor: str | None = None
    while True:
        page = engine.control.runs.list(cursor=cursor)
        found += page.items
        cursor = page.next
        if cursor is None:
            return found


def _end(run: RunRow) -> datetime:
    if run.end_date is None:
        raise BenchmarkError(f"run {run.run_id} of {run.dag_id} has ended without an end_date")
    return run.end_date


def latency_ms(run: RunRow, tasks: Sequence[TaskRow]) -> float:
    """Return the milliseconds from the commit of the trigger to the first task's start."""
    if tasks[0].start_date is None:
        raise BenchmarkError(f"the first task of run {run.run_id} has no start_date")
    return (tasks[0].start_date - run.queued_at).total_seconds() * 1000


def _gaps(tasks: Sequence[TaskRow]) -> list[float]:
    """Return the milliseconds between the end of one task and the start of the next."""
    return [
        (after.start_date - before.end_date).total_seconds() * 1000
        for before, after in itertools.pairwise(tasks)
        if before.end_date is not None and after.start_date is not None
    ]


def _ask_peers(session: Session, workload: str, measure: Measure) -> None:
    for peer in session.peers:
        measure.peers.setdefault(peer.name, []).append(peer.run(workload))
