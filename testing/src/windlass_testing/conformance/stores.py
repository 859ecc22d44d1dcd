"""LogStoreSuite and ArtifactStoreSuite: bytes that come back as they were given, whole or not at all."""

from __future__ import annotations

import hashlib
import io
import random
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO, Final

import pytest

from windlass.backends import ArtifactStore, LogStore
from windlass.errors import NotFound
from windlass_testing.conformance.suite import Suite, must_give

_PATHS: Final = ("dag/run/task/1.log", "dag/scheduled__2026-01-01T00:00:00+00:00/täsk.with.dots/map_3/2.log")
#: More than a store should hold in memory at once.
_LARGE: Final = 24 << 20
_LARGEST_READ: Final = 16 << 20


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
    def test_what_is_appended_is_read(self, path: str) -> None:
        """By whoever opens the store next."""
        store = self.make()
        store.append(path, 0, b"one\n")
        store.append(path, 4, "zwei ü\n".encode())
        again = self.make()
        assert again.read(path) == "one\nzwei ü\n".encode()
        assert again.size(path) == 12

    def test_a_part_is_read_by_its_place(self) -> None:
        """`offset` and `limit` count bytes; at the end there is nothing."""
        store = self.make()
        store.append(_PATHS[0], 0, b"0123456789")
        assert store.read(_PATHS[0], 3) == b"3456789"
        assert store.read(_PATHS[0], 3, 4) == b"3456"
        assert store.read(_PATHS[0], 8, 100) == b"89"
        assert store.read(_PATHS[0], 0, 0) == b""
        assert store.read(_PATHS[0], 10) == b""
        assert store.read(_PATHS[0], 1000) == b""

    def test_a_piece_that_is_written_again_changes_nothing(self) -> None:
        """A supervisor that died after writing and before noting it writes again."""
        store = self.make()
        store.append(_PATHS[0], 0, b"one\n")
        store.append(_PATHS[0], 4, b"two\n")
        store.append(_PATHS[0], 4, b"two\n")
        self.make().append(_PATHS[0], 0, b"one\n")
        assert store.read(_PATHS[0]) == b"one\ntwo\n"
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
        for path in ("a/b.log", "a/b.log.1", "a/b", "a.log"):
            store.append(path, 0, path.encode())
        assert [store.read(path) for path in ("a/b.log", "a/b.log.1", "a.log")] == [b"a/b.log", b"a/b.log.1", b"a.log"]

    def test_deleted_logs_are_gone_and_others_stay(self) -> None:
        """A missing one is no error; an empty list deletes nothing."""
        store = self.make()
        for path in ("a/1.log", "a/2.log", "a/3.log"):
            store.append(path, 0, b"x")
        store.delete([])
        store.delete(iter(["a/1.log", "a/absent.log", "a/3.log"]))
        assert [store.size(path) for path in ("a/1.log", "a/2.log", "a/3.log")] == [0, 1, 0]
        store.append("a/1.log", 0, b"new")
        assert store.read("a/1.log") == b"new"

    def test_bytes_are_bytes(self) -> None:
        """Nothing is decoded, and no line end changed."""
        data = bytes(range(256)) * 3 + b"\r\n\n\r"
        store = self.make()
        store.append(_PATHS[0], 0, data)
        assert store.read(_PATHS[0]) == data

    def test_a_long_log_is_read_in_pieces(self) -> None:
        """As many small pieces written, and others read."""
        store, whole = self.make(), bytearray()
        for number in range(50):
            piece = f"line {number} ".encode() * 500
            store.append(_PATHS[0], len(whole), piece)
            whole += piece
        found = bytearray()
        while piece := store.read(_PATHS[0], len(found), 65_536):
            assert len(piece) <= 65_536
            found += piece
        assert found == whole

    def test_logs_grow_at_the_same_time(self) -> None:
        """Several supervisors write theirs."""
        store = self.make()

        def write(number: int) -> None:
            for line in range(10):
                store.append(f"dag/{number}.log", line * 2, b"x\n")

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(write, range(8)))
        assert [store.read(f"dag/{number}.log") for number in range(8)] == [b"x\n" * 10] * 8


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

    def test_the_same_content_may_be_put_again(self) -> None:
        """Also while others do so, and it can be read all the time."""
        store, content = self.make(), b"the same" * 10_000
        with ThreadPoolExecutor(4) as pool:
            digests = set(pool.map(lambda _: put(store, content), range(8)))
        (digest,) = digests
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
