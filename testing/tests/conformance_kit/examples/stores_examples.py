"""Stores that the suites must reject, each with one thing wrong; the first of each kind is sound."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, BinaryIO

import pytest

from windlass.backends import ArtifactStore, LogStore, Stored
from windlass.errors import NotFound
from windlass_testing.conformance import ArtifactStoreSuite, LogStoreSuite

FILES: dict[str, bytes] = {}


class Logs(LogStore):
    """In memory."""

    def put(self, path: str, source: BinaryIO) -> None:
        FILES[path] = b"".join(iter(lambda: source.read(1 << 20), b""))

    def read(self, path: str, offset: int = 0, limit: int | None = None) -> bytes:
        return FILES.get(path, b"")[offset:][:limit]

    def size(self, path: str) -> int:
        return len(FILES.get(path, b""))

    def delete(self, paths: Iterable[str]) -> None:
        for path in paths:
            FILES.pop(path, None)


class KitLogs(LogStoreSuite):
    store: type[LogStore] = Logs

    @pytest.fixture(autouse=True)
    def empty(self) -> None:
        FILES.clear()

    def make(self) -> LogStore:
        return self.store()


class TestSoundLogs(KitLogs):
    breaks: set[str] = set()


class TestForgetsWhenItIsOpenedAgain(KitLogs):
    breaks = {"test_what_is_put_is_read", "test_a_log_that_has_grown_takes_the_place_of_what_was_put_before"}

    class store(Logs):
        def __init__(self) -> None:
            self.own: set[str] = set()

        def put(self, path: str, source: BinaryIO) -> None:
            super().put(path, source)
            self.own.add(path)

        def read(self, path: str, offset: int = 0, limit: int | None = None) -> bytes:
            return super().read(path, offset, limit) if path in self.own else b""


class TestAddsToWhatIsThere(KitLogs):
    breaks = {"test_a_log_that_has_grown_takes_the_place_of_what_was_put_before", "test_logs_are_put_at_the_same_time"}

    class store(Logs):
        def put(self, path: str, source: BinaryIO) -> None:
            FILES[path] = FILES.get(path, b"") + b"".join(iter(lambda: source.read(1 << 20), b""))


class TestIgnoresTheLimit(KitLogs):
    breaks = {"test_a_part_is_read_by_its_place", "test_a_long_log_is_put_and_read_in_pieces"}

    class store(Logs):
        def read(self, path: str, offset: int = 0, limit: int | None = None) -> bytes:
            return super().read(path, offset)


class TestRaisesForALogThatDoesNotExist(KitLogs):
    breaks = {"test_a_log_that_does_not_exist_is_empty"}

    class store(Logs):
        def read(self, path: str, offset: int = 0, limit: int | None = None) -> bytes:
            return FILES[path][offset:][:limit]


class TestMixesLogs(KitLogs):
    breaks = {"test_logs_are_apart"}

    class store(Logs):
        def put(self, path: str, source: BinaryIO) -> None:
            super().put(path.removesuffix(".1"), source)

        def read(self, path: str, offset: int = 0, limit: int | None = None) -> bytes:
            return super().read(path.removesuffix(".1"), offset, limit)


class TestCannotDeleteWhatIsNotThere(KitLogs):
    breaks = {"test_deleted_logs_are_gone_and_others_stay"}

    class store(Logs):
        def delete(self, paths: Iterable[str]) -> None:
            for path in paths:
                del FILES[path]


class TestChangesLineEnds(KitLogs):
    breaks = {"test_bytes_are_bytes"}

    class store(Logs):
        def put(self, path: str, source: BinaryIO) -> None:
            super().put(path, io.BytesIO(source.read(1 << 24).replace(b"\r\n", b"\n") + source.read(1 << 24)))


class TestCannotBeUsedFromThreads(KitLogs):
    breaks = {"test_logs_are_put_at_the_same_time"}

    class store(Logs):
        def put(self, path: str, source: BinaryIO) -> None:
            assert threading.current_thread() is threading.main_thread()
            super().put(path, source)


class TestReadsALogAtOnce(KitLogs):
    breaks = {"test_a_long_log_is_put_and_read_in_pieces"}

    class store(Logs):
        def put(self, path: str, source: BinaryIO) -> None:
            FILES[path] = source.read()


class Artifacts(ArtifactStore):
    """In memory, which a real one must not do."""

    def put(self, digest: str, source: BinaryIO) -> None:
        pieces = []
        while piece := source.read(1 << 20):
            pieces.append(piece)
        FILES[digest] = b"".join(pieces)

    def open(self, digest: str) -> BinaryIO:
        if digest not in FILES:
            raise NotFound(f"artifact {digest} is not there; run the task again that made it")
        return io.BytesIO(FILES[digest])

    def exists(self, digest: str) -> bool:
        return digest in FILES

    def delete(self, digest: str, before: datetime | None = None) -> bool:
        if before is not None and before <= datetime.now(UTC):  # everything is as young as its test
            return False
        return FILES.pop(digest, None) is not None

    def stored(self) -> Iterator[Stored]:
        return iter([Stored(digest, len(data), datetime.now(UTC)) for digest, data in FILES.items()])


class KitArtifacts(ArtifactStoreSuite):
    store: Any = Artifacts

    @pytest.fixture(autouse=True)
    def empty(self) -> None:
        FILES.clear()

    def make(self) -> ArtifactStore:
        made: ArtifactStore = self.store()
        return made


class TestSoundArtifacts(KitArtifacts):
    breaks: set[str] = set()


class TestLosesWhatIsEmpty(KitArtifacts):
    breaks = {"test_what_is_put_is_opened"}

    class store(Artifacts):
        def exists(self, digest: str) -> bool:
            return bool(FILES.get(digest))


class TestRaisesAnErrorOfItsLibrary(KitArtifacts):
    breaks = {
        "test_what_is_not_there_is_not_found",
        "test_what_is_deleted_is_gone_and_can_come_back",
        "test_what_is_put_halfway_is_not_there",
    }

    class store(Artifacts):
        def open(self, digest: str) -> BinaryIO:
            return io.BytesIO(FILES[digest])


class TestDeletesNothing(KitArtifacts):
    breaks = {
        "test_what_is_deleted_is_gone_and_can_come_back",
        "test_only_what_is_old_goes_if_that_is_asked_for",
    }

    class store(Artifacts):
        def delete(self, digest: str, before: datetime | None = None) -> bool:
            return False


class TestDeletesWhatIsYoung(KitArtifacts):
    breaks = {"test_only_what_is_old_goes_if_that_is_asked_for"}

    class store(Artifacts):
        def delete(self, digest: str, before: datetime | None = None) -> bool:
            return super().delete(digest)


class TestListsHalfOfIt(KitArtifacts):
    breaks = {"test_everything_that_is_kept_is_listed"}

    class store(Artifacts):
        def stored(self) -> Iterator[Stored]:
            return iter(list(super().stored())[::2])


class TestRefusesTheSameContent(KitArtifacts):
    breaks = {"test_the_same_content_may_be_put_again"}

    class store(Artifacts):
        def put(self, digest: str, source: BinaryIO) -> None:
            if digest in FILES:
                raise FileExistsError(digest)
            super().put(digest, source)


class TestShowsWhatIsPutHalfway(KitArtifacts):
    breaks = {"test_what_is_put_halfway_is_not_there"}

    class store(Artifacts):
        def put(self, digest: str, source: BinaryIO) -> None:
            FILES[digest] = b""
            while piece := source.read(1 << 20):
                FILES[digest] += piece


class TestReadsEverythingAtOnce(KitArtifacts):
    breaks = {"test_a_large_value_is_never_in_memory_as_a_whole"}

    class store(Artifacts):
        def put(self, digest: str, source: BinaryIO) -> None:
            FILES[digest] = source.read()
