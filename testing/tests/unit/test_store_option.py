"""The option ``--windlass-store``: the homes of tests keep their tables on a server, and none falls back on SQLite."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from windlass.store.migrating import open_bare

Pytest = Callable[..., "subprocess.CompletedProcess[str]"]

HOMES = """
import os, subprocess, sys
from pathlib import Path
import pytest
from windlass.app.clocks import SeededRng, SystemClock
from windlass.store import current_revision, migrate
from windlass_testing.live import LiveInstallation
from windlass_testing.stores import environ_of, new_store, url_of, use_home

NOTES = Path(__file__).with_name("notes")

def note(*urls):
    with NOTES.open("a") as notes:
        notes.writelines(f"{url}\\n" for url in urls)

@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    home = tmp_path_factory.mktemp("shared")
    migrate(url_of(home))
    return home

def test_homes(shared, tmp_path):
    one, other = url_of(tmp_path / "one"), url_of(tmp_path / "other")
    note(one, other)
    assert len({one, other, url_of(shared)}) == 3
    assert url_of(tmp_path / "one") == one
    assert current_revision(one) is None, "a new home has no tables"
    migrate(one)
    assert current_revision(other) is None
    assert LiveInstallation(tmp_path, home="one").environ["WINDLASS__DATABASE__SQL_ALCHEMY_CONN"] == one

def test_the_next_test(shared):
    note(url_of(shared))
    assert current_revision(url_of(shared)) is not None, "what a module shares stays"

def test_stores():
    for _ in range(2):
        store = new_store(SystemClock(), SeededRng(1))
        assert [pool.name for pool in store.pools.list()] == ["default_pool"]
        store.pools.set("mine", 1)
        store.close()

def test_commands(tmp_path, monkeypatch):
    use_home(monkeypatch, tmp_path / "home")
    subprocess.run([sys.executable, "-m", "windlass", "db", "migrate"], check=True)

@pytest.mark.sqlite_only("it is about the file")
def test_the_file(tmp_path):
    migrate(url_of(tmp_path))
    assert (tmp_path / "windlass.db").exists()
"""
STRAYS = """
import subprocess, sys
import pytest

def migrate(home):
    subprocess.run([sys.executable, "-m", "windlass", "db", "migrate"], check=True, env={"WINDLASS_HOME": str(home)})

@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    migrate(tmp_path_factory.mktemp("shared") / "home")

def test_that_forgets(tmp_path):
    migrate(tmp_path / "home")

def test_whose_fixture_forgets(shared): ...
"""
NOTHING_INSTALLED = """
import shutil
from windlass_testing.servers import databases

databases.listens = lambda _port: False
shutil.which = lambda *_args, **_named: None
"""


@pytest.fixture
def run(tmp_path: Path, request: pytest.FixtureRequest) -> Pytest:
    """Run pytest over a file, as somebody's project does."""

    def call(source: str, *args: str, **environ: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "pytest.ini").write_text("[pytest]\n")
        (tmp_path / "test_it.py").write_text(source)
        command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "--strict-markers", *args]
        return subprocess.run(
            command, cwd=tmp_path, env=environ or None, capture_output=True, text=True, timeout=100, check=False
        )

    return call


def exists(url: str) -> bool:
    server, _, name = url.rpartition("/")
    with closing(open_bare(f"{server}/postgres")) as database:
        return bool(database.rows("SELECT 1 FROM pg_database WHERE datname = :name", {"name": name}))


@pytest.mark.services
def test_each_home_has_a_database_of_its_own_which_goes_after_the_test(
    run: Pytest, tmp_path: Path, postgres_url: str
) -> None:
    assert exists(postgres_url)
    done = run(HOMES, "--windlass-store", "postgresql")
    assert "4 passed, 1 skipped" in done.stdout, done.stdout
    assert "SQLite only: it is about the file" in done.stdout
    assert " tests of SQLite itself, not tried on postgresql: 1 " in done.stdout
    assert "\n   1  it is about the file\n" in done.stdout
    urls = (tmp_path / "notes").read_text().splitlines()
    assert len(urls) == 3
    assert [url for url in urls if exists(url)] == []


@pytest.mark.services
@pytest.mark.usefixtures("postgres_url")
def test_a_test_that_keeps_its_tables_in_sqlite_all_the_same_fails(run: Pytest) -> None:
    done = run(STRAYS, "--windlass-store", "postgresql")
    assert "2 passed, 2 errors" in done.stdout, done.stdout
    told = re.findall(r"SQLite, at \S+/(\w+/home/windlass.db): give its processes and settings what", done.stdout)
    assert set(told) == {"test_that_forgets0/home/windlass.db", "shared0/home/windlass.db"}
    assert "2 passed" in run(STRAYS).stdout


def test_without_its_server_nothing_begins(run: Pytest, tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(NOTHING_INSTALLED)
    done = run("def test(): pass", "--windlass-store", "mariadb", PATH="")
    assert "1 error" in done.stdout, done.stdout
    assert "--windlass-store mariadb: no MySQL or MariaDB for tests: set WINDLASS_TEST_MYSQL_URL" in done.stdout


def test_a_marker_without_a_reason_is_refused(run: Pytest) -> None:
    done = run("import pytest\n\n@pytest.mark.sqlite_only\ndef test(): pass")
    assert 'test_it.py::test: say why, as in @pytest.mark.sqlite_only("locks are files there")' in done.stderr
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
