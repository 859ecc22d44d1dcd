"""Housekeeping of the folders: a file goes when nothing in the database needs it and nobody wrote it lately."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from windlass.app.cleaning import TABLES, clean
from windlass.config import Settings
from windlass.planning.attempts import run_folder_of
from windlass.protocol import XComSet, XComValue
from windlass.spec import DagSpec, TaskSpec
from windlass.states import RunType
from windlass_testing.hand_driven import HandDriven
from windlass_testing.installation import Installation

OLD, YOUNG = timedelta(days=60), timedelta(hours=1)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Installation]:
    made = Installation(tmp_path / "home")
    made.add(DagSpec(dag_id="sales", tasks=(TaskSpec(task_id="a"),)))
    (made.home / "artifacts").mkdir()
    yield made
    made.close()


@pytest.fixture
def sweep(here: Installation) -> Callable[..., dict[str, int]]:
    """Clean everything of this home that is older than 30 days, and return how much of each kind went."""

    def call(*tables: str, dry_run: bool = False) -> dict[str, int]:
        settings = Settings.load(environ=here.environ)
        before = here.clock.now() - timedelta(days=30)
        done = clean(here.store, settings, before=before, tables=tables or TABLES, dry_run=dry_run)
        return {cleaned.table: cleaned.removed for cleaned in done}

    return call


def write(here: Installation, path: Path, age: timedelta, content: bytes = b"x") -> Path:
    """Write a file and make it as old as ``age``, by the virtual clock."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    when = (here.clock.now() - age).timestamp()
    for touched in (path, path.parent):
        os.utime(touched, (when, when))
    return path


def artifact(here: Installation, digest: str, age: timedelta = OLD, content: bytes = b"x") -> Path:
    return write(here, here.home / "artifacts" / digest[:2] / digest, age, content)


def store_xcom(here: Installation, data: bytes, digest: str | None = None) -> None:
    """Let a task of a run of its own leave this value."""
    engine = HandDriven(here.store, here.clock)
    run = engine.new_run("sales", day=1 + engine.count("run"), run_type=RunType.MANUAL)
    value = XComValue(codec="tagged/1", data=data, artifact=digest, size=len(data))
    engine.report(engine.run(engine.ti(run), dag_id="sales"), xcoms=(XComSet(key="return_value", value=value),))


def log(here: Installation, dag_id: str, run_id: str, age: timedelta = OLD) -> Path:
    dag_folder, run_folder = run_folder_of(dag_id, run_id)
    return write(here, here.home / "logs" / dag_folder / run_folder / "task_id=a" / "attempt=1.log", age).parent.parent


class TestArtifacts:
    def test_what_no_xcom_mentions_goes(self, here: Installation, sweep: Callable[..., dict[str, int]]) -> None:
        unused = artifact(here, "aa" * 32)
        spilled = artifact(here, "bb" * 32)
        mentioned = artifact(here, "cc" * 32)
        store_xcom(here, b"", "bb" * 32)
        store_xcom(here, f'{{"value": "{"cc" * 32}"}}'.encode())
        assert sweep("artifacts", dry_run=True) == {"artifacts": 1}
        assert unused.exists()
        assert sweep("artifacts") == {"artifacts": 1}
        assert [path.exists() for path in (unused, spilled, mentioned)] == [False, True, True]

    def test_what_a_spilled_value_mentions_stays(
        self, here: Installation, sweep: Callable[..., dict[str, int]]
    ) -> None:
        mentioned = artifact(here, "cc" * 32)
        artifact(here, "bb" * 32, content=b" " * ((1 << 20) - 30) + f'"{"cc" * 32}"'.encode())
        store_xcom(here, b"", "bb" * 32)
        assert sweep("artifacts") == {"artifacts": 0}
        assert mentioned.exists(), "it was found although it stands across two pieces"

    def test_what_was_written_today_stays(self, here: Installation, sweep: Callable[..., dict[str, int]]) -> None:
        young = artifact(here, "aa" * 32, YOUNG)
        assert sweep("artifacts") == {"artifacts": 0}
        assert young.exists()

    def test_what_a_running_attempt_may_have_put_stays(
        self, here: Installation, sweep: Callable[..., dict[str, int]]
    ) -> None:
        engine = HandDriven(here.store, here.clock)
        engine.run(engine.ti(engine.new_run("sales")), dag_id="sales")
        put = artifact(here, "aa" * 32, timedelta(0))
        here.pass_time(timedelta(days=3))
        assert sweep("artifacts") == {"artifacts": 0}
        assert put.exists()

    def test_what_was_never_completed_goes(self, here: Installation, sweep: Callable[..., dict[str, int]]) -> None:
        leftover = write(here, here.home / "artifacts" / "incomplete" / "token", OLD)
        assert sweep("artifacts") == {"artifacts": 1}
        assert not leftover.exists()


