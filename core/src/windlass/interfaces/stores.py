"""The bases of the two stores of files: what tasks wrote to their logs, and what they hand over between them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import BinaryIO, NamedTuple


class LogStore(ABC):
    """Keeps the logs of tries away from the machine that wrote them, each named by its path below the log folder.

    Made with the keyword arguments ``path`` and, where it is set, ``conn_id``, from
    ``logging.remote_base_log_folder`` and ``logging.remote_log_conn_id``; its name in the manifest is the scheme of
    that folder. It lives in a child of the server, which hands it logs, or of a command, which reads one. A supervisor
    goes on writing to the local file.
    """

    @abstractmethod
    def put(self, path: str, source: BinaryIO) -> None:
        """Store the log that ``source`` holds, in place of what was stored. It becomes visible as a whole."""

    @abstractmethod
    def read(self, path: str, offset: int = 0, limit: int | None = None) -> bytes:
        """Return at most ``limit`` bytes from ``offset``; empty at the end and for a log that does not exist."""

    @abstractmethod
    def size(self, path: str) -> int:
        """Return how many bytes the log has, 0 if it does not exist."""

    @abstractmethod
    def delete(self, paths: Iterable[str]) -> None:
        """Remove logs; a missing one is no error."""


class Stored(NamedTuple):
    """One content of an artifact store."""

    digest: str
    #: In bytes.
    size: int
    #: When it was put last; aware.
    modified: datetime


class ArtifactStore(ABC):
    """Keeps large values and files, addressed by the SHA-256 of their content in hex.

    Made with the keyword arguments ``path`` and, where it is set, ``conn_id`` of the section ``artifacts``, inside the
    process that needs it: a task child, or the child that cleans. There it may use hooks, and so connections. (The
    local store is none of these: it is read and written through the gateway.) The same content is stored once; what no
    XCom mentions for a day is deleted by ``db clean``.
    """

    @abstractmethod
    def put(self, digest: str, source: BinaryIO) -> None:
        """Store the content of ``source``, which can seek, under ``digest``.

        It becomes visible as a whole or not at all. A content that is there already becomes as young as a new one:
        whoever puts it relies on it from now on.
        """

    @abstractmethod
    def open(self, digest: str) -> BinaryIO:
        """Return the content for reading.

        :raises NotFound: if it is not there.
        """

    @abstractmethod
    def exists(self, digest: str) -> bool:
        """Return whether the whole content is there."""

    @abstractmethod
    def delete(self, digest: str, before: datetime | None = None) -> bool:
        """Remove the content, with ``before`` only if it was last put before that instant; return whether it went.

        A missing one is no error.
        """

    @abstractmethod
    def stored(self) -> Iterator[Stored]:
        """Yield everything that is kept, in any order, without holding all of it at once."""
