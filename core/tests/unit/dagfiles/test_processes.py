"""The whole room with real files, a real parse server and a database on disk."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from windlass.app.clocks import SystemClock, SystemRng
from windlass.config import Settings
from windlass.dagfiles import DagFiles
from windlass.runtime import loader
from windlass.secrets.resolver import open_resolver
from windlass.store import migrate, open_store
from windlass.store.store import Store
from windlass_testing.stores import environ_of, url_of

pytestmark = pytest.mark.processes

DAG = """from datetime import datetime
from windlass import DAG, task

with DAG("{dag_id}", schedule="@daily", start_date=datetime(2024, 1, 1)):
    @task
    def step():
        return {value}

    step()
"""


class Installation:
    """One home on disk."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.root = home / "dags"
        self.root.mkdir()
        url = url_of(home)
        migrate(url)
        self.store: Store = open_store(url, clock=SystemClock(), rng=SystemRng())
        self.settings = Settings.load(environ=environ_of(home), cwd=home).replace(
            {
                ("core", "dags_folder"): self.root,
                ("core", "dagbag_import_timeout"): 2.0,
                ("dag_processor", "memory_limit_mb"): 512,
                ("dag_processor", "refresh_interval"): 0.05,
            }
        )
        self.files = self.open()

    def open(self) -> DagFiles:
        return DagFiles(
            self.settings,
            self.store.dags,
            code=self.home / "code",
            clock=SystemClock(),
            secrets=open_resolver(self.settings),
        )

    def write(self, file: str, text: str) -> None:
        (self.root / file).write_text(text)

    def dag(self, file: str, dag_id: str, value: object = 1) -> None:
        self.write(file, DAG.format(dag_id=dag_id, value=value))

    def dags(self) -> dict[str, str]:
        return {row.dag_id: row.file for row in self.store.queries.dags(limit=1000).items if not row.stale}

    def errors(self) -> dict[str, str]:
        return {row.file: row.message for row in self.store.queries.import_errors() if row.severity == "error"}

    def parsed_at(self) -> dict[str, datetime]:
        return {row.file: row.parsed_at for row in self.store.dags.parsed_files()}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Installation]:
    place = Installation(tmp_path)
    yield place
    place.files.close()
    place.store.close()


CYCLE = """from windlass import DAG, task

with DAG("cycle"):
    a, b = [task(task_id=name)(lambda: 1)() for name in "ab"]
    a >> b >> a
"""
BAD_FILES = {
    "syntax.py": ("def broken(:  # dag windlass", "syntax.py:1: SyntaxError"),
    "raises.py": ("import windlass  # dag\n\n1 / 0", "raises.py:3: ZeroDivisionError"),
    "endless.py": ("import windlass  # dag\nwhile True: pass", "took longer than 2 s"),
    "sleeping.py": ("import windlass, time  # dag\ntime.sleep(600)", "took longer than 2 s"),
    "huge.py": ("import windlass  # dag\nx = bytearray(1 << 30)", "more than the 512 MB of memory"),
    "leaves.py": ("import windlass, os  # dag\nos._exit(0)", "exited with status 0 before it was done"),
    "exits.py": ("import windlass, sys  # dag\nsys.exit('bye')", "sys.exit('bye')"),
    "crashes.py": ("import windlass, ctypes  # dag\nctypes.string_at(0)", "crashed (SIGSEGV)"),
    "deep.py": ("import windlass  # dag\ndef f(): f()\nf()", "RecursionError"),
    "latin.py": ("# dag windlass \udce9", "latin.py"),
    "cycle.py": (CYCLE, "a"),
}


def test_every_bad_file_gets_one_clear_error_and_harms_no_other(place: Installation) -> None:
    for file, (text, _) in BAD_FILES.items():
        (place.root / file).write_bytes(text.encode(errors="surrogateescape"))
    place.dag("good.py", "good")
    place.files.sync()
    errors = place.errors()
    assert errors.keys() == BAD_FILES.keys()
    for file, (_, sentence) in BAD_FILES.items():
        assert sentence in errors[file], errors[file]
        assert file in errors[file]
    assert place.dags() == {"good": "good.py"}
    before = place.parsed_at()
    place.files.sync()
    assert place.parsed_at() == before


