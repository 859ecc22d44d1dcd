"""Which files of a folder are DAG files, and the marks by which a change of any file is seen without reading it.

A DAG file is a regular ``.py`` file that is not hidden, not ignored (see :mod:`.ignoring`), not in a virtual
environment and, in safe mode, contains ``dag`` or ``@asset``, and ``windlass``, somewhere, in any case: other modules
that lie beside it are not run for nothing. Its contents are read for that once per change. A folder that is reachable
under several names (links, also in circles) is looked at once, under its real name if that is in the bundle.

Looking costs about a millisecond per 300 files, since that is all an idle server does.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from typing import Final, NamedTuple

from windlass.dagfiles.ignoring import FILE_NAMES, Ignored

#: How much of a file is searched for the two words.
_SEARCHED: Final = 4 << 20


class Mark(NamedTuple):
    """What the file system tells of a file. Contents do not change without it, but for a race: see `Contents`."""

    mtime: int
    ctime: int
    size: int
    inode: int


def mark_of(status: os.stat_result) -> Mark:
    """Return the mark in what ``stat`` returned."""
    return Mark(status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)


class Found(NamedTuple):
    """What one look at a folder found."""

    #: Path below the root, with forward slashes -> mark. Sorted.
    files: dict[str, Mark]
    #: What was left out although it may be a DAG file, one sentence each.
    problems: list[str]


class _Folder(NamedTuple):
    path: str
    names: tuple[str, ...]
    ignored: Ignored


class Listing:
    """The DAG files of one folder, looked for again and again."""

    def __init__(self, root: str, *, safe_mode: bool) -> None:
        self._root = root
        self._safe_mode = safe_mode
        #: Path -> (mark, whether the two words are in it)
        self._mentions: dict[str, tuple[Mark, bool]] = {}

    def look(self) -> Found:
        """Return the DAG files that are there now.

        :raises OSError: if the folder itself cannot be read.
        """
        found = Found({}, [])
        seen = {_identity(os.stat(self._root))}  # noqa: PTH116 - measured: Path is five times slower
        folders = deque([_Folder(self._root, (), Ignored())])
        links: deque[_Folder] = deque()
        mentions: dict[str, tuple[Mark, bool]] = {}
        while folders or links:
            folder = folders.popleft() if folders else links.popleft()
            try:
                entries = _entries(folder.path)
            except OSError as error:
                if not folder.names:
                    raise
                found.problems.append(f"folder {'/'.join(folder.names)} cannot be read: {error.strerror}")
                continue
            if folder.names and not _first_time(folder.path, seen):
                continue
            if any(entry.name == "pyvenv.cfg" for entry in entries):
                continue
            ignored = _with_ignore_files(folder, entries)
            for entry in entries:
                name = entry.name
                if name.startswith(".") or name == "__pycache__":
                    continue
                names = (*folder.names, name)
                if _is_folder(entry):
                    if not ignored.ignores(names, is_folder=True):
                        (links if entry.is_symlink() else folders).append(_Folder(entry.path, names, ignored))
                elif name.endswith(".py") and not ignored.ignores(names, is_folder=False):
                    self._consider(entry, "/".join(names), found, mentions)
        self._mentions = mentions
        return Found(dict(sorted(found.files.items())), found.problems)

    def _consider(
        self, entry: os.DirEntry[str], file: str, found: Found, mentions: dict[str, tuple[Mark, bool]]
    ) -> None:
        try:
            status = entry.stat()
        except OSError:
            return  # it went away, or is a link to nothing
        if not stat.S_ISREG(status.st_mode):
            return
        mark = mark_of(status)
        if self._safe_mode:
            known = self._mentions.get(file)
            wanted = known[1] if known is not None and known[0] == mark else _mentions_dags(entry.path)
            mentions[file] = (mark, wanted)
            if not wanted:
                return
        if not _is_text(file):
            shown = os.fsencode(file).decode(errors="backslashreplace")
            found.problems.append(f"the name of {shown} is not UTF-8; rename the file")
            return
        found.files[file] = mark


def _entries(path: str) -> list[os.DirEntry[str]]:
    with os.scandir(path) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a link to itself


def _with_ignore_files(folder: _Folder, entries: list[os.DirEntry[str]]) -> Ignored:
    ignored = folder.ignored
    for name in FILE_NAMES:
        if any(entry.name == name for entry in entries):
            try:
                with open(f"{folder.path}/{name}", encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123 - like every path here
                    ignored = ignored.extended(folder.names, file.read())
            except OSError:
                continue
    return ignored


def _first_time(path: str, seen: set[tuple[int, int]]) -> bool:
    try:
        identity = _identity(os.stat(path))  # noqa: PTH116 - measured: Path is five times slower
    except OSError:
        return False
    if identity in seen:
        return False
    seen.add(identity)
    return True


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _mentions_dags(path: str) -> bool:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - like every path here
            text = file.read(_SEARCHED).lower()
    except OSError:
        return True  # parsing it will say what is wrong
    return (b"dag" in text or b"@asset" in text) and b"windlass" in text


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
