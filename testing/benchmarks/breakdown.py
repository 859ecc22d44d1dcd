"""Where each millisecond of a small task goes: ``python testing/benchmarks profile``.

The run is W1: its tasks follow one another strictly, so the path from the end of one task's user code to the end of
the next one's is a single line through all processes. ``tracing/sitecustomize.py`` stamps the seams on that line; here
it is cut into steps whose medians add up to about the time per task.
"""

from __future__ import annotations

import bisect
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from testing.benchmarks.engine import BenchmarkError, Engine
from testing.benchmarks.workloads import Session

_TRACING = Path(__file__).with_name("tracing")

#: (which stamp, its start or its end, what was done since the one before, in which process). The line starts where the
#: user code of a task ends.
_LINE: tuple[tuple[str, Literal["start", "end"], str, str], ...] = (
    ("last_words", "end", "encode the result, send it in one write", "child"),
    ("ending", "start", "socket, wake up, decode", "supervisor"),
    ("report", "start", "gather what else has arrived", "supervisor"),
    ("ring", "start", "report: one commit (running to success, attempt, XCom, signal)", "supervisor"),
    ("bell", "end", "doorbell", "server"),
    ("read", "start", "begin the step, read the inbox", "server"),
    ("read", "end", "read the changed task, update the plan", "server"),
    ("write", "start", "decide what follows, admit", "server"),
    ("submit", "start", "one commit (none to scheduled to queued)", "server"),
    ("order", "start", "send the workload, wake up, decode", "supervisor"),
    ("claim", "start", "hand it to the spare child", "supervisor"),
    ("claim", "end", "claim: one commit (queued to running, attempt)", "supervisor"),
    ("hello", "end", "open the log, encode the context; the child wakes up and decodes it", "supervisor, child"),
    ("user", "start", "context, templates", "child"),
    ("user", "end", "user code", "child"),
)
HEAD = ("step", "process", "median ms", "min", "max", "share")


@dataclass
class Step:
    """A part of the time per task, or with ``apart`` something that is done beside the line."""

    what: str
    process: str
    samples: list[float]
    apart: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return everything for a file."""
        return asdict(self) | {"median": statistics.median(self.samples)}


class Trace:
    """The stamps of one run, by label."""

    def __init__(self, path: Path, since: int) -> None:
        self._starts: dict[str, list[tuple[int, int]]] = {}
        for line in path.read_text(encoding="ascii").splitlines():
            label, _, start, end = line.split()
            if int(start) >= since:
                self._starts.setdefault(label, []).append((int(start), int(end)))
        for stamps in self._starts.values():
            stamps.sort()

    def labels(self) -> set[str]:
        """Return which seams were passed."""
        return set(self._starts)

    def durations(self, label: str) -> list[float]:
        """Return how many milliseconds the calls at a seam took."""
        return [(end - start) / 1e6 for start, end in self._starts.get(label, []) if end]

    def next(self, label: str, edge: Literal["start", "end"], after: int) -> int | None:
        """Return the first stamp of a seam after an instant, if there is one."""
        index = 0 if edge == "start" else 1
        times = sorted(stamp[index] for stamp in self._starts.get(label, []))
        place = bisect.bisect_left(times, after)
        return times[place] if place < len(times) else None


def measure(session: Session) -> list[Step]:
    """Trace W1 and return its steps, then what is done beside the line."""
    steps = [Step(what, process, []) for _, _, what, process in _LINE]
    beside = [
        Step("ask the zygote for the next spare", "supervisor", [], apart=True),
        Step("fork the spare, tell the supervisor", "zygote", [], apart=True),
        Step("reap children", "zygote", [], apart=True),
    ]
    with tempfile.TemporaryDirectory(prefix="windlass-benchmark-") as folder:
        file = Path(folder) / "trace"
        variables = {"PYTHONPATH": str(_TRACING), "BENCHMARK_TRACE": str(file)}
        with Engine({"chain_40.py": "chain_40.py"}, extra_environment=variables) as engine:
            engine.run("chain_40")
            for _ in range(session.repeat):
                session.pause()
                since = time.monotonic_ns()
                engine.run("chain_40")
                trace = Trace(file, since)
                _cut(trace, steps)
                for step, label in zip(beside, ("ask_fork", "fork", "reap"), strict=True):
                    step.samples += trace.durations(label)
    return [step for step in (*steps, *beside) if step.samples]


def _cut(trace: Trace, steps: Sequence[Step]) -> None:
    """Follow the line from task to task and add the length of each step."""
    missing = {label for label, *_ in _LINE} - trace.labels()
    if missing:
        raise BenchmarkError(f"the trace has no stamps of {', '.join(sorted(missing))}: tracing/ names old functions")
    at = trace.next("user", "end", 0)
    while at is not None:
        times = []
        for label, edge, *_ in _LINE:
            found = trace.next(label, edge, at)
            if found is None:
                return
            times.append((found - at) / 1e6)
            at = found
        for step, milliseconds in zip(steps, times, strict=True):
            step.samples.append(milliseconds)


def rows(steps: Sequence[Step]) -> list[tuple[str, ...]]:
    """Return the steps as the cells of a table, with their sum."""
    line = [step for step in steps if not step.apart]
    total = sum(statistics.median(step.samples) for step in line)
    cells = [_cells(step, total) for step in line]
    cells.append(("sum of the line", "", f"{total:.2f}", "", "", "100 %"))
    return cells + [_cells(step, None) for step in steps if step.apart]


def _cells(step: Step, total: float | None) -> tuple[str, ...]:
    median = statistics.median(step.samples)
    share = "beside" if total is None else f"{median / total * 100:.0f} %"
    return step.what, step.process, f"{median:.2f}", f"{min(step.samples):.2f}", f"{max(step.samples):.2f}", share
