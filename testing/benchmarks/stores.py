"""A server as the store against SQLite: two engines that differ in nothing else, measured in turns in one run.

The server is the one that the tests find (``windlass_testing.servers``). Whether its commits wait for the disk, as
SQLite's do, is printed: a server that is started for the occasion does not wait.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime

from testing.benchmarks.engine import BenchmarkError, Engine
from testing.benchmarks.measures import Measure
from testing.benchmarks.workloads import Session, last_end, latency_ms, timed_run

from windlass_testing.servers import ServerMissing, mysql, postgres

_DAGS = {"chain_40.py": "chain_40.py", "fan_out_200.py": "fan_out.py", "fan_out_1000.py": "fan_out.py"} | {
    "chain_5.py": "chain_5.py",
    "single.py": "single.py",
}
_BUDGET, _DREAM = 2.0, 1.3
_LATENCY_BUDGET = 25.0


def _chain(engine: Engine) -> float:
    return timed_run(engine, "chain_40")[0]


def _fan_out(width: int) -> Callable[[Engine], float]:
    return lambda engine: timed_run(engine, f"fan_out_{width}")[0]


def _many_runs(engine: Engine) -> float:
    started = datetime.now(UTC)
    runs = [engine.trigger("chain_5") for _ in range(50)]
    return (last_end(engine, runs) - started).total_seconds()


_TIMED: dict[str, Callable[[Engine], float]] = {
    "W1": _chain,
    "W3-200": _fan_out(200),
    "W3-1000": _fan_out(1000),
    "W4": _many_runs,
}


def postgresql(session: Session) -> list[Measure]:
    """W1, W3, W4 and W5 with the store in PostgreSQL; the ratio is that of its seconds to SQLite's."""
    return _against_sqlite(session, "PostgreSQL", postgres, _postgresql_settings)


def mariadb(session: Session) -> list[Measure]:
    """Measure the same with the store in MariaDB or MySQL, whichever the tests find."""
    return _against_sqlite(session, "MariaDB", mysql, _mariadb_settings)


def _against_sqlite(
    session: Session,
    product: str,
    server: Callable[[], AbstractContextManager[str]],
    settings_of: Callable[[str], dict[str, str]],
) -> list[Measure]:
    with contextlib.ExitStack() as stack:
        try:
            url = stack.enter_context(server())
        except ServerMissing as error:
            raise BenchmarkError(str(error)) from None
        print("  ".join([product, *(f"{name}: {value}" for name, value in settings_of(url).items())]), flush=True)
        settings = {"core.parallelism": "8"}
        ours = stack.enter_context(Engine(_DAGS, settings))
        theirs = stack.enter_context(Engine(_DAGS, {**settings, "database.sql_alchemy_conn": url}))
        measures: list[Measure] = []
        for name, workload in _TIMED.items():
            seconds: dict[Engine, list[float]] = {ours: [], theirs: []}
            for engine in seconds:
                workload(engine)
            for _ in range(session.repeat):
                for engine, samples in seconds.items():
                    session.pause()
                    samples.append(workload(engine))
            ratios = [there / here for here, there in zip(seconds[ours], seconds[theirs], strict=True)]
            measures += [
                Measure(f"{name} with {product}", "s", seconds[theirs]),
                Measure(f"{name} with SQLite", "s", seconds[ours]),
                Measure(f"{name} {product} / SQLite", "x", ratios, _BUDGET, _DREAM),
            ]
        return [*measures, *_latencies(session, {"SQLite": ours, product: theirs})]


def _postgresql_settings(url: str) -> dict[str, str]:
    import psycopg

    with psycopg.connect(url) as connection:
        names = ("server_version", "fsync", "synchronous_commit")
        return {name: str((connection.execute(f"SHOW {name}").fetchone() or "?")[0]) for name in names}


def _mariadb_settings(url: str) -> dict[str, str]:
    from windlass.hooks import Connection
    from windlass_mysql.hook import MySqlHook

    hook = MySqlHook("db")
    hook.connection = Connection.from_uri("db", url)
    names = ("version", "innodb_flush_log_at_trx_commit", "sync_binlog", "log_bin")
    return {name: str(hook.get_first(f"SELECT @@{name}")[0]) for name in names}


def _latencies(session: Session, engines: dict[str, Engine]) -> list[Measure]:
    samples: dict[str, list[float]] = {name: [] for name in engines}
    for engine in engines.values():
        engine.run("single")
    for _ in range(max(20, session.repeat)):
        for name, engine in engines.items():
            session.pause()
            samples[name].append(latency_ms(*engine.run("single")))
    bounds = {"SQLite": (15.0, 8.0)}
    return [
        Measure(f"W5 warm with {name}", "ms", found, *bounds.get(name, (_LATENCY_BUDGET,)))
        for name, found in samples.items()
    ]
