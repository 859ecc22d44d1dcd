from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from windlass.ports import Workload, WorkloadKind
from windlass.supervisor import processes
from windlass.supervisor.client import SupervisorClient

HERE = Path(__file__).parent
#: Long enough for a loaded machine; a test that waits for it has failed.
PATIENCE = 20.0
T = TypeVar("T")
#: What stands above the tasks of :meth:`Home.write_tasks`.
PREAMBLE = """
import os, signal, subprocess, sys, time
from pathlib import Path
DAG_ID = "d"
HOME = Path(__file__).parent.parent

def say(name, text):
    (HOME / name).write_text(f"{text}\\n")
"""


def wait_for(condition: Callable[[], T], what: str) -> T:
    """Return the first true value of ``condition``."""
    deadline = time.monotonic() + PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            pytest.fail(f"waited {PATIENCE:g} s in vain for {what}")
        time.sleep(0.01)


class Home:
    """A home folder, its supervisor process, and a test's view of what happened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._process: subprocess.Popen[bytes] | None = None
        self._client: SupervisorClient | None = None
        self.code_version = ""
        self._tasks = 0
        for folder in ("run", "logs", "code/blobs", "code/versions", "tickets", "bundle"):
            (path / folder).mkdir(parents=True)

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The supervisor's process."""
        assert self._process is not None, "start() first"
        return self._process

    @property
    def client(self) -> SupervisorClient:
        """The connection of the newest server."""
        assert self._client is not None, "start() first"
        return self._client

    def write_code(self, source: str, file: str = "dag.py", **more: str) -> None:
        """Store a snapshot whose DAG file is ``source``, and take the next workloads from it."""
        files = {}
        for name, text in {file: source, **more}.items():
            data = textwrap.dedent(text).encode()
            target = self.path / "bundle" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            files[name] = hashlib.sha256(data).hexdigest()
            (self.path / "code/blobs" / files[name]).write_bytes(data)
        manifest = {"bundle": "b", "file": file, "root": str(self.path / "bundle"), "files": files}
        self.code_version = hashlib.sha256(json.dumps(manifest).encode()).hexdigest()[:32]
        (self.path / "code/versions" / f"{self.code_version}.json").write_text(json.dumps(manifest))

    def write_tasks(self, body: str, **more: str) -> None:
        """Store a snapshot of a DAG ``d`` with these functions as its tasks, besides files of other names."""
        self.write_code(PREAMBLE + textwrap.dedent(body), **more)

    def start(self, **options: Any) -> None:
        """Start a supervisor and connect to it."""
        options = {"grace": 0.5, "heartbeat": 0.1, "blank": False} | options
        environment = os.environ | {"PYTHONPATH": str(HERE / "stand_in")}
        environment |= {"WINDLASS_CONN_X": "http://a:b@c", "WINDLASS__CORE__FERNET_KEY": "k"}
        with (self.path / "stderr").open("ab") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, str(HERE / "supervise.py"), str(self.path), json.dumps(options)],
                env=environment,
                stderr=stderr,
            )
        self.connect()

    def connect(self) -> SupervisorClient:
        """Connect as a new server would."""

        def attempt() -> SupervisorClient | None:
            if self.process.poll() is not None:
                pytest.fail(f"the supervisor exited: {(self.path / 'stderr').read_text()}")
            try:
                return SupervisorClient(self.path / "run/supervisor.sock", "1")
            except OSError:
                return None

        self._client = wait_for(attempt, "the supervisor to listen")
        return self.client

    def workload(self, task_id: str, *, timeout: float | None = None) -> Workload:
        """Queue a task instance and return its workload."""
        self._tasks += 1
        ticket = f"ticket-{self._tasks}"
        row = {"dag_id": "d", "task_id": task_id, "timeout": timeout}
        (self.path / "tickets" / ticket).write_text(json.dumps(row))
        return Workload(
            kind=WorkloadKind.TASK,
            id=self._tasks,
            epoch=1,
            ticket=ticket,
            queue="default",
            code_version=self.code_version,
            bundle="b",
            file="dag.py",
        )

    def submit(self, task_id: str, *, timeout: float | None = None) -> Workload:
        """Queue a task instance and hand it to the supervisor."""
        workload = self.workload(task_id, timeout=timeout)
        self.client.submit([workload])
        return workload

    def journal(self, kind: str) -> list[dict[str, Any]]:
        """Return what the gateway was asked so far."""
        try:
            lines = (self.path / "journal").read_bytes().splitlines(keepends=True)
        except FileNotFoundError:
            return []
        entries = [msgspec.json.decode(line) for line in lines if line.endswith(b"\n")]
        return [entry for entry in entries if entry["kind"] == kind]

    def claimed(self, workload: Workload) -> dict[str, Any]:
        """Wait until the task runs."""
        return self._entry("claim", workload)

    def report(self, workload: Workload) -> dict[str, Any]:
        """Wait for the report of the task."""
        return self._entry("report", workload)

    def _entry(self, kind: str, workload: Workload) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            return next((entry for entry in self.journal(kind) if entry["task"] == workload.id), None)

        entry = wait_for(found, f"the {kind} of task {workload.id}; {self.stderr()}")
        assert entry is not None
        return entry

    def log(self, task_id: str) -> list[dict[str, Any]]:
        """Return the lines of the task's log."""
        path = self.path / f"logs/task_id={task_id}/attempt=1.log"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def messages(self, task_id: str) -> list[str]:
        """Return the messages of the task's log."""
        return [line["msg"] for line in self.log(task_id)]

    def file(self, name: str) -> str:
        """Wait for a file that a task writes, and return its text."""
        path = self.path / name
        wait_for(lambda: path.exists() and path.read_text().endswith("\n"), f"{name}; {self.stderr()}")
        return path.read_text().strip()

    def stderr(self) -> str:
        path = self.path / "stderr"
        return path.read_text() if path.exists() else ""

    def children(self) -> set[int]:
        """Return every process that carries a lease mark of this home's supervisor."""
        tag = self.tag()
        return processes.marked(tag)

    def zygotes(self) -> set[int]:
        """Return the processes that the supervisor itself has started."""
        return {pid for pid in self.children() if _stat(pid)[1:2] == [str(self.process.pid)]}

    def is_gone(self, pid: int) -> bool:
        """Return whether a process has ended, whether or not its parent knows."""
        return _stat(pid)[:1] in ([], ["Z"], ["X"])

    def wait_for(self, condition: Callable[[], object], what: str) -> None:
        """Wait until ``condition`` holds."""
        wait_for(condition, what)

    def tag(self) -> str:
        return hashlib.sha256(f"host:{self.path}\0{self.path / 'run'}".encode()).hexdigest()[:16]

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
        if self._process is not None:
            if self._process.poll() is None:
                self._process.kill()
            self._process.wait()
        wait_for(lambda: not self.children(), "every process of the home to be gone")


def _stat(pid: int) -> list[str]:
    """Return what the system says of a process, from its state on; nothing if there is none."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return []


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path)
    yield home
    home.close()
