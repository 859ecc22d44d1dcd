"""Logs that are stored elsewhere: who says so, when they go, and when the local file does."""

# ruff: noqa: ANN401 - pytest's own fixtures
from __future__ import annotations

import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest

from windlass.app.logs import LogShipping, StoredLogs, log_store_of, notes_of
from windlass.config import Settings
from windlass.errors import ConfigError, PluginError
from windlass.interfaces.provider import Provider
from windlass.interfaces.stores import LogStore
from windlass.registry import Registry
from windlass.registry.catalog import Catalog
from windlass.runtime import keeper
from windlass.supervisor.shipping import announce

PATH = "dag_id=d/run_id=r/task_id=t/attempt=1.log"
HOUR = 3600.0


class MemoryStore(LogStore):
    """Keeps logs in memory."""

    def __init__(self) -> None:
        self.logs: dict[str, bytes] = {}
        self.puts = 0

    def put(self, path: str, source: BinaryIO) -> None:
        self.puts += 1
        self.logs[path] = source.read()

    def read(self, path: str, offset: int = 0, limit: int | None = None) -> bytes:
        return self.logs.get(path, b"")[offset : None if limit is None else offset + limit]

    def size(self, path: str) -> int:
        return len(self.logs.get(path, b""))

    def delete(self, paths: Iterable[str]) -> None:
        raise NotImplementedError


