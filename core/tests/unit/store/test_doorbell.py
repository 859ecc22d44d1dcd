"""A ring wakes whoever waits, is never needed, and never hurts."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

from windlass.store import DatagramBell


def test_rings_from_another_process_wake_the_listener_once(tmp_path: Path) -> None:
    path = tmp_path / "run" / "doorbell"
    listener = DatagramBell(path, listen=True)
    assert listener.wait(0.0) is False
    child = os.fork()
    if child == 0:
        ringer = DatagramBell(path)
        for _ in range(3):
            ringer.ring()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert listener.wait(10.0) is True
    assert listener.wait(0.0) is False, "three rings are one"
    listener.close()
    assert not path.exists()


def test_a_waiting_listener_is_woken_at_once(tmp_path: Path) -> None:
    path = tmp_path / "doorbell"
    listener = DatagramBell(path, listen=True)
    woken: list[bool] = []
    thread = threading.Thread(target=lambda: woken.append(listener.wait(60.0)))
    thread.start()
    ringer = DatagramBell(path)
    ringer.ring()
    thread.join(30)
    assert woken == [True]
    ringer.close()
    listener.close()


def test_the_bell_is_for_its_owner_only(tmp_path: Path) -> None:
    listener = DatagramBell(tmp_path / "doorbell", listen=True)
    assert stat.S_IMODE((tmp_path / "doorbell").stat().st_mode) == 0o600
    listener.close()


def test_ringing_with_nobody_there_or_a_full_queue_neither_blocks_nor_fails(tmp_path: Path) -> None:
    ringer = DatagramBell(tmp_path / "doorbell")
    ringer.ring()
    listener = DatagramBell(tmp_path / "doorbell", listen=True)
    for _ in range(5000):
        ringer.ring()
    assert listener.wait(1.0) is True
    listener.close()
    ringer.ring()
    ringer.close()


def test_a_new_listener_takes_over_from_one_that_died(tmp_path: Path) -> None:
    dead = DatagramBell(tmp_path / "doorbell", listen=True)
    ringer = DatagramBell(tmp_path / "doorbell")
    listener = DatagramBell(tmp_path / "doorbell", listen=True)
    ringer.ring()
    assert listener.wait(10.0) is True
    for bell in (dead, ringer, listener):
        bell.close()
