"""Several schedulers on one database: a DAG has one holder, and what anybody else has decided about it is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from windlass.app.clocks import VirtualClock
from windlass.ports import BackfillStep, Changes, NewBackfill, NewRun, RunMove, SignalKind
from windlass.states import Actor, RunState, RunType
from windlass.store.scheduling import SqlStore
from windlass.store.sharing import Leases
from windlass_testing.hand_driven import HandDriven

DAY = datetime(2026, 3, 1, tzinfo=UTC)
Enter = Callable[..., Leases]


@pytest.fixture
def enter(engine: HandDriven) -> Enter:
    """Have a scheduler start in a home."""

    def enter(home: str, *dags: str) -> Leases:
        leases = Leases(engine.store.db, home, hostname="h", pid=1, lease=60.0)
        leases.register()
        if dags:
            assert leases.take(dags) == sorted(dags)
        return leases

    return enter


def view(engine: HandDriven, leases: Leases) -> SqlStore:
    return engine.store.scheduler_with(leases)


def new_run(dag_id: str = "d") -> NewRun:
    return NewRun(
        dag_id=dag_id,
        run_type=RunType.SCHEDULED,
        logical_date=DAY,
        data_interval_start=DAY,
        data_interval_end=DAY,
        run_after=DAY,
    )


def generation(engine: HandDriven, run: int) -> int:
    facts = engine.scheduler.run(run)
    assert facts is not None
    return facts.generation


def lapse(clock: VirtualClock, *living: Leases) -> None:
    """Let a lease pass in which only these are renewed, and have each look twice."""
    clock.advance(61)
    for _ in range(2):
        for leases in living:
            assert leases.renew()
            leases.living()


# --- Who lives


def test_a_lease_that_was_not_renewed_is_ended_at_the_second_look(enter: Enter, clock: VirtualClock) -> None:
    one, two = enter("one"), enter("two")
    assert two.living() == {one.owner: "one", two.owner: "two"}
    clock.advance(59)
    assert two.renew()
    assert two.living().keys() == {one.owner, two.owner}
    clock.advance(2)
    assert two.living().keys() == {one.owner, two.owner}, "the clock may have jumped"
    assert two.living() == {two.owner: "two"}
    assert not one.renew(), "one that was taken for dead finds out"


def test_one_that_renews_late_goes_on_if_nobody_has_looked_twice(enter: Enter, clock: VirtualClock) -> None:
    one, two = enter("one"), enter("two")
    clock.advance(300)
    two.living()
    assert one.renew()
    assert two.living().keys() == {one.owner, two.owner}
    assert two.renew(), "looking has renewed its own, which had lapsed as well"


def test_a_start_in_a_home_ends_who_was_there_before(engine: HandDriven, enter: Enter) -> None:
    engine.dag("a")
    before, other = enter("one", "d"), enter("two")
    after = enter("one")
    assert other.living() == {other.owner: "two", after.owner: "one"}
    assert after.take(["d"]) == ["d"]
    assert before.held() == []


def test_one_that_was_ended_enters_under_a_new_name_and_ends_nobody(enter: Enter, clock: VirtualClock) -> None:
    one, two = enter("one"), enter("two")
    lapse(clock, two)
    twin = Leases(two._database, "one")
    twin.register()
    name = one.owner
    one.register()
    assert one.owner != name
    assert two.living().keys() == {one.owner, two.owner, twin.owner}


# --- Who holds what


def test_a_dag_has_one_holder_until_that_lets_go_or_its_lease_ends(
    engine: HandDriven, enter: Enter, clock: VirtualClock
) -> None:
    for name in "def":
        engine.dag("a", dag_id=name, file=f"{name}.py")
    one, two = enter("one", "d", "e"), enter("two")
    assert two.free() == ["f"]
    assert two.take(["d", "f"]) == ["f"]
    one.release(["d", "f"])
    assert (one.held(), two.held(), two.free()) == (["e"], ["f"], ["d"]), "nobody lets go of what is another's"
    clock.advance(61)
    assert two.take(["e"]) == [], "a lease lives until it is ended"
    lapse(clock, two)
    assert two.free() == ["d", "e"]
    assert two.take(["d", "e"]) == ["d", "e"]
    assert one.held() == []


def test_one_whose_lease_was_ended_takes_nothing(engine: HandDriven, enter: Enter, clock: VirtualClock) -> None:
    engine.dag("a")
    one, two = enter("one"), enter("two")
    lapse(clock, two)
    assert one.take(["d"]) == []
    assert two.free() == ["d"]


def test_a_dag_that_is_deleted_and_comes_back_is_free(engine: HandDriven, enter: Enter) -> None:
    engine.dag("a")
    one = enter("one", "d")
    engine.store.dags.delete("d")
    assert (one.held(), one.free()) == ([], [])
    engine.dag("a")
    assert (one.held(), one.free()) == ([], ["d"])


def test_who_leaves_tells_the_others_and_where_there_are_none_nobody(engine: HandDriven, enter: Enter) -> None:
    engine.dag("a")
    engine.dag("a", dag_id="e", file="e.py")
    one, two = enter("one", "d", "e"), enter("two")
    one.leave()
    assert two.living() == {two.owner: "two"}
    assert [(s.dag_id, s.kind, s.unheld) for s in view(engine, two).signals()] == [
        ("d", SignalKind.DAG, True),
        ("e", SignalKind.DAG, True),
    ]
    assert two.take(["d", "e"]) == ["d", "e"]
    two.leave()
    assert engine.count("scheduler") == 0
    assert engine.count('"signal"') == 0
    assert enter("three").free() == ["d", "e"]


# --- What the holder sees


def test_signals_are_seen_by_who_holds_the_dag_and_shown_as_unheld_if_nobody_does(
    engine: HandDriven, enter: Enter
) -> None:
    for name in "def":
        engine.dag("a", dag_id=name, file=f"{name}.py")
    one, two = enter("one", "d"), enter("two", "e")
    engine.store.pools.set("p", 1)
    run = engine.new_run("d")
    seen = [(s.dag_id, s.kind, s.run, s.unheld) for s in view(engine, one).signals()]
    assert seen == [("f", "dag", 0, True), ("", "pool", 0, False), ("d", "run", run.id, False)]
    assert [s.dag_id for s in view(engine, two).signals()] == ["f", ""]


def test_what_nobody_holds_hides_nothing(engine: HandDriven, enter: Enter) -> None:
    for name in "def":
        engine.dag("a", dag_id=name, file=f"{name}.py")
    one = enter("one", "f")
    engine.new_run("f")
    assert [s.dag_id for s in view(engine, one).signals(2)] == ["f"]
    assert [s.dag_id for s in view(engine, one).signals(4)] == ["d", "e", "f"]


def test_who_takes_a_dag_reads_it_as_a_whole_so_its_signals_are_gone(engine: HandDriven, enter: Enter) -> None:
    engine.dag("a")
    engine.dag("a", dag_id="e", file="e.py")
    engine.new_run("d")
    one = enter("one", "d")
    assert [(s.dag_id, s.unheld) for s in view(engine, one).signals()] == [("e", True)]


def test_runs_of_others_are_left_out(engine: HandDriven, enter: Enter) -> None:
    for name in "de":
        engine.dag("a", dag_id=name, file=f"{name}.py")
    one = enter("one", "d")
    runs = [engine.new_run(name) for name in "de"]
    assert view(engine, one).own([runs[1].id, runs[0].id, 99]) == [engine.scheduler.run(runs[0].id)]
    assert view(engine, one).own([]) == []
    assert engine.scheduler.own([runs[1].id, runs[0].id, 99]) == [engine.scheduler.run(run.id) for run in runs]


# --- What is refused of anybody else


def test_what_was_decided_about_a_run_before_its_dag_was_taken_is_refused(
    engine: HandDriven, enter: Enter, clock: VirtualClock
) -> None:
    engine.dag("a")
    one, two = enter("one", "d"), enter("two")
    run, ended = engine.new_run(), engine.new_run(day=2)
    engine.store.runs.mark_run("d", ended.run_id, RunState.SUCCESS, who="ann")
    before = generation(engine, ended.id)
    [facts] = view(engine, one).own([run.id])
    lapse(clock, two)
    assert two.take(["d"]) == ["d"]
    assert generation(engine, ended.id) == before, "it is open runs that are decided about"
    start = RunMove(
        run=run.id, before=RunState.QUEUED, to=RunState.RUNNING, actor=Actor.SCHEDULER, op_id=engine.token()
    )
    step = Changes(generations={run.id: facts.generation}, run_moves=[start])
    assert view(engine, one).commit(step).conflicts == {run.id}
    assert view(engine, one).own([run.id]) == []
    step.generations = {r.id: r.generation for r in view(engine, two).own([run.id])}
    assert not view(engine, two).commit(step).conflicts


def test_only_the_holder_creates_runs(engine: HandDriven, enter: Enter) -> None:
    engine.dag("a")
    one, two = enter("one", "d"), enter("two")
    assert view(engine, two).create_run(new_run()) is None
    assert engine.count("run") == 0
    assert view(engine, one).create_run(new_run()) is not None


def test_only_the_holder_goes_on_with_a_backfill(engine: HandDriven, enter: Enter) -> None:
    engine.dag("a")
    one, two = enter("one", "d"), enter("two")
    dag = engine.store.queries.dag("d")
    facts = engine.store.backfills.create(
        NewBackfill(
            dag_id="d",
            from_date=DAY,
            to_date=DAY,
            spec_version=dag.spec_version,
            code_version=dag.code_version,
            intervals=1,
            max_active_runs=1,
            created_by="ann",
            created_at=engine.clock.now(),
        )
    )
    step = BackfillStep(backfill=facts, intervals=1, dealt=1, reached=DAY, created=(new_run(),))
    assert not view(engine, two).advance_backfill(step)
    assert engine.count("run") == 0
    assert view(engine, one).advance_backfill(step)


# --- What people see


def test_people_see_who_lives_and_how_many_dags_each_holds(
    engine: HandDriven, enter: Enter, clock: VirtualClock
) -> None:
    for name in "def":
        engine.dag("a", dag_id=name, file=f"{name}.py")
    enter("one", "d", "e")
    clock.advance(1)
    two = enter("two", "f")
    rows = engine.store.schedulers.living()
    assert [(row.home, row.hostname, row.pid, row.dags) for row in rows] == [("one", "h", 1, 2), ("two", "h", 1, 1)]
    clock.advance(59.5)
    two.renew()
    assert [row.home for row in engine.store.schedulers.living()] == ["two"], "the other has lapsed, ended or not"
