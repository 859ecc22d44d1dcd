"""Content that is too large for a frame, in the store of a provider."""

from __future__ import annotations

import asyncio
import hashlib
import io
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from windlass.errors import NotFound, PluginError, XComError
from windlass.interfaces.provider import Provider
from windlass.interfaces.stores import ArtifactStore, Stored
from windlass.interfaces.trigger import BaseTrigger, TriggerEvent
from windlass.protocol import ArtifactOpen, Verb
from windlass.registry import Registry
from windlass.registry.catalog import Catalog
from windlass.runtime import blobs
from windlass.runtime.artifacts import TaskArtifacts
from windlass.runtime.trigger_run import first_event
from windlass.runtime.xcom import SPILL, pack, unpack


class FarStore(ArtifactStore):
    """A store in memory, which all that are made for one path share."""

    kept: dict[str, dict[str, bytes]] = {}
    made = 0

    def __init__(self, *, path: str, conn_id: str = "far_default") -> None:
        FarStore.made += 1
        self._kept = self.kept.setdefault(f"{path} {conn_id}", {})

    def put(self, digest: str, source: BinaryIO) -> None:
        self._kept[digest] = source.read()

    def open(self, digest: str) -> BinaryIO:
        if digest not in self._kept:
            raise NotFound(f"{digest} is not there")
        return io.BytesIO(self._kept[digest])

    def exists(self, digest: str) -> bool:
        return digest in self._kept

    def delete(self, digest: str, before: datetime | None = None) -> bool:
        return self._kept.pop(digest, None) is not None

    def stored(self) -> Iterator[Stored]:
        return iter([Stored(digest, len(data), datetime.now(UTC)) for digest, data in self._kept.items()])


class FarSession:
    """A supervisor whose configuration names the store."""

    context: Mapping[str, Any] | None = None

    def __init__(self, store: str = "far") -> None:
        self.store = store

    def ask(self, verb: Verb) -> Any:  # noqa: ANN401 - any msgpack value
        assert isinstance(verb, ArtifactOpen), "nothing is committed"
        return {"store": self.store, "arguments": {"path": "far://here", "conn_id": "lake"}}

    def tell(self, verb: Verb) -> None:
        raise AssertionError(verb)


@pytest.fixture(autouse=True)
def far(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """The content of the store, which a provider brings under the name ``far``."""
    stores = {"far": f"{__name__}:FarStore", "wrong": "windlass.errors:NotFound"}
    found = Registry(lambda: Catalog((Provider(name="far", artifact_stores=stores),), ()))
    monkeypatch.setattr(
        "windlass.registry.lookup", lambda kind, name: FarStore if name == "far" else found.lookup(kind, name)
    )
    monkeypatch.setattr(FarStore, "kept", {})
    monkeypatch.setattr(FarStore, "made", 0)
    blobs._made.cache_clear()
    return FarStore.kept.setdefault("far://here lake", {})


def test_a_large_value_goes_there_and_comes_back(far: dict[str, bytes]) -> None:
    session = FarSession()
    value = ["x" * SPILL, "ü"]
    stored = pack(value, "it", session)
    assert list(far) == [stored.artifact]
    assert unpack(stored, session) == value
    assert FarStore.made == 1, "one client for the life of a process"


def test_a_value_that_was_damaged_there_is_an_error(far: dict[str, bytes]) -> None:
    stored = pack("x" * SPILL, "it", FarSession())
    far[str(stored.artifact)] = b"other"
    with pytest.raises(XComError, match="is damaged"):
        unpack(stored, FarSession())


def test_a_file_is_handed_over(far: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_bytes(b"1,2\n" * 1000)
    artifacts = TaskArtifacts(FarSession())
    reference = artifacts.put(tmp_path / "data.csv")
    assert (reference.size, reference.name) == (4000, "data.csv")
    assert reference.digest == hashlib.sha256(b"1,2\n" * 1000).hexdigest()
    with artifacts.open(reference) as source:
        assert source.read(4) == b"1,2\n"
    (tmp_path / "there").mkdir()
    assert artifacts.get(reference, tmp_path / "there").read_bytes() == b"1,2\n" * 1000
    far[reference.digest] = b"short"
    with pytest.raises(XComError, match=r"'data\.csv' is damaged"):
        artifacts.get(reference, tmp_path / "again")
    assert not (tmp_path / "again").exists()
    far.clear()
    with pytest.raises(NotFound):
        artifacts.open(reference)


def test_a_file_that_changes_meanwhile_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "growing"
    file.write_bytes(b"a")
    put = FarStore.put

    def slow(self: FarStore, digest: str, source: BinaryIO) -> None:
        put(self, digest, source)
        file.write_bytes(b"ab")

    monkeypatch.setattr(FarStore, "put", slow)
    with pytest.raises(XComError, match="written to while it was stored"):
        TaskArtifacts(FarSession()).put(file)


class LargeTrigger(BaseTrigger):
    """Gives back what it got."""

    def __init__(self, text: str) -> None:
        self.text = text

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "large", {"text": self.text}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        yield TriggerEvent(self.text)


def test_large_values_of_a_trigger_never_hold_the_loop_of_its_host(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []
    put, opened = FarStore.put, FarStore.open

    def watched_put(self: FarStore, digest: str, source: BinaryIO) -> None:
        threads.append(threading.current_thread())
        put(self, digest, source)

    def watched_open(self: FarStore, digest: str) -> BinaryIO:
        threads.append(threading.current_thread())
        return opened(self, digest)

    monkeypatch.setattr("windlass.runtime.trigger_run.make", lambda _, arguments: LargeTrigger(**arguments))
    session = FarSession()
    arguments = pack({"text": "x" * SPILL}, "the arguments", session)
    monkeypatch.setattr(FarStore, "put", watched_put)
    monkeypatch.setattr(FarStore, "open", watched_open)
    event = asyncio.run(first_event("large", arguments, session))
    assert len(threads) == 2
    assert threading.main_thread() not in threads
    assert unpack(event, session) == "x" * SPILL


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("fra", "no installed provider brings the artifact store 'fra'; did you mean far"), ("wrong", "does not extend")],
)
def test_a_store_that_cannot_be_had_is_named(name: str, sentence: str) -> None:
    with pytest.raises(PluginError, match=sentence):
        pack("x" * SPILL, "it", FarSession(name))
