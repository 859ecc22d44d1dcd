"""A folder of DAG files in a little language of their own, and what the engine makes of it."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from windlass.app.clocks import SeededRng, VirtualClock
from windlass.config import Settings
from windlass.dagfiles import DagFiles, LocalBundle
from windlass.protocol.parsing import ParseRequest, ParseResult
from windlass.secrets.resolver import open_resolver
from windlass.spec import DagSpec, TaskSpec, encode_spec
from windlass_testing.stores import new_store


class ScriptedParser:
    """Reads DAG files of a little language of its own, in this process and in order.

    A line ``# dag: etl`` defines a DAG, ``# reads: lib.py`` an input, ``# wants: lib.py`` one that is not there,
    ``# fails: why`` an error, ``# every: 5`` an interval, ``# says: text`` output and ``# warns: text`` a warning.
    ``parsed`` lists the files it was given, ``before_answer`` may meddle with the disk, ``answers`` with the result.
    """

    def __init__(self, room: int = 4) -> None:
        self.parsed: list[str] = []
        self.rested = 0
        self.closed = False
        self.before_answer: Callable[[str], None] = lambda _: None
        self.answers: dict[str, Callable[[ParseResult], ParseResult]] = {}
        self._room = room
        self._requests: deque[ParseRequest] = deque()

    @property
    def room(self) -> int:
        return self._room - len(self._requests)

    @property
    def busy(self) -> bool:
        return bool(self._requests)

    def submit(self, request: ParseRequest) -> None:
        assert self.room > 0
        self._requests.append(request)

    def collect(self, timeout: float) -> list[ParseResult]:
        if not self._requests:
            return []
        request = self._requests.popleft()
        self.parsed.append(request.file)
        result = parse(request)
        self.before_answer(request.file)
        meddle = self.answers.get(request.file)
        return [result if meddle is None else meddle(result)]

    def rest(self) -> None:
        self.rested += 1

    def close(self) -> None:
        self.closed = True


def parse(request: ParseRequest) -> ParseResult:
    try:
        text = Path(request.root, request.file).read_text()
    except OSError as error:
        return ParseResult(id=request.id, error=str(error.strerror))
    said: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("# ") and ": " in line:
            word, _, value = line[2:].partition(": ")
            said.setdefault(word, []).append(value)
    read = [request.file, *said.get("reads", [])]
    return ParseResult(
        id=request.id,
        specs=[spec(dag_id, text) for dag_id in said.get("dag", [])],
        error=said["fails"][0] if "fails" in said else None,
        inputs={file: hashlib.sha256(Path(request.root, file).read_bytes()).hexdigest() for file in read},
        missing=[file for file in said.get("wants", []) if not Path(request.root, file).exists()],
        output="".join(said.get("says", [])),
        warnings=said.get("warns", []),
        min_interval=float(said["every"][0]) if "every" in said else None,
    )


def spec(dag_id: str, text: str = "") -> bytes:
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return encode_spec(DagSpec(dag_id=dag_id, tasks=(TaskSpec(task_id=f"v{digest}"),)))


class World:
    """A folder, a store and a scripted parser; :meth:`restart` begins anew on the same disk and store."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.root = home / "dags"
        self.root.mkdir()
        # In the past, so that no file counts as at rest: each is read at every look, however fast a test writes.
        self.clock = VirtualClock(datetime(2024, 1, 1, tzinfo=UTC))
        self.store = new_store(self.clock, SeededRng(1))
        self.settings = Settings.load(environ={"WINDLASS_HOME": str(home)}, cwd=home).replace(
            {("core", "dags_folder"): self.root}
        )
        self.parser = ScriptedParser()
        self.bundles = [LocalBundle("dags", self.root)]
        self.files = self.open()

    def open(self) -> DagFiles:
        return DagFiles(
            self.settings,
            self.store.dags,
            code=self.home / "code",
            clock=self.clock,
            secrets=open_resolver(self.settings),
            bundles=self.bundles,
            parser=self.parser,
        )

    def restart(self) -> None:
        self.files.close()
        self.parser = ScriptedParser()
        self.files = self.open()

    def write(self, file: str, *lines: str) -> None:
        path = self.root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(["from windlass import DAG", *(f"# {line}" for line in lines), ""]))

    def sync(self) -> list[str]:
        """Sync, and return the files that this parsed."""
        before = len(self.parser.parsed)
        self.files.sync()
        return self.parser.parsed[before:]

    def step_until_quiet(self) -> list[str]:
        """Step through one look and everything it starts, and return the files that this parsed."""
        before = len(self.parser.parsed)
        self.clock.advance(60.0)
        while self.files.step() == 0.0:
            pass
        return self.parser.parsed[before:]

    def dags(self) -> dict[str, str]:
        return {row.dag_id: row.file for row in self.store.queries.dags().items if not row.stale}

    def errors(self) -> dict[str, str]:
        return {row.file: row.message for row in self.store.queries.import_errors() if row.severity == "error"}

    def warnings(self) -> list[str]:
        return [row.message for row in self.store.queries.import_errors() if row.severity == "warning"]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.store.close()
