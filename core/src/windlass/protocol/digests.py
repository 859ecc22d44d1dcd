"""Digests: the names of artifacts, the SHA-256 of a content in hex; and finding those that a stored value mentions.

A reference to a file travels inside a value, which servers never decode; but a digest is the same text in any JSON, so
every text that could be one counts.
"""

from __future__ import annotations

import re
from typing import BinaryIO, Final

_LENGTH: Final = 64
_HEX: Final = re.compile(rb"[0-9a-f]{64,}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_PIECE: Final = 1 << 20


def is_digest(text: str) -> bool:
    """Return whether ``text`` is the name of an artifact."""
    return _DIGEST.fullmatch(text) is not None


def digests_in(data: bytes) -> set[str]:
    """Return every text in ``data`` that could be the SHA-256 of an artifact."""
    found: set[str] = set()
    for match in _HEX.finditer(data):
        text = match[0].decode()
        found.update(text[start : start + _LENGTH] for start in range(len(text) - _LENGTH + 1))
    return found


def digests_read(source: BinaryIO) -> set[str]:
    """Return the digests in what ``source`` holds, read in pieces that overlap."""
    found: set[str] = set()
    tail = b""
    while piece := source.read(_PIECE):
        found |= digests_in(tail + piece)
        tail = (tail + piece)[1 - _LENGTH :]
    return found
