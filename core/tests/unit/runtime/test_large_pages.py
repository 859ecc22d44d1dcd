from __future__ import annotations

import subprocess
import sys

#: A process as a zygote is one, that is never short of arenas.
ZYGOTE = """
from pathlib import Path
from windlass.runtime import large_pages

def large():
    rollup = Path("/proc/self/smaps_rollup").read_text()
    return int(rollup.partition("AnonHugePages:")[2].split()[0]) // 2048

if RESERVE:
    large_pages.reserve()
data = [str(i) for i in range(100_000)]
made = large_pages.collapse()
assert data == [str(i) for i in range(100_000)]
print(made, large())
"""

#: Memory that was asked for and hardly used.
UNUSED = """
import mmap
from windlass.runtime import large_pages
place = mmap.mmap(-1, 64 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
place[:: 1 << 20] = bytes(64)
large_pages.collapse()
print(sum(int(line.split()[1]) for line in open("/proc/self/smaps_rollup") if line.startswith("Rss")) < 60_000)
"""


def output_of(source: str) -> str:
    return subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True, timeout=60).stdout


def test_memory_that_lies_together_becomes_large_pages_and_keeps_what_it_holds() -> None:
    made, large = map(int, output_of(ZYGOTE.replace("RESERVE", "True")).split())
    assert made == large  # both none, where the kernel knows nothing of it
    scattered = int(output_of(ZYGOTE.replace("RESERVE", "False")).split()[0])
    assert scattered <= made


def test_memory_that_is_not_in_use_is_left_alone() -> None:
    assert output_of(UNUSED) == "True\n"
