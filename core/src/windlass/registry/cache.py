"""The catalog on disk, so that discovery (100 ms with fifty providers) happens once per change of what is installed.

The file holds the catalog together with a stamp of every folder on ``sys.path`` and of every module that the manifests
came from. Installing, upgrading or removing a distribution changes a folder, editing a provider in place changes a
module. Checking costs one ``stat`` each. A folder that changed for another reason (a DAG folder is on the path of a
parse child) is looked into: what counts is its distributions. A catalog with a broken provider is not kept, since
there is no telling which file will mend it.

Losing the file, or never being able to write it, costs time and nothing else.
"""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from windlass.config import home
from windlass.interfaces import provider
from windlass.registry.catalog import Catalog

_FORMAT = 2
_NO_FOLDER = -1


class _Stamp(msgspec.Struct, frozen=True, array_like=True):
    """How a path was found: its modification time in ns, 0 if it is not there, and a folder's distributions."""

    path: str
    modified: int
    distributions: int

    def holds(self) -> bool:
        return _modified(self.path) == self.modified or (
            self.distributions != _NO_FOLDER and _distributions(self.path) == self.distributions
        )


class _Stored(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of the file."""

    format: int
    python: str
    path: list[str]
    stamps: list[_Stamp]
    catalog: Catalog


def cached_catalog() -> Catalog:
    """Return the installed providers, from the cache file if it still holds."""
    file = cache_file()
    if file is not None and (known := read(file)) is not None:
        return known
    from windlass.registry import discovery

    installed = discovery.installed()
    catalog = discovery.discover(installed)
    if file is not None and not catalog.broken:
        write(file, catalog, discovery.source_files(installed))
    return catalog


def cache_file() -> Path | None:
    """Return where the cache of this interpreter and path lies; None where there is no home to keep it in."""
    folder = home()
    if not folder.is_dir():
        return None
    key = zlib.crc32("\0".join([sys.executable, sys.version, *sys.path]).encode("utf-8", "surrogateescape"))
    return folder / "cache" / f"providers-{key:08x}.json"


def read(file: Path) -> Catalog | None:
    """Return the catalog in ``file``, None if it is missing, unreadable or no longer true."""
    try:
        stored = msgspec.json.decode(file.read_bytes(), type=_Stored)
    except (OSError, msgspec.MsgspecError):
        return None
    if stored.format != _FORMAT or stored.python != sys.version or stored.path != sys.path:
        return None
    return stored.catalog if all(stamp.holds() for stamp in stored.stamps) else None


def write(file: Path, catalog: Catalog, sources: Iterable[str]) -> None:
    """Keep ``catalog``, which came from ``sources``; a reader sees the old file or the new one."""
    watched = [*(entry or os.getcwd() for entry in sys.path), *sources, str(provider.__file__)]  # noqa: PTH109
    stamps = [_Stamp(path, _modified(path), _distributions(path)) for path in dict.fromkeys(watched)]
    data = msgspec.json.encode(_Stored(_FORMAT, sys.version, list(sys.path), stamps, catalog))
    draft = file.with_suffix(f".{os.getpid()}")
    try:
        file.parent.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "wb") as stream:  # noqa: PTH123 - a descriptor, made private at birth
            stream.write(data)
        draft.replace(file)
    except OSError:
        with suppress(OSError):
            draft.unlink()


def _modified(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116 - measured: Path is five times slower
    except OSError:
        return 0


def _distributions(path: str) -> int:
    """Return a checksum of the metadata folders in ``path``, :data:`_NO_FOLDER` if it is no folder."""
    try:
        with os.scandir(path) as entries:
            found = sorted(
                f"{entry.name}\0{entry.stat().st_mtime_ns}"
                for entry in entries
                if entry.name.endswith((".dist-info", ".egg-info", ".egg-link"))
            )
    except OSError:
        return _NO_FOLDER
    return zlib.crc32("\0".join(found).encode("utf-8", "surrogateescape"))
