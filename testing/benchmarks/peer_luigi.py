"""The workloads in Luigi with its local scheduler and forking workers. Run by ``peers`` in its own venv.

A task is complete when its marker file exists, Luigi's usual target; the files hold the stamps.
"""

from __future__ import annotations

import importlib.metadata
import logging
import sys
import time
from pathlib import Path

import luigi

logging.getLogger("luigi").setLevel(logging.ERROR)
logging.getLogger("luigi-interface").setLevel(logging.ERROR)


def fibo(n: int) -> int:
    """The body of W1 and W2."""
    return n if n < 2 else fibo(n - 1) + fibo(n - 2)


class Link(luigi.Task):
    """A task of a chain; with ``n`` 0 it does nothing."""

    folder = luigi.Parameter()
    k = luigi.IntParameter()
    n = luigi.IntParameter()
    alone = luigi.BoolParameter(default=False)

    def requires(self) -> luigi.Task | list[luigi.Task]:
        """The link before."""
        return Link(folder=self.folder, k=self.k - 1, n=self.n) if self.k and not self.alone else []

    def output(self) -> luigi.LocalTarget:
        """The marker."""
        return luigi.LocalTarget(str(Path(self.folder) / f"{self.k:05d}"))

    def run(self) -> None:
        """Do it and leave the marker."""
        start = time.time()
        if self.n:
            fibo(self.n)
        with self.output().open("w") as file:
            file.write(f"{start} {time.time()}")


def build(tasks: list[luigi.Task], workers: int) -> float:
    """Have Luigi run these; return the seconds that it took."""
    started = time.time()
    if not luigi.build(tasks, local_scheduler=True, workers=workers, log_level="ERROR", no_lock=True):
        sys.exit("Luigi failed")
    return time.time() - started


def measure(workload: str, number: int) -> float:
    """Run a workload once."""
    folder = f"run-{number}"
    match workload.split("-"):
        case ["W1"]:
            return build([Link(folder=folder, k=39, n=10)], 8)
        case ["W2"]:
            return build([Link(folder=folder, k=9, n=33)], 8)
        case ["W3", width]:
            return int(width) / build([Link(folder=folder, k=k, n=0, alone=True) for k in range(int(width))], 8)
        case ["W4"]:
            return 250 / build([Link(folder=f"{folder}-{i}", k=4, n=0) for i in range(50)], 16)
        case ["W5"]:
            started = time.time()
            build([Link(folder=folder, k=0, n=0)], 8)
            return (float(Path(folder, "00000").read_text().split()[0]) - started) * 1000
    sys.exit(f"no workload {workload}")


print("ANSWER", importlib.metadata.version("luigi"), flush=True)
for index, line in enumerate(sys.stdin):
    print("ANSWER", measure(line.strip(), index), flush=True)
