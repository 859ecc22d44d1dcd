"""MySQL or MariaDB through its hook: the memory that five million rows take, read and moved to another table."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from testing.benchmarks.engine import BenchmarkError
from testing.benchmarks.measures import Measure
from testing.benchmarks.sql_memory import LARGE, hook_of, streamed, transferred
from testing.benchmarks.workloads import Session

from windlass_testing.servers import ServerMissing, mysql

_DIGITS = " UNION ALL ".join(f"SELECT {digit} AS n" for digit in range(10))
#: Both databases know this, and neither a way to count so far that the other has as well.
_NUMBER = " + ".join(f"d{place}.n * {10**place}" for place in range(7))
_QUERY = (
    f"WITH d AS ({_DIGITS}) SELECT {_NUMBER} AS id, CONCAT('row ', {_NUMBER}) AS name, ({_NUMBER}) / 7e0 AS price, "  # noqa: S608 - numbers of ours
    f"NOW(6) AS at FROM {' JOIN '.join(f'd AS d{place}' for place in range(7))} WHERE {_NUMBER} < {LARGE}"
)
_TABLE = "(id bigint, name text, price double, at datetime(6))"


@contextmanager
def _database() -> Iterator[str]:
    try:
        with mysql() as url:
            yield url
    except ServerMissing as error:
        raise BenchmarkError(str(error)) from None


def streaming(_session: Session) -> list[Measure]:
    """M-stream: five million rows of a query by ``stream``."""
    with _database() as url:
        return [streamed("M-stream", url, _QUERY)]


def transferring(_session: Session) -> list[Measure]:
    """M-transfer: five million rows of a query into a table by GenericTransfer."""
    with _database() as url:
        hook_of(url).run(f"CREATE TABLE t {_TABLE}")
        return transferred("M-transfer", url, _QUERY)


MYSQL = {"M-stream": streaming, "M-transfer": transferring}
