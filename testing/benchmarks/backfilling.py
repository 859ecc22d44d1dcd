"""A backfill of a thousand daily intervals of a DAG of three tasks: how long it takes, and what the scheduler holds."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from testing.benchmarks import processes
from testing.benchmarks.engine import BenchmarkError, Engine
from testing.benchmarks.measures import Measure
from testing.benchmarks.workloads import Session

from windlass.control import BackfillRequest, BackfillRow
from windlass.ports import BackfillState

_INTERVALS = 1000
_TASKS = 3
_FIRST = datetime(2020, 1, 1, tzinfo=UTC)
_POLL = 0.2
_PATIENCE = 1200.0


def backfill(session: Session) -> list[Measure]:
    """The seconds from the command to the completion, and the most memory of the server's process meanwhile."""
    walls, rates, commands, memory, growth = [], [], [], [], []
    for _ in range(session.repeat):
        with Engine({"daily_3.py": "daily_3.py"}) as engine:
            session.pause()
            idle = processes.memory_mb([engine.pid])
            request = BackfillRequest(
                dag_id="daily_3", from_date=_FIRST, to_date=_FIRST + timedelta(days=_INTERVALS - 1), max_active_runs=16
            )
            started = time.perf_counter()
            made = engine.control.backfills.create(request, actor="benchmark")
            commands.append((time.perf_counter() - started) * 1000)
            ended, most = _watch(engine, made)
            walls.append((ended - made.created_at).total_seconds())
            rates.append(_INTERVALS * _TASKS / walls[-1])
            memory.append(most)
            growth.append(most - idle)
    return [
        Measure("backfill of 1,000 intervals", "s", walls),
        Measure("backfill tasks", "tasks/s", rates),
        Measure("backfill command", "ms", commands),
        Measure("backfill server memory, most", "MB", memory),
        Measure("backfill server memory, growth", "MB", growth),
    ]


def _watch(engine: Engine, made: BackfillRow) -> tuple[datetime, float]:
    """Return when a backfill was completed, and the most memory that the server had until then."""
    deadline = time.monotonic() + _PATIENCE
    most = 0.0
    while time.monotonic() < deadline:
        most = max(most, processes.memory_mb([engine.pid]))
        row = engine.control.backfills.get(made.id)
        if row.state is BackfillState.COMPLETED and row.completed_at is not None:
            if row.runs["success"] != _INTERVALS:
                raise BenchmarkError(f"of {_INTERVALS} runs these ended well: {row.runs}")
            return row.completed_at, most
        time.sleep(_POLL)
    raise BenchmarkError(f"backfill {made.id} was not completed in {_PATIENCE:.0f} s")
