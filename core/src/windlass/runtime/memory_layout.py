"""Where things lie in a zygote's memory, so that its forks and the exits of its children have less to copy.

A fork copies an entry for each page of memory that is not a file's, an exit takes it down again, and a page that is
written to is copied itself. Nothing of this can be told to Python, but it can be led:

* :func:`reserve`, before anything is imported, has Python's memory lie together, from where a large page may begin.
* :func:`collapse` asks the kernel for large pages. Where 512 pages are one of 2 MiB, there is one entry to copy. It
  asks with ``MADV_COLLAPSE``, of Linux 6.1; where the kernel does not know that, everything stays as it was.
* :func:`complete_pools`, before the first fork, has the children's objects come to lie on few pages.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
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
_ARENA: Final = 1 << 20
#: A place is collapsed if so many of its pages are in use: the others are new memory, at most 1.2 MB of it in each.
_IN_USE: Final = 200
#: ``MAP_PRIVATE | MAP_ANONYMOUS``, ``MAP_FIXED_NOREPLACE`` and ``MAP_FAILED``.
_OWN: Final = 0x02 | 0x20
_NO_REPLACE: Final = 0x100000
_FAILED: Final = ctypes.c_void_p(-1).value

#: Python's pools: of so many bytes, after a header of so many, for objects of each size in steps up to the largest.
_POOL: Final = 16384
_HEADER: Final = 48
_STEP: Final = 16
_LARGEST: Final = 512

_kept: list[object] = []


def reserve(arenas: int = _ARENAS) -> None:
    """Have Python take this many arenas side by side, before imports take the places between them."""
    with _from_an_aligned_place():
        filling = [bytes(_BYTES) for _ in range(arenas * _PER_ARENA)]
    _kept.extend(filling[:: _PER_ARENA // 2])  # an arena goes back when it is empty


@contextmanager
def _from_an_aligned_place() -> Iterator[None]:
    """Have the arenas that Python takes meanwhile end where a large page ends.

    The kernel puts each below the one before. So what lies between the place that it would choose next and such an end
    is taken, and given back when the arenas are there.
    """
    with ExitStack() as gap:
        if sys.platform == "linux":
            addresses = _Addresses()
            place = addresses.take(_ARENA)
            if place is not None:
                addresses.give_back(place, _ARENA)
                end = place + _ARENA
                taken = addresses.take(end % _LARGE, at=end - end % _LARGE)
                if taken is not None:
                    gap.callback(addresses.give_back, taken, end % _LARGE)
        yield


class _Addresses:
    """Memory as the kernel gives it, with nothing behind it yet."""

    def __init__(self) -> None:
        libc = ctypes.CDLL(None)
        self._take, self._give_back = libc.mmap, libc.munmap
        self._take.restype, self._give_back.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_size_t]
        self._take.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]

    def take(self, size: int, *, at: int | None = None) -> int | None:
        """Return the address of ``size`` bytes, where the kernel likes or exactly ``at``; None if there are none."""
        place: int | None = self._take(at, size, 0, _OWN if at is None else _OWN | _NO_REPLACE, -1, 0)
        return None if place == _FAILED else place

    def give_back(self, place: int, size: int) -> None:
        """Give back what was taken."""
        self._give_back(place, size)


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


def complete_pools() -> None:
    """Use up the pools that Python has begun, so that the next object of each size begins a new one.

    A pool is four pages, with the header on the first. Of one that is half full a child copies two pages for its first
    object of a size, and several are begun of many sizes; of a new one, the first page alone. Measured: 25 of the 250
    pages of a child, and 8 of 44 that its zygote copies for each. It costs 0.3 MB. Of a size that has more room than
    two pools, some of it stays; and where Python's allocator is another one, it is 1 MB for nothing.
    """
    size = _LARGEST
    while size:  # counted by hand: what a `for` goes over is an object of 48 bytes, and would leave a hole for another
        left = 2 * _POOL // size
        while left:
            filling = _object_of(size)
            if id(filling) % _POOL == _HEADER:  # the first of a new one, which is given back
                break
            _kept.append(filling)
            left -= 1
        size -= _STEP


def _object_of(size: int) -> object:
    """Return an object of this size that is in nobody's list of spare ones."""
    if size > sys.getsizeof(b""):
        return bytes(size - sys.getsizeof(b""))
    return object() if size == _STEP else complex(1, size)
