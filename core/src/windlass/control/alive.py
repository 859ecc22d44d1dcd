"""Which processes of this home are alive, from the lock files that they hold.

A process writes its pid into its lock file and keeps the file open and locked until it dies. The locks are only
looked at, never tried: a trial would keep a process that starts at that instant from starting. A pid counts if that
process has the file open, so one that was given to another process since does not.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from windlass.store.schedulers import SchedulerRow


def name_of(home: Path) -> str:
    """Return the name under which a home's scheduler shares a database with others: its host and its folder."""
    import socket

    return f"{socket.gethostname()}:{home}"


class LockOwner(msgspec.Struct, frozen=True, kw_only=True):
    """A lock file of the home, with the pid of the process that holds it (None: nobody)."""

    name: str
    pid: int | None


class Alive:
    """Looks at the lock files below the home's ``run`` folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def scheduler(self) -> bool:
        """Return whether a scheduler runs."""
        return self._owner("scheduler") is not None

    def of(self, schedulers: Iterable[SchedulerRow]) -> list[SchedulerRow]:
        """Return the ``schedulers`` that live: one of this home is dead, whatever its lease, if nobody has its lock."""
        if self.scheduler():
            return list(schedulers)
        mine = name_of(self._folder.parent)
        return [row for row in schedulers if row.home != mine]

    def supervisor(self) -> bool:
        """Return whether a supervisor runs."""
        return self._owner("supervisor") is not None

    def owners(self) -> tuple[LockOwner, ...]:
        """Return every lock file with its owner."""
        names = sorted(path.stem for path in self._folder.glob("*.lock"))
        return tuple(LockOwner(name=name, pid=self._owner(name)) for name in names)

    def _owner(self, name: str) -> int | None:
        path = self._folder / f"{name}.lock"
        try:
            pid = int(path.read_text(encoding="ascii").strip() or 0)
        except (OSError, ValueError):
            return None
        return pid if pid > 0 and _has_open(pid, path) else None


def _has_open(pid: int, path: Path) -> bool:
    """Return whether a process has the file open; where the system does not tell, whether the process exists."""
    try:
        files = list(Path(f"/proc/{pid}/fd").iterdir())
    except FileNotFoundError:
        return not Path("/proc/self/fd").exists() and _exists(pid)
    except PermissionError:
        return True
    target = path.resolve()
    return any(_target(file) == target for file in files)


def _target(link: Path) -> Path | None:
    try:
        return link.readlink()
    except OSError:  # closed meanwhile
        return None


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
