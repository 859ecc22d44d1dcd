"""Events, whom they reach and what consumes them, in the database."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from windlass.app.clocks import VirtualClock
from windlass.errors import Conflict
from windlass.ports import RunFacts, SignalKind
from windlass.protocol import AssetEvent, Query
from windlass.spec import AssetCondition, AssetScheduleSpec, DagSpec, encode_spec, spec_version
from windlass.states import RunType, TaskState
from windlass.store import ParsedFile, Selection
from windlass.store.database import Transaction
from windlass.store.migrating import open_bare
from windlass.store.migrations import downgrade, upgrade
from windlass_testing.hand_driven import HandDriven
from windlass_testing.stores import url_of

A, B = AssetCondition(asset="a"), AssetCondition(asset="b")


def listening(engine: HandDriven, dag_id: str = "fed", condition: AssetCondition = A) -> DagSpec:
    return engine.dag("t", dag_id=dag_id, file=f"{dag_id}.py", schedule=AssetScheduleSpec(condition=condition))


def say(engine: HandDriven, uri: str, **fields: Any) -> int:
    return engine.store.assets.create_event(uri, **{"extra": {}, "who": "ann", **fields}).id


def consuming(engine: HandDriven, dag_id: str = "fed") -> RunFacts:
    waiting = engine.scheduler.waiting_events(dag_id)
    return engine.new_run(
        dag_id,
        run_type=RunType.ASSET_TRIGGERED,
        logical_date=waiting[-1].at,
        data_interval_start=waiting[0].at,
        data_interval_end=waiting[-1].at,
        asset_events=tuple(event.id for event in waiting),
    )


def test_an_event_is_delivered_and_signalled_in_the_transaction_that_ends_the_task(engine: HandDriven) -> None:
    engine.dag("a")
    listening(engine, "one")
    listening(engine, "two")
    claimed = engine.run(engine.ti(engine.new_run()))
    commits = engine.store.db.commits
    engine.report(claimed, ending=engine.finish(outlets=(AssetEvent(uri="a", extra={"n": 1}), AssetEvent(uri="b"))))
    assert engine.store.db.commits == commits + 1
    signalled = [s.dag_id for s in engine.scheduler.signals() if s.kind is SignalKind.ASSET]
    assert signalled == ["one", "two"]
    assert [event.uri for event in engine.scheduler.waiting_events("one")] == ["a"]


def test_a_report_that_is_sent_twice_records_its_events_once(engine: HandDriven) -> None:
    engine.dag("a")
    listening(engine)
    report = engine.reporting(
        engine.run(engine.ti(engine.new_run())), ending=engine.finish(outlets=(AssetEvent(uri="a"),))
    )
    assert engine.gateway.report([report], "s1") == [True]
    engine.gateway.report([report], "s1")
    assert len(engine.scheduler.waiting_events("fed")) == 1


def test_a_task_that_ends_otherwise_records_nothing(engine: HandDriven) -> None:
    engine.dag("a")
    listening(engine)
    claimed = engine.run(engine.ti(engine.new_run()))
    [row] = engine.store.runs.select(Selection(dag_id="d"))
    engine.store.runs.clear([row.id], who="ann")
    engine.report(claimed, ending=engine.finish(outlets=(AssetEvent(uri="a"),)))
    assert engine.state(engine.store.queries.runs("d").items[0]) is TaskState.NONE
    assert engine.scheduler.waiting_events("fed") == []


def test_a_run_takes_its_events_or_is_not_created(engine: HandDriven) -> None:
    listening(engine)
    say(engine, "a")
    run = consuming(engine)
    taken = [event.id for event in engine.store.assets.events(run=run.id).items]
    assert len(taken) == 1
    before = engine.count("run"), engine.count("ti"), engine.count('"signal"')
    with pytest.raises(AssertionError, match="exists already"):
        engine.new_run("fed", day=9, run_type=RunType.ASSET_TRIGGERED, asset_events=tuple(taken))
    assert (engine.count("run"), engine.count("ti"), engine.count('"signal"')) == before
    assert engine.violations() == []


def test_a_run_of_one_dag_takes_nothing_from_another(engine: HandDriven) -> None:
    listening(engine, "one")
    listening(engine, "two")
    say(engine, "a")
    consuming(engine, "one")
    assert engine.scheduler.waiting_events("one") == []
    assert len(engine.scheduler.waiting_events("two")) == 1


def test_the_task_asks_for_the_events_of_its_own_run(engine: HandDriven, clock: VirtualClock) -> None:
    listening(engine, condition=AssetCondition(all_of=(A, AssetCondition(alias="al"))))
    say(engine, "a", extra={"n": 1})
    clock.advance(1)
    say(engine, "late", alias="al", extra={"n": 2})
    run = consuming(engine)
    say(engine, "a", extra={"n": 3})
    claimed = engine.run(engine.ti(run, "t"), dag_id="fed")

    def asked(**filters: Any) -> list[int]:
        rows = engine.gateway.call(claimed.lease_id, Query(what="asset_events", filters=filters, limit=2))
        return [row["extra"]["n"] for row in rows]

    assert asked(triggered=True) == [1, 2]
    assert asked(triggered=True, uri="a") == [1]
    assert asked(uri="a", newest_first=True) == [3, 1]
    assert asked(alias="al") == [2]
    assert asked(uri="a", after=clock.now() - timedelta(milliseconds=1)) == [3]


def test_a_page_of_large_events_is_short_and_the_next_goes_on(engine: HandDriven) -> None:
    engine.dag("a")
    for number in range(5):
        say(engine, "a", extra={"n": number, "text": "x" * 200_000})
    claimed = engine.run(engine.ti(engine.new_run()))
    seen: list[int] = []
    pages = 0
    while page := engine.gateway.call(claimed.lease_id, Query(what="asset_events", offset=len(seen))):
        seen += [row["extra"]["n"] for row in page]
        pages += 1
    assert seen == list(range(5))
    assert pages > 1


def test_a_command_that_is_repeated_with_its_key_records_one_event(engine: HandDriven) -> None:
    listening(engine)
    first = engine.store.assets.create_event("a", extra={"n": 1}, who="ann", key="k")
    again = engine.store.assets.create_event("a", extra={"n": 1}, who="ann", key="k")
    assert first == again
    assert (first.who, first.source_dag_id, first.consumed) == ("ann", None, {"fed": None})
    assert len(engine.scheduler.waiting_events("fed")) == 1
    with pytest.raises(Conflict, match="'k' was used for another command"):
        say(engine, "b", key="k")


def test_events_are_paged_newest_first(engine: HandDriven) -> None:
    ids = [say(engine, "a") for _ in range(5)]
    first = engine.store.assets.events(uri="a", limit=3)
    rest = engine.store.assets.events(uri="a", limit=3, after=first.cursor)
    assert [event.id for event in (*first.items, *rest.items)] == ids[::-1]
    assert rest.cursor is None
    assert engine.store.assets.last_updates() == {"a": engine.clock.now()}


def test_a_dag_in_no_file_hears_nothing_and_what_waited_is_there_when_it_is_back(engine: HandDriven) -> None:
    listening(engine)
    say(engine, "a")
    engine.store.dags.store_parse_results([ParsedFile(bundle="main", file="fed.py", specs=())], paused=False)
    say(engine, "a")
    listening(engine)
    say(engine, "a")
    assert len(engine.scheduler.waiting_events("fed")) == 2
    engine.store.dags.forget_files("main", ["fed.py"])
    say(engine, "a")
    assert len(engine.scheduler.waiting_events("fed")) == 2


def test_a_deleted_dag_leaves_no_deliveries(engine: HandDriven) -> None:
    listening(engine)
    say(engine, "a")
    consuming(engine)
    say(engine, "a")
    engine.store.dags.delete("fed")
    assert engine.count("asset_delivery") == engine.count("asset_listener") == 0
    assert engine.count("asset_event") == 2


def test_a_file_that_is_parsed_again_unchanged_writes_no_listeners(engine: HandDriven) -> None:
    listening(engine)
    before = engine.store.db.statements
    listening(engine)
    unchanged = engine.store.db.statements - before
    before = engine.store.db.statements
    engine.dag("t", "u", dag_id="fed", file="fed.py", schedule=AssetScheduleSpec(condition=A))
    assert engine.store.db.statements - before > unchanged
    assert engine.count("asset_listener") == 1


def test_a_migrated_database_knows_who_listens(tmp_path: Path, first_release: Callable[[str], str]) -> None:
    url = first_release(url_of(tmp_path))
    condition = AssetCondition(any_of=(A, AssetCondition(all_of=(B, AssetCondition(alias="al"), A))))
    specs = (DagSpec(dag_id="fed", schedule=AssetScheduleSpec(condition=condition)), DagSpec(dag_id="plain"))
    rows = [{"dag_id": spec.dag_id, "version": spec_version(spec), "spec": encode_spec(spec)} for spec in specs]

    def fill(transaction: Transaction) -> None:
        for row in rows:
            transaction.run(
                "INSERT INTO dag (dag_id, bundle, file, spec_version, code_version, created_at, updated_at)"
                " VALUES (:dag_id, 'main', 'f.py', :version, 'c', 0, 0)",
                row,
            )
            transaction.run(
                "INSERT INTO dag_version (dag_id, spec_version, spec, created_at) VALUES (:dag_id, :version, :spec, 0)",
                row,
            )

    with closing(open_bare(url)) as database:
        database.write(fill)
        upgrade(url)
        found = database.rows("SELECT is_alias, name, dag_id FROM asset_listener ORDER BY 1, 2")
    assert found == [(0, "a", "fed"), (0, "b", "fed"), (1, "al", "fed")]
    downgrade(url, "0001")
