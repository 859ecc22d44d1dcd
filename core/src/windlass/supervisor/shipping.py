"""Which logs are to be stored elsewhere: one small file each, in a folder that the server works off.

The supervisor only says so, and says it durably. Whoever stores them may be slow, down, or started later; nothing here
waits for that.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import msgspec

_log = logging.getLogger(__name__)


class Shipment(msgspec.Struct, frozen=True, kw_only=True):
    """A log that has grown. ``final`` says that its try has ended by its own word: it will not grow again."""

    path: str
    final: bool


def announce(folder: Path | None, path: str, *, final: bool) -> None:
    """Say that the log at ``path``, below the log folder, is to be stored; None is where none is.

    One that waits already is replaced: what is stored is always the whole log.
    """
    if folder is None:
        return
    name = hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()
    draft = folder / f".{name}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        draft.write_bytes(msgspec.json.encode(Shipment(path=path, final=final)))
        draft.replace(folder / name)
    except OSError as error:
        _log.error("the log %s will not be stored elsewhere: %s; it stays where it is", path, error)
