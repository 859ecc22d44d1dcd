from __future__ import annotations

import os
import subprocess
import sys

from windlass.protocol.forking import LEASE_VARIABLE, NO_TOKEN

#: A zygote looks at itself before and after.
REHEARSED = """
import os, signal, sys
from windlass.authoring import collect, scope
from windlass.runtime import child, limits, rehearsal
signal.signal(signal.SIGTERM, lambda *_: None)  # as the top level of a file may do
before = os.environ.copy(), signal.getsignal(signal.SIGTERM), len(os.listdir("/proc/self/fd"))
rehearsal.Rehearsal(limits.LeaseMark()).play()
assert (os.environ.copy(), signal.getsignal(signal.SIGTERM), len(os.listdir("/proc/self/fd"))) == before
assert collect(sys.modules["__main__"]) == []
print("ok")
"""

#: Count the pages that a child copies: with a rehearsal and without.
PAGES = """
import gc, os, socket
from datetime import UTC, datetime
from windlass.authoring.dag import DAG
from windlass.authoring.operators.python import PythonOperator
from windlass.protocol import AttemptContext, Reply, encode, frame
from windlass.runtime import attempt, child, limits, rehearsal

attempt.preload()
mark = limits.LeaseMark()
if REHEARSE:
    rehearsal.Rehearsal(mark).play()
dag = DAG("d", auto_register=False)
PythonOperator(task_id="t", dag=dag, python_callable=lambda: None)
attempt.prepare([dag])
now = datetime.now(UTC)
context = AttemptContext(
    dag_id="d", run_id="r", task_id="t", map_index=-1, try_number=1, max_tries=0, epoch=1, lease_id="",
    run_type="manual", logical_date=now, data_interval_start=now, data_interval_end=now, run_after=now,
)
welcome = frame(encode(Reply(1, context)))
limits.lighten_fork(limits.fork_handlers())
gc.collect()
gc.freeze()

def copied():
    ours, theirs = socket.socketpair()
    log = os.open(os.devnull, os.O_WRONLY)
    session, value = child.PipeSession(child.line(theirs.detach())), mark.of("0" * 32)
    origin = child.Origin(
        zygote=os.getpid(), control=os.open(os.devnull, os.O_RDONLY), reseed=None, dags={"d": dag},
        run=attempt.run_attempt, set_mark=mark.set,
    )
    pid = os.fork()
    if pid == 0:
        child.become(origin, session, log, value, session.fd, session.fd + 1, None)
    os.close(origin.control)
    session.close()
    os.close(log)
    ours.sendall(welcome)
    while ours.recv(65536):
        pass
    ours.close()
    _, status, usage = os.wait4(pid, 0)
    assert status == 0
    return usage.ru_minflt

print(min(copied() for _ in range(5)))
"""


def printed(source: str) -> str:
    environment = {**os.environ, LEASE_VARIABLE: f"{'a' * 16}.{NO_TOKEN}"}
    command = [sys.executable, "-P", "-c", source]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30, env=environment).stdout


def test_nothing_of_a_rehearsal_stays_but_what_python_has_learnt() -> None:
    assert printed(REHEARSED) == "ok\n"


def test_a_child_of_a_zygote_that_has_rehearsed_copies_fewer_pages() -> None:
    cold = int(printed(PAGES.replace("REHEARSE", "False")))
    warm = int(printed(PAGES.replace("REHEARSE", "True")))
    assert warm < cold
