"""What the kernel holds a child to: dying with its parent, adopting orphans, memory and CPU.

Everything here is one system call, prepared at import time (ctypes loads the C library once, before any fork). On a
kernel without ``prctl`` (macOS, for development) the calls do nothing: there, processes are found by their marks only.
"""

from __future__ import annotations

import ctypes
import logging
import os
import resource
import signal
import sys
import threading

from windlass.protocol.forking import LEASE_VARIABLE

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LINUX = sys.platform == "linux"
_LEASE_KEY = LEASE_VARIABLE.encode()
_SIGKILL = int(signal.SIGKILL)
_libc = ctypes.CDLL(None)
_libc.getenv.restype = ctypes.c_void_p
_libc.getenv.argtypes = [ctypes.c_char_p]
# With its types known and no errno to keep, the call touches a fifth of the pages, each of which a child would copy.
_prctl = _libc.prctl if _LINUX else None
if _prctl is not None:
    _prctl.argtypes = [ctypes.c_int, ctypes.c_ulong]


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent dies; exit at once if ``parent`` is gone already."""
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, _SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies, so that none escapes to init."""
    if _prctl is not None:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def lighten_fork() -> None:
    """Take out of every later fork what is only needed where several threads may have been running.

    ``threading`` rebuilds its tables in each child, and ``logging`` walks over all handlers to renew their locks, in
    case another thread held one. A zygote forks only while it is single-threaded, so the tables are right as they are
    and no lock is held; and each line of Python that a child runs first costs it a copied page. Measured, the two are
    two thirds of the pages that a child copies before its first own line.
    """

    def threads_as_they_are() -> None:
        pass

    def handlers_as_they_are() -> None:
        _lock._at_fork_reinit()  # type: ignore[name-defined] # noqa: F821, SLF001 - logging's own, held across the fork

    for module, name, lighter in (
        (threading, "_after_fork", threads_as_they_are),
        (logging, "_after_at_fork_child_reinit_locks", handlers_as_they_are),
    ):
        registered = getattr(module, name, None)
        if registered is not None:  # what is registered with the interpreter is this very function
            registered.__code__ = lighter.__code__


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


class OwnChildren:
    """The list of this process's children that the kernel keeps, read again and again from one open file."""

    def __init__(self) -> None:
        try:
            self._fd: int | None = os.open(f"/proc/self/task/{os.getpid()}/children", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # not Linux, or a kernel without this list
            self._fd = None

    def besides(self, known: set[int]) -> set[int]:
        """Return the children besides ``known``: orphans that were adopted."""
        if self._fd is None:
            return set()
        return {int(pid) for pid in os.pread(self._fd, 1 << 16, 0).split()} - known


class LeaseMark:
    """The place of the lease variable in this process's original environment.

    A forked child has no new environment that others could read: ``/proc/<pid>/environ`` shows the memory that the
    zygote was started with. So the child overwrites its private copy of that memory, and can be found by its mark
    even if it does nothing else. Programs that it starts get the mark through ``os.environ``.
    """

    def __init__(self) -> None:
        value = os.environ.get(LEASE_VARIABLE, "")
        self._tag = value.partition(".")[0]
        address = _libc.getenv(LEASE_VARIABLE.encode()) if value else None
        self._place = memoryview((ctypes.c_char * (len(value) if address else 0)).from_address(address or 0)).cast("B")
        #: What ``os.environ`` reads from, in CPython.
        self._environ: dict[bytes, bytes] | None = getattr(os.environ, "_data", None)

    def set(self, token: str) -> None:
        """Mark this process, and what it will start, with ``token``."""
        value = f"{self._tag}.{token}".encode()
        if self._environ is not None and len(value) == len(self._place):
            # The C library's variable lies in this place too, so nothing needs to be put into its environment.
            self._place[:] = self._environ[_LEASE_KEY] = value
        else:
            os.environ[LEASE_VARIABLE] = value.decode()
