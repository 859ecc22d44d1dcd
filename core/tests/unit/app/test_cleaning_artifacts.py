"""Cleaning the artifact store of a provider: it is opened in a child, which a distribution of this test stands for."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from windlass.app.artifacts import KeptBlobs
from windlass.app.cleaning import Cleaned, clean
from windlass.config import Settings
from windlass.errors import ConfigError, PluginError
from windlass.interfaces.provider import Provider
from windlass.protocol import XComSet, XComValue
from windlass.registry import Registry
from windlass.registry.catalog import Catalog
from windlass.spec import DagSpec, TaskSpec
from windlass.states import RunType
from windlass_testing.hand_driven import HandDriven
from windlass_testing.installation import Installation

OLD, YOUNG = timedelta(days=60), timedelta(hours=1)

PLUGIN = """
from windlass.plugin import Provider, hookimpl

@hookimpl
def windlass_provider():
    return Provider(name="far", artifact_stores={"far": "far_store:FarStore"})
"""
STORE = '''
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from windlass.backends import ArtifactStore, Stored
from windlass.errors import NotFound, PluginError
from windlass.hooks import BaseHook, mask_secret

print("what a library prints is no answer")


class FarStore(ArtifactStore):
    """Files in a folder; which one stands in a connection."""

    def __init__(self, *, path, conn_id="far_default"):
        connection = BaseHook.get_connection(conn_id)
        self.folder = Path(connection.host)
        self.password = connection.password
        (self.folder / "environment").write_text(repr(dict(os.environ)))

    def stored(self):
        if self.password == "break":
            raise PluginError(f"the far store does not take the password {self.password}")
        if self.password == "mask":
            mask_secret("found-in-a-vault")
            raise PluginError("the far store does not take the key found-in-a-vault")
        if self.password == "die":
            os._exit(1)
        if self.password == "hang":
            (self.folder / "hanging").touch()
            time.sleep(600)
        for path in self.folder.glob("*"):
            status = path.stat()
            yield Stored(path.name, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))

    def open(self, digest):
        try:
            return (self.folder / digest).open("rb")
        except FileNotFoundError:
            raise NotFound(digest) from None

    def delete(self, digest, before=None):
        path = self.folder / digest
        if path.stat().st_mtime >= before.timestamp():
            return False
        path.unlink()
        return True

    def put(self, digest, source):
        raise NotImplementedError

    def exists(self, digest):
        raise NotImplementedError
'''


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    site = tmp_path / "site"
    (site / "far-1.0.dist-info").mkdir(parents=True)
    (site / "far_plugin.py").write_text(PLUGIN)
    (site / "far_store.py").write_text(STORE)
    (site / "far-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: far\nVersion: 1.0\n")
    (site / "far-1.0.dist-info" / "entry_points.txt").write_text("[windlass.providers]\nfar = far_plugin\n")
    monkeypatch.setenv("PYTHONPATH", str(site))
    provider = Provider(name="far", artifact_stores={"far": "far_store:FarStore"})
    known = Registry(lambda: Catalog((provider,), ()))
    monkeypatch.setattr("windlass.app.artifacts.registry", lambda: known)
    made = Installation(tmp_path / "home")
    made.add(DagSpec(dag_id="sales", tasks=(TaskSpec(task_id="a"),)))
    (tmp_path / "far").mkdir()
    yield made
    made.close()


@pytest.fixture
def far(here: Installation, tmp_path: Path) -> Path:
    """The folder of the store."""
    return tmp_path / "far"


@pytest.fixture
def sweep(here: Installation, far: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Cleaned]:
    """Clean the artifacts of this home."""

    def call(*, dry_run: bool = False, password: str = "a-secret", conn_id: str = "lake", **more: str) -> Cleaned:  # noqa: S107
        monkeypatch.setenv("WINDLASS_CONN_LAKE", f"far://x:{password}@{str(far).replace('/', '%2F')}")
        environ = {
            **here.environ,
            "WINDLASS__ARTIFACTS__STORE": "far",
            "WINDLASS__ARTIFACTS__PATH": "far://here",
            "WINDLASS__ARTIFACTS__CONN_ID": conn_id,
            **more,
        }
        settings = Settings.load(environ=environ)
        (done,) = clean(here.store, settings, before=here.clock.now(), tables=["artifacts"], dry_run=dry_run)
        return done

    return call


def put(here: Installation, folder: Path, digest: str, age: timedelta = OLD, content: bytes = b"xy") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / digest
    path.write_bytes(content)
    when = (here.clock.now() - age).timestamp()
    os.utime(path, (when, when))
    return path


def store_xcom(here: Installation, data: bytes, digest: str | None = None) -> None:
    engine = HandDriven(here.store, here.clock)
    run = engine.new_run("sales", day=1 + engine.count("run"), run_type=RunType.MANUAL)
    value = XComValue(codec="tagged/1", data=data, artifact=digest, size=len(data))
    engine.report(engine.run(engine.ti(run), dag_id="sales"), xcoms=(XComSet(key="return_value", value=value),))


def test_what_nothing_mentions_goes_from_both_places(
    here: Installation, far: Path, sweep: Callable[..., Cleaned]
) -> None:
    unused, young = put(here, far, "aa" * 32), put(here, far, "dd" * 32, YOUNG)
    local = put(here, here.home / "artifacts" / "ee", "ee" * 32)
    spilled = put(here, far, "bb" * 32, content=f'["{"cc" * 32}", "{"ff" * 32}"]'.encode())
    mentioned_in_it = put(here, far, "cc" * 32)
    mentioned_from_afar = put(here, here.home / "artifacts" / "ff", "ff" * 32)
    foreign = put(here, far, "notes.txt")
    store_xcom(here, b"", "bb" * 32)
    assert sweep(dry_run=True).removed == 2
    assert unused.exists()
    done = sweep()
    assert (done.removed, done.note) == (2, "4 bytes")
    assert [path.exists() for path in (unused, local)] == [False, False]
    assert all(path.exists() for path in (young, spilled, mentioned_in_it, mentioned_from_afar, foreign))


def test_what_is_put_again_meanwhile_stays(here: Installation, far: Path, sweep: Callable[..., Cleaned]) -> None:
    """The store is asked with the instant, and not trusted to have told the truth a moment ago."""
    put(here, far, "aa" * 32)
    delete = KeptBlobs.delete

    def late(self: KeptBlobs, digest: str, before: float) -> bool:
        (far / digest).touch()
        return delete(self, digest, before)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(KeptBlobs, "delete", late)
        os.utime(far / ("aa" * 32), (0, 0))
        assert sweep().removed == 0
    assert (far / ("aa" * 32)).exists()


def test_the_child_gets_the_connection_and_nothing_else(
    here: Installation, far: Path, sweep: Callable[..., Cleaned], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WINDLASS__DATABASE__SQL_ALCHEMY_CONN", "postgres://")
    assert sweep().removed == 0
    environment = (far / "environment").read_text()
    assert "PYTHONPATH" in environment
    assert "WINDLASS" not in environment
    assert "a-secret" not in environment


def test_a_failure_of_the_store_is_a_sentence_without_the_secret(sweep: Callable[..., Cleaned]) -> None:
    with pytest.raises(PluginError, match=r"the store 'far' failed: .* the password \*\*\*"):
        sweep(password="break")
    with pytest.raises(PluginError, match=r"the store 'far' failed: .* the key \*\*\*"):
        sweep(password="mask")
    with pytest.raises(PluginError, match="ended; its messages stand above"):
        sweep(password="die")
    with pytest.raises(PluginError, match="connection `none` is not defined"):
        sweep(conn_id="none")
    with pytest.raises(PluginError, match="connection `far_default` is not defined"):
        sweep(conn_id="")


def test_a_store_that_hangs_does_not_hold_whoever_closes_it(
    here: Installation, far: Path, sweep: Callable[..., Cleaned], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[KeptBlobs] = []
    init = KeptBlobs.__init__

    def remembered(self: KeptBlobs, *arguments: Any) -> None:
        init(self, *arguments)
        made.append(self)

    monkeypatch.setattr(KeptBlobs, "__init__", remembered)
    raised: list[BaseException] = []

    def clean_up() -> None:
        try:
            sweep(password="hang")
        except PluginError as error:
            raised.append(error)

    cleaning = threading.Thread(target=clean_up)
    cleaning.start()
    deadline = time.monotonic() + 30
    while not (far / "hanging").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    made[0].close()
    cleaning.join(10)
    assert not cleaning.is_alive()
    assert "ended; its messages stand above" in str(raised[0])


def test_a_store_that_cannot_be_used_is_refused(sweep: Callable[..., Any]) -> None:
    with pytest.raises(ConfigError, match=r"artifacts\.path is empty"):
        sweep(WINDLASS__ARTIFACTS__PATH="")
    with pytest.raises(PluginError, match="did you mean far"):
        sweep(WINDLASS__ARTIFACTS__STORE="fra")


def test_times_of_the_store_are_compared_in_utc(here: Installation, far: Path, sweep: Callable[..., Cleaned]) -> None:
    day = timedelta(days=1)
    put(here, far, "aa" * 32, day + timedelta(minutes=5))
    put(here, far, "bb" * 32, day - timedelta(minutes=5))
    assert sweep().removed == 1
    assert (far / ("bb" * 32)).exists()
