"""S1 and S2: how long ``windlass simulate`` takes, without the command around it.

Both are bound by the processor alone, so each sample is the CPU seconds of this process as well as the wall's.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from testing.benchmarks.engine import BenchmarkError
from testing.benchmarks.measures import Measure
from testing.benchmarks.workloads import Session

from windlass.spec import CronIntervalSpec, DagSpec, MapSpec, TaskSpec, XComLength
from windlass_testing.simulate.world import simulate

_FROM = datetime(2026, 1, 1, tzinfo=UTC)


def _chain(dag_id: str, length: int, cron: str, *, catchup: bool = True) -> DagSpec:
    tasks = tuple(
        TaskSpec(task_id=f"t{number}", upstream=(f"t{number - 1}",) if number else (), pool=f"p{number % 3}")
        for number in range(length)
    )
    schedule = CronIntervalSpec(expression=cron)
    return DagSpec(dag_id=dag_id, tasks=tasks, schedule=schedule, start_date=_FROM, catchup=catchup)


def _measured(
    session: Session, name: str, specs: Sequence[DagSpec], days: float, runs: int, tasks: int, *, runs_only: bool
) -> list[Measure]:
    wall, cpu = Measure(name, "s", [], 10.0), Measure(f"{name} CPU", "s", [])
    wall_samples, cpu_samples = [], []
    until = _FROM + timedelta(days=days)
    for _ in range(session.repeat):
        session.pause()
        started, used = time.perf_counter(), time.process_time()
        outcome = simulate(specs, _FROM, until, pools={f"p{n}": 20 for n in range(3)}, runs_only=runs_only)
        wall_samples.append(time.perf_counter() - started)
        cpu_samples.append(time.process_time() - used)
        if (len(outcome.runs), len(outcome.tasks)) != (runs, tasks):
            raise BenchmarkError(f"{name} made {len(outcome.runs)} runs and {len(outcome.tasks)} task instances")
    wall.samples, cpu.samples = wall_samples, cpu_samples
    return [wall, cpu]


def a_year_of_runs(session: Session) -> list[Measure]:
    """S1: the runs of 100 daily DAGs in a year, all at midnight, and each at a minute of its own."""
    together = [_chain(f"d{number}", 10, "0 0 * * *", catchup=bool(number % 2)) for number in range(100)]
    apart = [_chain(f"d{number}", 10, f"{number % 60} {number % 24} * * *") for number in range(100)]
    return [
        *_measured(session, "S1", together, 366, 36_500, 0, runs_only=True),
        *_measured(session, "S1-apart", apart, 366, 36_500, 0, runs_only=True),
    ]


def twenty_thousand_tasks(session: Session) -> list[Measure]:
    """S2: 20,000 task instances in full, of chains in three pools, and of one run that maps."""
    chains = [_chain(f"d{number}", 10, "0 * * * *") for number in range(20)]
    mapping = MapSpec(factors=(("x", XComLength(task_id="t0")),))
    mapped = DagSpec(
        dag_id="mapped",
        tasks=(TaskSpec(task_id="t0"), TaskSpec(task_id="m", upstream=("t0",), map=mapping)),
        schedule=CronIntervalSpec(expression="0 0 * * *"),
        start_date=_FROM,
        max_map_length=20_000,
        max_active_tasks=-1,
    )
    return [
        *_measured(session, "S2", chains, 101 / 24, 2_000, 20_000, runs_only=False),
        *_mapped(session, mapped),
    ]


def _mapped(session: Session, spec: DagSpec) -> list[Measure]:
    from windlass_testing.simulate.assumptions import Assumptions, DagEntry, TaskEntry

    told = Assumptions(dags={"mapped": DagEntry(tasks={"t0": TaskEntry(length=19_999)})})
    samples = []
    for _ in range(session.repeat):
        session.pause()
        started = time.perf_counter()
        outcome = simulate([spec], _FROM, _FROM + timedelta(days=1.9), assumptions=told)
        samples.append(time.perf_counter() - started)
        if len(outcome.tasks) != 20_000:
            raise BenchmarkError(f"S2-mapped made {len(outcome.tasks)} task instances")
    return [Measure("S2-mapped", "s", samples, 10.0)]


SIMULATIONS = {"S1": a_year_of_runs, "S2": twenty_thousand_tasks}
