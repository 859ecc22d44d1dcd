"""Each invariant finds the one thing that breaks it, and nothing else does."""

# ruff: noqa: S608 - statements are put together from constants; values are always parameters

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from windlass.app.clocks import VirtualClock
from windlass.protocol import Outcome
from windlass.spec import AssetCondition, AssetScheduleSpec, TaskSpec
from windlass.states import RunType
from windlass.store import Store, invariant_violations, reset
from windlass.store.database import Transaction
from windlass.store.invariants import INVARIANTS
from windlass.store.transaction import Refused
from windlass_testing.hand_driven import HandDriven, result
from windlass_testing.stores import URL_FIXTURES

_BACKFILL = (
    "INSERT INTO backfill (id, dag_id, from_date, to_date, conf, created_by, created_at, dealt, intervals)"
    " VALUES (5, 'd', 0, 0, '{}', 'ann', 0, 1, 1)"
)
#: What each plants: SQL that a mistake in the engine could have amounted to.
PLANTED = {
    "1 unique-instance": "INSERT INTO ti (run, task_id, map_index, pool, queue, code_version) "
    "SELECT run, task_id, map_index, pool, queue, code_version FROM ti WHERE task_id = 'idle'",
    # MySQL lets an UPDATE read its own table only through another one.
    "1 unique-run": "UPDATE run SET logical_date = (SELECT low FROM (SELECT MIN(logical_date) AS low FROM run) AS old)",
    "1 placeholder": "UPDATE ti SET task_id = 'idle', map_index = 4 WHERE task_id = 'idle2'",
    "2 legal": "UPDATE transition SET actor = 'scheduler' WHERE to_state = 'running'",
    "2 chain": "UPDATE transition SET from_state = 'deferred' WHERE from_state = 'none' AND ti_id = :done",
    "2 run-chain": "INSERT INTO run_transition (run, from_state, to_state, actor, op_id, reason, at) "
    "SELECT id, 'failed', 'queued', 'clear', 'planted', '', queued_at FROM run LIMIT 1",
    "2 last": "UPDATE ti SET state = 'skipped' WHERE id = :done",
    "2 run-last": "UPDATE run SET state = 'running'",
    "3 running-has-attempt": "UPDATE ti SET lease_id = 'another' WHERE id = :running",
    "3 lease-is-running": "UPDATE ti SET lease_id = 'left over' WHERE id = :done",
    "4 one-open-attempt": "INSERT INTO attempt (lease_id, ti_id, epoch, supervisor, hostname, lease_until, claimed_at) "
    "SELECT 'second', ti_id, epoch + 1, supervisor, hostname, lease_until, claimed_at FROM attempt "
    "WHERE ended_at IS NULL",
    "5 epochs": "UPDATE transition SET epoch = 5 WHERE ti_id = :done AND to_state = 'queued'",
    "5 queueing-raises-epoch": "UPDATE transition SET epoch = 1 WHERE ti_id = :retried",
    "6 terminal-left": "INSERT INTO transition (ti_id, from_state, to_state, epoch, actor, op_id, reason, at) "
    "VALUES (:done, 'success', 'none', 1, 'scheduler', 'planted', '', 0)",
    "7 tries": "UPDATE ti SET try_number = 3 WHERE id = :done",
    "8 ended-run": "UPDATE run SET state = 'failed'",
    "8 success": "UPDATE run SET state = 'success'",
    "8 open-run": "UPDATE run SET state = 'running', start_date = 0; UPDATE ti SET state = 'success', end_date = 0",
    "8 completed-backfill": f"{_BACKFILL}; UPDATE backfill SET completed_at = 0; UPDATE run SET backfill_id = 5",
    "8 backfill-progress": f"{_BACKFILL}; UPDATE backfill SET dealt = 2",
    "8 open-backfill": _BACKFILL,
    "10 queued": "UPDATE ti SET queued_at = 0 WHERE state = 'queued'",
    "11 expired": "UPDATE attempt SET lease_until = 0 WHERE ended_at IS NULL",
    "13 stale-result": "UPDATE ti SET epoch = 9 WHERE id = :running",
    "16 xcom-epoch": "UPDATE xcom SET epoch = 9",
    "18 outbox": "DELETE FROM outbox",
    "18 run-outbox": "UPDATE run SET callbacks = 'success,failure'; "
    "INSERT INTO run_transition (run, from_state, to_state, actor, op_id, reason, at) "
    "SELECT id, 'queued', 'failed', 'mark', 'planted', '', queued_at FROM run LIMIT 1",
    "23 delivered-once": "INSERT INTO asset_delivery (event, dag_id, asset) SELECT event, dag_id, asset "
    "FROM asset_delivery WHERE run IS NOT NULL",
    "23 consumer": "UPDATE run SET dag_id = 'other' WHERE run_type = 'asset_triggered'",
    "23 asset-run": "UPDATE asset_delivery SET run = NULL",
    "23 waits-for": "DELETE FROM asset_listener",
    "24 lapsed": "INSERT INTO scheduler (owner, home, hostname, started_at, lease_until) "
    "VALUES ('dead', 'a', 'h', 0, 0), ('alive', 'b', 'h', 0, 9000000000000000)",
    "19 deferred": "UPDATE trigger_wait SET live = 0 WHERE live = 1",
    "19 resumed": "UPDATE ti SET continues = 0 WHERE id = :resumed",
    "18 deadline-outbox": "INSERT INTO deadline_miss (run, position, due_at, missed_at) SELECT id, 0, 0, 0 FROM run",
    "19 interval": "UPDATE run SET state = 'running', interval_pending = 1",
    "19 question": "INSERT INTO timetable_question (dag_id, digest, spec_version, question, ticket, asked_at, lease_id,"
    " answered_at) VALUES ('d', 'd', 's', '{}', 't', 0, 'held', 0)",
}


