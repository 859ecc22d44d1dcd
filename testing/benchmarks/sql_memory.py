"""Five million rows of a database through its hook, each time in a process of its own: how much memory that takes."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, Final

from testing.benchmarks.engine import BenchmarkError, environment
from testing.benchmarks.measures import Measure

from windlass.hooks import Connection
from windlass.registry import registry

LARGE: Final = 5_000_000


def hook_of(url: str) -> Any:  # noqa: ANN401 - the provider is imported only where it is measured
    """Return the hook of a database."""
    connection = Connection.from_uri("db", url)
    hook = registry().hook_class(connection.conn_type)("db", log_sql=False)
    hook.connection = connection
    return hook


def streamed(name: str, url: str, query: str) -> Measure:
    """Return the memory of a process that streams a query of :data:`LARGE` rows."""
    memory, _ = _in_a_process(f"count = sum(1 for _ in hook_of({url!r}).stream({query!r}))")
    return _memory(name, memory)


def transferred(name: str, url: str, query: str) -> list[Measure]:
    """Return speed and memory of a GenericTransfer of a query of :data:`LARGE` rows into the table ``t``."""
    program = (
        "from windlass.ports import session_scope\n"
        "from windlass_sql.transfer import GenericTransfer\n"
        "from windlass_testing import Given\n"
        "given = Given()\n"
        f"given.connections['db'] = {url!r}\n"
        "transfer = GenericTransfer(task_id='t', source_conn_id='db', destination_conn_id='db',\n"
        f"    destination_table='t', sql={query!r})\n"
        "with session_scope(given):\n"
        "    count = transfer.execute({})"
    )
    memory, seconds = _in_a_process(program)
    return [Measure(name, "rows/s", [LARGE / seconds]), _memory(name, memory)]


def _memory(name: str, megabytes: float) -> Measure:
    return Measure(f"{name} memory of {LARGE:,} rows (peak)", "MB", [megabytes], 150.0, 60.0)


def _in_a_process(program: str) -> tuple[float, float]:
    """Run a program that counts rows; return the most memory, in MB, that its process ever had, and its seconds."""
    program = (
        "import re, time\n"
        "from testing.benchmarks.sql_memory import hook_of\n"
        "started = time.perf_counter()\n"
        f"{program}\n"
        f"assert count == {LARGE}, count\n"
        "seconds = time.perf_counter() - started\n"
        # Not ru_maxrss, which counts also what the parent had when it forked.
        "peak = re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())\n"
        "print(int(peak[1]) / 1024, seconds)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise BenchmarkError(f"{LARGE} rows in a process failed: {done.stderr.strip()[-500:]}")
    memory, seconds = map(float, done.stdout.split())
    return memory, seconds
