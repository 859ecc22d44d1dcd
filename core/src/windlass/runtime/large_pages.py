"""Large pages for a zygote, so that its forks and the exits of its children have less to copy and to take down.

A fork copies an entry for each page of memory that is not a file's, and an exit takes it down again. Where 512 pages
lie together as a large one of 2 MiB, there is less to do for each. On request the kernel makes large pages of what
fills an aligned place (``MADV_COLLAPSE``, Linux 6.1). So :func:`reserve` sees to it that Python's memory lies
together, and :func:`collapse` asks. Where the kernel does not know that, everything stays as it was.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_MADV_COLLAPSE: Final = 25
_PAGE: Final = 4096
_LARGE: Final = 2 << 20
#: The arenas, of 1 MiB each, that a zygote fills before it loads a file.
_ARENAS: Final = 8
#: As many objects of this many bytes fill an arena.
_PER_ARENA: Final = 1984
_BYTES: Final = 470
#: A place is collapsed if so many of its pages are in use: the others would be new memory.
_IN_USE: Final = 480

_kept: list[bytes] = []


def reserve(arenas: int = _ARENAS) -> None:
    """Have Python take this many arenas side by side, before imports take the places between them."""
    filling = [bytes(_BYTES) for _ in range(arenas * _PER_ARENA)]
    _kept.extend(filling[:: _PER_ARENA // 2])  # an arena goes back when it is empty


def collapse() -> int:
    """Make large pages of Python's memory, as far as it lies together and is in use; return how many.

    It takes a millisecond for each, so it is for a process that will fork often.
    """
    if sys.platform != "linux":
        return 0
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    try:
        return sum(madvise(place, _LARGE, _MADV_COLLAPSE) == 0 for place in list(_places()))
    except OSError:  # no /proc, or not ours to read
        return 0


def _places() -> Iterator[int]:
    """Yield the addresses of what could be a large page: of memory that is no file's and not shared, and in use."""
    with Path("/proc/self/pagemap").open("rb", buffering=0) as pages, Path("/proc/self/maps").open("rb") as maps:
        for line in maps:
            span, access, _, _, inode, *name = line.split()
            if access != b"rw-p" or inode != b"0" or name not in ([], [b"[heap]"]):
                continue
            start, end = (int(address, 16) for address in span.split(b"-"))
            for place in range(-(-start // _LARGE) * _LARGE, end - _LARGE + 1, _LARGE):
                entries = os.pread(pages.fileno(), _LARGE // _PAGE * 8, place // _PAGE * 8)
                if sum(entry >> 7 for entry in entries[7::8]) >= _IN_USE:  # the topmost bit of eight bytes
                    yield place
