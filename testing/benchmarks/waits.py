"""The cost of waiting: a thousand deferred tasks, all in one trigger host."""

from __future__ import annotations

import time
from pathlib import Path

from testing.benchmarks import processes
from testing.benchmarks.engine import BenchmarkError, Engine
from testing.benchmarks.measures import Measure
from testing.benchmarks.workloads import Session

_COUNT = 1000
_PATIENCE = 120.0


def many_waits(session: Session) -> list[Measure]:
    """Let a thousand sensors defer, then watch what the host and the whole installation use while nothing happens."""
    with Engine({f"waits_{_COUNT}.py": "waits.py"}, {"core.parallelism": "64"}) as engine:
        started = time.perf_counter()
        run = engine.trigger(f"waits_{_COUNT}")
        deadline = started + _PATIENCE
        while any(task.state.value != "deferred" for task in engine.tasks(run)):
            if time.perf_counter() > deadline:
                raise BenchmarkError(f"not all of {_COUNT} tasks have deferred within {_PATIENCE:.0f} s")
            time.sleep(0.1)
        deferring = time.perf_counter() - started
        time.sleep(session.idle_seconds / 4)
        hosts = _hosts(engine.pid)
        before, all_before = processes.cpu_seconds(hosts), engine.cpu_seconds()
        time.sleep(session.idle_seconds)
        host = (processes.cpu_seconds(hosts) - before) / session.idle_seconds * 100
        everything = (engine.cpu_seconds() - all_before) / session.idle_seconds * 100
        memory = processes.memory_mb(hosts)
    return [
        Measure(f"waits: trigger hosts for {_COUNT}", "", [float(len(hosts))], 1.0, 1.0),
        Measure("waits: CPU of the host", "%", [host], 1.0, 0.3),
        Measure("waits: CPU of all processes", "%", [everything]),
        Measure("waits: memory of the host (PSS)", "MB", [memory]),
        Measure(f"waits: {_COUNT} tasks run and defer", "s", [deferring]),
    ]


def _hosts(server: int) -> list[int]:
    found = []
    for pid in processes.tree(server):
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if b"windlass.runtime" in command and b"triggers" in command:
            found.append(pid)
    return found
