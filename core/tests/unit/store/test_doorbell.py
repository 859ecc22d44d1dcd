"""A ring wakes whoever waits, is never needed, and never hurts."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from windlass.interfaces.database import Listener
from windlass.store import DatagramBell
from windlass.store.doorbell import JoinedBell, listening_bell


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


class PipeListener(Listener):
    """A listener over a pipe, as a database's is over a socket."""

    def __init__(self) -> None:
        self._there, self._here = os.pipe()
        os.set_blocking(self._there, False)
        self.deaf = False

    def commit(self) -> None:
        os.write(self._here, b"!")

    def fileno(self) -> int:
        return -1 if self.deaf else self._there

    def heard(self) -> bool:
        try:
            return not self.deaf and bool(os.read(self._there, 100))
        except BlockingIOError:
            return False

    def close(self) -> None:
        os.close(self._there)
        os.close(self._here)


@pytest.fixture
def joined(tmp_path: Path) -> Iterator[tuple[JoinedBell, PipeListener]]:
    listener = PipeListener()
    bell = JoinedBell(DatagramBell(tmp_path / "doorbell", listen=True), listener)
    yield bell, listener
    bell.close()


def test_of_two_doorbells_either_wakes(joined: tuple[JoinedBell, PipeListener]) -> None:
    bell, listener = joined
    assert bell.wait(0.0) is False
    bell.ring()
    assert bell.wait(10.0) is True
    listener.commit()
    assert bell.wait(10.0) is True
    bell.ring()
    listener.commit()
    assert bell.wait(10.0) is True
    assert bell.wait(0.0) is False, "what rang meanwhile is one ring"


def test_a_ring_during_the_wait_ends_it(joined: tuple[JoinedBell, PipeListener]) -> None:
    bell, listener = joined
    threading.Timer(0.05, listener.commit).start()
    started = time.monotonic()
    assert bell.wait(30.0) is True
    assert time.monotonic() - started < 15


def test_while_the_database_cannot_be_heard_the_local_bell_still_rings(
    joined: tuple[JoinedBell, PipeListener],
) -> None:
    bell, listener = joined
    listener.deaf = True
    assert bell.wait(0.01) is False
    threading.Timer(0.05, bell.ring).start()
    assert bell.wait(30.0) is True


def test_a_database_whose_provider_brings_no_doorbell_is_looked_at_once_a_second(tmp_path: Path) -> None:
    for place, url in enumerate(("sqlite:////w.db", "nosuch://h/d")):
        bell = listening_bell(tmp_path / str(place), url)
        assert isinstance(bell, DatagramBell)
        bell.close()
