"""The catalog on disk, so that discovery (100 ms with fifty providers) happens once per change of what is installed.

The file holds the catalog together with the modification times of every folder on ``sys.path`` and of the modules that
the manifests came from: installing, upgrading or removing anything changes a folder, editing a provider in place
changes a module. Checking them costs a handful of ``stat`` calls. A catalog with a broken provider is not kept, since
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

_FORMAT = 1


class _Stored(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of the file. ``stamps`` are (path, modification time in ns), 0 for what does not exist."""

    format: int
    python: str
    path: list[str]
    stamps: list[tuple[str, int]]
    catalog: Catalog


def cached_catalog() -> Catalog:
    """Return the installed providers, from the cache file if it still holds."""
    file = cache_file()
    if file is not None and (known := read(file)) is not None:
        return known
    from windlass.registry import discovery

    catalog = discovery.discover()
    if file is not None and not catalog.broken:
        write(file, catalog, discovery.source_files())
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
    if any(_stamp(path) != stamp for path, stamp in stored.stamps):
        return None
    return stored.catalog


def write(file: Path, catalog: Catalog, sources: Iterable[str]) -> None:
    """Keep ``catalog``, which came from ``sources``; a reader sees the old file or the new one."""
    watched = [*(entry or os.getcwd() for entry in sys.path), *sources, str(provider.__file__)]  # noqa: PTH109
    stamps = [(path, _stamp(path)) for path in dict.fromkeys(watched)]
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


def _stamp(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116 - measured: Path is five times slower
    except OSError:
        return 0
