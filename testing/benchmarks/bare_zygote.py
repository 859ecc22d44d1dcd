"""A process like a zygote that forks children which only exit: ``bare_zygote.py FILE COUNT [--lightened]``.

It imports what a zygote imports, says so, waits for a line, forks COUNT children one after another, and prints the
median milliseconds of one fork, exit and wait. It forks as Python does by itself; ``--lightened``, without what
Windlass's own zygotes leave out of each fork (``limits.lighten_fork``) and with the layout of their memory.
"""

from __future__ import annotations

import gc
import os
import runpy
import sys
import time

from windlass.runtime import memory_layout

LIGHTENED = "--lightened" in sys.argv
if LIGHTENED:
    memory_layout.reserve()

import windlass.runtime.zygote  # noqa: E402, F401 - for its size
from windlass.runtime import attempt, limits  # noqa: E402


def fork_exit_wait() -> float:
    """Return the milliseconds that one child takes."""
    started = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return (time.perf_counter() - started) * 1000


attempt.preload()
if LIGHTENED:
    memory_layout.complete_pools()
    memory_layout.collapse()
module = runpy.run_path(sys.argv[1])
if LIGHTENED:
    limits.lighten_fork(limits.fork_handlers())
gc.collect()
if LIGHTENED:
    memory_layout.complete_pools()
gc.freeze()
print("ready", flush=True)
sys.stdin.readline()
# The median without the module of that name: it imports `random`, which has something to do in each child.
print(sorted(fork_exit_wait() for _ in range(int(sys.argv[2])))[int(sys.argv[2]) // 2], flush=True)
