"""Other engines that run the same bodies, each in a virtual environment of its own, in turns with ours.

An environment is made on demand below the user's cache folder. The peer is one process that reads the name of a
workload per line and answers with one number: seconds (W1, W2), tasks per second (W3, W4) or milliseconds (W5).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from testing.benchmarks.engine import BenchmarkError, environment

#: Name -> what is installed, and what the tables call it.
PEERS = {
    "dbos": ("dbos>=3.4", "DBOS, threads, SQLite, polling every 0.05 s"),
    "luigi": ("luigi>=3.6", "Luigi, 8 forking workers, nothing durable"),
}


class Peer:
    """A running peer. Close it when done."""

    def __init__(self, name: str) -> None:
        requirement, self.description = PEERS[name]
        self.name = name
        self._folder = tempfile.mkdtemp(prefix=f"windlass-benchmark-{name}-")
        self._process = subprocess.Popen(
            [str(_interpreter(name, requirement)), str(Path(__file__).with_name(f"peer_{name}.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
            cwd=self._folder,
        )
        self.version = self._answer()

    def run(self, workload: str) -> float:
        """Have it run a workload once."""
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        self._process.stdin.write(f"{workload}\n")
        self._process.stdin.flush()
        return float(self._answer())

    def close(self) -> None:
        """End it and remove what it wrote."""
        self._process.communicate()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answer(self) -> str:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        for line in self._process.stdout:
            if line.startswith("ANSWER "):
                return line.removeprefix("ANSWER ").strip()
        raise BenchmarkError(f"{self.name} ended without an answer; its own words stand above")


def _interpreter(name: str, requirement: str) -> Path:
    """Return the interpreter of a peer's environment, made and filled first if there is none."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "windlass-benchmarks"
    venv = cache / f"{name}-{sys.version_info.major}.{sys.version_info.minor}"
    python = venv / "bin" / "python"
    if not (venv / "complete").exists():
        subprocess.run(["uv", "venv", "--quiet", "--clear", "--python", sys.executable, str(venv)], check=True)  # noqa: S607 - uv is on the path
        install = ["uv", "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python), requirement]
        subprocess.run(install, check=True)
        (venv / "complete").touch()
    return python