def planted(name: str, store: Store, names: dict[str, int]) -> None:
    def plant(transaction: Transaction) -> None:
        for statement in PLANTED[name].split("; "):
            transaction.run(statement, {key: value for key, value in names.items() if f":{key}" in statement})

    store.db.write(plant)


@pytest.fixture
def busy(store: Store, clock: VirtualClock) -> HandDriven:
    """Return an engine in the middle of things: a task in most states."""
    engine = HandDriven(store, clock)
    engine.dag(
        TaskSpec(task_id="done", retries=1, callbacks=("success",)),
        TaskSpec(task_id="failed"),
        TaskSpec(task_id="retried", retries=1),
        *("running", "queued", "deferred", "resumed", "idle", "idle2"),
    )
    run = engine.new_run()
    engine.report(engine.run(engine.ti(run, "done")), xcoms=(result("x"),))
    engine.report(engine.run(engine.ti(run, "failed")), Outcome.FAIL)
    engine.report(engine.run(engine.ti(run, "retried")), Outcome.FAIL)
    engine.report(engine.run(engine.ti(run, "retried")))
    engine.run(engine.ti(run, "running"))
    engine.queue(engine.ti(run, "queued"))
    engine.report(engine.run(engine.ti(run, "deferred")), ending=engine.deferral())
    resumed = engine.run(engine.ti(run, "resumed"))
    engine.report(resumed, ending=engine.deferral())
    engine.fire(resumed)
    engine.new_run(day=2)
    engine.dag("t", dag_id="fed", file="fed.py", schedule=AssetScheduleSpec(condition=AssetCondition(asset="a")))
    store.assets.create_event("a", extra={}, who="test")
    [waiting] = store.scheduler.waiting_events("fed")
    engine.new_run(
        "fed",
        run_type=RunType.ASSET_TRIGGERED,
        logical_date=waiting.at,
        data_interval_start=waiting.at,
        data_interval_end=waiting.at,
        asset_events=(waiting.id,),
    )
    store.assets.create_event("a", extra={}, who="test")
    return engine


