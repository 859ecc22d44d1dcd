"""What this machine can do at best, so that the engine's times can be read as multiples of it.

The bare cost of process isolation is the fork, exit and wait of a process just like a zygote; that of durability a
commit of SQLite with ``synchronous=FULL``; that of talking to the child a round trip over a Unix socket.
"""

from __future__ import annotations

import os
import platform
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from testing.benchmarks.engine import DAGS, environment

from windlass.version import __version__

_ZYGOTE = Path(__file__).with_name("bare_zygote.py")
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Limits:
    """The machine's limits: milliseconds, or things per second."""

    fork_ms: float
    forks_per_second: float
    commit_ms: float
    round_trip_ms: float

    @property
    def gap_ms(self) -> float:
        """The least that could lie between two isolated, durable tasks, by the budget's own sum."""
        return self.fork_ms + 2 * self.commit_ms + 4 * self.round_trip_ms


def measure(*, quick: bool = False) -> Limits:
    """Measure all limits; takes a few seconds, or ``quick`` less than one.

    What is held against them is measured right afterwards, so that both see the same machine.
    """
    part = 4 if quick else 1
    fork_ms, _ = forks(1, 300 // part)
    _, rate = forks(os.cpu_count() or 1, 300 // part)
    return Limits(fork_ms, rate, _commit_ms(2000 // part), _round_trip_ms(2000 // part))


def forks(
    processes: int, count: int, file: Path = DAGS / "chain_40.py", *, lightened: bool = False
) -> tuple[float, float]:
    """Let this many bare zygotes of ``file`` fork at once; return the median milliseconds of one and all per second.

    They fork as Python does by itself, or ``lightened`` as Windlass's own zygotes do.
    """
    command = [sys.executable, "-P", str(_ZYGOTE), str(file), str(count), *(["--lightened"] if lightened else [])]
    zygotes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment())
        for _ in range(processes)
    ]
    for zygote in zygotes:
        _line(zygote)  # it has imported the file
    started = time.perf_counter()
    for zygote in zygotes:
        assert zygote.stdin is not None  # noqa: S101 - it is a pipe
        zygote.stdin.write("go\n")
        zygote.stdin.flush()
    medians = [float(_line(zygote)) for zygote in zygotes]
    rate = processes * count / (time.perf_counter() - started)
    for zygote in zygotes:
        zygote.communicate()
    return statistics.median(medians), rate


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    return process.stdout.readline()


def _commit_ms(count: int) -> float:
    with tempfile.TemporaryDirectory(prefix="windlass-benchmark-") as folder:
        connection = sqlite3.connect(Path(folder) / "limit.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE task (id INTEGER PRIMARY KEY, state TEXT, at REAL)")
        started = time.perf_counter()
        for _ in range(count):
            connection.execute("INSERT INTO task (state, at) VALUES ('success', 1.5)")
        elapsed = time.perf_counter() - started
        connection.close()
    return elapsed / count * 1000


def _round_trip_ms(count: int) -> float:
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        while data := theirs.recv(64):
            theirs.sendall(data)
        os._exit(0)
    theirs.close()
    started = time.perf_counter()
    for _ in range(count):
        ours.sendall(b"x" * 64)
        ours.recv(64)
    elapsed = time.perf_counter() - started
    ours.close()
    os.waitpid(pid, 0)
    return elapsed / count * 1000


def describe() -> dict[str, str]:
    """Return what a reader must know of where and on what this ran."""
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "cpus": f"{os.cpu_count()} x {_cpu_model()}",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "windlass": __version__,
        "commit": _commit(),
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _commit() -> str:
    command = ["git", "-C", str(_ROOT), "describe", "--always", "--dirty"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return answer.stdout.strip() or "unknown"


def as_json(limits: Limits) -> dict[str, float]:
    """Return the limits for a file."""
    return asdict(limits) | {"gap_ms": limits.gap_ms}
