"""What the kernel holds a child to: dying with its parent, adopting orphans, memory and CPU.

Everything here is one system call, prepared at import time (ctypes loads the C library once, before any fork). On a
kernel without ``prctl`` (macOS, for development) the calls do nothing: there, processes are found by their marks only.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from windlass.protocol.forking import LEASE_VARIABLE

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LINUX = sys.platform == "linux"
_getppid = os.getppid
_LEASE_KEY = LEASE_VARIABLE.encode()
_SIGKILL = int(signal.SIGKILL)
_libc = ctypes.CDLL(None)
_libc.getenv.restype = ctypes.c_void_p
_libc.getenv.argtypes = [ctypes.c_char_p]
# With no errno to keep and the interpreter's lock held, a call touches few pages, each of which a child would copy.
_prctl = ctypes.PyDLL(None).prctl if _LINUX else None


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent dies; exit at once if ``parent`` is gone already."""
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, _SIGKILL)
    if _getppid() != parent:
        os._exit(1)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies, so that none escapes to init."""
    if _prctl is not None:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def run_as_batch() -> None:
    """Have the kernel treat this process, and all that come from it, as work that nobody waits for by the millisecond.

    Its share of the cores stays the same; but when it wakes up it does not take the core from who is running. So the
    supervisor hands out all that it has to, and only then do the tasks begin. A policy but the default is kept.
    """
    if _LINUX and os.sched_getscheduler(0) == os.SCHED_OTHER:
        with contextlib.suppress(OSError):  # in a sandbox that forbids the call
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


#: What is called before a fork, after it in the parent, and after it in the child, in any order of the three.
ForkHandlers = list[list[Callable[[], object]]]


def fork_handlers() -> ForkHandlers:
    """Return the lists in which the interpreter keeps what :func:`os.register_at_fork` was given and will be given.

    It does not show them, so they are found by something that only they refer to, which takes some milliseconds.
    """

    def probe() -> None: ...

    os.register_at_fork(before=probe, after_in_child=probe, after_in_parent=probe)
    found = [holder for holder in gc.get_referrers(probe) if type(holder) is list and holder[-1] is probe]
    for handlers in found:
        handlers.pop()
    return found


def lighten_fork(lists: ForkHandlers) -> None:
    """Take out of every later fork what is only needed where several threads are running.

    ``threading`` rebuilds its tables in each child, and ``logging`` holds its lock over the fork and walks over all
    handlers to renew theirs, in case another thread held one. A zygote forks only while it is single-threaded, so the
    tables are right as they are and no lock is held; and each line of Python that a child runs first costs it a copied
    page. Measured, they are two thirds of the pages that a child copies before its first own line.

    What anybody else registered is left alone. The first thread that is started brings everything back, so that a task
    which has threads and then forks finds it done as Python does it by itself.
    """
    taken = [
        (handlers, place, handler)
        for handlers in lists
        for place, handler in enumerate(handlers)
        if getattr(handler, "__module__", None) in ("threading", "logging")
    ]
    for handlers, place, _ in reversed(taken):
        del handlers[place]
    starters = {name: start for name in _STARTERS if (start := getattr(threading, name, None)) is not None}

    def bring_back() -> None:
        vars(threading).update(starters)
        for handlers, place, handler in taken:
            handlers.insert(place, handler)
        taken.clear()

    def first(start: Callable[..., Any]) -> Callable[..., Any]:
        def start_first(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the interpreter's, not ours
            bring_back()
            return start(*args, **kwargs)

        return start_first

    vars(threading).update({name: first(start) for name, start in starters.items()})


#: By these names ``threading`` calls the interpreter for a new thread: the first up to Python 3.12, then the second.
_STARTERS = ("_start_new_thread", "_start_joinable_thread")


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
        #: Kept, so that no child has to free it.
        self._first = (self._environ or {}).get(_LEASE_KEY)

    def of(self, token: str) -> bytes:
        """Return the mark of the attempt with this token."""
        return f"{self._tag}.{token}".encode()

    def set(self, value: bytes) -> None:
        """Mark this process, and what it will start, with ``value``, made by :meth:`of`."""
        if self._environ is not None and len(value) == len(self._place):
            # The C library's variable lies in this place too, so nothing needs to be put into its environment.
            self._place[:] = self._environ[_LEASE_KEY] = value
        else:
            os.environ[LEASE_VARIABLE] = value.decode()
