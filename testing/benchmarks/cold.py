"""W6, the cold costs: what starting, importing and installing Windlass take."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from testing.benchmarks.engine import WINDLASS, Engine, environment
from testing.benchmarks.measures import Measure
from testing.benchmarks.workloads import Session

_CORE = Path(__file__).resolve().parents[2] / "core"
_SAMPLES = 20


def cold(session: Session) -> list[Measure]:
    """Import, ``--help``, ``--version`` and the start of ``standalone``."""
    return [
        _import_cost(),
        Measure("--help", "ms", _walls([str(WINDLASS), "--help"]), 100.0, 60.0),
        Measure("--version", "ms", _walls([str(WINDLASS), "--version"]), 40.0, 25.0),
        _ready(session),
    ]


def _import_cost() -> Measure:
    """CPU time above a bare interpreter, the two in turns."""
    samples = []
    _cpu_ms("from windlass import DAG, task")  # compiles
    for _ in range(_SAMPLES):
        bare = _cpu_ms("pass")
        samples.append(_cpu_ms("from windlass import DAG, task") - bare)
    return Measure("from windlass import DAG, task", "CPU ms", samples, 60.0, 30.0)


def _cpu_ms(code: str) -> float:
    process = subprocess.Popen([sys.executable, "-c", code], env=environment())
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return (usage.ru_utime + usage.ru_stime) * 1000


def _walls(command: Sequence[str]) -> list[float]:
    samples = []
    for _ in range(_SAMPLES + 1):
        started = time.perf_counter()
        subprocess.run(command, env=environment(), stdout=subprocess.DEVNULL, check=True)
        samples.append((time.perf_counter() - started) * 1000)
    return samples[1:]  # the first one compiles


def _ready(session: Session) -> Measure:
    """From the start of the process to ``ready``, in a new home: it makes the database, too."""
    samples = []
    for _ in range(max(5, session.repeat)):
        with Engine({"chain_40.py": "chain_40.py"}) as engine:
            samples.append(engine.ready_seconds)
    return Measure("standalone ready", "s", samples, 1.5, 0.7)


def install(_: Session) -> list[Measure]:
    """Distributions and size of the slim core and of ``[server]``, installed from a built wheel into fresh venvs."""
    measures = []
    folder = Path(tempfile.mkdtemp(prefix="windlass-benchmark-"))
    try:
        build = ["uv", "build", "--quiet", "--wheel", "--out-dir", str(folder / "dist"), str(_CORE)]
        subprocess.run(build, check=True)
        (wheel,) = (folder / "dist").glob("*.whl")
        for extra, distributions, megabytes in (("", 9, 4.0), ("[server]", 24, 50.0)):
            count, size, seconds = _installed(folder / f"venv{extra}", f"{wheel}{extra}")
            measures += [
                Measure(f"windlass{extra}", "distributions", [float(count)], float(distributions)),
                Measure(f"windlass{extra}", "MB", [size], megabytes),
                Measure(f"windlass{extra} to install", "s", [seconds]),
            ]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return measures


def _installed(venv: Path, requirement: str) -> tuple[int, float, float]:
    """Install into a fresh environment; return the number of distributions, their megabytes and the seconds."""
    subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, str(venv)], check=True)  # noqa: S607 - uv is on the path
    started = time.perf_counter()
    install = ["uv", "pip", "install", "--quiet", "--python", str(venv / "bin" / "python"), requirement]
    subprocess.run(install, check=True)
    seconds = time.perf_counter() - started
    (libraries,) = venv.glob("lib/python*/site-packages")
    names = [path for path in libraries.glob("*.dist-info") if not path.name.startswith(("pip-", "setuptools-"))]
    size = sum(path.stat().st_size for path in libraries.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return len(names), size / 1e6, seconds
