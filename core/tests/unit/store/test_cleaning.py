"""What is old goes, in short transactions and with everything that hangs on it; what is needed stays."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from windlass.app.clocks import VirtualClock
from windlass.ports import RunFacts
from windlass.protocol import Outcome
from windlass.protocol.digests import digests_in
from windlass.spec import TaskSpec, spec_version
from windlass.states import RunState, RunType, TaskState
from windlass.store.cleaning import Cleaning
from windlass.store.database import Transaction
from windlass_testing.hand_driven import HandDriven, result

DAY = 86_400.0
DIGEST = "ab" * 32


@pytest.fixture
def cleaning(engine: HandDriven) -> Cleaning:
    return Cleaning(engine.store.db, lambda _: None)


def ended(engine: HandDriven, day: int, state: RunState = RunState.SUCCESS, **fields: Any) -> RunFacts:
    """Make a run of one task that has run and left an XCom."""
    run = engine.new_run(day=day, **fields)
    engine.report(engine.run(engine.ti(run)), xcoms=(result("x"),))
    engine.store.runs.mark_run("d", run.run_id, state, who="test")
    return run


def left(engine: HandDriven) -> list[str]:
    return sorted(run.run_id for run in engine.store.queries.runs("d").items)


def test_an_old_run_goes_with_all_that_hangs_on_it(engine: HandDriven, cleaning: Cleaning, clock: VirtualClock) -> None:
    engine.dag("a")
    old, newest = ended(engine, 1), ended(engine, 2)
    clock.advance(40 * DAY)
    before = clock.now() - timedelta(days=30)
    assert cleaning.runs(before, dry_run=True) == (1, 1)
    assert left(engine) == sorted([old.run_id, newest.run_id])
    assert cleaning.runs(before) == (1, 1)
    assert left(engine) == [newest.run_id]
    for table in ("ti", "attempt", "xcom", "run_transition"):
        assert engine.count(table) in {1, 2}, f"only the newest run's rows are left in {table}"
    assert engine.count("transition") == 4
    assert cleaning.runs(before) == (0, 0)


def test_the_newest_run_and_the_newest_scheduled_one_stay(
    engine: HandDriven, cleaning: Cleaning, clock: VirtualClock
) -> None:
    engine.dag("a")
    ended(engine, 1)
    scheduled = ended(engine, 2)
    ended(engine, 3, run_type=RunType.MANUAL)
    manual = ended(engine, 4, run_type=RunType.MANUAL)
    clock.advance(40 * DAY)
    cleaning.runs(clock.now())
    assert left(engine) == sorted([scheduled.run_id, manual.run_id])


@pytest.mark.parametrize("state", [TaskState.QUEUED, TaskState.RUNNING, TaskState.NONE])
def test_a_run_that_has_not_ended_is_never_touched(
    engine: HandDriven, cleaning: Cleaning, clock: VirtualClock, state: TaskState
) -> None:
    engine.dag("a")
    open_run = engine.new_run(day=1)
    if state is TaskState.RUNNING:
        engine.run(engine.ti(open_run))
    elif state is TaskState.QUEUED:
        engine.queue(engine.ti(open_run))
    engine.new_run(day=2)
    clock.advance(400 * DAY)
    assert cleaning.runs(clock.now()) == (0, 0)
    assert engine.state(open_run) is state


def test_a_young_run_stays(engine: HandDriven, cleaning: Cleaning, clock: VirtualClock) -> None:
    engine.dag("a")
    ended(engine, 1)
    ended(engine, 2)
    clock.advance(10 * DAY)
    assert cleaning.runs(clock.now() - timedelta(days=30)) == (0, 0)


def test_a_run_cleared_between_the_look_and_the_deletion_stays(
    engine: HandDriven, cleaning: Cleaning, clock: VirtualClock
) -> None:
    engine.dag("a")
    old = ended(engine, 1)
    ended(engine, 2)
    clock.advance(40 * DAY)
    write = engine.store.db.write

    def clear_first(work: object) -> object:
        engine.store.db.write = write  # type: ignore[method-assign]
        engine.store.runs.clear([engine.ti(old).id], who="somebody")
        return write(work)  # type: ignore[arg-type]

    engine.store.db.write = clear_first  # type: ignore[method-assign, assignment]
    assert cleaning.runs(clock.now()) == (0, 0)
    assert engine.state(old) is TaskState.NONE


def test_a_run_that_still_owes_a_callback_stays_until_it_is_paid_or_given_up(
    engine: HandDriven, cleaning: Cleaning, clock: VirtualClock
) -> None:
    engine.dag(TaskSpec(task_id="a", callbacks=("success",)))
    ended(engine, 1)
    ended(engine, 2)
    clock.advance(40 * DAY)
    assert cleaning.runs(clock.now()) == (0, 0)
    outbox = engine.store.outbox
    outbox.delivered([row.id for row in outbox.claim("us")], "us")
    assert cleaning.runs(clock.now()) == (1, 1)


def test_a_run_of_a_backfill_that_goes_on_stays(engine: HandDriven, cleaning: Cleaning, clock: VirtualClock) -> None:
    engine.dag("a")
    ended(engine, 1, backfill_id=1, run_type=RunType.BACKFILL)
    ended(engine, 2)
    insert = (
        "INSERT INTO backfill (id, dag_id, from_date, to_date, conf, created_by, created_at)"
        " VALUES (1, 'd', 0, 0, '{}', 'x', 0)"
    )
    engine.store.db.write(lambda transaction: transaction.run(insert))
    clock.advance(40 * DAY)
    assert cleaning.runs(clock.now()) == (0, 0)
    engine.store.db.write(lambda transaction: transaction.run("UPDATE backfill SET completed_at = 1"))
    assert cleaning.runs(clock.now()) == (1, 1)


def test_many_runs_go_in_transactions_of_bounded_size(
    engine: HandDriven, cleaning: Cleaning, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("windlass.store.cleaning._BATCH", 4)
    monkeypatch.setattr("windlass.store.cleaning._PAGE", 5)
    engine.dag("a")
    for day in range(1, 24):
        ended(engine, day)
    clock.advance(400 * DAY)
    commits = engine.store.db.commits
    assert cleaning.runs(clock.now()) == (22, 22)
    assert engine.store.db.commits - commits == 6


def test_it_rests_after_every_transaction(engine: HandDriven, clock: VirtualClock) -> None:
    engine.dag("a")
    ended(engine, 1)
    ended(engine, 2)
    clock.advance(40 * DAY)
    rests: list[float] = []
    Cleaning(engine.store.db, rests.append).runs(clock.now())
    assert len(rests) == 1


# --- The outbox


def owing(engine: HandDriven) -> RunFacts:
    engine.dag(TaskSpec(task_id="a", callbacks=("success", "failure")))
    run = engine.new_run()
    engine.report(engine.run(engine.ti(run)), ending=engine.finish(Outcome.FAIL, reason="boom"))
    return run


def test_what_was_delivered_goes_after_a_day_and_not_before(
    engine: HandDriven, cleaning: Cleaning, clock: VirtualClock
) -> None:
    owing(engine)
    outbox = engine.store.outbox
    clock.advance(10 * DAY)
    assert cleaning.outbox(clock.now()) == 0, "it was never delivered"
    outbox.delivered([row.id for row in outbox.claim("us")], "us")
    clock.advance(DAY / 2)
    assert cleaning.outbox(clock.now()) == outbox.trim(10) == 0, "it is the proof that the end was reported"
    clock.advance(DAY / 2 + 1)
    assert cleaning.outbox(clock.now(), dry_run=True) == 1
    assert engine.count("outbox") == 1
    assert cleaning.outbox(clock.now()) == 1
    assert engine.count("outbox") == 0
    assert engine.violations() == [], "the invariant asks only for what is kept"


def test_the_server_trims_a_bounded_number_at_once(engine: HandDriven, clock: VirtualClock) -> None:
    engine.dag(*(TaskSpec(task_id=name, callbacks=("success",)) for name in "abc"))
    run = engine.new_run()
    engine.complete(run, "a", "b", "c")
    outbox = engine.store.outbox
    outbox.delivered([row.id for row in outbox.claim("us")], "us")
    clock.advance(DAY + 1)
    assert [outbox.trim(2), outbox.trim(2), outbox.trim(2)] == [2, 1, 0]


# --- Versions, errors, replies


def test_versions_without_a_run_go_and_others_stay(engine: HandDriven, cleaning: Cleaning, clock: VirtualClock) -> None:
    engine.dag("a")
    engine.new_run()
    engine.dag("a", "b")
    engine.dag("a", "b", "c")
    assert cleaning.specs(clock.now() + timedelta(days=2)) == 1, "only the one between had no run"
    engine.dag("a", "b")
    clock.advance(2 * DAY)
    engine.dag("a", "b", "c")
    assert cleaning.specs(clock.now()) == 0, "a version that was just replaced may be about to get a run"
    assert engine.count("dag_version") == 3


def test_code_that_nothing_is_pinned_to_goes(engine: HandDriven, cleaning: Cleaning, clock: VirtualClock) -> None:
    engine.dag("a")
    insert = "INSERT INTO code_version (code_version, bundle, file, created_at) VALUES ('gone', 'b', 'f', 0)"
    engine.store.db.write(lambda transaction: transaction.run(insert))
    assert cleaning.code_versions(clock.now() + timedelta(days=1), dry_run=True) == 1
    assert cleaning.code_versions(clock.now() + timedelta(days=1)) == 1
    assert engine.count("code_version", "code_version = 'code-of-d'") == 1


def test_what_a_backfill_that_goes_on_is_pinned_to_stays(
    engine: HandDriven, cleaning: Cleaning, clock: VirtualClock
) -> None:
    pinned = spec_version(engine.dag("a"))
    engine.dag("a", "b")
    insert = (
        "INSERT INTO backfill"
        " (id, dag_id, from_date, to_date, conf, created_by, created_at, spec_version, code_version)"
        " VALUES (1, 'd', 0, 0, '{}', 'x', 0, :pinned, 'of-old')"
    )
    code = "INSERT INTO code_version (code_version, bundle, file, created_at) VALUES ('of-old', 'b', 'f', 0)"
    engine.store.db.write(lambda transaction: transaction.run(insert, {"pinned": pinned}))
    engine.store.db.write(lambda transaction: transaction.run(code))
    later = clock.now() + timedelta(days=2)
    assert (cleaning.specs(later), cleaning.code_versions(later)) == (0, 0)
    engine.store.db.write(lambda transaction: transaction.run("UPDATE backfill SET completed_at = 1"))
    assert (cleaning.specs(later), cleaning.code_versions(later)) == (1, 1)


def test_an_error_of_a_file_that_is_still_watched_stays(
    engine: HandDriven, cleaning: Cleaning, clock: VirtualClock
) -> None:
    def broken(transaction: Transaction) -> None:
        for file in ("watched.py", "gone.py"):
            values = {"file": file}
            transaction.run(
                "INSERT INTO import_error (bundle, file, severity, message, output, at)"
                " VALUES ('main', :file, 'error', 'm', '', 0)",
                values,
            )
        transaction.run(
            "INSERT INTO parsed_file (bundle, file, inputs, dags, parsed_at)"
            " VALUES ('main', 'watched.py', '{}', '[]', 0)"
        )

    engine.store.db.write(broken)
    assert cleaning.import_errors(clock.now()) == 1
    assert [error.file for error in engine.store.queries.import_errors()] == ["watched.py"]


def test_old_replies_go(engine: HandDriven, cleaning: Cleaning, clock: VirtualClock) -> None:
    engine.dag("a")
    run = engine.new_run()
    engine.store.runs.mark_run("d", run.run_id, RunState.FAILED, who="x", key="k")
    assert cleaning.replies(clock.now()) == 0
    assert cleaning.replies(clock.now() + timedelta(seconds=1)) == 1


# --- Artifacts


def test_every_digest_in_a_value_counts_as_a_reference() -> None:
    text = f'{{"__windlass__":"dataclass","value":["{DIGEST}", "{"cd" * 32}"]}}'
    assert digests_in(text.encode()) == {DIGEST, "cd" * 32}
    assert digests_in(b"0" + DIGEST.encode()) == {"0" + DIGEST[:-1], DIGEST}, "wherever it begins"
    assert digests_in(DIGEST[:-1].encode()) == set()


def test_references_are_read_page_by_page(
    engine: HandDriven, cleaning: Cleaning, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("windlass.store.cleaning._VALUES", 1)
    engine.dag("a", "b")
    run = engine.new_run()
    for name in ("a", "b"):
        engine.report(engine.run(engine.ti(run, name)), xcoms=(result(DIGEST + name),))
    found = list(cleaning.artifact_references())
    assert [(artifact, is_json) for artifact, is_json, _ in found] == [(None, True), (None, True)]
    assert all(DIGEST in digests for _, _, digests in found)


def test_the_oldest_open_attempt_is_known(engine: HandDriven, cleaning: Cleaning, clock: VirtualClock) -> None:
    engine.dag("a")
    assert cleaning.open_since() is None
    started: datetime = clock.now()
    engine.run(engine.ti(engine.new_run()))
    clock.advance(DAY)
    assert cleaning.open_since() == started
