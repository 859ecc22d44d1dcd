"""A peer that announces more than a mebibyte is refused before a byte of it is kept."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

import pytest

from windlass.errors import ProtocolError
from windlass.protocol import framing

if TYPE_CHECKING:
    from windlass_testing.live import LiveInstallation

LIMIT = 1 << 20
ANNOUNCED = struct.pack(">I", LIMIT + 1)
DAG = """
import os, socket, stat, struct
from windlass import DAG, task

def is_socket(fd):
    try:
        return stat.S_ISSOCK(os.fstat(fd).st_mode)
    except OSError:
        return False

with DAG("flood", schedule=None, is_paused_upon_creation=False):
    @task
    def flood():
        line = next(fd for fd in range(3, 256) if is_socket(fd))
        socket.socket(fileno=line).sendall(struct.pack(">I", (1 << 20) + 1) + b"x" * (2 << 20))

    @task(trigger_rule="all_done")
    def after():
        return "still served"
    flood() >> after()
"""


def test_the_limit_is_a_mebibyte_and_what_is_larger_is_not_sent() -> None:
    assert framing.MAX_FRAME == LIMIT
    assert len(framing.frame(b"x" * LIMIT)) == LIMIT + 4
    with pytest.raises(ProtocolError, match="exceeds the frame limit"):
        framing.frame(b"x" * (LIMIT + 1))


def test_what_is_announced_too_large_is_refused_unread() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(ANNOUNCED + b"body")
        with pytest.raises(ProtocolError, match=str(LIMIT + 1)):
            framing.recv_frame(ours)
        assert ours.recv(16) == b"body"


def test_a_reader_of_pieces_refuses_at_the_announcement() -> None:
    reader = framing.FrameReader()
    assert list(reader.feed(framing.frame(b"one") + ANNOUNCED[:3])) == [b"one"]
    with pytest.raises(ProtocolError, match=str(LIMIT + 1)):
        list(reader.feed(ANNOUNCED[3:]))


@pytest.mark.processes
@pytest.mark.timeout(120)
def test_a_task_or_a_stranger_that_floods_its_line_harms_only_itself(installation: LiveInstallation) -> None:
    installation.write("flood.py", DAG)
    installation.start()
    installation.wait_for_dag("flood")
    supervisor = installation.supervisor()
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(20)
        line.connect(str(installation.home / "run" / "supervisor.sock"))
        line.sendall(ANNOUNCED)
        assert str(LIMIT + 1) in (framing.recv_frame(line) or b"").decode(errors="replace")
        assert line.recv(1) == b"", "it hung up"
    run_id = installation.trigger("flood")
    assert installation.wait_for_run("flood", run_id)["state"] == "success"
    assert installation.windlass("tasks", "state", "flood", "flood", run_id).strip() == "failed"
    assert str(LIMIT + 1) in installation.windlass("tasks", "logs", "flood", "flood", run_id)
    assert installation.supervisor() == supervisor