class TestLogs:
    def test_logs_of_runs_that_are_gone_go(self, here: Installation, sweep: Callable[..., dict[str, int]]) -> None:
        engine = HandDriven(here.store, here.clock)
        run = engine.new_run("sales")
        kept, gone = log(here, "sales", run.run_id), log(here, "sales", "manual__gone")
        other = log(here, "deleted dag/..", "manual__gone")
        assert sweep("logs", dry_run=True) == {"logs": 2}
        assert sweep("logs") == {"logs": 2}
        assert [path.exists() for path in (kept, gone, other)] == [True, False, False]
        assert not other.parent.exists(), "an empty folder goes too"

    def test_young_logs_stay(self, here: Installation, sweep: Callable[..., dict[str, int]]) -> None:
        young = log(here, "sales", "manual__gone", YOUNG)
        assert sweep("logs") == {"logs": 0}
        assert young.exists(), "the newest file decides"

    @pytest.mark.parametrize("run_id", ["r" * 240, "ü" * 60, "🚢" * 20])
    def test_a_name_that_was_shortened_on_disk_is_known(
        self, here: Installation, sweep: Callable[..., dict[str, int]], run_id: str
    ) -> None:
        HandDriven(here.store, here.clock).new_run("sales", run_id=run_id)
        kept, gone = log(here, "sales", run_id), log(here, "sales", run_id + "x")
        assert sweep("logs") == {"logs": 1}
        assert (kept.exists(), gone.exists()) == (True, False)

    def test_links_are_not_followed(
        self, here: Installation, sweep: Callable[..., dict[str, int]], tmp_path: Path
    ) -> None:
        precious = write(here, tmp_path / "elsewhere" / "precious", OLD)
        log(here, "sales", "manual__gone")
        (here.home / "logs" / "dag_id=sales" / "run_id=link").symlink_to(precious.parent)
        (here.home / "logs" / "dag_id=sales" / "run_id=manual__gone" / "link").symlink_to(precious.parent)
        assert sweep("logs") == {"logs": 1}
        assert precious.exists()

    def test_other_files_in_the_log_folder_are_left_alone(
        self, here: Installation, sweep: Callable[..., dict[str, int]]
    ) -> None:
        other = write(here, here.home / "logs" / "server" / "run_id=x" / "server.log", OLD)
        assert sweep("logs") == {"logs": 0}
        assert other.exists()


def test_an_old_run_goes_with_its_logs_in_one_clean(here: Installation, sweep: Callable[..., dict[str, int]]) -> None:
    engine = HandDriven(here.store, here.clock)
    runs = [engine.new_run("sales", day=day, run_type=RunType.MANUAL) for day in (1, 2)]
    for run in runs:
        engine.report(engine.run(engine.ti(run), dag_id="sales"))
    here.settle()
    here.pass_time(timedelta(days=40))
    folders = [log(here, "sales", run.run_id, timedelta(days=40)) for run in runs]
    done = sweep()
    assert (done["runs"], done["logs"]) == (1, 1)
    assert [folder.exists() for folder in folders] == [False, True]
    assert list(done) == list(TABLES)


def test_code_is_removed_with_its_records(here: Installation, sweep: Callable[..., dict[str, int]]) -> None:
    old = datetime(2020, 1, 1, tzinfo=UTC).timestamp()
    version = here.home / "code" / "versions" / f"{'0' * 32}.json"
    version.parent.mkdir(parents=True)
    version.write_text("{}")
    os.utime(version, (old, old))
    assert sweep("code", dry_run=True) == {"code": 0}
    assert version.exists()
    sweep("code")
    assert not version.exists()
