from __future__ import annotations

from pathlib import Path

import pytest
from testing.benchmarks import processes


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of ``/proc``, in which a tick is a second."""
    monkeypatch.setattr(processes, "_PROC", tmp_path)
    monkeypatch.setattr(processes, "_TICK", 1)
    return tmp_path


def put(proc: Path, pid: int, parent: int, command: str, *, own: tuple[int, int], reaped: tuple[int, int]) -> None:
    """Put a process into it: user and system time of its own, and of the children that it has reaped."""
    folder = proc / str(pid)
    folder.mkdir(exist_ok=True)
    numbers = [parent, *[0] * 9, *own, *reaped, *[0] * 20]
    (folder / "stat").write_text(f"{pid} (a ) name) S {' '.join(map(str, numbers))}\n")
    (folder / "cmdline").write_bytes(command.replace(" ", "\0").encode())


def test_cpu_by_role_counts_tasks_with_the_zygote_that_reaped_them(proc: Path) -> None:
    put(proc, 1, 0, "windlass standalone", own=(10, 1), reaped=(5, 5))
    put(proc, 2, 1, "windlass.app.supervisor_process", own=(20, 2), reaped=(0, 0))
    put(proc, 3, 2, "windlass.runtime zygote 5 2", own=(30, 3), reaped=(400, 40))
    put(proc, 9, 1, "windlass.runtime parse", own=(7, 7), reaped=(7, 7))
    assert processes.cpu_by_role(1) == {"server": 11, "supervisor": 22, "zygotes and tasks": 473}


def test_a_zygote_that_has_ended_counts_on(proc: Path) -> None:
    put(proc, 1, 0, "windlass standalone", own=(10, 1), reaped=(0, 0))
    put(proc, 2, 1, "windlass.app.supervisor_process", own=(20, 2), reaped=(430, 43))
    put(proc, 4, 2, "windlass.runtime zygote 5 2", own=(1, 0), reaped=(0, 0))
    assert processes.cpu_by_role(1) == {"server": 11, "supervisor": 22, "zygotes and tasks": 474}


def test_a_process_that_ends_meanwhile_costs_nothing(proc: Path) -> None:
    assert processes.cpu_seconds([17]) == 0
