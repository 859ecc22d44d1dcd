from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from windlass.protocol.forking import LEASE_VARIABLE
from windlass.supervisor import processes

pytestmark = pytest.mark.processes


def start(*arguments: str, mark: str = "", new_session: bool = False) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if name != LEASE_VARIABLE}
    environment |= {LEASE_VARIABLE: mark} if mark else {}
    return subprocess.Popen(arguments, env=environment, stdout=subprocess.PIPE, start_new_session=new_session)


def test_a_tree_is_found_by_session_by_mark_and_by_parent() -> None:
    script = (
        "import subprocess, sys, os\n"
        "a = subprocess.Popen(['sleep', '60'])\n"
        "b = subprocess.Popen(['sleep', '60'], start_new_session=True)\n"
        "c = subprocess.Popen(['env', '-i', 'sleep', '60'], start_new_session=True)\n"
        "print(a.pid, b.pid, c.pid, flush=True)\n"
        "a.wait()\n"
    )
    with start(sys.executable, "-c", script, mark="tag.1", new_session=True) as root:
        assert root.stdout is not None
        members = {root.pid, *map(int, root.stdout.readline().split())}
        try:
            assert processes.tree(root.pid, "tag.1") == members
            assert members - processes.marked("tag") <= {max(members)}  # the one without an environment
            assert processes.tree(None, "tag.2") == processes.tree(0, "tag.2") == set()
        finally:
            processes.send(members, signal.SIGKILL)


def test_an_orphan_without_mark_and_session_is_found_with_its_adopter() -> None:
    with start("env", "-i", "sleep", "60", new_session=True) as orphan:
        try:
            deadline = time.monotonic() + 10
            while processes.mark_of(orphan.pid) or orphan.pid not in processes.tree(None, "tag.1", os.getpid()):
                assert time.monotonic() < deadline
        finally:
            orphan.kill()


def test_zombies_are_not_living() -> None:
    process = start("true")
    deadline = time.monotonic() + 10
    while any(entry.pid == process.pid for entry in processes.living()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert processes.is_alive(process.pid)
    process.communicate()


def test_what_is_gone_is_nobodys_trouble() -> None:
    process = start("true")
    process.communicate()
    processes.send({process.pid}, signal.SIGKILL)
    assert processes.mark_of(process.pid) == ""
    assert processes.resident(process.pid) == 0


@pytest.mark.parametrize("pid", [0, -1])
def test_a_signal_never_goes_to_more_than_a_process(pid: int) -> None:
    with pytest.raises(ValueError, match="a signal goes to processes"):
        processes.send({pid}, signal.Signals.SIGCONT)
