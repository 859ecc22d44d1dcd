"""What a task costs the database: counted statements and commits, and plans that do not grow with history."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from windlass.app.clocks import SeededRng, VirtualClock
from windlass.ports import Claim
from windlass.protocol import AssetEvent, Query
from windlass.spec import AssetCondition, AssetScheduleSpec
from windlass.states import RunType
from windlass.store import Store
from windlass.store.invariants import INVARIANTS
from windlass.store.sharing import Leases
from windlass_testing.hand_driven import HandDriven, result


class Recorder:
    """Notes every statement of a database, whoever sends it."""

    def __init__(self) -> None:
        self.seen: set[str] = set()

    def statement(self, sql: str, *, writing: bool) -> None:
        self.seen.add(sql)

    def committed(self) -> None:
        pass


@pytest.mark.parametrize(("batch", "most"), [(1, 5.0), (8, 4.0), (100, 4.0)])
@pytest.mark.budget
def test_each_of_the_three_commits_of_a_task_takes_at_most_five_statements(
    engine: HandDriven, batch: int, most: float
) -> None:
    # Where writers do not exclude each other, the pools are locked as well.
    most += 0 if engine.store.db.dialect.serial else 1 / batch
    engine.store.pools.set("default_pool", -1)
    engine.dag(*(f"t{number}" for number in range(batch)))
    run = engine.new_run()
    changes = engine.queueing(*engine.scheduler.tasks_of(run.id))
    changes.generations = {run.id: 0}
    changes.signals = [signal.id for signal in engine.scheduler.signals()]
    database = engine.store.db
    costs: list[float] = []

    def count(before: int) -> None:
        costs.append((database.statements - before) / batch)

    commits, before = database.commits, database.statements
    engine.scheduler.commit(changes)
    count(before)
    claims = [Claim(task=a.task, epoch=1, ticket=a.ticket, pid=1, hostname="h") for a in changes.admissions]
    before = database.statements
    claimed = [c for c in engine.gateway.claim(claims, "s1") if c is not None]
    count(before)
    reports = [engine.reporting(c, xcoms=(result("x"),)) for c in claimed]
    before = database.statements
    assert all(engine.gateway.report(reports, "s1"))
    count(before)

    assert max(costs) <= most
    assert database.commits - commits == 3


def plan_of(engine: HandDriven, sql: str) -> Iterator[str]:
    translated = engine.store.db.dialect.translate(sql)
    names = set(re.findall(r":(\w+)", translated))
    connection = engine.store.db._connection()
    for row in connection.execute(f"EXPLAIN QUERY PLAN {translated}", dict.fromkeys(names)).fetchall():
        yield row[-1]


#: Small by nature, or holding only what is alive now.
MAY_BE_SCANNED = re.compile(
    r"SCAN (json_each VIRTUAL TABLE|(pool|p|signal|s|observer|scheduler|dag)\b|CONSTANT ROW"
    r"|\w+ USING (COVERING )?INDEX (ix_ti_\w+|ix_run_open|ix_attempt_open|uq_attempt_open)\b)"
)


#: What `ANALYZE` finds in a million finished task instances; of what is alive, in partial indexes, it finds nothing.
LONG_HISTORY = (
    ("attempt", "sqlite_autoindex_attempt_1", "1000000 1"),
    ("attempt", "sqlite_autoindex_attempt_2", "1000000 1 1"),
    ("pool", "sqlite_autoindex_pool_1", "1 1"),
    ("run", "ix_run_scheduled", "100000 100000 1"),
    ("run", "sqlite_autoindex_run_1", "100000 100000 1"),
    ("run", "sqlite_autoindex_run_2", "100000 100000 1"),
    ("run_transition", "ix_run_transition_run", "100000 1 1"),
    ("ti", "sqlite_autoindex_ti_1", "1000000 10 1 1"),
    ("transition", "ix_transition_ti", "4000000 4 1"),
    ("transition", "sqlite_autoindex_transition_1", "4000000 1"),
)


def take_statistics_of_a_long_history(engine: HandDriven) -> None:
    connection = engine.store.db._connection()
    assert isinstance(connection, sqlite3.Connection)
    connection.execute("ANALYZE")
    connection.execute("DELETE FROM sqlite_stat1")
    connection.executemany("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (?, ?, ?)", LONG_HISTORY)
    connection.execute("ANALYZE sqlite_schema")  # has the planner read them


def share(engine: HandDriven) -> None:
    """Do all that one of several schedulers does besides."""
    leases = Leases(engine.store.db, "home")
    leases.register()
    leases.renew()
    leases.living()
    leases.free()
    leases.take(["d"])
    leases.held()
    view = engine.store.scheduler_with(leases)
    view.signals()
    view.own([run.id for run in view.open_runs()])
    leases.release(["d"])
    leases.leave()


@pytest.mark.sqlite_only("it reads SQLite's query plans")
@pytest.mark.parametrize("analyzed", [False, True], ids=["fresh", "analyzed"])
def test_no_statement_of_the_engine_reads_history(file_engine: HandDriven, analyzed: bool) -> None:
    engine = file_engine
    engine.dag("a", "b")
    condition = AssetCondition(any_of=(AssetCondition(asset="s3://x"), AssetCondition(alias="al")))
    engine.dag("c", dag_id="fed", file="fed.py", schedule=AssetScheduleSpec(condition=condition))
    recorder = engine.store.db.probe = Recorder()
    run = engine.new_run()
    engine.scheduler.signals()
    engine.scheduler.own([run.id])
    share(engine)
    engine.scheduler.open_runs()
    engine.scheduler.occupied()
    engine.scheduler.queued()
    engine.scheduler.previous(run.id, "a", -1, scheduled_only=True)
    engine.scheduler.previous(engine.new_run(day=2).id, "a", -1, scheduled_only=False)
    engine.scheduler.reap(queued_timeout=1.0)
    a = engine.run(engine.ti(run, "a"))
    engine.gateway.heartbeat([a.lease_id], "s1")
    engine.report(a, xcoms=(result("x"),))
    engine.run(engine.ti(run, "b"))
    engine.gateway.recover("s1")
    other = engine.run(engine.ti(engine.new_run(day=3), "a"))
    outlets = (AssetEvent(uri="s3://x"), AssetEvent(uri="s3://y", alias="al"))
    engine.report(other, ending=engine.finish(outlets=outlets))
    engine.scheduler.updated_assets("fed")
    waiting = engine.scheduler.waiting_events("fed")
    fed = engine.new_run(
        "fed",
        run_type=RunType.ASSET_TRIGGERED,
        logical_date=waiting[-1].at,
        data_interval_start=waiting[0].at,
        data_interval_end=waiting[-1].at,
        asset_events=tuple(event.id for event in waiting),
    )
    reader = engine.run(engine.ti(fed, "c"), dag_id="fed")
    for filters in ({"uri": "s3://x"}, {"alias": "al"}, {"triggered": True}):
        engine.gateway.call(reader.lease_id, Query(what="asset_events", filters=filters))

    if analyzed:
        take_statistics_of_a_long_history(engine)
    scans = {
        f"{step}  <-  {sql}"
        for sql in recorder.seen - {engine.store.db.dialect.begin}
        for step in plan_of(engine, sql)
        if step.startswith("SCAN") and not MAY_BE_SCANNED.match(step)
    }
    assert len(recorder.seen) > 25
    assert scans == set()


def test_every_statement_of_every_invariant_is_valid(engine: HandDriven) -> None:
    assert [list(plan_of_invariant(engine, name)) for name in INVARIANTS]


def plan_of_invariant(engine: HandDriven, name: str) -> Iterator[str]:
    sql = INVARIANTS[name].sql
    values = {key: 0 for key in ("now", "grace", "queued_limit", "kept") if f":{key}" in sql}
    explain = "EXPLAIN QUERY PLAN" if engine.store.db.dialect.name == "sqlite" else "EXPLAIN"
    for row in engine.store.db.rows(f"{explain} {sql}", values):
        yield str(row[-1])


@pytest.mark.sqlite_only("only SQLite can be in memory")
def test_a_store_in_memory_is_a_copy_and_costs_no_ddl() -> None:
    clock = VirtualClock(datetime(2026, 3, 1, tzinfo=UTC))
    stores = [Store.memory(clock, SeededRng(seed)) for seed in range(3)]
    stores[0].pools.set("mine", 1)
    assert [len(store.pools.list()) for store in stores] == [2, 1, 1]
    assert stores[1].db.statements == 1
    for store in stores:
        store.close()
