"""Code versions: what a DAG file and everything it read looked like, kept so that runs can go on with it.

::

    <code>/blobs/<sha256>                   the contents of one file, shared by all versions
    <code>/versions/<code_version>.json     a manifest: bundle, file, root, {path: sha256}, Python, Windlass, providers

The code version is the hash of its manifest. So equal inputs have an equal version, and a new Python or provider is a
new version of every file. Files are written under another name, flushed and renamed: whoever finds a name finds the
whole of it. :meth:`CodeStore.flush` makes the names durable before the database mentions a version.

Paths in a manifest stay below the root. They come from a process that ran author code, so that is checked here.
"""

from __future__ import annotations

import hashlib
import os
import platform
import time
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from windlass.errors import SpecError
from windlass.registry import registry
from windlass.version import __version__

#: A larger input, a data file surely, is part of the version by its hash but is not copied.
COPIED: Final = 32 << 20


class Manifest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a code version stands for."""

    bundle: str
    file: str
    root: str
    files: dict[str, str]
    python: str
    packages: dict[str, str]
    #: In which its naive dates are read.
    timezone: str = "UTC"

    @classmethod
    def of(cls, bundle: str, root: str, file: str, files: Mapping[str, str], timezone: str = "UTC") -> Manifest:
        """Return the manifest of ``file`` with these inputs, under the Python and the packages of this process.

        :raises SpecError: if an input lies outside the root.
        """
        for path in files:
            check_inside(path)
        return cls(
            bundle=bundle,
            file=file,
            root=root,
            files=dict(files),
            python=platform.python_version(),
            packages=_packages(),
            timezone=timezone,
        )

    @property
    def code_version(self) -> str:
        """The version: 32 hex digits."""
        return hashlib.sha256(self.data).hexdigest()[:32]

    @property
    def data(self) -> bytes:
        """The canonical bytes."""
        return _encoder.encode(self)


_encoder: Final = msgspec.json.Encoder(order="deterministic")


@cache
def _packages() -> dict[str, str]:
    providers = {f"windlass-{provider.name}": provider.version for provider in registry().providers if provider.version}
    return {"windlass": __version__, **providers}


def check_inside(path: str) -> None:
    """Check that ``path`` is relative and cannot leave the folder it is relative to.

    :raises SpecError: if it can.
    """
    if not path or path.startswith("/") or "\0" in path or ".." in path.split("/"):
        raise SpecError(f"a parsed file reported {path!r} as its input, which is not below its bundle; it was refused")


class Changed(Exception):
    """A file no longer has the contents that were parsed."""


class CodeStore:
    """The folder of blobs and versions."""

    def __init__(self, folder: Path) -> None:
        self._blobs = folder / "blobs"
        self._versions = folder / "versions"
        self._unflushed: set[Path] = set()
        for path in (self._blobs, self._versions):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def keep(self, manifest: Manifest) -> str:
        """Copy what ``manifest`` lists and is not kept yet, and return the code version.

        :raises Changed: if a file no longer has the contents of the manifest.
        """
        for path, digest in manifest.files.items():
            if not _touch(self._blobs / digest):
                self._copy(Path(manifest.root, path), digest)
        version = manifest.code_version
        target = self._versions / f"{version}.json"
        if not _touch(target):
            self._write(target, manifest.data)
        return version

    def has(self, code_version: str) -> bool:
        """Return whether a version is kept here."""
        return (self._versions / f"{code_version}.json").exists()

    def flush(self) -> None:
        """Make everything that was kept so far survive a loss of power."""
        for folder in self._unflushed:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        self._unflushed.clear()

    def collect(self, used: Collection[str], *, grace: float = 86400.0) -> int:
        """Remove versions not in ``used``, then blobs that no version names; return how many files went.

        What was kept (again) within ``grace`` seconds stays: somebody may be about to use it.
        """
        unused = self.unused(used, grace=grace)
        for path in unused:
            path.unlink(missing_ok=True)
        return len(unused)

    def unused(self, used: Collection[str], *, grace: float = 86400.0) -> list[Path]:
        """Return the files that :meth:`collect` would remove: versions first, then what only they name."""
        limit = time.time() - grace
        found: list[Path] = []
        named: set[str] = set()
        for path in self._versions.iterdir():
            if path.stem not in used and path.stat().st_mtime < limit:
                found.append(path)
            elif path.suffix == ".json":
                named.update(msgspec.json.decode(path.read_bytes(), type=Manifest).files.values())
        found += [path for path in self._blobs.iterdir() if path.name not in named and path.stat().st_mtime < limit]
        return found

    def _copy(self, source: Path, digest: str) -> None:
        try:
            if source.stat().st_size > COPIED:
                return
            data = source.read_bytes()
        except OSError as error:
            raise Changed(f"{source} went away") from error
        if hashlib.sha256(data).hexdigest() != digest:
            raise Changed(f"{source} changed")
        self._write(self._blobs / digest, data)

    def _write(self, target: Path, data: bytes) -> None:
        draft = target.with_name(f".{target.name}.{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, made private at birth
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        draft.rename(target)
        self._unflushed.add(target.parent)


def _touch(path: Path) -> bool:
    """Mark a kept file as wanted now, so that no collection takes it; return whether it is there."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    return True
