"""The workloads in DBOS, a library of durable workflows in threads, with SQLite. Run by ``peers`` in its own venv."""

from __future__ import annotations

import importlib.metadata
import sys
import time

from dbos import DBOS

POLL = 0.05
starts: list[float] = []
ends: list[float] = []


def fibo(n: int) -> int:
    """The body of W1 and W2."""
    return n if n < 2 else fibo(n - 1) + fibo(n - 2)


@DBOS.step()
def link(n: int) -> None:
    """A task of a chain."""
    starts.append(time.time())
    fibo(n)


@DBOS.step()
def noop() -> None:
    """A task that does nothing."""
    starts.append(time.time())
    ends.append(time.time())


@DBOS.workflow()
def links(count: int, n: int) -> None:
    """W1 and W2."""
    for _ in range(count):
        link(n)


@DBOS.workflow()
def noops(count: int) -> None:
    """W3, W4 and W5."""
    for _ in range(count):
        noop()


def measure(workload: str) -> float:
    """Run a workload once."""
    starts.clear()
    ends.clear()
    started = time.time()
    match workload.split("-"):
        case ["W1"]:
            links(40, 10)
            return time.time() - started
        case ["W2"]:
            links(10, 33)
            return time.time() - started
        case ["W3", width]:
            handles = [DBOS.enqueue_workflow("w3", noops, 1) for _ in range(int(width))]
        case ["W4"]:
            handles = [DBOS.enqueue_workflow("w4", noops, 5) for _ in range(50)]
        case ["W5"]:
            DBOS.start_workflow(noops, 1).get_result()
            return (starts[0] - started) * 1000
        case _:
            sys.exit(f"no workload {workload}")
    for handle in handles:
        handle.get_result()
    return len(ends) / (max(ends) - started)


DBOS(config={"name": "benchmark", "system_database_url": "sqlite:///dbos.sqlite", "log_level": "ERROR"})
DBOS.launch()
DBOS.register_queue("w3", worker_concurrency=8, polling_interval_sec=POLL)
DBOS.register_queue("w4", worker_concurrency=16, polling_interval_sec=POLL)
time.sleep(1.0)
links(3, 1)
print("ANSWER", importlib.metadata.version("dbos"), flush=True)
for line in sys.stdin:
    print("ANSWER", measure(line.strip()), flush=True)
DBOS.destroy()