def test_a_working_engine_breaks_none(busy: HandDriven) -> None:
    assert invariant_violations(busy.store.db) == []


def test_every_invariant_has_a_planted_violation() -> None:
    assert set(PLANTED) == set(INVARIANTS)


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_violation_is_found_and_names_its_promise(
    busy: HandDriven, name: str, take_keys_away: Callable[[], None]
) -> None:
    store = busy.store
    run = store.queries.runs("d").items[-1]
    names = {task: busy.ti(run, task).id for task in ("done", "running", "retried", "resumed")}
    try:
        planted(name, store, names)
    except Refused:  # a database whose keys were lost must still be seen through
        take_keys_away()
        planted(name, store, names)
    found = {violation.name: violation for violation in invariant_violations(store.db)}
    assert name in found
    assert found[name].promise == INVARIANTS[name].promise
    assert found[name].row


@pytest.fixture
def take_keys_away(busy: HandDriven, kind: str, request: pytest.FixtureRequest) -> Iterator[Callable[[], None]]:
    """Return what takes the keys away from the tables, for what they do not allow; a server gets them back."""
    database = busy.store.db
    taken = False

    def take() -> None:
        nonlocal taken
        taken = True
        if kind == "sqlite":
            rebuild_without_keys(busy.store)
            return
        for (sql,) in database.rows(_DROPS[kind]):
            database.write(partial(Transaction.run, sql=sql))

    yield take
    if taken and kind != "sqlite":
        reset(request.getfixturevalue(URL_FIXTURES[kind]))


_DROPS_POSTGRESQL = """
SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) FROM (SELECT * FROM pg_constraint
  WHERE connamespace = current_schema()::regnamespace AND contype IN ('f', 'p', 'u') ORDER BY contype) AS keys
UNION ALL SELECT format('DROP INDEX %s', indexrelid::regclass) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
  WHERE c.relnamespace = current_schema()::regnamespace AND indisunique
  AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = indexrelid)
"""
# A column that counts by itself must be a key.
_DROPS_MYSQL = """
SELECT CONCAT('ALTER TABLE "', table_name, '" DROP FOREIGN KEY ', constraint_name) AS sql_text
  FROM information_schema.referential_constraints WHERE constraint_schema = DATABASE()
UNION ALL SELECT DISTINCT CONCAT('ALTER TABLE "', s.table_name, '" DROP INDEX "', s.index_name, '"')
  FROM information_schema.statistics s WHERE s.table_schema = DATABASE() AND s.non_unique = 0
  AND (s.index_name <> 'PRIMARY' OR NOT EXISTS (SELECT 1 FROM information_schema.columns c
    WHERE c.table_schema = DATABASE() AND c.table_name = s.table_name AND c.extra LIKE '%auto_increment%'))
"""
_DROPS = {"postgresql": _DROPS_POSTGRESQL, "mariadb": _DROPS_MYSQL}


def rebuild_without_keys(store: Store) -> None:
    database = store.db
    script = database._shared.executescript  # type: ignore[union-attr]
    script("PRAGMA foreign_keys = OFF")
    for table in ("ti", "run", "attempt", "asset_delivery"):
        columns = ", ".join(
            f"{name} {'INTEGER PRIMARY KEY' if name == 'id' else ''} {f'DEFAULT {default}' if default else ''}"
            for _, name, _, _, default, _ in database.rows(f"PRAGMA table_info({table})")
        )
        copies = f"CREATE TABLE kept AS SELECT * FROM {table}; DROP TABLE {table};"
        script(copies)
        filled = f"INSERT INTO {table} SELECT * FROM kept; DROP TABLE kept;"
        script(f"CREATE TABLE {table} ({columns}); {filled}")