def test_an_edit_reaches_the_store_and_a_half_written_file_is_only_an_episode(place: Installation) -> None:
    place.dag("a.py", "etl")
    place.files.sync()
    version = place.store.queries.dag("etl").code_version
    whole = DAG.format(dag_id="etl", value=2)
    place.write("a.py", whole[:90])
    place.files.sync()
    assert "a.py" in place.errors()
    assert place.store.queries.dag("etl").code_version == version
    place.write("a.py", whole)
    place.files.sync()
    assert place.errors() == {}
    assert place.store.queries.dag("etl").code_version != version


def test_a_deleted_file_makes_its_dags_stale(place: Installation) -> None:
    place.dag("a.py", "etl")
    place.files.sync()
    (place.root / "a.py").unlink()
    place.files.sync()
    assert place.dags() == {}
    assert place.store.queries.dag("etl").stale


def test_a_module_beside_the_file_is_part_of_its_version_and_a_change_of_it_is_parsed(
    place: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    (place.root / "team").mkdir()
    (place.root / "team" / "__init__.py").write_text("")
    place.write("team/names.py", "ID = 'one'\n")
    place.write(
        "a.py",
        "from pathlib import Path\nfrom windlass import DAG\nfrom team.names import ID\n"
        "extra = Path(__file__).with_name('more.txt').read_text()\n"
        "dag = DAG(ID + extra)\n",
    )
    place.write("more.txt", "-x")
    place.dag("b.py", "other")
    place.files.sync()
    assert place.dags() == {"one-x": "a.py", "other": "b.py"}
    manifest = loader.read_manifest(place.home / "code", place.store.queries.dag("one-x").code_version)
    assert set(manifest.files) == {"a.py", "more.txt", "team/__init__.py", "team/names.py"}
    before = place.parsed_at()["b.py"]
    # As long as before and within the same second: bytecode that Python cached must not hide it.
    names = place.root / "team" / "names.py"
    modified = names.stat().st_mtime_ns
    names.write_text("ID = 'two'\n")
    os.utime(names, ns=(modified, modified))
    place.files.sync()
    assert place.dags() == {"two-x": "a.py", "other": "b.py"}
    place.write("more.txt", "-y")
    place.files.sync()
    assert place.dags() == {"two-y": "a.py", "other": "b.py"}
    assert place.parsed_at()["b.py"] == before


def test_a_module_that_is_missing_is_waited_for(place: Installation) -> None:
    place.write("a.py", "from windlass import DAG\nimport later\ndag = DAG(later.ID)\n")
    place.files.sync()
    assert "No module named 'later'" in place.errors()["a.py"]
    place.write("later.py", "ID = 'etl'\n")
    place.files.sync()
    assert place.dags() == {"etl": "a.py"}
    assert place.errors() == {}


def test_a_thread_sees_three_hundred_new_files_and_parses_each_once(place: Installation) -> None:
    stop = threading.Event()
    failures: list[BaseException] = []

    def serve() -> None:
        try:
            while not stop.is_set():
                stop.wait(place.files.step())
        except BaseException as error:  # noqa: BLE001 - shown by the test
            failures.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        for number in range(300):
            place.dag(f"f{number:03}.py", f"d{number:03}", number)
        wait_for(lambda: len(place.dags()) == 300, failures)
    finally:
        stop.set()
        thread.join()
    assert failures == []
    assert place.errors() == {}
    before = place.parsed_at()
    place.files.close()
    place.files = place.open()
    place.files.sync()
    assert place.parsed_at() == before


def wait_for(condition: Callable[[], bool], failures: list[BaseException]) -> None:
    deadline = datetime.now(tz=UTC).timestamp() + 60.0
    pause = threading.Event()
    while not condition():
        assert not failures, failures
        assert datetime.now(tz=UTC).timestamp() < deadline, "it takes too long"
        pause.wait(0.05)
