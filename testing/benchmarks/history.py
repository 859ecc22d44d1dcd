"""Flat cost: what a change of state takes with ever more task instances in the database.

One run is driven to its end by the engine's own code; its rows are then multiplied in SQL to a history of the wanted
size, every copy with ids, leases and op ids of its own, so that tables and indexes are as large as after so many real
ones. On that store, a file with ``synchronous=FULL``, the real scheduler and gateway take a wide run through all its
states. No process is started: the fork costs what it costs whatever the database holds, and would only blur the ratio.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from testing.benchmarks.measures import Measure
from testing.benchmarks.workloads import Session

from windlass.app.clocks import SystemRng, VirtualClock
from windlass.ports import NewRun
from windlass.scheduler import Scheduler, SchedulerSettings
from windlass.states import RunType
from windlass.store import Store, migrate, open_store
from windlass_testing.hand_driven import HandDriven
from windlass_testing.scripted import ScriptedExecutor

_SIZES = (100, 10_000, 100_000, 1_000_000)
_TASKS = tuple(f"t{i}" for i in range(10))
#: Tasks of the measured run; each changes its state four times: scheduled, queued, running, success.
_WIDTH = 100
_CHANGES = 4 * _WIDTH
#: Table -> what of a copied row must differ from the original's, as SQL over the number ``k`` of the copy.
_COPIES = {
    "run": {"id": "id + k", "run_id": "run_id || '-' || k", "logical_date": "logical_date + k"},
    "ti": {"id": f"id + k * {len(_TASKS)}", "run": "run + k"},
    "attempt": {"lease_id": "lower(hex(randomblob(16)))", "ti_id": f"ti_id + k * {len(_TASKS)}"},
    "transition": {"seq": "NULL", "op_id": "lower(hex(randomblob(16)))", "ti_id": f"ti_id + k * {len(_TASKS)}"},
    "run_transition": {"seq": "NULL", "op_id": "lower(hex(randomblob(16)))", "run": "run + k"},
}


def flat_cost(session: Session) -> list[Measure]:
    """Measure the milliseconds per change of state for every size, and the last one over the first."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="windlass-benchmark-")))
        stores = {}
        for size in _SIZES:
            _make_history(folder / f"{size}.db", size)
            stores[size] = stack.enter_context(_opened(folder / f"{size}.db"))
            _change_ms(stores[size])  # a server that has just started reads its first pages, whatever the size
        samples: dict[int, list[float]] = {size: [] for size in _SIZES}
        for _ in range(session.repeat):
            session.pause()
            for size, store in stores.items():  # in turns, so that all see the same machine
                samples[size].append(_change_ms(store))
    ratios = [last / first for first, last in zip(samples[_SIZES[0]], samples[_SIZES[-1]], strict=True)]
    return [
        *(Measure(f"state change, {size:,} instances", "ms", samples[size]) for size in _SIZES),
        Measure(f"state change, {_SIZES[-1]:,} / {_SIZES[0]:,} instances", "x", ratios, 1.2),
    ]


@contextmanager
def _opened(path: Path) -> Iterator[Store]:
    store = open_store(
        f"sqlite:///{path}",
        clock=VirtualClock(datetime.now(UTC)),
        rng=SystemRng(),
        synchronous="FULL",
        checkpoints=True,
    )
    try:
        yield store
    finally:
        store.close()


def _make_history(path: Path, size: int) -> None:
    """Make a database with ``size`` finished task instances, and a DAG for the run that is measured."""
    migrate(f"sqlite:///{path}")
    with _opened(path) as store:
        engine = HandDriven(store, VirtualClock(datetime.now(UTC)))
        engine.dag(*_TASKS)
        engine.dag(*(f"w{i}" for i in range(_WIDTH)), dag_id="wide", file="wide.py", max_active_tasks=_WIDTH)
        run = engine.new_run()
        engine.complete(run, *_TASKS)
        store.runs.mark_run(run.dag_id, run.run_id, run.state.SUCCESS, who="benchmark")
    with closing(sqlite3.connect(path)) as connection, connection:
        for table, changed in _COPIES.items():
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            values = ", ".join(changed.get(column, column) for column in columns)
            connection.execute(
                f"INSERT INTO {table} WITH RECURSIVE copy(k) AS "  # noqa: S608 - names of our own tables
                "(SELECT 1 UNION ALL SELECT k + 1 FROM copy WHERE k < :copies) "
                f"SELECT {values} FROM (SELECT * FROM {table}), copy",
                {"copies": size // len(_TASKS) - 1},
            )
        (found,) = connection.execute("SELECT COUNT(*) FROM ti").fetchone()
        if found != size:
            msg = f"the history has {found} task instances instead of {size}"
            raise AssertionError(msg)
        connection.execute("DELETE FROM signal")
        connection.execute("ANALYZE")


def _change_ms(store: Store) -> float:
    """Take one wide run to its end and return the milliseconds that each change of state took."""
    clock = VirtualClock(datetime.now(UTC))
    executor = ScriptedExecutor(store.gateway, clock, parallelism=_WIDTH)
    scheduler = Scheduler(store.scheduler, executor, clock, SystemRng(), SchedulerSettings())
    scheduler.step()
    now = clock.now()
    run = store.scheduler.create_run(
        NewRun(
            dag_id="wide", run_type=RunType.MANUAL, logical_date=now, data_interval_start=now, data_interval_end=now,
            run_after=now, bump=True,
        )
    )  # fmt: skip
    if run is None:
        msg = "the run exists already"
        raise AssertionError(msg)
    started = time.perf_counter()
    while True:
        scheduler.step()
        if not executor.waiting:
            break
        executor.run_one()
    elapsed = time.perf_counter() - started
    facts = store.scheduler.run(run.id)
    if facts is None or not facts.state.is_terminal:
        msg = "the measured run did not end"
        raise AssertionError(msg)
    return elapsed / _CHANGES * 1000