class Kept:
    """What the child would do, in this process."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.down = False
        self.opened = 0

    def put(self, path: str, file: Path) -> None:
        if self.down:
            raise PluginError("the store 'memory' failed: it is down")
        keeper._put_log(self.store, path, file)

    def read(self, path: str, offset: int, limit: int) -> bytes:
        return self.store.read(path, offset, limit)

    def close(self) -> None:
        """Stay open."""


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Registry(lambda: Catalog((Provider(name="memory", log_stores={"memory": "nowhere:Store"}),), ()))
    monkeypatch.setattr("windlass.app.logs.registry", lambda: found)


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Kept:
    made = Kept(MemoryStore())

    def opened(*_: object) -> Kept:
        made.opened += 1
        return made

    monkeypatch.setattr("windlass.app.logs._open", opened)
    return made


class Home:
    """A home with remote logging, and its shipping under a clock of the test's own."""

    def __init__(self, folder: Path, **more: str) -> None:
        environ = {
            "WINDLASS_HOME": str(folder),
            "WINDLASS__LOGGING__REMOTE_LOGGING": "true",
            "WINDLASS__LOGGING__REMOTE_BASE_LOG_FOLDER": "memory://logs",
            **more,
        }
        self.settings = Settings.load(environ=environ)
        self.notes = notes_of(self.settings)
        self.notes.parent.mkdir(parents=True)
        self.now = 1_000_000.0
        self.shipping = LogShipping(self.settings, cast(Any, None), now=lambda: self.now)

    @property
    def log(self) -> Path:
        return Path(self.settings.logging.base_log_folder) / PATH

    def write(self, text: bytes, *, final: bool = True) -> None:
        """Append to the log, and end an attempt."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as file:
            file.write(text)
        os.utime(self.log, (self.now, self.now))
        announce(self.notes, PATH, final=final)

    def waiting(self) -> int:
        return len([path for path in self.notes.glob("*") if not path.name.startswith(".")])


@pytest.fixture
def deleting(tmp_path: Path) -> Home:
    return Home(tmp_path / "home", WINDLASS__LOGGING__DELETE_LOCAL_LOGS="true")


@pytest.fixture
def keeping(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def test_a_log_goes_when_its_attempt_has_ended_and_stays_here(keeping: Home, kept: Kept) -> None:
    assert keeping.shipping.step() > 0
    assert kept.opened == 0, "no child before there is a log"
    keeping.write(b"one\n", final=False)
    keeping.shipping.step()
    assert kept.store.logs == {PATH: b"one\n"}
    keeping.write(b"two\n")
    keeping.shipping.step()
    assert kept.store.logs == {PATH: b"one\ntwo\n"}
    assert keeping.waiting() == 0
    keeping.now += 2 * HOUR
    keeping.shipping.step()
    assert keeping.log.exists()
    assert kept.store.puts == 2


def test_the_local_file_goes_an_hour_later_if_it_shall(deleting: Home, kept: Kept) -> None:
    deleting.write(b"one\n")
    deleting.now += 1
    deleting.shipping.step()
    deleting.now += HOUR - 60
    deleting.shipping.step()
    assert deleting.log.exists()
    deleting.now += 120
    deleting.shipping.step()
    assert not deleting.log.exists()
    assert kept.store.logs == {PATH: b"one\n"}


def test_a_log_that_was_written_to_since_does_not_go(deleting: Home, kept: Kept) -> None:
    deleting.write(b"one\n")
    deleting.now += 1
    deleting.shipping.step()
    deleting.now += HOUR + 60
    with deleting.log.open("ab") as file:
        file.write(b"a callback is writing\n")
    os.utime(deleting.log, (deleting.now, deleting.now))
    deleting.shipping.step()
    assert deleting.log.exists()


def test_a_try_that_goes_on_keeps_its_file(deleting: Home, kept: Kept) -> None:
    deleting.write(b"deferred\n", final=False)
    deleting.now += 1
    deleting.shipping.step()
    deleting.now += 2 * HOUR
    deleting.shipping.step()
    assert deleting.log.exists()


def test_what_is_said_after_the_file_went_is_added(deleting: Home, kept: Kept) -> None:
    deleting.write(b'{"ts": 1, "msg": "the task"}\n')
    deleting.shipping.step()
    deleting.log.unlink()
    deleting.write(b'{"ts": 2, "msg": "a late callback"}\n')
    deleting.shipping.step()
    whole = b'{"ts": 1, "msg": "the task"}\n{"ts": 2, "msg": "a late callback"}\n'
    assert kept.store.logs == {PATH: whole}
    announce(deleting.notes, PATH, final=True)  # the word that it was stored was lost
    deleting.shipping.step()
    assert kept.store.logs == {PATH: whole}


def test_a_store_that_is_down_is_tried_again_ever_later(keeping: Home, kept: Kept, caplog: Any) -> None:
    kept.down = True
    keeping.write(b"one\n")
    pauses = [keeping.shipping.step() for _ in range(7)]
    assert pauses == [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    assert "tried again in 2 s: the store 'memory' failed: it is down" in caplog.text
    assert keeping.waiting() == 1
    kept.down = False
    keeping.shipping.step()
    assert (kept.store.logs, keeping.waiting()) == ({PATH: b"one\n"}, 0)


def test_a_log_that_was_cleaned_up_is_forgotten(keeping: Home, kept: Kept) -> None:
    keeping.write(b"one\n")
    keeping.log.unlink()
    keeping.shipping.step()
    assert keeping.waiting() == 0
    assert kept.store.logs == {}


def test_an_attempt_that_ends_meanwhile_is_not_missed(keeping: Home, kept: Kept, monkeypatch: Any) -> None:
    keeping.write(b"one\n", final=False)
    put = kept.put

    def slow(path: str, file: Path) -> None:
        put(path, file)
        monkeypatch.setattr(kept, "put", put)
        keeping.write(b"two\n")

    monkeypatch.setattr(kept, "put", slow)
    keeping.shipping.step()
    assert keeping.waiting() == 1
    keeping.shipping.step()
    assert kept.store.logs == {PATH: b"one\ntwo\n"}


def test_a_note_that_cannot_be_written_costs_no_task(tmp_path: Path, caplog: Any) -> None:
    (tmp_path / "file").write_text("")
    announce(tmp_path / "file" / "notes", PATH, final=True)
    assert "will not be stored elsewhere" in caplog.text
    announce(None, PATH, final=True)


def test_logs_are_read_back_only_where_they_may_be(keeping: Home, kept: Kept, tmp_path: Path) -> None:
    class Closing:
        def on_close(self, close: object) -> None:
            self.close = close

    kept.store.put(PATH, io.BytesIO(b"0123"))
    assert StoredLogs(keeping.settings, cast(Any, Closing())).read(PATH, 1, 2) == b"12"
    off = Settings.load(environ={"WINDLASS_HOME": str(tmp_path)})
    assert StoredLogs(off, cast(Any, Closing())).read(PATH, 1, 2) == b""


@pytest.mark.usefixtures("known")
def test_the_scheme_of_the_folder_names_the_store(keeping: Home, tmp_path: Path) -> None:
    assert log_store_of(keeping.settings) == ("memory", {"path": "memory://logs"})
    named = Home(tmp_path / "b", WINDLASS__LOGGING__REMOTE_LOG_CONN_ID="lake")
    assert log_store_of(named.settings) == ("memory", {"path": "memory://logs", "conn_id": "lake"})
    assert log_store_of(Settings.load(environ={"WINDLASS_HOME": str(tmp_path)})) is None
    with pytest.raises(ConfigError, match="no place such as"):
        log_store_of(Home(tmp_path / "c", WINDLASS__LOGGING__REMOTE_BASE_LOG_FOLDER="logs").settings)
    with pytest.raises(PluginError, match="did you mean memory"):
        log_store_of(Home(tmp_path / "d", WINDLASS__LOGGING__REMOTE_BASE_LOG_FOLDER="memorx://x").settings)
