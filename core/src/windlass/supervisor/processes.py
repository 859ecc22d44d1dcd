"""The process table: who belongs to an attempt, and making them gone.

A process belongs to an attempt if it descends from its child, is in the child's session, or carries the attempt's mark
in its environment. Each of the three can be escaped; all three at once only by a process that forks twice, leaves the
session and never executes a program, in the moment before it is looked for: and that one is adopted by the zygote,
which tells.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from windlass.protocol.forking import LEASE_VARIABLE

_PROC = Path("/proc")
_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies: the children of a zygote that was killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


@dataclass(frozen=True, slots=True)
class Process:
    """A line of the process table."""

    pid: int
    parent: int
    session: int


def living() -> Iterator[Process]:
    """Yield every process that is not a zombie."""
    for name in os.listdir(_PROC):  # noqa: PTH208 - names only, of a folder that changes underneath
        if not name.isdigit():
            continue
        try:
            line = (_PROC / name / "stat").read_text(errors="replace")
        except OSError:
            continue  # it ended in between
        # pid (command, which may hold anything) state ppid pgrp session …
        fields = line[line.rindex(")") + 2 :].split()
        if fields[0] not in "ZX":
            yield Process(int(name), int(fields[1]), int(fields[3]))


def mark_of(pid: int) -> str:
    """Return the lease mark in the environment of ``pid``, "" if it has none or may not be read."""
    try:
        environ = (_PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return ""
    wanted = LEASE_VARIABLE.encode() + b"="
    for entry in environ.split(b"\0"):
        if entry.startswith(wanted):
            return entry[len(wanted) :].decode(errors="replace")
    return ""


def tree(root: int | None, mark: str, adopter: int | None = None) -> set[int]:
    """Return the living processes of the attempt whose child is (or was) ``root`` and whose mark is ``mark``.

    ``root`` is None while the child's pid is not known; 0 is the session of the kernel and of pid 1, never ours.
    ``adopter`` is the attempt's zygote, when nobody else's orphans can be there: then its children without any mark
    are this attempt's too.
    """
    table = list(living())
    found = set()
    for entry in table:
        theirs = mark_of(entry.pid)
        if (root and entry.session == root) or theirs == mark or (entry.parent == adopter and not theirs):
            found.add(entry.pid)
    grew = True
    while grew:
        more = {entry.pid for entry in table if entry.parent in found} - found
        found |= more
        grew = bool(more)
    return found - {os.getpid()}


def marked(tag: str) -> set[int]:
    """Return the living processes whose mark carries the supervisor's ``tag``."""
    return {entry.pid for entry in living() if mark_of(entry.pid).partition(".")[0] == tag} - {os.getpid()}


def send(pids: set[int], number: signal.Signals) -> None:
    """Send a signal to each of ``pids`` that is still there."""
    if any(pid <= 0 for pid in pids):  # to the kernel, these are whole groups, or everything there is
        msg = f"a signal goes to processes, not to {sorted(pids)}"
        raise ValueError(msg)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def is_alive(pid: int) -> bool:
    """Return whether a process of this id exists, zombies included."""
    return (_PROC / str(pid)).exists()


def resident(pid: int) -> int:
    """Return the resident bytes of a process, 0 if it is gone."""
    try:
        return int((_PROC / str(pid) / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def out_of_memory_kills() -> int:
    """Return how many processes the kernel has killed for memory so far, here or in this control group."""
    for path in (
        _PROC / "vmstat",
        Path("/sys/fs/cgroup/memory.events"),
        Path("/sys/fs/cgroup/memory/memory.oom_control"),
    ):
        try:
            lines = path.read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            name, _, value = line.partition(" ")
            if name == "oom_kill":
                return int(value)
    return 0
