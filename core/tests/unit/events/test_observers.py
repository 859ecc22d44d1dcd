"""Observers are told of every change at least once, apart from each other, and never more than they asked for."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from windlass.app.clocks import VirtualClock
from windlass.events import Observers
from windlass.interfaces.views import AssetUpdated, ImportErrorChanged, RunChanged, TaskChanged
from windlass.ports import Changes, RunMove
from windlass.protocol import AssetEvent, Outcome
from windlass.states import Actor, RunState, TaskState
from windlass.store import ParsedFile, Store
from windlass.store.outbox import MOST_FAILURES
from windlass_testing.hand_driven import HandDriven

Installer = Callable[..., Observers]
Heard = Callable[..., list[object]]

TASKS = """
@hookimpl
def on_task_changed(change):
    HEARD.append(change)
"""
RUNS = TASKS.replace("task", "run")
FAILING = """
@hookimpl
def on_task_changed(change):
    HEARD.append(change)
    raise RuntimeError("no network")
"""
EXITING = FAILING.replace('raise RuntimeError("no network")', "raise SystemExit(3)")
ALL = (
    TASKS
    + RUNS
    + """
@hookimpl
def on_import_error(change):
    HEARD.append(change)

@hookimpl
def on_asset_updated(event):
    HEARD.append(event)
