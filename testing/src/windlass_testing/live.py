"""A whole installation in a folder of its own: real commands, real processes, and nothing left behind.

For tests of what only the shipped processes together can show; for those of the services and the command line,
:mod:`windlass_testing.installation` is faster.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from windlass.app.clocks import SystemRng
from windlass.errors import DagNotFound
from windlass.states import RunState
from windlass.store import Store, TaskRow, open_store
from windlass_testing.stores import environ_of, url_of

PATIENCE = 40.0


class LiveInstallation:
    """A home, its DAG folder, its server, and a ledger that tasks append to outside the database.

    ``database`` is the URL of its database, by default what :mod:`windlass_testing.stores` says. ``home`` is the home's
    name, for a second one in the same folder, with the same ledger.
    """

    def __init__(self, folder: Path, *, database: str | None = None, home: str = "home") -> None:
        self.home = folder / home
        self.dags = self.home / "dags"
        self.dags.mkdir(parents=True)
        self.home.chmod(0o700)
        self.ledger_file = folder / "ledger"
        self.ledger_file.touch()
        self.servers: list[subprocess.Popen[bytes]] = []
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("WINDLASS_")},
            "LEDGER": str(self.ledger_file),
        }
        self.url = url_of(self.home) if database is None else database
        if database is None:
            self.environ |= environ_of(self.home)
        else:
            self.environ |= {"WINDLASS_HOME": str(self.home), "WINDLASS__DATABASE__SQL_ALCHEMY_CONN": database}

    def write(self, name: str, source: str) -> None:
        """Write a file into the DAG folder."""
        (self.dags / name).write_text(source, encoding="utf-8")

    # --- Commands

    def command(self, *args: str) -> list[str]:
        """Return the command line of ``windlass`` with these arguments."""
        return [sys.executable, "-P", "-m", "windlass", *args]

    def windlass(self, *args: str, code: int = 0) -> str:
        """Run a command to its end; it must exit with ``code``."""
        done = subprocess.run(
            self.command(*args), env=self.environ, capture_output=True, text=True, timeout=60, check=False
        )
        if done.returncode != code:
            raise AssertionError(f"windlass {' '.join(args)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout or done.stderr

    def json(self, *args: str) -> Any:  # noqa: ANN401 - JSON
        """Return what a command answers with ``-o json``."""
        return json.loads(self.windlass(*args, "-o", "json"))

    def trigger(self, dag_id: str) -> str:
        """Trigger a DAG and return the id of the run."""
        return str(self.json("dags", "trigger", dag_id)["run_id"])

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """Return a run as the command line shows it."""
        found: dict[str, Any] = self.json("runs", "show", dag_id, run_id)
        return found

    # --- Processes

    def start(self, kind: str = "standalone", **environ: str) -> subprocess.Popen[bytes]:
        """Start a server and wait until it takes work."""
        log = self.home / f"{kind}-{len(self.servers)}.log"
        with log.open("wb") as output:
            server = subprocess.Popen(
                self.command(kind),
                env={**self.environ, **environ},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self.servers.append(server)
        self.wait(lambda: (self.home / "run" / "supervisor.sock").exists() or server.poll() is not None, "a supervisor")
        if server.poll() is not None:
            raise AssertionError(log.read_text())
        return server

    def processes(self) -> dict[int, str]:
        """Return the processes of this home, by its name in their environment, without this test's own."""
        found: dict[int, str] = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                if f"WINDLASS_HOME={self.home}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
        return found

    def supervisor(self) -> int:
        """Return the process id of the supervisor."""
        return int((self.home / "run" / "supervisor.lock").read_text())

    def stop(self, server: subprocess.Popen[bytes], patience: float = PATIENCE) -> int:
        """Ask a server to stop, wait for its end and return its exit code."""
        server.terminate()
        return server.wait(timeout=patience)

    def close(self) -> None:
        """End everything that this home has started."""
        for server in self.servers:
            if server.poll() is None:
                server.terminate()
        for server in self.servers:
            server.wait(timeout=PATIENCE)
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):  # it was ending by itself
                os.kill(pid, signal.SIGKILL)

    # --- Waiting and looking

    def wait(self, condition: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
        """Wait until ``condition`` holds; fail, with all logs, if it does not in time."""
        deadline = time.monotonic() + patience
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {patience} s for {what}\n{self.logs()}")
            time.sleep(0.02)

    @contextlib.contextmanager
    def store(self) -> Iterator[Store]:
        """Look into the database without a command: a wait that starts one process after another starves the server."""
        with contextlib.closing(open_store(self.url, clock=None, rng=SystemRng())) as store:
            yield store

    def knows(self, dag_id: str) -> bool:
        """Return whether a DAG is known, and its file still there."""
        with self.store() as store:
            try:
                return not store.queries.dag(dag_id).stale
            except DagNotFound:
                return False

    def run_state(self, dag_id: str, run_id: str) -> RunState:
        """Return the state of a run."""
        with self.store() as store:
            return store.queries.run(dag_id, run_id).state

    def tasks(self, dag_id: str, run_id: str) -> Sequence[TaskRow]:
        """Return the rows of a run's task instances."""
        with self.store() as store:
            return store.queries.tasks(dag_id, run_id).items

    def wait_for_dag(self, dag_id: str) -> None:
        """Wait until a DAG is known."""
        self.wait(lambda: self.knows(dag_id), f"DAG {dag_id}")

    def wait_for_run(self, dag_id: str, run_id: str, patience: float = PATIENCE) -> dict[str, Any]:
        """Wait until a run has ended, and return it."""
        self.wait(lambda: self.run_state(dag_id, run_id).is_terminal, f"the end of {dag_id} {run_id}", patience)
        return self.run(dag_id, run_id)

    def ledger(self) -> list[list[str]]:
        """Return the words of each line of the ledger."""
        return [line.split() for line in self.ledger_file.read_text().splitlines()]

    def logs(self) -> str:
        """Return all logs below the home, one after the other."""
        return "\n".join(f"--- {path.name}\n{path.read_text()}" for path in sorted(self.home.glob("**/*.log")))
