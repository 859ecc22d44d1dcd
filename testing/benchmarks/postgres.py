"""PostgreSQL through its hook against psycopg alone: what it costs that rows go through Windlass.

Both sides do the same work on the same server in turns, so the ratio holds whatever else the machine does. What is
compared with is the shortest program that a person would write: one COPY of all rows, and a loop over a cursor that the
server keeps.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from testing.benchmarks.engine import BenchmarkError
from testing.benchmarks.measures import Measure
from testing.benchmarks.sql_memory import LARGE, hook_of, streamed, transferred
from testing.benchmarks.workloads import Session

from windlass_testing.servers import ServerMissing, postgres

_ROWS = 300_000
_QUERY = "SELECT i::int8 AS id, 'row ' || i AS name, i / 7::float8 AS price, now() AS at FROM generate_series"
_TABLE = "(id int8, name text, price float8, at timestamptz)"


@contextmanager
def _database() -> Iterator[str]:
    try:
        with postgres() as url:
            yield url
    except ServerMissing as error:
        raise BenchmarkError(str(error)) from None


@dataclass
class _Side:
    """What one side of a comparison took: rows a second, and this process's own CPU for each."""

    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def run(self, work: Callable[[], object]) -> None:
        """Do the work of all rows, and note what it took."""
        started, cpu = time.perf_counter(), time.process_time()
        work()
        self.rates.append(_ROWS / (time.perf_counter() - started))
        self.cpu.append((time.process_time() - cpu) / _ROWS * 1e6)


def copying(session: Session) -> list[Measure]:
    """P-copy: ``insert_rows`` against one COPY by psycopg, of rows with a number, a text, a float and an instant."""
    import psycopg

    at = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [(number, f"row {number}", number / 7, at) for number in range(_ROWS)]
    ours, theirs = _Side(), _Side()
    with _database() as url:
        hook = hook_of(url)
        hook.run(f"CREATE TABLE t {_TABLE}")

        def alone() -> None:
            with psycopg.connect(url) as conn, conn.cursor() as cursor, cursor.copy("COPY t FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)

        def through() -> None:
            hook.insert_rows("t", rows)

        for side, work in _turns(session, (theirs, alone), (ours, through)):
            hook.run("TRUNCATE t")
            hook.run("CHECKPOINT", autocommit=True)  # each begins with nothing left to write
            side.run(work)
    return _compared("P-copy", ours, theirs, 0.8)


def streaming(session: Session) -> list[Measure]:
    """P-stream: ``stream`` against a loop over psycopg's server-side cursor; and the memory of five million rows."""
    import psycopg

    ours, theirs = _Side(), _Side()
    with _database() as url:
        hook = hook_of(url)
        hook.run(f"CREATE TABLE t AS {_QUERY}(1, {_ROWS}) i")

        def alone() -> None:
            with psycopg.connect(url) as conn, conn.cursor("rows") as cursor:
                cursor.itersize = 10_000
                cursor.execute("SELECT * FROM t")
                for _row in cursor:
                    pass

        def through() -> None:
            for _row in hook.stream("SELECT * FROM t"):
                pass

        for side, work in _turns(session, (theirs, alone), (ours, through)):
            side.run(work)
        memory = streamed("P-stream", url, f"{_QUERY}(1, {LARGE}) i")
    return [*_compared("P-stream", ours, theirs, 0.9), memory]


def transferring(_session: Session) -> list[Measure]:
    """P-transfer: five million rows by GenericTransfer from one table to another, in a process of its own."""
    with _database() as url:
        hook_of(url).run(f"CREATE TABLE t {_TABLE}")
        return transferred("P-transfer", url, f"{_QUERY}(1, {LARGE}) i")


_Turn = tuple[_Side, Callable[[], None]]


def _turns(session: Session, first: _Turn, second: _Turn) -> Iterator[_Turn]:
    """Yield both sides again and again, in turns also as to which begins."""
    for number in range(session.repeat):
        session.pause()
        yield from (first, second) if number % 2 == 0 else (second, first)


def _compared(name: str, ours: _Side, theirs: _Side, budget: float) -> list[Measure]:
    ratios = [mine / other for mine, other in zip(ours.rates, theirs.rates, strict=True)]
    cpu = [mine / other for mine, other in zip(ours.cpu, theirs.cpu, strict=True)]
    return [
        Measure(name, "rows/s", ours.rates),
        Measure(f"{name}, psycopg alone", "rows/s", theirs.rates),
        Measure(f"{name} / psycopg alone", "x", ratios, budget, 1.0, at_least=True),
        Measure(f"{name} client's CPU / psycopg's alone", "x", cpu),
    ]


POSTGRES = {"P-copy": copying, "P-stream": streaming, "P-transfer": transferring}
