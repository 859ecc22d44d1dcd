"""Which files of a bundle are to be parsed, and why.

A file is parsed when it is new, when anything it was made from changed (itself, what it imported or opened below the
root, what it looked for and did not find), when Python or a package changed, when its interval has passed, or when
somebody asked. Nothing else makes it due, also not a restart: the inputs with their hashes come back from the database.

A file that failed is tried again as well when what is installed changes, since a missing library may be there now.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from windlass.dagfiles.contents import ABSENT, Contents
from windlass.dagfiles.listing import Found, Listing
from windlass.dagfiles.snapshot import Manifest
from windlass.errors import SpecError
from windlass.interfaces.bundle import Bundle
from windlass.store.dags import ParsedFileRow

#: The "file" under which what is wrong with a whole bundle is reported.
WHOLE_BUNDLE: Final = "."


class Remembered(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the database keeps of the inputs of a file."""

    #: Path below the root (or absolute) -> SHA-256; `ABSENT` for what was looked for in vain.
    files: dict[str, str]
    #: What was installed when the file failed (:func:`installed`); None if it did not.
    failed: tuple[int, ...] | None = None


@dataclass(slots=True)
class Tracked:
    """What is known about one DAG file."""

    bundle: str
    root: str
    file: str
    #: In which its naive dates are read.
    timezone: str = "UTC"
    #: As in :class:`Remembered`; None = it must be parsed.
    inputs: Mapping[str, str] | None = None
    dags: tuple[str, ...] = ()
    failed: bool = False
    min_interval: float | None = None
    #: Monotonic.
    parsed_at: float = 0.0
    in_flight: bool = False
    #: How often in a row it changed while it was parsed.
    unstable: int = 0
    #: It was already missing at the last look.
    absent: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """The name of the file among all bundles."""
        return self.bundle, self.file


def code_files(inputs: Mapping[str, str]) -> dict[str, str]:
    """Return those of ``inputs`` that exist and lie below the root."""
    return {path: digest for path, digest in inputs.items() if digest != ABSENT and not path.startswith("/")}


@dataclass(slots=True)
class Look:
    """What one look at a bundle says must be done."""

    due: list[Tracked] = field(default_factory=list)
    gone: list[Tracked] = field(default_factory=list)
    #: What is wrong with the bundle as a whole, one sentence each.
    problems: list[str] = field(default_factory=list)


class Watch:
    """The DAG files of one bundle."""

    def __init__(
        self, bundle: Bundle, contents: Contents, *, safe_mode: bool, min_interval: float, timezone: str = "UTC"
    ) -> None:
        self.bundle = bundle
        self.root = str(bundle.path)
        self.files: dict[str, Tracked] = {}
        self._contents = contents
        self._listing = Listing(self.root, safe_mode=safe_mode)
        self._min_interval = min_interval
        self._timezone = timezone
        self._installed = installed()

    def restore(self, row: ParsedFileRow, parsed_at: float, *, kept: bool) -> None:
        """Go on from what the database says of a file; ``parsed_at`` is monotonic, ``kept``: its snapshot is here.

        Where it is not, as when another host has parsed the file, it is parsed here too.
        """
        tracked = Tracked(
            self.bundle.name, self.root, row.file, self._timezone, dags=row.dags, min_interval=row.min_interval
        )
        tracked.parsed_at = parsed_at
        try:
            known = msgspec.convert(row.inputs, Remembered)
            manifest = Manifest.of(tracked.bundle, self.root, tracked.file, code_files(known.files), self._timezone)
        except (msgspec.ValidationError, SpecError):
            pass  # asked for, or written by another release: it is parsed
        else:
            tracked.failed = known.failed is not None
            if manifest.code_version == row.code_version and known.failed in {None, self._installed}:
                # Of a file that failed nothing is kept.
                tracked.inputs = known.files if kept or tracked.failed else None
        self.files[tracked.file] = tracked

    def look(self, now: float, *, final: bool = False) -> Look:
        """Compare the folder with what is known; ``now`` is monotonic.

        A file must be missing twice in a row before it counts as gone, since editors save by replacing; with ``final``
        once is enough. While the folder itself cannot be read, nothing is gone and nothing is due.
        """
        look = Look()
        try:
            self.bundle.refresh()
        except Exception as error:  # noqa: BLE001 - a provider's bundle
            look.problems.append(
                f"bundle {self.bundle.name!r} cannot be refreshed: {error}; its files stay as they were"
            )
        try:
            found = self._listing.look()
        except OSError as error:
            text = f"the DAG folder {self.root} cannot be read: {error.strerror}"
            look.problems.append(f"{text}; create it, or set core.dags_folder. DAGs from it stay as they were")
            return look
        look.problems += found.problems
        self._find_gone(found, look, final=final)
        for file in found.files:
            if file not in self.files:
                self.files[file] = Tracked(self.bundle.name, self.root, file, self._timezone)
        self._retry_failed()
        current = _Current(self.root, self._contents, found)
        look.due = [
            tracked
            for file, tracked in self.files.items()
            if file in found.files and not tracked.in_flight and self._is_due(tracked, current, now)
        ]
        return look

    def _find_gone(self, found: Found, look: Look, *, final: bool) -> None:
        for file, tracked in list(self.files.items()):
            if file in found.files:
                tracked.absent = False
            elif tracked.absent or final:
                del self.files[file]
                self._contents.forget({absolute(self.root, file)})
                look.gone.append(tracked)
            else:
                tracked.absent = True

    def _retry_failed(self) -> None:
        before, self._installed = self._installed, installed()
        if before != self._installed:
            for tracked in self.files.values():
                if tracked.failed:
                    tracked.inputs = None

    def _is_due(self, tracked: Tracked, current: _Current, now: float) -> bool:
        if tracked.inputs is None:
            return True
        interval = tracked.min_interval or self._min_interval
        if interval and now - tracked.parsed_at >= interval:
            return True
        return any(current.hash_of(path) != digest for path, digest in tracked.inputs.items())


class _Current:
    """The hashes of files at one look, each asked for once however many DAG files share it."""

    def __init__(self, root: str, contents: Contents, found: Found) -> None:
        self._root = root
        self._contents = contents
        self._found = found
        self._hashes: dict[str, str] = {}

    def hash_of(self, path: str) -> str:
        digest = self._hashes.get(path)
        if digest is None:
            mark = self._found.files.get(path)
            digest = self._hashes[path] = self._contents.hash_of(absolute(self._root, path), mark)
        return digest


def absolute(root: str, path: str) -> str:
    """Return where an input lies; most are below the root."""
    return path if path.startswith("/") else f"{root}/{path}"


def changed_inputs(contents: Contents, root: str, inputs: Mapping[str, str]) -> list[str]:
    """Return those of ``inputs`` that are not (any more) what they were when the file was parsed."""
    return [path for path, digest in inputs.items() if contents.hash_of(absolute(root, path)) != digest]


def installed() -> tuple[int, ...]:
    """Return what changes when a package is installed, upgraded or removed."""
    return tuple(_modified(path) for path in sys.path if path)


def _modified(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116 - measured: Path is five times slower
    except OSError:
        return 0
