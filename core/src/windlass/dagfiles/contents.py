"""The hashes of files, read again only when a file has changed.

A mark (times, size, inode) that did not change means contents that did not change, with one exception: the clock of a
file system ticks every few milliseconds, so a file may change once more within the tick in which it was read. A mark
that young is not trusted yet, and the file is read again the next time it is asked for.
"""

from __future__ import annotations

import hashlib
import os
import stat
from typing import Final

from windlass.dagfiles.listing import Mark, mark_of
from windlass.ports import Clock

#: The hash of what is not there, or is no file.
ABSENT: Final = ""
#: Two changes further apart than this have different marks, on any file system that keeps fractions of seconds.
_TICK: Final = 50_000_000


class Contents:
    """The SHA-256 of the files of one process, by absolute path."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        #: Path -> (mark, hash), of marks that can be trusted.
        self._known: dict[str, tuple[Mark, str]] = {}

    def hash_of(self, path: str, mark: Mark | None = None) -> str:
        """Return the SHA-256 of the file in hex, :data:`ABSENT` if there is none.

        ``mark`` is one that was just taken, if there is one: it saves a system call.
        """
        if mark is None:
            try:
                status = os.stat(path)  # noqa: PTH116 - measured: Path is five times slower
            except (OSError, ValueError):
                return self._absent(path)
            if not stat.S_ISREG(status.st_mode):
                return self._absent(path)
            mark = mark_of(status)
        known = self._known.get(path)
        if known is not None and known[0] == mark:
            return known[1]
        return self._read(path)

    def forget(self, paths: set[str]) -> None:
        """Keep nothing about ``paths``."""
        for path in paths:
            self._known.pop(path, None)

    def _read(self, path: str) -> str:
        now = int(self._clock.now().timestamp() * 1e9)
        try:
            with open(path, "rb") as file:  # noqa: PTH123 - bytes of any size, by a path that is text
                mark = mark_of(os.fstat(file.fileno()))
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return self._absent(path)
        if mark.ctime < now - _TICK:  # every write sets it to the time of day, whatever the modification time says
            self._known[path] = (mark, digest)
        else:
            self._known.pop(path, None)
        return digest

    def _absent(self, path: str) -> str:
        self._known.pop(path, None)
        return ABSENT
