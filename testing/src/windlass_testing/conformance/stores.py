"""LogStoreSuite and ArtifactStoreSuite: bytes that come back as they were given, whole or not at all."""

from __future__ import annotations

import hashlib
import io
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import UTC, datetime, timedelta
from typing import BinaryIO, Final, TypeVar

import pytest

from windlass.backends import ArtifactStore, LogStore
from windlass.errors import NotFound
from windlass_testing.conformance.suite import Suite, must_give

_PATHS: Final = ("dag/run/task/1.log", "dag/scheduled__2026-01-01T00:00:00+00:00/täsk.with.dots/map_3/2.log")
#: More than a store should hold in memory at once.
_LARGE: Final = 24 << 20
_LARGEST_READ: Final = 16 << 20


_T = TypeVar("_T")


class LogStoreSuite(Suite):
    """Checks a log store.

    A subclass::

        class TestBucketLogs(LogStoreSuite):
            def make(self): return BucketLogs(bucket=self.bucket)
    """

    def make(self) -> LogStore:
        """Return a store over the place of this test, which is empty at first. Override it."""
        must_give(self, "make(): a log store over a place that is empty when the test begins")

    @pytest.mark.parametrize("path", _PATHS, ids=["plain", "strange"])
    def test_what_is_put_is_read(self, path: str) -> None:
        """By whoever opens the store next."""
        self.make().put(path, io.BytesIO("one\nzwei ü\n".encode()))
        again = self.make()
        assert again.read(path) == "one\nzwei ü\n".encode()
        assert again.size(path) == 12

    def test_a_part_is_read_by_its_place(self) -> None:
        """`offset` and `limit` count bytes; at the end there is nothing."""
        store = self.make()
        store.put(_PATHS[0], io.BytesIO(b"0123456789"))
        assert store.read(_PATHS[0], 3) == b"3456789"
        assert store.read(_PATHS[0], 3, 4) == b"3456"
        assert store.read(_PATHS[0], 8, 100) == b"89"
        assert store.read(_PATHS[0], 0, 0) == b""
        assert store.read(_PATHS[0], 10) == b""
        assert store.read(_PATHS[0], 1000) == b""

    def test_a_log_that_has_grown_takes_the_place_of_what_was_put_before(self) -> None:
        """A try may have several attempts; and a server that was killed puts the same again."""
        store = self.make()
        for text in (b"one\n", b"one\ntwo\n", b"one\ntwo\n"):
            store.put(_PATHS[0], io.BytesIO(text))
        assert self.make().read(_PATHS[0]) == b"one\ntwo\n"
        assert store.size(_PATHS[0]) == 8

    def test_a_log_that_does_not_exist_is_empty(self) -> None:
        """Reading and sizing it is no error and makes none."""
        store = self.make()
        assert store.read("no/such.log") == b""
        assert store.read("no/such.log", 10, 10) == b""
        assert store.size("no/such.log") == 0

    def test_logs_are_apart(self) -> None:
        """Also one whose path continues another's."""
        store = self.make()
        for path in ("a/b.log", "a/b.log.1", "a.log"):
            store.put(path, io.BytesIO(path.encode()))
        assert [store.read(path) for path in ("a/b.log", "a/b.log.1", "a.log")] == [b"a/b.log", b"a/b.log.1", b"a.log"]

    def test_deleted_logs_are_gone_and_others_stay(self) -> None:
        """A missing one is no error; an empty list deletes nothing."""
        store = self.make()
        for path in ("a/1.log", "a/2.log", "a/3.log"):
            store.put(path, io.BytesIO(b"x"))
        store.delete([])
        store.delete(iter(["a/1.log", "a/absent.log", "a/3.log"]))
        assert [store.size(path) for path in ("a/1.log", "a/2.log", "a/3.log")] == [0, 1, 0]
        store.put("a/1.log", io.BytesIO(b"new"))
        assert store.read("a/1.log") == b"new"

    def test_bytes_are_bytes(self) -> None:
        """Nothing is decoded, and no line end changed."""
        data = bytes(range(256)) * 3 + b"\r\n\n\r"
        store = self.make()
        store.put(_PATHS[0], io.BytesIO(data))
        assert store.read(_PATHS[0]) == data

    def test_a_long_log_is_put_and_read_in_pieces(self) -> None:
        """It is never in memory as a whole."""
        whole = b"".join(f"line {number}\n".encode() for number in range(_LARGE // 12))
        store, source = self.make(), _Counted(whole)
        store.put(_PATHS[0], source)
        assert source.largest <= _LARGEST_READ, f"it read {source.largest} bytes at once"
        found, offset = hashlib.sha256(), 0
        while piece := store.read(_PATHS[0], offset, 1 << 20):
            assert len(piece) <= 1 << 20
            found.update(piece)
            offset += len(piece)
        assert (offset, found.digest()) == (len(whole), hashlib.sha256(whole).digest())

    def test_logs_are_put_at_the_same_time(self) -> None:
        """Several servers put theirs."""
        store = self.make()

        def write(number: int) -> None:
            for lines in range(1, 4):
                store.put(f"dag/{number}.log", io.BytesIO(b"x\n" * lines))

        _in_threads(write)
        assert [store.read(f"dag/{number}.log") for number in range(8)] == [b"x\n" * 3] * 8


class ArtifactStoreSuite(Suite):
    """Checks an artifact store.

    A subclass::

        class TestBucketArtifacts(ArtifactStoreSuite):
            def make(self): return BucketArtifacts(bucket=self.bucket)
    """

    def make(self) -> ArtifactStore:
        """Return a store over the place of this test, which is empty at first. Override it."""
        must_give(self, "make(): an artifact store over a place that is empty when the test begins")

    @pytest.mark.parametrize("content", [b"", b"text", bytes(range(256)) * 5000], ids=["empty", "short", "long"])
    def test_what_is_put_is_opened(self, content: bytes) -> None:
        """By whoever opens the store next."""
        digest = put(self.make(), content)
        again = self.make()
        assert again.exists(digest)
        with again.open(digest) as stream:
            assert stream.read() == content

    def test_what_is_not_there_is_not_found(self) -> None:
        """`open` raises NotFound, `exists` says no, deleting it is no error."""
        store, absent = self.make(), hashlib.sha256(b"absent").hexdigest()
        assert not store.exists(absent)
        with pytest.raises(NotFound, match=absent):
            store.open(absent)
        store.delete(absent)

    def test_what_is_deleted_is_gone_and_can_come_back(self) -> None:
        """Others stay."""
        store = self.make()
        first, second = put(store, b"first"), put(store, b"second")
        store.delete(first)
        assert (store.exists(first), store.exists(second)) == (False, True)
        with pytest.raises(NotFound):
            store.open(first)
        put(store, b"first")
        with store.open(first) as stream:
            assert stream.read() == b"first"

    def test_only_what_is_old_goes_if_that_is_asked_for(self) -> None:
        """`delete` with an instant compares it with when the content was last put, and says whether it went."""
        store = self.make()
        digest, now = put(store, b"content"), datetime.now(UTC)
        assert not store.delete(digest, now - timedelta(hours=1))
        assert store.exists(digest)
        assert store.delete(digest, now + timedelta(hours=1))
        assert not store.exists(digest)
        assert not store.delete(digest, now + timedelta(hours=1))

    def test_everything_that_is_kept_is_listed(self) -> None:
        """With its size, and when it was last put."""
        store = self.make()
        assert list(store.stored()) == []
        sizes = {put(store, bytes(size)): size for size in range(20)}
        found = list(store.stored())
        assert {entry.digest: entry.size for entry in found} == sizes
        assert len(found) == len(sizes)
        for entry in found:
            assert abs(entry.modified - datetime.now(UTC)) < timedelta(hours=1)

    def test_the_same_content_may_be_put_again(self) -> None:
        """Also while others do so, and it can be read all the time."""
        store, content = self.make(), b"the same" * 10_000
        (digest,) = set(_in_threads(lambda _: put(store, content)))
        with store.open(digest) as stream:
            assert stream.read() == content

    def test_what_is_put_halfway_is_not_there(self) -> None:
        """It becomes visible as a whole or not at all, and the error of the source passes."""
        store = self.make()
        digest = hashlib.sha256(b"x" * 100_000).hexdigest()
        with pytest.raises(OSError, match="the source broke off"):
            store.put(digest, _Broken(b"x" * 50_000))
        assert not store.exists(digest)
        with pytest.raises(NotFound):
            store.open(digest)

    def test_a_large_value_is_never_in_memory_as_a_whole(self) -> None:
        """The source is read in pieces, and so can the stored content be."""
        content = random.Random(1).randbytes(1 << 20) * (_LARGE >> 20)  # noqa: S311 - repeatable
        source = _Counted(content)
        store, digest = self.make(), hashlib.sha256(content).hexdigest()
        store.put(digest, source)
        assert source.largest <= _LARGEST_READ, f"it read {source.largest} bytes at once"
        found = hashlib.sha256()
        with store.open(digest) as stream:
            while piece := stream.read(1 << 20):
                assert len(piece) <= 1 << 20
                found.update(piece)
        assert found.hexdigest() == digest


def _in_threads(work: Callable[[int], _T]) -> list[_T]:
    """Do the work eight times at once, each with this test's session, which a store may ask for connections."""
    contexts = [copy_context() for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda number: contexts[number].run(work, number), range(8)))


class _Counted(io.BytesIO):
    """Remembers the most that was read at once."""

    largest = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.largest = max(self.largest, len(data))
        return data


class _Broken(io.BytesIO):
    """Breaks off where it should end."""

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        if not data or size is None or size < 0:
            raise OSError("the source broke off")
        return data


def put(store: ArtifactStore, content: bytes) -> str:
    """Store ``content`` and return its digest."""
    digest = hashlib.sha256(content).hexdigest()
    source: BinaryIO = io.BytesIO(content)
    store.put(digest, source)
    return digest
