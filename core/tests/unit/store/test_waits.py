"""A deferred task has one live wait: held by one supervisor, ended once, by an event, a failure or a timeout."""

from __future__ import annotations

from datetime import timedelta

import pytest

from windlass.app.clocks import VirtualClock
from windlass.errors import Conflict
from windlass.planning.attempts import TIMED_OUT
from windlass.ports import Changes, Claimed, RunFacts, WaitChanges
from windlass.protocol import Outcome, Query, Reschedule, XComValue
from windlass.spec import TaskSpec
from windlass.states import TaskState
from windlass_testing.hand_driven import HandDriven

S = TaskState


@pytest.fixture
def run(engine: HandDriven) -> RunFacts:
    engine.dag(TaskSpec(task_id="a", retries=1))
    return engine.new_run()


@pytest.fixture
def deferred(engine: HandDriven, run: RunFacts) -> Claimed:
    """Return the attempt whose task is deferred."""
    claimed = engine.run(engine.ti(run))
    engine.report(claimed, ending=engine.deferral())
    return claimed


def key(claimed: Claimed) -> tuple[int, int]:
    return claimed.task, claimed.context.epoch


# --- Who runs it


def test_a_supervisor_is_told_once_all_that_its_host_must_know(engine: HandDriven, deferred: Claimed) -> None:
    [wait] = engine.gateway.waits([], "s1").begun
    assert wait.key == key(deferred)
    assert (wait.trigger, wait.kwargs.data) == ("t.T", b"{}")
    assert (wait.dag_id, wait.run_id, wait.task_id, wait.map_index) == ("d", deferred.context.run_id, "a", -1)
    assert (wait.bundle, wait.file, wait.code_version) == ("main", "d.py", "code-of-d")
    assert wait.log_path == deferred.log_path, "the log of the try goes on"
    assert engine.gateway.waits([wait.key], "s1") == WaitChanges()


def test_a_supervisor_that_starts_again_is_told_again(engine: HandDriven, deferred: Claimed) -> None:
    assert engine.gateway.waits([], "s1") == engine.gateway.waits([], "s1")


def test_another_supervisor_gets_a_wait_when_its_holder_has_not_renewed_it(
    engine: HandDriven, deferred: Claimed, clock: VirtualClock
) -> None:
    engine.gateway.waits([], "s1")
    for _ in range(20):
        clock.advance(10)
        assert engine.gateway.waits([key(deferred)], "s1") == WaitChanges()
        assert engine.gateway.waits([], "s2") == WaitChanges()
    clock.advance(61)
    assert [wait.key for wait in engine.gateway.waits([], "s2").begun] == [key(deferred)]
    assert engine.gateway.waits([key(deferred)], "s1").ended == (key(deferred),), "and the first one lets go"


def test_renewing_costs_a_write_only_when_the_lease_is_half_over(
    engine: HandDriven, deferred: Claimed, clock: VirtualClock
) -> None:
    engine.gateway.waits([], "s1")
    before = engine.store.db.commits
    for _ in range(3):
        engine.gateway.waits([key(deferred)], "s1")
    assert engine.store.db.commits == before
    clock.advance(31)
    engine.gateway.waits([key(deferred)], "s1")
    assert engine.store.db.commits == before + 1


# --- How it ends


def test_an_event_resumes_the_try_and_reaches_its_next_attempt(
    engine: HandDriven, run: RunFacts, deferred: Claimed
) -> None:
    assert engine.fire(deferred)
    assert engine.state(run) is S.SCHEDULED
    assert engine.scheduler.signals()[-1].task == deferred.task
    assert engine.store.queries.transitions(deferred.task)[-1].actor == "trigger"

    again = engine.run(engine.ti(run))

    assert again.context.resume_method == "resume"
    assert again.context.resume_event is not None
    assert again.context.resume_event.data == b"event"
    assert (again.context.resume_failure, again.context.resume_timed_out) == (None, False)
    assert (again.context.try_number, again.log_path) == (1, deferred.log_path)


def test_an_event_that_comes_again_is_done_already_and_changes_nothing(
    engine: HandDriven, run: RunFacts, deferred: Claimed
) -> None:
    assert engine.fire(deferred, "first")
    assert engine.fire(deferred, "second")
    assert engine.run(engine.ti(run)).context.resume_event == XComValue(codec="json", data=b"first")
    assert engine.fire(deferred, "third")
    assert engine.state(run) is S.RUNNING


def test_a_failure_is_told_to_the_next_attempt(engine: HandDriven, run: RunFacts, deferred: Claimed) -> None:
    assert engine.fire(deferred, failure="its trigger failed: ValueError: no")
    again = engine.run(engine.ti(run))
    assert again.context.resume_failure == "its trigger failed: ValueError: no"
    assert not again.context.resume_timed_out


