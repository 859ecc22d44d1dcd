"""What a task's process costs from its fork to its end, in several checkouts, in turns.

``python testing/benchmarks/children.py NAME=CHECKOUT ... [--rounds 30]``: for each round one zygote of each checkout,
in that one's ``.venv``, loads a fan-out. Then they take turns on one core: eight children are forked, claim nothing,
run one task each and are reaped, twelve times. Printed are microseconds per child and their ratio to those of the first
checkout, with the standard error of its mean over the rounds: how much a zygote's memory happens to differ from start
to start is in it, and most of what a machine shared with others does is in all of them. Whole runs in turns tell
differences of three percent, this tells one.

There is no supervisor: this process says what one would say, so the checkouts must speak the same protocol.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from typing import Self

sys.path[0] = str(Path(__file__).resolve().parents[2])

from testing.benchmarks.engine import DAGS, BenchmarkError, environment  # noqa: E402 - only importable from here on

from windlass.dagfiles.snapshot import CodeStore, Manifest  # noqa: E402
from windlass.protocol import AttemptContext, Reply, encode, frame  # noqa: E402
from windlass.protocol.forking import (  # noqa: E402
    BIND_AT_START,
    LEASE_VARIABLE,
    MAX_DATAGRAM,
    NO_TOKEN,
    Exited,
    Fork,
    Load,
    Ready,
    datagram,
    from_zygote,
)

_DAG = "fan_out_200"
#: So many children at once, so often for each zygote.
_AT_ONCE, _TURNS = 8, 12


class Zygote:
    """A zygote of a checkout that has loaded the fan-out below ``code``; a context manager."""

    def __init__(self, checkout: Path, code: Path, version: str) -> None:
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        python = checkout / ".venv" / "bin" / "python"
        mark = {LEASE_VARIABLE: f"{'0' * 16}.{NO_TOKEN}"}
        with theirs:
            self._process = subprocess.Popen(
                [python, "-P", "-m", "windlass.runtime", "zygote", str(theirs.fileno()), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                env=environment(**BIND_AT_START, **mark),
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        self._line.send(datagram(Load(code=str(code), code_version=version, file=f"{_DAG}.py")))
        answer = self._line.recv(MAX_DATAGRAM)
        if not answer or not isinstance(from_zygote(answer), Ready):
            self.close()
            raise BenchmarkError(f"the zygote of {checkout} does not load {_DAG}.py: {answer.decode(errors='replace')}")
        self._tasks = cycle(range(200))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        self._line.close()
        self._process.wait()

    def children(self, number: int = _AT_ONCE) -> float:
        """Have so many children forked, run and reaped; return the microseconds of one.

        :raises BenchmarkError: if one does not succeed.
        """
        pairs = [socket.socketpair() for _ in range(number)]
        logs = [os.pipe() for _ in range(number)]
        started = time.perf_counter()
        passed = [fd for (_, theirs), (_, log) in zip(pairs, logs, strict=True) for fd in (theirs.detach(), log)]
        socket.send_fds(self._line, [datagram(Fork(tokens=[f"{i:032x}" for i in range(number)]))], passed)
        for fd in passed:
            os.close(fd)
        for line, _ in pairs:
            line.recv(4096)  # hello
            line.sendall(frame(encode(Reply(1, _context(next(self._tasks))))))
        endings = [line.recv(4096) for line, _ in pairs]
        gone = 0
        while gone < number:
            message = from_zygote(self._line.recv(MAX_DATAGRAM))
            gone += len(message.statuses) if isinstance(message, Exited) else 0
        seconds = time.perf_counter() - started
        for (line, _), (log, _) in zip(pairs, logs, strict=True):
            line.close()
            os.close(log)
        if not all(b"success" in ending for ending in endings):
            raise BenchmarkError(f"a task did not succeed: {endings}")
        return seconds / number * 1e6


def _context(task: int) -> AttemptContext:
    now = datetime.now(UTC)
    return AttemptContext(
        dag_id=_DAG, run_id="manual", task_id=f"noop_{task:05}", map_index=-1, try_number=1, max_tries=0, epoch=1,
        lease_id=NO_TOKEN, run_type="manual", logical_date=now, data_interval_start=now, data_interval_end=now,
        run_after=now, queued_at=now, run_start_date=now, log_path="a/log",
    )  # fmt: skip


def measure(checkouts: dict[str, Path], rounds: int) -> dict[str, list[float]]:
    """Return for each name the median microseconds of a child, of each of its zygotes."""
    found: dict[str, list[float]] = {name: [] for name in checkouts}
    with tempfile.TemporaryDirectory(prefix="windlass-benchmark-") as folder:
        file = Path(folder, f"{_DAG}.py")
        shutil.copyfile(DAGS / "fan_out.py", file)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        code = Path(folder, "code")
        version = CodeStore(code).keep(Manifest.of("dags", folder, file.name, {file.name: digest}))
        for number in range(rounds):
            turn = number % len(checkouts)
            names = [*checkouts][turn:] + [*checkouts][:turn]  # none is always the first to start
            for name, samples in _round({name: checkouts[name] for name in names}, code, version).items():
                found[name].append(statistics.median(samples))
    return found


def _round(checkouts: dict[str, Path], code: Path, version: str) -> dict[str, list[float]]:
    samples: dict[str, list[float]] = {name: [] for name in checkouts}
    with ExitStack() as stack:
        zygotes = {name: stack.enter_context(Zygote(path, code, version)) for name, path in checkouts.items()}
        for zygote in zygotes.values():
            zygote.children()  # the first are forked from memory that nothing shares yet
        for turn in range(_TURNS):
            for name in list(zygotes)[:: 1 if turn % 2 else -1]:
                samples[name].append(zygotes[name].children())
    return samples


def _named_checkout(text: str) -> tuple[str, Path]:
    name, _, path = text.rpartition("=")
    checkout = Path(path).resolve()
    if not (checkout / ".venv" / "bin" / "python").exists():
        raise argparse.ArgumentTypeError(f"{checkout} is no checkout with a .venv; run `uv sync` there")
    return name or checkout.name, checkout


def main(arguments: list[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="children.py", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("checkouts", nargs="+", type=_named_checkout, metavar="NAME=CHECKOUT")
    parser.add_argument("--rounds", type=int, default=30)
    given = parser.parse_args(arguments)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    found = measure(dict(given.checkouts), given.rounds)
    first = next(iter(found.values()))
    for name, each in found.items():
        ratios = [ours / base for ours, base in zip(each, first, strict=True)]
        error = statistics.stdev(ratios) / len(ratios) ** 0.5 if len(ratios) > 1 else float("nan")
        print(f"{name:20} {statistics.median(each):7.0f} us  x {statistics.mean(ratios):.3f} +- {error:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
