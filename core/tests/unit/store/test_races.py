"""Two writers meet at the worst moment: both have read what they decide by, and neither has committed.

Each waits before a statement for the other to come to its own, but only so long: where the first holds a lock that the
second wants, the second does not come, and the first goes on alone. So each test passes where the lock is, and fails
where both get through.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta

import pytest

from windlass.app.clocks import SystemRng
from windlass.errors import Conflict
from windlass.ports import Changes, NewBackfill, NewRun, RunMove
from windlass.spec import AssetCondition, AssetScheduleSpec, DagSpec, TaskSpec
from windlass.states import Actor, RunState, RunType, TaskState
from windlass.store import ParsedFile, open_store
from windlass.store.sharing import Leases
from windlass_testing.hand_driven import HandDriven

_PATIENCE = 0.4


class Meeting:
    """The probe of both databases: it holds each up, once, before a statement that begins with its words."""

    def __init__(self, first: str, second: str | None = None) -> None:
        self._words = {"first": first, "second": second or first}
        self._barrier = threading.Barrier(2)
        self._came: set[str] = set()
        #: The first is in its transaction: from here on the second may begin, and on SQLite waits for its end.
        self.has_begun = threading.Event()

    def statement(self, sql: str, *, writing: bool) -> None:
        here = threading.current_thread().name
        if writing and here not in self._came and sql.startswith(self._words[here]):
            self._came.add(here)
            if here == "first":
                self.has_begun.set()
            with suppress(threading.BrokenBarrierError):
                self._barrier.wait(_PATIENCE)

    def committed(self) -> None:
        pass


@pytest.fixture
def engines(url: str) -> Iterator[tuple[HandDriven, HandDriven]]:
    with ExitStack() as stack:
        stores = [open_store(url, clock=None, rng=SystemRng()) for _ in range(2)]
        for store in stores:
            stack.callback(store.close)
        first, second = (HandDriven(store, store.db.clock) for store in stores)
        yield first, second
        assert not first.violations()


def at_once(engines: tuple[HandDriven, HandDriven], meeting: Meeting, *works: Callable[[], object]) -> list[object]:
    """Run both works, each on its engine; return what each returned or raised."""
    outcomes: list[object] = [None, None]

    def run(place: int) -> None:
        if place == 1:
            assert meeting.has_begun.wait(30)
        try:
            outcomes[place] = works[place]()
        except Exception as error:  # noqa: BLE001 - told to the test
            outcomes[place] = error

    for engine in engines:
        engine.store.db.probe = meeting
    names = enumerate(("first", "second"))
    threads = [threading.Thread(target=run, args=(place,), name=name) for place, name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for engine in engines:
        engine.store.db.probe = None
    return outcomes


NEW = NewRun(
    dag_id="d",
    run_type=RunType.SCHEDULED,
    logical_date=datetime(2026, 3, 1, tzinfo=UTC),
    data_interval_start=datetime(2026, 3, 1, tzinfo=UTC),
    data_interval_end=datetime(2026, 3, 2, tzinfo=UTC),
    run_after=datetime(2026, 3, 2, tzinfo=UTC),
)
MOVES_TASKS = "UPDATE ti SET state = :to, epoch"


@pytest.mark.parametrize("limit", ["pool", "dag"])
def test_two_that_admit_never_overfill_a_pool_or_the_limit_of_a_dag(
    engines: tuple[HandDriven, HandDriven], limit: str
) -> None:
    first, second = engines
    first.store.pools.set("one", 1)
    first.dag(TaskSpec(task_id="a", pool="one"))
    tis = [engine.ti(engine.new_run(day=day)) for day, engine in enumerate(engines, 1)]
    if limit == "dag":  # in pools of their own, as after a change of the DAG
        values = {"id": tis[1].id}
        first.store.db.write(lambda t: t.run("UPDATE ti SET pool = 'default_pool' WHERE id = :id", values))
        tis[1] = second.scheduler.tasks([tis[1].id])[0]
    limits = {"max_active_tis_per_dag": 1} if limit == "dag" else {}
    steps = [engine.queueing(ti, **limits) for engine, ti in zip(engines, tis, strict=True)]
    at_once(
        engines,
        Meeting(MOVES_TASKS),
        lambda: first.scheduler.commit(steps[0]),
        lambda: second.scheduler.commit(steps[1]),
    )
    assert first.count("ti", "state = 'queued'") == 1


def test_two_runs_that_fail_at_once_pause_their_dag_as_two_in_a_row_do(engines: tuple[HandDriven, HandDriven]) -> None:
    first, second = engines
    first.dag()
    runs = [first.new_run(day=day) for day in (1, 2)]

    def failing(engine: HandDriven, run: int) -> None:
        move = RunMove(
            run=run,
            before=RunState.QUEUED,
            to=RunState.RUNNING,
            actor=Actor.SCHEDULER,
            op_id=engine.token(),
        )
        engine.scheduler.commit(Changes(run_moves=[move]))
        end = RunMove(
            run=run,
            before=RunState.RUNNING,
            to=RunState.FAILED,
            actor=Actor.SCHEDULER,
            op_id=engine.token(),
            pauses_after=2,
        )
        engine.scheduler.commit(Changes(run_moves=[end]))

    at_once(
        engines,
        Meeting("SELECT state FROM run WHERE dag_id"),
        lambda: failing(first, runs[0].id),
        lambda: failing(second, runs[1].id),
    )
    assert first.store.queries.dag("d").paused


def one_day(engine: HandDriven) -> NewBackfill:
    dag = engine.store.queries.dag("d")
    day = datetime(2026, 3, 1, tzinfo=UTC)
    return NewBackfill(
        dag_id="d",
        from_date=day,
        to_date=day,
        spec_version=dag.spec_version,
        code_version=dag.code_version,
        intervals=1,
        max_active_runs=1,
        created_by="ann",
        created_at=day,
    )


def test_of_two_backfills_of_the_same_dates_one_is_refused(engines: tuple[HandDriven, HandDriven]) -> None:
    first, second = engines
    first.dag("a")
    new = one_day(first)
    outcomes = at_once(
        engines,
        Meeting("INSERT INTO backfill"),
        lambda: first.store.backfills.create(new),
        lambda: second.store.backfills.create(new),
    )
    assert [type(outcome) for outcome in outcomes].count(Conflict) == 1
    assert first.count("backfill") == 1


def test_a_backfill_is_not_completed_while_a_run_of_it_is_reopened(engines: tuple[HandDriven, HandDriven]) -> None:
    first, second = engines
    first.dag("a")
    backfill = first.store.backfills.create(one_day(first))
    run = first.new_run(run_type=RunType.BACKFILL, backfill_id=backfill.id)
    first.store.db.write(lambda transaction: transaction.run("UPDATE backfill SET dealt = 1"))
    first.store.runs.mark_run("d", run.run_id, RunState.SUCCESS, who="ann")
    at_once(
        engines,
        Meeting("UPDATE backfill SET completed_at"),
        lambda: first.scheduler.complete_backfill(backfill.id),
        lambda: second.store.runs.clear([second.ti(run).id], who="ann"),
    )
    assert first.violations() == []
    assert first.store.backfills.get(backfill.id).completed_at is None


def test_a_dag_that_two_files_define_at_once_belongs_to_one_and_the_other_is_told(
    engines: tuple[HandDriven, HandDriven],
) -> None:
    def parsing(engine: HandDriven, file: str) -> None:
        spec = DagSpec(dag_id="d", tasks=(TaskSpec(task_id="a"),), file=file)
        parsed = ParsedFile(bundle="main", file=file, code_version=file, specs=(spec,))
        engine.store.dags.store_parse_results([parsed], paused=False)

    first, second = engines
    outcomes = at_once(
        engines, Meeting("INSERT INTO dag ("), lambda: parsing(first, "a.py"), lambda: parsing(second, "b.py")
    )
    assert outcomes == [None, None]
    [error] = first.store.queries.import_errors()
    assert {error.file, first.store.queries.dag("d").file} == {"a.py", "b.py"}


def test_an_event_does_not_wait_for_a_dag_that_stops_listening(engines: tuple[HandDriven, HandDriven]) -> None:
    def listening(engine: HandDriven, asset: str) -> None:
        schedule = AssetScheduleSpec(condition=AssetCondition(asset=asset))
        engine.dag("t", dag_id="fed", file="fed.py", schedule=schedule)

    first, second = engines
    listening(first, "s3://x")
    at_once(
        engines,
        Meeting('INSERT INTO "signal" (kind, dag_id) SELECT', "DELETE FROM asset_delivery"),
        lambda: first.store.assets.create_event("s3://x", extra={}, who="ann"),
        lambda: listening(second, "s3://y"),
    )
    assert first.violations() == []
    assert first.scheduler.waiting_events("fed") == []


def test_a_run_that_is_cleared_is_not_cleaned_away(engines: tuple[HandDriven, HandDriven]) -> None:
    first, second = engines
    first.dag("a")
    runs = [first.new_run(day=day, run_type=RunType.MANUAL) for day in (1, 2)]
    for run in runs:
        first.store.runs.mark_run("d", run.run_id, RunState.SUCCESS, who="ann")
    at_once(
        engines,
        Meeting("INSERT INTO run_transition", "DELETE FROM run "),
        lambda: first.store.runs.clear([first.ti(runs[0]).id], who="ann"),
        lambda: second.store.cleaning.runs(second.clock.now() + timedelta(days=1)),
    )
    assert first.state(runs[0]) is TaskState.NONE


def test_a_report_and_the_reaper_end_an_attempt_once(engines: tuple[HandDriven, HandDriven]) -> None:
    first, second = engines
    first.dag("a")
    run = first.new_run()
    claimed = first.run(first.ti(run))
    outcomes = at_once(
        engines,
        Meeting("UPDATE attempt SET ended_at", "UPDATE ti SET state = :to, lease_id = NULL"),
        lambda: first.report(claimed),
        lambda: second.gateway.recover("s1"),
    )
    assert sorted(map(str, outcomes)) in (["0", "True"], ["1", "False"])
    assert first.count("attempt", "ended_at IS NULL") == 0


def test_a_key_used_twice_at_once_has_one_effect(engines: tuple[HandDriven, HandDriven]) -> None:
    first, _ = engines
    outcomes = at_once(
        engines,
        Meeting("INSERT INTO asset_event"),
        *(
            lambda e=engine: e.store.assets.create_event("s3://x", extra={}, who="ann", key="k").id
            for engine in engines
        ),
    )
    assert outcomes == [outcomes[0]] * 2
    assert first.count("asset_event") == 1


# --- Two schedulers


def enter(engine: HandDriven, home: str) -> Leases:
    leases = Leases(engine.store.db, home)
    leases.register()
    return leases


def test_of_two_that_take_a_dag_one_holds_it(engines: tuple[HandDriven, HandDriven]) -> None:
    first, second = engines
    first.dag()
    one, two = enter(first, "one"), enter(second, "two")
    took = at_once(engines, Meeting("UPDATE dag SET owner"), lambda: one.take(["d"]), lambda: two.take(["d"]))
    assert took == [["d"], []]
    assert (one.held(), two.held()) == (["d"], [])


def test_a_run_that_is_created_while_its_dag_is_taken_is_the_new_holders_or_is_not(
    engines: tuple[HandDriven, HandDriven],
) -> None:
    first, second = engines
    first.dag()
    one, two = enter(first, "one"), enter(second, "two")
    one.take(["d"])
    first.store.db.write(lambda t: t.run("DELETE FROM scheduler WHERE owner = :owner", {"owner": one.owner}))
    at_once(
        engines,
        Meeting("INSERT INTO run", "UPDATE run SET generation"),
        lambda: first.store.scheduler_with(one).create_run(NEW),
        lambda: two.take(["d"]),
    )
    assert two.held() == ["d"]
    [run] = second.scheduler.open_runs()
    assert run.generation == 1, "the one that took it has seen the run"


def test_who_reads_a_run_while_its_dag_is_taken_does_not_own_it(engines: tuple[HandDriven, HandDriven]) -> None:
    first, second = engines
    first.dag()
    one, two = enter(first, "one"), enter(second, "two")
    two.take(["d"])
    run = first.new_run()
    first.store.db.write(lambda t: t.run("DELETE FROM scheduler WHERE owner = :owner", {"owner": two.owner}))
    took, read = at_once(
        engines,
        Meeting("UPDATE run SET generation", "SELECT dag_id FROM dag WHERE owner"),
        lambda: one.take(["d"]),
        lambda: second.store.scheduler_with(two).own([run.id]),
    )
    assert (took, read) == (["d"], [])


def test_a_lease_is_either_renewed_or_ended(engines: tuple[HandDriven, HandDriven]) -> None:
    first, second = engines
    one, two = enter(first, "one"), enter(second, "two")
    first.store.db.write(lambda t: t.run("UPDATE scheduler SET lease_until = 0 WHERE owner = :o", {"o": one.owner}))
    two.living()
    renewed, living = at_once(
        engines,
        Meeting("UPDATE scheduler", "DELETE FROM scheduler"),
        one.renew,
        two.living,
    )
    assert isinstance(living, dict)
    assert renewed is (one.owner in living)