def test_the_timeout_of_a_deferral_is_told_to_the_next_attempt(engine: HandDriven, run: RunFacts) -> None:
    first = engine.run(engine.ti(run))
    engine.report(first, ending=engine.deferral(timeout=30.0))
    assert engine.ti(run).not_before == engine.clock.now() + timedelta(seconds=30)
    engine.scheduler.commit(Changes(task_moves=[engine.move(engine.ti(run), S.SCHEDULED)]))
    assert not engine.fire(first), "its event comes too late"
    again = engine.run(engine.ti(run))
    assert (again.context.resume_failure, again.context.resume_timed_out) == (TIMED_OUT, True)
    assert again.context.resume_event is None


@pytest.mark.parametrize("how", ["clear", "mark", "skip"])
def test_whatever_else_ends_a_deferral_ends_its_wait(
    engine: HandDriven, run: RunFacts, deferred: Claimed, how: str
) -> None:
    engine.gateway.waits([], "s1")
    match how:
        case "clear":
            engine.store.runs.clear([deferred.task], who="ann")
        case "mark":
            engine.store.runs.mark([deferred.task], S.SUCCESS, who="ann")
        case _:
            engine.scheduler.commit(Changes(task_moves=[engine.move(engine.ti(run), S.SKIPPED)]))
    before = engine.state(run)
    assert engine.gateway.waits([key(deferred)], "s1").ended == (key(deferred),)
    assert not engine.fire(deferred)
    assert engine.state(run) is before
    assert engine.count("trigger_wait") == 0


def test_an_event_of_an_earlier_deferral_does_not_resume_a_later_one(
    engine: HandDriven, run: RunFacts, deferred: Claimed
) -> None:
    engine.store.runs.clear([deferred.task], who="ann")
    second = engine.run(engine.ti(run))
    engine.report(second, ending=engine.deferral())
    assert not engine.fire(deferred)
    assert engine.state(run) is S.DEFERRED
    assert engine.fire(second)


def test_a_task_may_defer_again_where_it_resumed(engine: HandDriven, run: RunFacts, deferred: Claimed) -> None:
    engine.fire(deferred)
    second = engine.run(engine.ti(run))
    engine.report(second, ending=engine.deferral(method="further"))
    assert [wait.key for wait in engine.gateway.waits([], "s1").begun] == [key(second)]
    engine.fire(second)
    third = engine.run(engine.ti(run))
    assert (third.context.resume_method, third.context.try_number) == ("further", 1)


def test_a_clear_of_what_was_about_to_resume_lets_it_begin_anew(
    engine: HandDriven, run: RunFacts, deferred: Claimed
) -> None:
    engine.fire(deferred)
    engine.store.runs.clear([deferred.task], who="ann")
    fresh = engine.run(engine.ti(run))
    assert fresh.context.resume_method is None
    now = engine.clock.now()
    engine.report(fresh, ending=Reschedule(at=now, started_at=now, ended_at=now))
    assert engine.run(engine.ti(run)).context.resume_method is None, "nor after a reschedule"


def test_a_resumed_attempt_that_is_lost_is_retried_from_the_beginning(
    engine: HandDriven, run: RunFacts, deferred: Claimed
) -> None:
    engine.fire(deferred)
    engine.report(engine.run(engine.ti(run)), lost="killed by signal 9")
    again = engine.run(engine.ti(run))
    assert (again.context.resume_method, again.context.try_number) == (None, 2)
    assert engine.count("trigger_wait") == 0
    engine.report(again, Outcome.SUCCESS)


def test_a_task_that_the_newest_version_lacks_waits_no_more(engine: HandDriven) -> None:
    engine.dag("a", "b")
    run = engine.new_run()
    claimed = engine.run(engine.ti(run, "a"))
    engine.report(claimed, ending=engine.deferral())
    engine.complete(run, "b")
    engine.dag("b")
    engine.store.runs.clear([engine.ti(run, "b").id], who="ann", latest=True)
    assert engine.state(run, "a") is S.REMOVED
    assert engine.count("trigger_wait") == 0


# --- What it may ask


def test_a_trigger_asks_about_runs_as_its_task_would(engine: HandDriven, run: RunFacts, deferred: Claimed) -> None:
    [row] = engine.gateway.answer(key(deferred), Query(what="runs"))
    assert (row["dag_id"], row["run_id"]) == ("d", run.run_id)
    [state] = engine.gateway.answer(key(deferred), Query(what="task_states"))
    assert state["state"] == "deferred"


def test_a_wait_that_is_over_is_told_nothing(engine: HandDriven, deferred: Claimed) -> None:
    engine.fire(deferred)
    with pytest.raises(Conflict, match="this wait is over"):
        engine.gateway.answer(key(deferred), Query(what="runs"))
