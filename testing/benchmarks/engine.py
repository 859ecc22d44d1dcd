"""A Windlass of its own for a measurement: a temporary home and DAG folder, and ``windlass standalone`` as a child.

The benchmark talks to it as any program does, through ``windlass.control`` over the same store, and takes every time
from what the engine itself stamped. Polling for the end of a run is therefore allowed to be lazy, and is, so that it
does not take CPU from what is measured.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from testing.benchmarks import processes

from windlass.app.services import open_control
from windlass.config import Settings
from windlass.control import Control, RunRow, TaskRow

DAGS = Path(__file__).parent / "dags"
#: The console script beside this interpreter.
WINDLASS = Path(sys.executable).with_name("windlass")
_READY_PATIENCE = 30.0
_STOP_PATIENCE = 30.0
_POLL = 0.03


class BenchmarkError(Exception):
    """The engine did not do its work, so there is nothing to measure."""


def environment(**extra: str) -> dict[str, str]:
    """Return this process's environment for a measured child.

    Bytecode is written, as on any installation, and no setting of the caller's own Windlass leaks in.
    """
    hidden = ("WINDLASS", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH")
    return {name: value for name, value in os.environ.items() if not name.startswith(hidden)} | extra


class Engine:
    """One running ``windlass standalone``; a context manager.

    Args:
        dags: name of a file in the DAG folder -> the file of ``dags`` that it is a copy of.
        settings: ``section.key`` -> value, beyond the defaults.
        extra_environment: for tracing.
    """

    def __init__(
        self,
        dags: Mapping[str, str],
        settings: Mapping[str, str] | None = None,
        extra_environment: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="windlass-benchmark-"))
        self.home = self._folder / "home"
        self.dags_folder = self._folder / "dags"
        self.dags_folder.mkdir()
        self.put(dags)
        self._expected = {Path(name).stem for name in dags}
        flags = {
            "core.dags_folder": str(self.dags_folder),
            "core.dags_are_paused_at_creation": "false",
            **(settings or {}),
        }
        variables = {f"WINDLASS__{name.replace('.', '__').upper()}": value for name, value in flags.items()}
        self.environment = environment(WINDLASS_HOME=str(self.home), **variables, **(extra_environment or {}))
        self._process: subprocess.Popen[str] | None = None
        self._output: list[str] = []
        self._ready = threading.Event()
        #: Seconds from the start of the process to its ``ready``.
        self.ready_seconds = 0.0
        self._control: Control | None = None

    def put(self, dags: Mapping[str, str]) -> None:
        """Copy files into the DAG folder."""
        for name, source in dags.items():
            shutil.copyfile(DAGS / source, self.dags_folder / name)

    def __enter__(self) -> Self:
        try:
            self.start()
            self._control = open_control(Settings.load(environ=self.environment, cwd=self._folder))
            self.wait_for_dags(self._expected)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def control(self) -> Control:
        """The control services over the engine's store."""
        if self._control is None:
            msg = "the engine is not started"
            raise BenchmarkError(msg)
        return self._control

    @property
    def pid(self) -> int:
        """The server's process."""
        if self._process is None:
            msg = "the engine is not started"
            raise BenchmarkError(msg)
        return self._process.pid

    def start(self) -> None:
        """Start the server and wait until it says ``ready``."""
        self._ready.clear()
        started = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "windlass", "standalone"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
            cwd=self._folder,
        )
        threading.Thread(target=self._read_output, args=(self._process, started), daemon=True).start()
        if not self._ready.wait(_READY_PATIENCE) or self._process.poll() is not None:
            raise BenchmarkError(f"windlass standalone did not get ready; it wrote:\n{''.join(self._output)}")

    def _read_output(self, process: subprocess.Popen[str], started: float) -> None:
        for line in process.stderr or ():
            if line == "ready\n":
                self.ready_seconds = time.monotonic() - started
                self._ready.set()
            self._output.append(line)
        self._ready.set()  # it ended: nobody needs to wait on

    def stop(self) -> None:
        """Stop the server and its supervisor."""
        if self._process is None:
            return
        pids = processes.tree(self._process.pid)
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_PATIENCE)
        except subprocess.TimeoutExpired:
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            self._process.wait()
        self._process = None

    def close(self) -> None:
        """Stop everything and remove the home."""
        if self._control is not None:
            self._control.close()
            self._control = None
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    # --- Asking it

    def wait_for_dags(self, dag_ids: set[str], patience: float = 60.0, poll: float = _POLL) -> datetime:
        """Wait until all of these DAGs are visible; return when that was."""
        deadline = time.monotonic() + patience
        while True:
            known = set(self.control.dags.ids())
            now = datetime.now(UTC)
            if dag_ids <= known:
                return now
            if time.monotonic() > deadline:
                errors = "\n".join(row.error for row in self.control.dagfiles.import_errors())
                raise BenchmarkError(f"only {len(known)} of {len(dag_ids)} DAGs are visible. {errors}")
            time.sleep(poll)

    def trigger(self, dag_id: str) -> RunRow:
        """Create a run."""
        return self.control.runs.trigger(dag_id, actor="benchmark")

    def ended(self, run: RunRow, patience: float = 600.0) -> RunRow:
        """Wait for a run's end and return it.

        :raises BenchmarkError: if it failed, or does not end.
        """
        deadline = time.monotonic() + patience
        while not run.state.is_terminal:
            if time.monotonic() > deadline:
                raise BenchmarkError(f"run {run.run_id} of {run.dag_id} did not end in {patience:.0f} s")
            time.sleep(_POLL)
            run = self.control.runs.get(run.dag_id, run.run_id)
        if run.state.value != "success":
            raise BenchmarkError(f"run {run.run_id} of {run.dag_id} ended as {run.state.value}")
        return run

    def tasks(self, run: RunRow) -> list[TaskRow]:
        """Return the run's task instances in the order in which they started."""
        rows = self.control.tasks.of_run(run.dag_id, run.run_id)
        return sorted(rows, key=lambda row: row.start_date or datetime.max.replace(tzinfo=UTC))

    def run(self, dag_id: str) -> tuple[RunRow, list[TaskRow]]:
        """Trigger a run and wait for its end."""
        run = self.ended(self.trigger(dag_id))
        return run, self.tasks(run)

    def cpu_seconds(self) -> float:
        """Return the CPU time of all its processes so far."""
        return processes.cpu_seconds(processes.tree(self.pid))

    def cpu_by_role(self) -> dict[str, float]:
        """Return the CPU time of the server, the supervisor, and the zygotes with their tasks so far."""
        return processes.cpu_by_role(self.pid)
