"""The lock that makes a process the only one of its kind in its home, and proves its death: the kernel drops it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from windlass.errors import AlreadyRunning


def acquire(path: Path, of: str = "") -> int:
    """Take the lock file and return its descriptor, which holds the lock until it is closed.

    ``of`` is what it guards, where that is not a home: the folder above the lock's.

    :raises AlreadyRunning: if another process has it; the message names its pid.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(fd, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(fd)
        running = f"a {path.stem} (pid {holder}) already runs for {path.parent.parent}"
        remedy = "stop it first, or use another WINDLASS_HOME"
        if of:
            running, remedy = f"a process of another home (pid {holder}) uses {of}", "stop it first, or use another one"
        raise AlreadyRunning(f"{running}; {remedy}") from None
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd
