"""Cores are busy while they have no time to spare, as far as the kernel counts that."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from windlass.supervisor.cores import Cores


class Machine:
    """A machine whose time and idle time a test sets."""

    def __init__(self, folder: Path) -> None:
        self.now = 100.0
        self.idle = 5000.0
        self.uptime = folder / "uptime"
        self.cores = Cores(lambda: self.now, self.uptime)

    def look(self, after: float, idle: float) -> bool:
        """Let time pass, of which the cores were idle for this part."""
        self.now += after
        self.idle += after * idle * (os.cpu_count() or 1)
        self.uptime.write_text(f"{self.now:.2f} {self.idle:.4f}\n", encoding="ascii")
        self.cores.look()
        return self.cores.are_busy


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    machine.look(0, 0)
    return machine


def test_the_first_look_says_nothing(machine: Machine) -> None:
    assert not machine.cores.are_busy


def test_hardly_any_time_to_spare_is_busy(machine: Machine) -> None:
    assert machine.look(0.03, 0.1)


def test_time_to_spare_is_not(machine: Machine) -> None:
    assert not machine.look(0.03, 0.4)


def test_each_look_is_at_the_time_since_the_last(machine: Machine) -> None:
    assert [machine.look(0.03, idle) for idle in (0.0, 0.5, 0.0)] == [True, False, True]


def test_between_two_looks_nothing_changes(machine: Machine) -> None:
    assert machine.look(0.03, 0.0)
    assert machine.look(0.01, 1.0)
    assert not machine.look(0.02, 1.0)


def test_what_was_seen_long_ago_says_nothing_of_now(machine: Machine) -> None:
    assert not machine.look(5, 0.0)
    assert machine.look(0.03, 0.0)


@pytest.mark.parametrize("text", [None, "", "12.5", "a b"])
def test_where_the_kernel_does_not_count_no_core_is_busy(tmp_path: Path, text: str | None) -> None:
    uptime = tmp_path / "uptime"
    if text is not None:
        uptime.write_text(text, encoding="ascii")
    cores = Cores(iter([1.0, 1.03, 1.06]).__next__, uptime)
    for _ in range(3):
        cores.look()
        assert not cores.are_busy


def test_the_kernel_counts_here() -> None:
    times = iter([0.0, 0.03])
    cores = Cores(times.__next__)
    cores.look()
    assert cores._idle > 0
