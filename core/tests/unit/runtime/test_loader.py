"""Importing DAG code from a snapshot, each case in an interpreter of its own."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest


class Bundle:
    """A bundle's folder and the snapshot that was taken of it."""

    def __init__(self, path: Path) -> None:
        self.root = path / "bundle"
        self.code = path / "code"
        (self.code / "blobs").mkdir(parents=True)
        (self.code / "versions").mkdir()
        self.root.mkdir()
        self.files: dict[str, str] = {}

    def write(self, file: str, source: str | bytes) -> None:
        """Write a file to the disk only."""
        path = self.root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source if isinstance(source, bytes) else textwrap.dedent(source).encode())

    def keep(self, file: str, source: str | bytes) -> None:
        """Write a file to the disk and to the snapshot."""
        self.write(file, source)
        data = (self.root / file).read_bytes()
        self.files[file] = hashlib.sha256(data).hexdigest()
        (self.code / "blobs" / self.files[file]).write_bytes(data)

    def load(self, file: str = "dag.py", **more: str) -> subprocess.CompletedProcess[str]:
        """Import ``file`` from the snapshot in a fresh interpreter."""
        manifest = {"bundle": "b", "file": file, "root": str(self.root), "files": self.files, "python": "3", "x": 1}
        manifest |= more
        (self.code / "versions/v1.json").write_text(json.dumps(manifest))
        script = (
            "import pathlib, sys, traceback\n"
            "from windlass.runtime import loader\n"
            "try:\n"
            "    loader.load_snapshot(pathlib.Path(sys.argv[1]), 'v1', sys.argv[2])\n"
            "except Exception:\n"
            "    traceback.print_exc()\n"
            "    sys.exit(1)\n"
        )
        command = [sys.executable, "-P", "-c", script, str(self.code), file]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def output(self, file: str = "dag.py") -> str:
        """Return what the file printed; it must not fail."""
        result = self.load(file)
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return Bundle(tmp_path)


def test_modules_come_from_the_snapshot_under_their_original_path(bundle: Bundle) -> None:
    bundle.keep("helpers.py", "NAME = 'kept'\nFILE = __file__")
    bundle.keep("dag.py", "import helpers; print(helpers.NAME, helpers.FILE, __file__)")
    bundle.write("helpers.py", "NAME = 'edited'")
    bundle.write("dag.py", "raise ValueError")
    assert bundle.output() == f"kept {bundle.root}/helpers.py {bundle.root}/dag.py"


def test_naive_dates_are_read_in_the_zone_of_the_snapshot(bundle: Bundle) -> None:
    bundle.keep(
        "dag.py",
        """
        from datetime import datetime
        from windlass import DAG
        print(DAG("d", start_date=datetime(2026, 3, 1)).start_date.isoformat())
        """,
    )
    assert bundle.output() == "2026-03-01T00:00:00+00:00"
    assert bundle.load(timezone="Asia/Tokyo").stdout.strip() == "2026-03-01T00:00:00+09:00"


def test_packages_relative_imports_and_namespace_folders(bundle: Bundle) -> None:
    bundle.keep("pack/__init__.py", "from .inner.deep import NAME")
    bundle.keep("pack/inner/__init__.py", "")
    bundle.keep("pack/inner/deep.py", "from ..other import NAME")
    bundle.keep("pack/other.py", "NAME = 'other'")
    bundle.keep("space/module.py", "NAME = 'namespace'")
    bundle.keep("dag.py", "import pack, space.module; print(pack.NAME, space.module.NAME, pack.__path__[0])")
    for file in bundle.files:
        (bundle.root / file).unlink()
    assert bundle.output() == f"other namespace {bundle.root}/pack"


def test_a_dag_file_in_a_folder_finds_its_own_neighbours_by_its_path(bundle: Bundle) -> None:
    bundle.keep("team/query.sql", "select 1")
    bundle.keep("team/dag.py", "import pathlib; print((pathlib.Path(__file__).parent / 'query.sql').read_text())")
    assert bundle.output("team/dag.py") == "select 1"


def test_what_was_not_imported_at_parse_time_comes_from_the_disk(bundle: Bundle) -> None:
    bundle.keep("pack/__init__.py", "")
    bundle.keep("dag.py", "import late, pack.later; print(late.NAME, pack.later.NAME)")
    bundle.write("late.py", "NAME = 'late'")
    bundle.write("pack/later.py", "NAME = 'later'")
    assert bundle.output() == "late later"


def test_a_file_called_like_a_library_hides_nothing(bundle: Bundle) -> None:
    bundle.keep("email.py", "import email; from email.message import Message; print(Message.__module__, __name__)")
    message, name = bundle.output("email.py").split()
    assert message == "email.message"
    assert name.startswith("windlass_dag_")


def test_a_traceback_shows_the_lines_that_ran(bundle: Bundle) -> None:
    bundle.keep("helpers.py", "def f():\n    return 1 / 0  # as it was kept\n")
    bundle.keep("dag.py", "import helpers\nhelpers.f()  # the caller as it was kept\n")
    bundle.write("helpers.py", "# edited\n# edited\n# edited\n")
    bundle.write("dag.py", "# edited\n# edited\n# edited\n")
    error = bundle.load().stderr
    assert "# as it was kept" in error
    assert "# the caller as it was kept" in error
    assert "# edited" not in error


def test_source_is_decoded_as_python_would(bundle: Bundle) -> None:
    bundle.keep("latin.py", "# coding: latin-1\nNAME = 'é'\n".encode("latin-1"))
    bundle.keep("dag.py", "import inspect, latin; print(ascii(latin.NAME), ascii(inspect.getsource(latin)[-3]))")
    assert bundle.output() == r"'\xe9' '\xe9'"


def test_the_future_imports_of_windlass_do_not_leak_into_user_code(bundle: Bundle) -> None:
    bundle.keep("dag.py", "x: print('evaluated') = 1")
    assert bundle.output() == "evaluated"


def test_a_version_or_a_file_that_is_gone_is_named_with_the_remedy(bundle: Bundle) -> None:
    bundle.keep("dag.py", "")
    (bundle.code / "blobs" / bundle.files["dag.py"]).unlink()
    assert "stored copy of dag.py is missing" in bundle.load().stderr
    assert "does not contain other.py" in bundle.load("other.py").stderr
    script = "import pathlib; from windlass.runtime import loader; loader.load_snapshot(pathlib.Path('.'), 'v9', 'x')"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "re-pin the run with `clear --latest`" in result.stderr
