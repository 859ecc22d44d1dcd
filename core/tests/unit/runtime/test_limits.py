from __future__ import annotations

import subprocess
import sys

LIGHT = """
import logging, os, sys, threading
from windlass.runtime import limits
logging.basicConfig(level="INFO", stream=sys.stdout, format="%(message)s")
if LIGHTEN:
    limits.lighten_fork(limits.fork_handlers())
pid = os.fork()
if pid == 0:
    logging.info("main %s", threading.current_thread() is threading.main_thread())
    thread = threading.Thread(target=lambda: logging.info("thread %d", threading.active_count()))
    thread.start()
    thread.join()
    logging.info("left %d", threading.active_count())
    sys.stdout.flush()
    os._exit(0)
os.waitpid(pid, 0)
logging.info("parent %d", threading.active_count())
"""

#: A task that has threads of its own forks, as libraries do: from a thread that is not the main one.
THREADED = """
import logging, os, sys, threading
from windlass.runtime import limits
logging.basicConfig(level="INFO", stream=sys.stdout, format="%(message)s")
if LIGHTEN:
    limits.lighten_fork(limits.fork_handlers())

def fork():
    pid = os.fork()
    if pid == 0:
        logging.info("main %s", threading.current_thread() is threading.main_thread())
        thread = threading.Thread(target=lambda: logging.getLogger("new").info("threads %d", threading.active_count()))
        thread.start()
        thread.join(10)
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(pid, 0)
    logging.info("forked among %d", threading.active_count())

if os.fork() == 0:
    done = threading.Event()
    threading.Thread(target=done.wait).start()
    forking = threading.Thread(target=fork)
    forking.start()
    forking.join()
    done.set()
    logging.getLogger("other").info("the lock is free")
    sys.stdout.flush()
    os._exit(0)
os.wait()
"""

#: What the interpreter calls around a fork, without what was taken out, and from the first thread on with it.
HANDLERS = """
import logging, os, threading
from windlass.runtime import limits
os.register_at_fork(before=lambda: None, after_in_child=lambda: os.write(1, b"called\\n"))
def numbers():
    return sorted(map(len, limits.fork_handlers()))
before = numbers()
limits.lighten_fork(limits.fork_handlers())
assert numbers() == [0, 1, 1], numbers()
if os.fork() == 0:
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()
    assert numbers() == before, (numbers(), before)
    os._exit(0)
assert os.wait()[1] == 0
assert numbers() == [0, 1, 1], "only for the task that needs them"
"""

BATCH = """
import os
from windlass.runtime import limits
limits.run_as_batch()
pid = os.fork()
if pid == 0:
    os._exit(os.sched_getscheduler(0))
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == os.SCHED_BATCH)
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
limits.run_as_batch()
print(os.sched_getscheduler(0) == os.SCHED_IDLE)
"""

CHILDREN = """
import os, time
from windlass.runtime import limits
own = limits.OwnChildren()
assert own.besides(set()) == set()
pids = set()
for _ in range(2):
    pid = os.fork()
    if pid == 0:
        time.sleep(60)
    pids.add(pid)
    assert own.besides(set()) == pids, (own.besides(set()), pids)
first = min(pids)
assert own.besides({first}) == pids - {first}
for pid in pids:
    os.kill(pid, 9)
    os.waitpid(pid, 0)
assert own.besides(set()) == set()
print("ok")
"""


def output_of(source: str) -> str:
    return subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True, timeout=30).stdout


def test_threads_and_logging_work_in_a_child_of_a_lightened_fork_as_in_any_other() -> None:
    plain = output_of(LIGHT.replace("LIGHTEN", "False"))
    assert output_of(LIGHT.replace("LIGHTEN", "True")) == plain
    assert plain.splitlines() == ["main True", "thread 2", "left 1", "parent 1"]


def test_a_task_with_threads_forks_as_python_does_by_itself() -> None:
    plain = output_of(THREADED.replace("LIGHTEN", "False"))
    assert output_of(THREADED.replace("LIGHTEN", "True")) == plain
    assert plain.splitlines() == ["main True", "threads 2", "forked among 3", "the lock is free"]


def test_only_what_threads_need_is_left_out_of_a_lightened_fork_until_there_is_one() -> None:
    assert output_of(HANDLERS) == "called\n"


def test_what_is_run_as_batch_stays_so_in_children_unless_somebody_chose_another_policy() -> None:
    assert output_of(BATCH) == "True\nTrue\n"


def test_the_list_of_children_is_as_new_at_every_reading() -> None:
    assert output_of(CHILDREN) == "ok\n"
