"""What a zygote answers; that it forks is tested with its supervisor."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from windlass.protocol.forking import MAX_DATAGRAM, Fork, Unforked, datagram, from_zygote
from windlass.runtime.limits import LeaseMark
from windlass.runtime.zygote import Zygote


def test_children_whose_descriptors_did_not_all_arrive_are_not_forked() -> None:
    supervisors, zygotes = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with supervisors, zygotes:
        zygote = Zygote(zygotes, LeaseMark(), single=False)
        reading, writing = os.pipe()
        socket.send_fds(supervisors, [datagram(Fork(tokens=["a", "b"]))], [writing])
        os.close(writing)
        assert zygote._obey()
        answers = [from_zygote(supervisors.recv(MAX_DATAGRAM)) for _ in range(2)]
        assert [answer.token for answer in answers if isinstance(answer, Unforked)] == ["a", "b"]
        assert os.read(reading, 1) == b"", "what did arrive is closed"
        os.close(reading)


#: A zygote forks three tasks by one message; each prints which descriptors it has besides those that the zygote had
#: before, and which it has no longer.
FORKS = """
import os, socket, sys
from datetime import UTC, datetime
from windlass.authoring.dag import DAG
from windlass.authoring.operators.python import PythonOperator
from windlass.protocol import AttemptContext, Reply, encode, frame
from windlass.protocol.forking import Fork, datagram
from windlass.runtime import attempt, child, limits
from windlass.runtime.zygote import Zygote

def are_open(number):
    try:
        os.fstat(number)
    except OSError:
        return False
    return True

def descriptors():
    return {number for number in range(100) if are_open(number)}

chance = []

def show():
    own = descriptors()
    print(len(own - before), sorted(before - own) == [control.fileno()], chance)

child.open_text_output()
supervisor, control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
lines = [socket.socketpair() for _ in range(3)]
logs = [os.pipe() for _ in range(3)]
files = [number for (_, line), (_, log) in zip(lines, logs) for number in (line.detach(), log)]
mark = limits.LeaseMark()
zygote = Zygote(control, mark, single=False)
with DAG("d", auto_register=False) as dag:
    PythonOperator(task_id="t", python_callable=show)
zygote._origin = child.Origin(
    zygote=os.getpid(), control=control.fileno(), reseed=lambda: chance.append("anew"), dags={"d": dag},
    run=attempt.run_attempt, set_mark=mark.set,
)
socket.send_fds(supervisor, [datagram(Fork(tokens=["a", "b", "c"]))], files)
for number in files:
    os.close(number)
while not HOLES and os.dup(0) < 60:
    pass  # now what comes has nothing but numbers above
before = descriptors()
zygote._obey()
now = datetime.now(UTC)
context = AttemptContext(
    dag_id="d", run_id="r", task_id="t", map_index=-1, try_number=1, max_tries=0, epoch=1, lease_id="",
    run_type="manual", logical_date=now, data_interval_start=now, data_interval_end=now, run_after=now,
)
for (ours, _), (log, _) in zip(lines, logs):
    ours.sendall(frame(encode(Reply(1, context))))
    with open(log) as text:
        print(text.read(), end="")
assert descriptors() <= before, "the zygote keeps nothing of what came"
"""


@pytest.mark.parametrize("holes", [False, True], ids=["side by side", "scattered"])
def test_of_the_descriptors_that_came_a_child_keeps_its_line_alone(holes: bool) -> None:
    command = [sys.executable, "-P", "-c", FORKS.replace("HOLES", str(holes))]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    assert printed == "1 True ['anew']\n" * 3
