"""Many writers, one file: nobody fails, nobody loses, and a wake-up follows each commit that asks for one."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import windlass.registry as registry_module
from windlass.app.clocks import SystemClock, SystemRng
from windlass.errors import ConfigError, StoreBusy, StoreError, StoreTooOld
from windlass.ports import Changes
from windlass.registry import Catalog, Registry
from windlass.states import RunType, TaskState
from windlass.store import Database, Store, check, database, dialect, migrate, open_store
from windlass.store.dialect import SqliteDialect, file_system_of, sqlite_path
from windlass.store.revision import SchemaState
from windlass_testing.hand_driven import HandDriven

SUBMITTER = """
import sys
from windlass.app.clocks import SystemClock, SystemRng
from windlass.ports import NewRun
from windlass.states import RunType
from windlass.store import open_store
url, count = sys.argv[1], int(sys.argv[2])
sys.stdin.readline()  # all start at once
for _ in range(count):
    store = open_store(url, clock=SystemClock(), rng=SystemRng())
    now = store.db.clock.now()
    store.runs.create(NewRun(dag_id="d", run_type=RunType.MANUAL, logical_date=now, data_interval_start=now,
                             data_interval_end=now, run_after=now, bump=True))
    store.close()
assert "sqlalchemy" not in sys.modules
"""


class Bell:
    """Counts rings."""

    def __init__(self) -> None:
        self.rings = 0

    def ring(self) -> None:
        self.rings += 1

    def wait(self, timeout: float) -> bool:
        return False


def opened(url: str, **options: object) -> Store:
    return open_store(url, clock=SystemClock(), rng=SystemRng(), **options)  # type: ignore[arg-type]


@pytest.mark.processes
def test_fifty_submissions_at_once_from_several_processes_all_succeed(file_engine: HandDriven, url: str) -> None:
    file_engine.dag(*(f"t{n}" for n in range(20)))
    command = [sys.executable, "-c", SUBMITTER, url, "10"]
    submitters = [subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(5)]
    for process in submitters:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outcomes = [(process.communicate(timeout=60)[1], process.returncode) for process in submitters]

    assert outcomes == [("", 0)] * 5
    assert file_engine.count("run") == 50
    assert file_engine.count("ti") == 1000
    assert file_engine.count('"signal"', "kind = 'run'") == 50


def test_threads_of_one_process_share_a_store(file_engine: HandDriven) -> None:
    engine = file_engine
    engine.dag("a")
    failures: list[BaseException] = []

    def work(days: range) -> None:
        try:
            for day in days:
                run = engine.new_run(day=day, run_type=RunType.MANUAL)
                engine.complete(run, "a")
        except BaseException as error:  # noqa: BLE001 - told to the test
            failures.append(error)

    threads = [threading.Thread(target=work, args=(range(first, first + 7),)) for first in (1, 8, 15, 22)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert failures == []
    assert engine.count("ti", "state = 'success'") == 28


def test_a_commit_whose_answer_was_lost_may_be_sent_again(engine: HandDriven) -> None:
    class LosesAnswers:
        def statement(self, sql: str, *, writing: bool) -> None:
            pass

        def committed(self) -> None:
            raise ConnectionResetError

    engine.dag("a")
    run = engine.new_run()
    changes = engine.queueing(engine.ti(run))
    engine.store.db.probe = LosesAnswers()
    with pytest.raises(ConnectionResetError):
        engine.scheduler.commit(changes)
    engine.store.db.probe = None

    committed = engine.scheduler.commit(changes)

    assert (committed.conflicts, committed.admitted) == (frozenset(), {engine.ti(run).id: 1})
    claimed = engine.claim(engine.ti(run))
    assert claimed is not None
    report = engine.reporting(claimed)
    engine.store.db.probe = LosesAnswers()
    with pytest.raises(ConnectionResetError):
        engine.gateway.report([report], "s1")
    engine.store.db.probe = None
    assert engine.gateway.report([report], "s1") == [True]
    assert engine.count("transition") == 4


@pytest.mark.sqlite_only("servers ring themselves")
def test_the_bell_rings_after_the_commit_and_only_for_signals(sqlite_url: str) -> None:
    bell = Bell()
    engine = HandDriven(opened(sqlite_url, doorbell=bell), SystemClock())
    engine.dag("a")
    run = engine.new_run()
    assert bell.rings == 2
    claimed = engine.run(engine.ti(run))
    assert bell.rings == 2
    engine.report(claimed)
    assert bell.rings == 3
    with pytest.raises(StoreError):
        engine.scheduler.commit(Changes(task_moves=[engine.move(engine.ti(run), TaskState.QUEUED)]))
    assert bell.rings == 3
    engine.store.close()


def test_what_fails_inside_a_write_leaves_nothing(file_engine: HandDriven) -> None:
    def work(transaction: database.Transaction) -> None:
        transaction.run("DELETE FROM pool")
        transaction.run("INSERT INTO ti (run) VALUES (NULL)")

    with pytest.raises(StoreError, match=r"refused a write: .* nothing of it was kept"):
        file_engine.store.db.write(work)
    assert len(file_engine.store.pools.list()) == 1


@pytest.mark.sqlite_only("there a writer excludes every other")
def test_a_database_that_stays_locked_is_an_error_with_a_remedy(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "LOCK_TIMEOUT", 0.02)
    store = opened(sqlite_url)
    blocker = sqlite3.connect(sqlite_path(sqlite_url), isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreBusy, match="look for a process that holds it open"):
        store.pools.set("p", 1)
    assert store.pools.list(), "readers are never blocked"
    blocker.close()
    store.pools.set("p", 1)
    store.close()


@pytest.mark.sqlite_only("it is about the file")
def test_the_file_is_for_its_owner_only_durable_and_never_checkpointed_behind_our_back(sqlite_url: str) -> None:
    store = opened(sqlite_url)
    assert stat.S_IMODE(sqlite_path(sqlite_url).stat().st_mode) == 0o600
    pragmas = {name: store.db.row(f"PRAGMA {name}") for name in ("journal_mode", "synchronous", "foreign_keys")}
    assert pragmas == {"journal_mode": ("wal",), "synchronous": (2,), "foreign_keys": (1,)}
    assert store.db.row("PRAGMA wal_autocheckpoint") == (0,)
    store.close()
    store = opened(sqlite_url, synchronous="NORMAL")
    assert store.db.row("PRAGMA synchronous") == (1,)
    store.close()
    with pytest.raises(ConfigError, match="choose FULL"):
        opened(sqlite_url, synchronous="OFF")


class Syncs:
    """Notes of each commit whether it waited for the disk."""

    def __init__(self, store: Store) -> None:
        self._db = store.db
        self._db.probe = self
        self.waited: list[bool] = []

    def statement(self, sql: str, *, writing: bool) -> None:
        pass

    def committed(self) -> None:
        self.waited.append(self._db._connection().execute("PRAGMA synchronous").fetchone() == (2,))

    def taken(self) -> list[bool]:
        waited, self.waited = self.waited, []
        return waited


@pytest.mark.sqlite_only("it is about the file")
def test_only_what_nothing_but_a_claim_depends_on_does_not_wait_for_the_disk(sqlite_url: str) -> None:
    store = opened(sqlite_url)
    engine = HandDriven(store, SystemClock())
    engine.dag("a", "b")
    syncs = Syncs(store)
    run = engine.new_run()
    assert syncs.taken() == [True]
    engine.queue(engine.ti(run))
    assert syncs.taken() == [False]
    claimed = engine.claim(engine.ti(run))
    assert claimed is not None
    assert syncs.taken() == [True]
    engine.report(claimed)
    assert syncs.taken() == [True]
    skipped = engine.move(engine.ti(run, "b"), TaskState.SKIPPED)
    engine.scheduler.commit(Changes(generations={run.id: run.generation}, task_moves=[skipped]))
    assert syncs.taken() == [True]
    store.close()


@pytest.mark.sqlite_only("it is about the file")
def test_where_nothing_waits_for_the_disk_nothing_begins_to(sqlite_url: str) -> None:
    store = opened(sqlite_url, synchronous="NORMAL")
    syncs = Syncs(store)
    for durable in (True, False, True):
        store.db.write(lambda transaction: transaction.run("UPDATE pool SET slots = slots"), durable=durable)
    assert syncs.taken() == [False, False, False]
    store.close()


@pytest.mark.sqlite_only("it is about the file")
def test_only_a_database_that_checkpoints_moves_pages_into_the_file(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "CHECKPOINT_EVERY", 5)
    path = sqlite_path(sqlite_url)

    def grows(store: Store) -> bool:
        before = path.stat().st_size
        for number in range(20):
            store.pools.set(f"pool-{store.db.rng.token()}-{number}", 1, "x" * 2000)
        return path.stat().st_size > before

    other, scheduler = opened(sqlite_url), opened(sqlite_url, checkpoints=True)
    assert not grows(other)
    assert grows(scheduler)
    other.close()
    scheduler.close()


@pytest.mark.sqlite_only("it is about the file")
def test_a_network_file_system_is_refused(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialect, "file_system_of", lambda folder: "nfs4")
    with pytest.raises(ConfigError, match=r"network file system \(nfs4\).*local disk"):
        opened(sqlite_url)


def test_the_file_system_is_that_of_the_innermost_mount() -> None:
    assert file_system_of(Path("/proc/self")) == "proc"
    assert file_system_of(Path("/")) is not None


def test_a_url_that_is_not_sqlites_is_refused_without_its_password() -> None:
    assert sqlite_path("sqlite:////a/b%20c.db") == Path("/a/b c.db")
    with pytest.raises(ConfigError, match="speaks SQLite") as caught:
        sqlite_path("postgresql://u:secret@h/db")
    assert "secret" not in str(caught.value)


def test_a_database_whose_provider_is_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_module, "registry", lambda: Registry(discover=Catalog))
    for scheme, package in (
        ("postgresql+psycopg", "windlass-postgres"),
        ("mysql", "windlass-mysql"),
        ("mariadb", "windlass-mysql"),
    ):
        with pytest.raises(ConfigError, match=f"pip install {package}") as caught:
            dialect.dialect_of(f"{scheme}://u:secret@h/db")
        assert "secret" not in str(caught.value)
    with pytest.raises(ConfigError, match="starts with 'oracle'; the installed providers speak sqlite"):
        dialect.dialect_of("oracle://h/db")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    bare = Database(SqliteDialect(tmp_path / "nowhere" / "w.db"), SystemClock(), SystemRng())
    with pytest.raises(StoreError, match=r"nowhere/w.db: .* check that its folder is writable"):
        bare.rows("SELECT 1")


@pytest.mark.sqlite_only("other databases have tests of their schema in files of their own")
def test_a_schema_that_is_not_ours_is_refused_with_the_command_that_helps(tmp_path: Path, sqlite_url: str) -> None:
    with pytest.raises(StoreTooOld, match=r"no tables yet.*db migrate"):
        opened(f"sqlite:///{tmp_path}/empty.db")
    for revision, words in (("0000", "this release needs"), ("9999", "newer than this release's")):
        connection = sqlite3.connect(sqlite_path(sqlite_url))
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        connection.commit()
        connection.close()
        with pytest.raises(StoreTooOld, match=words):
            opened(sqlite_url)
    assert check(sqlite_url) is SchemaState.NEWER
    with pytest.raises(StoreTooOld, match="restore a backup"):
        migrate(sqlite_url)


def test_a_full_disk_is_said_with_the_file_and_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "windlass.db"
    migrate(f"sqlite:///{path}")
    store = opened(f"sqlite:///{path}")
    try:
        store.db.write(lambda transaction: transaction.run("PRAGMA max_page_count = 1"))  # it stays as large as it is
        with pytest.raises(StoreError, match=rf"full: {path}; make room on its disk") as failed:
            store.db.write(
                lambda transaction: transaction.run(
                    "INSERT INTO variable (name, description, secret, updated_at)"
                    " VALUES ('v', '', zeroblob(1048576), 0)"
                )
            )
        assert "\n" not in str(failed.value)
    finally:
        store.close()
