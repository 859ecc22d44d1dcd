"""What a tree of processes costs, from ``/proc``: proportional memory and CPU seconds."""

from __future__ import annotations

import os
import time
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


def _stat(pid: int) -> list[str]:
    """Return the fields of ``/proc/<pid>/stat`` after the name, which may hold anything; [] if there is no process."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text[text.rindex(")") + 2 :].split()


def tree(root: int) -> list[int]:
    """Return ``root`` and all its living descendants."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def memory_mb(pids: list[int]) -> float:
    """Return the proportional set size of these processes together: shared pages are counted once."""
    total = 0
    for pid in pids:
        try:
            lines = (_PROC / str(pid) / "smaps_rollup").read_text(encoding="ascii", errors="replace").splitlines()
        except OSError:  # it ended meanwhile
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def cpu_seconds(pids: list[int]) -> float:
    """Return the CPU time of these processes and of their descendants that were reaped."""
    return sum(sum(map(int, fields[11:15])) for pid in pids if (fields := _stat(pid))) / _TICK


def cpu_by_role(server: int) -> dict[str, float]:
    """Return the CPU seconds of a server, of its supervisor, and of the zygotes with their reaped children.

    A zygote that has ended counts on, with all that it had forked: its supervisor has reaped it, and keeps its time,
    as it does that of its few other helpers.
    """
    roles = {"server": _cpu(server)[0], "supervisor": 0.0, "zygotes and tasks": 0.0}
    for pid in tree(server)[1:]:
        command = (_PROC / str(pid) / "cmdline").read_bytes() if _stat(pid) else b""
        if b"supervisor_process" in command:
            own, reaped = _cpu(pid)
            roles["supervisor"] += own
            roles["zygotes and tasks"] += reaped
        elif b"zygote" in command:
            roles["zygotes and tasks"] += cpu_seconds([pid])
    return roles


def _cpu(pid: int) -> tuple[float, float]:
    """Return the CPU seconds of a process itself, and of what it has reaped; none if it has ended."""
    own, system, reaped, reaped_system = map(int, _stat(pid)[11:15] or "0000")
    return (own + system) / _TICK, (reaped + reaped_system) / _TICK


def wait_until_quiet(patience: float, cores: float = 0.15, window: float = 0.5) -> bool:
    """Wait until the whole machine uses less than ``cores`` for a moment; return whether that came in time.

    On a machine shared with others this keeps much of their work out of the numbers.
    """
    deadline = time.monotonic() + patience
    while True:
        before = _busy()
        time.sleep(window)
        if (_busy() - before) / window < cores:
            return True
        if time.monotonic() > deadline:
            return False


def _busy() -> float:
    """Return the seconds that all cores together have worked."""
    user, nice, system, _, _, irq, softirq, steal = map(int, Path("/proc/stat").read_text("ascii").split()[1:9])
    return (user + nice + system + irq + softirq + steal) / _TICK
