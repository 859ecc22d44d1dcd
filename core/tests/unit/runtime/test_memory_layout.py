from __future__ import annotations

import os
import subprocess
import sys

import pytest

#: A process as a zygote is one, that is never short of arenas.
ZYGOTE = """
from pathlib import Path
from windlass.runtime import memory_layout

def large():
    rollup = Path("/proc/self/smaps_rollup").read_text()
    return int(rollup.partition("AnonHugePages:")[2].split()[0]) // 2048

if RESERVE:
    memory_layout.reserve()
data = [str(i) for i in range(100_000)]
print(memory_layout.collapse(), large())
assert data == [str(i) for i in range(100_000)]
"""

#: Memory that was asked for and hardly used.
UNUSED = """
import mmap
from windlass.runtime import memory_layout
place = mmap.mmap(-1, 64 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
place[:: 1 << 20] = bytes(64)
memory_layout.collapse()
print(sum(int(line.split()[1]) for line in open("/proc/self/smaps_rollup") if line.startswith("Rss")) < 60_000)
"""

#: The mapping of the arenas that were reserved: how far it ends from where a large page may end, and whether it is all.
ARENAS = """
from windlass.runtime import memory_layout
memory_layout.reserve(8)
some = sorted(map(id, memory_layout._kept))[8]
for line in open("/proc/self/maps"):
    start, end = (int(address, 16) for address in line.split()[0].split("-"))
    if start <= some < end:
        print(end % (2 << 20), (end - start) >> 20 >= 6)
"""

#: On which page of its pool the next object of each size lies.
POOLS = """
from windlass.runtime import memory_layout
sizes = list(range(48, 513, 16))
kept = [bytes(size - 33) for size in sizes for _ in range(size % 7 * 40)]  # begins some of them
places = [0] * len(sizes)
if COMPLETE:
    memory_layout.complete_pools()
number = 0
while number < len(sizes):
    places[number] = id(bytes(sizes[number] - 33)) % 16384
    number += 1
print(set(places) == {48})
"""


def output_of(source: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", source],
        env={**os.environ, "PYTHONMALLOC": "pymalloc"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout


def test_memory_that_lies_together_becomes_large_pages_and_keeps_what_it_holds() -> None:
    made, large = map(int, output_of(ZYGOTE.replace("RESERVE", "True")).split())
    assert made == large  # both none, where the kernel knows nothing of it
    scattered = int(output_of(ZYGOTE.replace("RESERVE", "False")).split()[0])
    assert scattered <= made


def test_memory_that_is_not_in_use_is_left_alone() -> None:
    assert output_of(UNUSED) == "True\n"


@pytest.mark.skipif(sys.platform != "linux", reason="Linux puts each mapping below the one before")
def test_reserved_arenas_lie_together_and_begin_where_a_large_page_may_begin() -> None:
    assert output_of(ARENAS) == "0 True\n"


def test_the_first_object_of_each_size_begins_a_new_pool() -> None:
    assert output_of(POOLS.replace("COMPLETE", "False")) == "False\n"
    assert output_of(POOLS.replace("COMPLETE", "True")) == "True\n"
