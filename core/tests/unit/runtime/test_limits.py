from __future__ import annotations

import subprocess
import sys

LIGHT = """
import logging, os, sys, threading
from windlass.runtime import limits
logging.basicConfig(level="INFO", stream=sys.stdout, format="%(message)s")
if LIGHTEN:
    limits.lighten_fork()
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


def test_the_list_of_children_is_as_new_at_every_reading() -> None:
    assert output_of(CHILDREN) == "ok\n"
