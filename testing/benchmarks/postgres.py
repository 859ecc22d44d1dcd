"""PostgreSQL through its hook against psycopg alone: what it costs that rows go through Windlass.

Both sides do the same work on the same server in turns, so the ratio holds whatever else the machine does. What is
compared with is the shortest program that a person would write: one COPY of all rows, and a loop over a cursor that the
server keeps.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from testing.benchmarks.engine import BenchmarkError, environment
from testing.benchmarks.measures import Measure
from testing.benchmarks.workloads import Session

from windlass.hooks import Connection
from windlass_testing.servers import ServerMissing, postgres

_ROWS = 300_000
_LARGE = 5_000_000
_TABLE = "(id int8, name text, price float8, at timestamptz)"


@contextmanager
def _database() -> Iterator[str]:
    try:
        with postgres() as url:
            yield url
    except ServerMissing as error:
        raise BenchmarkError(str(error)) from None


def _hook(url: str) -> Any:  # noqa: ANN401 - the provider is imported only where it is measured
    from windlass_postgres.hook import PostgresHook

    hook = PostgresHook("db", log_sql=False)
    hook.connection = Connection.from_uri("db", url.replace("postgresql:", "postgres:"))
    return hook


def _rate(work: Callable[[], object], rows: int) -> float:
    started = time.perf_counter()
    work()
    return rows / (time.perf_counter() - started)


def copying(session: Session) -> list[Measure]:
    """P-copy: ``insert_rows`` against one COPY by psycopg, of rows with a number, a text, a float and an instant."""
    import psycopg

    at = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [(number, f"row {number}", number / 7, at) for number in range(_ROWS)]
    ours: list[float] = []
    theirs: list[float] = []
    with _database() as url:
        hook = _hook(url)
        hook.run(f"CREATE TABLE t {_TABLE}")

        def alone() -> None:
            with psycopg.connect(url) as conn, conn.cursor() as cursor, cursor.copy("COPY t FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)

        for _ in _turns(session):
            for rates, work in ((theirs, alone), (ours, lambda: hook.insert_rows("t", rows))):
                hook.run("TRUNCATE t")
                hook.run("CHECKPOINT", autocommit=True)  # each begins with nothing left to write
                rates.append(_rate(work, _ROWS))
    return _compared("P-copy", ours, theirs, 0.8)


def streaming(session: Session) -> list[Measure]:
    """P-stream: ``stream`` against a loop over psycopg's server-side cursor; and the memory of five million rows."""
    import psycopg

    ours: list[float] = []
    theirs: list[float] = []
    with _database() as url:
        hook = _hook(url)
        query = "SELECT i::int8 AS id, 'row ' || i AS name, i / 7::float8 AS price, now() AS at FROM generate_series"
        hook.run(f"CREATE TABLE t AS {query}(1, {_ROWS}) i")

        def alone() -> None:
            with psycopg.connect(url) as conn, conn.cursor("rows") as cursor:
                cursor.itersize = 10_000
                cursor.execute("SELECT * FROM t")
                for _row in cursor:
                    pass

        def through() -> None:
            for _row in hook.stream("SELECT * FROM t"):
                pass

        for _ in _turns(session):
            theirs.append(_rate(alone, _ROWS))
            ours.append(_rate(through, _ROWS))
        memory = _memory(url, f"{query}(1, {_LARGE}) i")
    return [
        *_compared("P-stream", ours, theirs, 0.9),
        Measure("P-stream memory of 5,000,000 rows (peak)", "MB", [memory], 150.0, 60.0),
    ]


def _turns(session: Session) -> Iterator[None]:
    for _ in range(session.repeat):
        session.pause()
        yield


def _compared(name: str, ours: Sequence[float], theirs: Sequence[float], budget: float) -> list[Measure]:
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    return [
        Measure(name, "rows/s", ours),
        Measure(f"{name}, psycopg alone", "rows/s", theirs),
        Measure(f"{name} / psycopg alone", "x", ratios, budget, 1.0, at_least=True),
    ]


def _memory(url: str, query: str) -> float:
    """Return the most memory, in MB, that a process of its own ever had while it streamed the rows of a query."""
    program = (
        "import resource, sys\n"
        "from testing.benchmarks.postgres import _hook\n"
        f"count = sum(1 for _ in _hook({url!r}).stream({query!r}))\n"
        f"assert count == {_LARGE}, count\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise BenchmarkError(f"streaming {_LARGE} rows failed: {done.stderr.strip()[-500:]}")
    return float(done.stdout)


POSTGRES = {"P-copy": copying, "P-stream": streaming}
