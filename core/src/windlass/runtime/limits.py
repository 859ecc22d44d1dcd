"""What the kernel holds a child to: dying with its parent, adopting orphans, memory and CPU.

Everything here is one system call, prepared at import time (ctypes loads the C library once, before any fork). On a
kernel without ``prctl`` (macOS, for development) the calls do nothing: there, processes are found by their marks only.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

from windlass.protocol.forking import LEASE_VARIABLE

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LINUX = sys.platform == "linux"
_libc = ctypes.CDLL(None, use_errno=True)
_libc.getenv.restype = ctypes.c_void_p
_libc.getenv.argtypes = [ctypes.c_char_p]


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent dies; exit at once if ``parent`` is gone already."""
    if _LINUX:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies, so that none escapes to init."""
    if _LINUX:
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)


def limit_memory(size: int) -> None:
    """Hold this process and its children to ``size`` bytes of address space each; 0 = as it was."""
    if size:
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (size, hard))


def limit_cpu(seconds: float) -> None:
    """Have the kernel end this process (SIGXCPU) after ``seconds`` of CPU from now."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    total = int(usage.ru_utime + usage.ru_stime + seconds) + 1
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (total, hard))


def other_children(known: set[int]) -> set[int]:
    """Return the children of this process besides ``known``: orphans that it adopted."""
    try:
        listed = Path(f"/proc/self/task/{os.getpid()}/children").read_bytes()
    except OSError:
        return set()
    return {int(pid) for pid in listed.split()} - known


class LeaseMark:
    """The place of the lease variable in this process's original environment.

    A forked child has no new environment that others could read: ``/proc/<pid>/environ`` shows the memory that the
    zygote was started with. So the child overwrites its private copy of that memory, and can be found by its mark
    even if it does nothing else. Programs that it starts get the mark through ``os.environ``.
    """

    def __init__(self) -> None:
        value = os.environ.get(LEASE_VARIABLE, "")
        self._tag = value.partition(".")[0]
        self._length = len(value)
        self._address = _libc.getenv(LEASE_VARIABLE.encode()) if value else None

    def set(self, token: str) -> None:
        """Mark this process, and what it will start, with ``token``."""
        value = f"{self._tag}.{token}"
        if self._address is not None and len(value) == self._length:
            ctypes.memmove(self._address, value.encode(), self._length)
        os.environ[LEASE_VARIABLE] = value