"""
)


def states(changes: list[object]) -> list[tuple[TaskState, TaskState]]:
    return [(change.before, change.after) for change in changes if isinstance(change, TaskChanged)]


THE_WAY_OF_A_TASK = [
    (TaskState.NONE, TaskState.SCHEDULED),
    (TaskState.SCHEDULED, TaskState.QUEUED),
    (TaskState.QUEUED, TaskState.RUNNING),
    (TaskState.RUNNING, TaskState.SUCCESS),
]


def test_a_task_is_observed_all_its_way(engine: HandDriven, observing: Installer, heard: Heard) -> None:
    events = observing(acme=TASKS)
    engine.dag("a")
    engine.complete(engine.new_run(), "a")
    events.step()
    assert states(heard("acme")) == THE_WAY_OF_A_TASK
    last = heard("acme")[-1]
    assert isinstance(last, TaskChanged)
    assert (last.dag_id, last.task_id, last.map_index, last.try_number) == ("d", "a", -1, 1)
    assert (last.run_id[:11], last.actor, last.at) == ("scheduled__", Actor.TASK, engine.clock.now())


def test_a_failure_says_why(engine: HandDriven, observing: Installer, heard: Heard) -> None:
    events = observing(acme=TASKS)
    engine.dag("a")
    engine.report(engine.run(engine.ti(engine.new_run())), ending=engine.finish(Outcome.FAIL, reason="boom"))
    events.step()
    change = heard("acme")[-1]
    assert isinstance(change, TaskChanged)
    assert (change.after, change.reason) == (TaskState.FAILED, "boom")


def test_a_command_of_a_person_is_observed_too(engine: HandDriven, observing: Installer, heard: Heard) -> None:
    events = observing(acme=ALL)
    engine.dag("a")
    run = engine.new_run()
    engine.complete(run, "a")
    events.step()
    heard("acme").clear()
    engine.store.runs.clear([engine.ti(run).id], who="ada")
    events.step()
    [change] = heard("acme")
    assert isinstance(change, TaskChanged)
    assert (change.before, change.after, change.actor) == (TaskState.SUCCESS, TaskState.NONE, Actor.CLEAR)


def test_a_run_is_observed_with_its_interval(engine: HandDriven, observing: Installer, heard: Heard) -> None:
    events = observing(acme=RUNS)
    engine.dag("a")
    run = engine.new_run()
    move = RunMove(run=run.id, before=RunState.QUEUED, to=RunState.RUNNING, actor=Actor.SCHEDULER, op_id=engine.token())
    engine.scheduler.commit(Changes(run_moves=[move]))
    events.step()
    [change] = heard("acme")
    assert isinstance(change, RunChanged)
    assert (change.dag_id, change.run_id, change.run_type) == ("d", run.run_id, run.run_type)
    assert (change.before, change.after) == (RunState.QUEUED, RunState.RUNNING)
    assert change.data_interval_end == run.data_interval_end


def test_an_asset_is_observed_with_the_task_that_updated_it(
    engine: HandDriven, observing: Installer, heard: Heard
) -> None:
    events = observing(acme=ALL)
    engine.dag("a")
    claimed = engine.run(engine.ti(engine.new_run()))
    engine.report(claimed, ending=engine.finish(outlets=(AssetEvent(uri="s3://b/k"),)))
    events.step()
    [update] = [change for change in heard("acme") if isinstance(change, AssetUpdated)]
    assert (update.uri, update.dag_id, update.task_id) == ("s3://b/k", "d", "a")


def test_an_asset_that_somebody_outside_updated_is_observed_without_a_task(
    engine: HandDriven, observing: Installer, heard: Heard
) -> None:
    events = observing(acme=ALL)
    engine.store.assets.create_event("rates", extra={}, who="ann")
    events.step()
    [update] = heard("acme")
    assert isinstance(update, AssetUpdated)
    assert (update.uri, update.dag_id, update.task_id, update.map_index) == ("rates", None, None, -1)


def test_a_file_that_breaks_is_observed_once_until_it_is_whole_again(
    engine: HandDriven, observing: Installer, heard: Heard
) -> None:
    events = observing(acme=ALL)

    def parse(error: str | None) -> None:
        parsed = ParsedFile(bundle="main", file="d.py", error=error, warnings=("slow",))
        engine.store.dags.store_parse_results([parsed], paused=False)

    for error in ("no comma", "no comma", "no colon", None, None):
        parse(error)
    parse("gone bad")
    engine.store.dags.forget_files("main", ["d.py"])
    events.step()
    changes = [change for change in heard("acme") if isinstance(change, ImportErrorChanged)]
    assert [change.message for change in changes] == ["no comma", "no colon", None, "gone bad", None]
    assert {(change.bundle, change.file) for change in changes} == {("main", "d.py")}


def test_nothing_is_written_for_hooks_that_nobody_implements(engine: HandDriven, observing: Installer) -> None:
    observing(acme=RUNS)
    engine.dag("a")
    engine.complete(engine.new_run(), "a")
    assert engine.count("outbox") == 0


@pytest.mark.budget
def test_a_task_that_nobody_observes_costs_no_statement_more(engine: HandDriven, observing: Installer) -> None:
    database = engine.store.db

    def cost(day: int) -> int:
        run = engine.new_run(day=day)
        before = database.statements
        engine.complete(run, "a")
        return database.statements - before

    engine.dag("a")
    plain = cost(1)
    observing(acme=RUNS)
    assert cost(2) == plain
    observing(acme=TASKS)
    assert cost(3) == plain + 3, "one per commit: queued, running, ended"


def test_what_was_told_is_not_told_again(engine: HandDriven, observing: Installer, heard: Heard) -> None:
    events = observing(acme=TASKS)
    engine.dag("a")
    engine.complete(engine.new_run(), "a")
    events.step()
    events.step()
    assert states(heard("acme")) == THE_WAY_OF_A_TASK


def test_a_server_that_died_while_it_told_leaves_the_change_to_the_next(
    engine: HandDriven, observing: Installer, heard: Heard, clock: VirtualClock
) -> None:
    observing(acme=TASKS)
    engine.dag("a")
    engine.complete(engine.new_run(), "a")
    assert len(engine.store.observations.claim("server:dead", "acme")) == len(THE_WAY_OF_A_TASK)
    events = observing("server:2", acme=TASKS)
    events.step()
    assert heard("acme", 1) == [], "the dead one's claim holds for a minute"
    clock.advance(61)
    events.step()
    assert states(heard("acme", 1)) == THE_WAY_OF_A_TASK


@pytest.mark.parametrize("source", [FAILING, EXITING], ids=["raises", "exits"])
def test_an_observer_that_fails_is_told_again_and_given_up_visibly_while_others_hear_once(
    engine: HandDriven,
    observing: Installer,
    heard: Heard,
    clock: VirtualClock,
    caplog: pytest.LogCaptureFixture,
    source: str,
) -> None:
    events = observing(bad=source, good=TASKS)
    engine.dag("a")
    engine.queue(engine.ti(engine.new_run()))
    with caplog.at_level(logging.WARNING, logger="windlass.events"):
        for _ in range(MOST_FAILURES + 2):
            events.step()
            clock.advance(11)
    assert len(states(heard("good", 1))) == 2
    assert len(heard("bad")) == 2 * MOST_FAILURES
    assert [(event, provider) for _, event, provider in engine.store.outbox.given_up()] == [
        ("on_task_changed", "bad"),
        ("on_task_changed", "bad"),
    ]
    assert "it is told again" in caplog.messages[0]
    assert "it is not told again" in caplog.messages[-1]
    assert "provider bad" in caplog.messages[-1]


def test_a_change_after_one_that_fails_is_told_all_the_same(
    engine: HandDriven, observing: Installer, heard: Heard
) -> None:
    events = observing(picky=FAILING.replace("    raise", "    if change.after == 'scheduled':\n        raise"))
    engine.dag("a")
    engine.queue(engine.ti(engine.new_run()))
    events.step()
    assert [after for _, after in states(heard("picky"))] == [TaskState.SCHEDULED, TaskState.QUEUED]
    assert engine.count("outbox", "delivered_at IS NULL") == 1


def test_a_large_backlog_is_told_without_a_pause(engine: HandDriven, observing: Installer, heard: Heard) -> None:
    events = observing(acme=TASKS)
    engine.dag(*(f"t{number}" for number in range(70)))
    run = engine.new_run()
    engine.queue(*engine.scheduler.tasks_of(run.id))
    assert events.step() == 0.0
    assert len(heard("acme")) == 100
    assert events.step() == 1.0
    assert len(heard("acme")) == 140


def test_an_idle_outbox_costs_one_read_and_no_write(store: Store, observing: Installer) -> None:
    events = observing(acme=ALL)
    statements, commits = store.db.statements, store.db.commits
    events.step()
    assert (store.db.statements - statements, store.db.commits - commits) == (1, 0)


def test_without_observers_there_is_nothing_to_step(observing: Installer) -> None:
    assert not observing()
    assert not observing(acme="")
    assert observing(acme=RUNS)


def test_a_provider_that_was_uninstalled_is_owed_nothing(engine: HandDriven, observing: Installer) -> None:
    observing(acme=TASKS, other=TASKS)
    engine.dag("a")
    engine.queue(engine.ti(engine.new_run()))
    observing(other=TASKS)
    assert engine.count("outbox", "consumer = 'acme'") == 0
    assert engine.count("outbox", "consumer = 'other'") == 2


def test_the_run_of_a_deleted_dag_is_owed_to_nobody(engine: HandDriven, observing: Installer, heard: Heard) -> None:
    events = observing(acme=ALL)
    engine.dag("a")
    engine.complete(engine.new_run(), "a")
    engine.store.dags.delete("d")
    events.step()
    assert heard("acme") == []


def test_another_process_learns_within_a_second_who_observes(
    engine: HandDriven, observing: Installer, clock: VirtualClock
) -> None:
    observing(acme=TASKS)
    engine.store.db.audience.learn(())  # what a process knows that started before the observer was there
    engine.dag("a")
    run = engine.new_run()
    engine.queue(engine.ti(run))
    assert engine.count("outbox") == 0
    clock.advance(1)
    engine.claim(engine.ti(run))
    assert engine.count("outbox") == 1
    engine.report(engine.run(engine.ti(engine.new_run(day=2))))
