"""What is owed is delivered at least once, by one consumer at a time, and given up visibly."""

from __future__ import annotations

import pytest

from windlass.app.clocks import VirtualClock
from windlass.protocol import Outcome
from windlass.spec import TaskSpec
from windlass.store.outbox import MOST_FAILURES, Outbox
from windlass_testing.hand_driven import HandDriven


@pytest.fixture
def outbox(engine: HandDriven) -> Outbox:
    engine.dag(TaskSpec(task_id="a", callbacks=("failure",)), TaskSpec(task_id="b", callbacks=("execute", "success")))
    run = engine.new_run()
    engine.report(engine.run(engine.ti(run, "a")), ending=engine.finish(Outcome.FAIL, reason="boom"))
    engine.report(engine.run(engine.ti(run, "b")))
    return engine.store.outbox


def test_a_row_says_all_that_a_callback_needs(outbox: Outbox) -> None:
    failure, success = outbox.claim("one")
    assert (failure.event, failure.task_id, failure.try_number, failure.reason) == ("failure", "a", 1, "boom")
    assert (failure.dag_id, failure.code_version, failure.file) == ("d", "code-of-d", "d.py")
    assert (success.event, success.task_id) == ("success", "b")


def test_a_row_has_one_holder_until_its_time_is_over(outbox: Outbox, clock: VirtualClock) -> None:
    [first] = outbox.claim("one", limit=1)
    [second] = outbox.claim("two")
    assert {first.event, second.event} == {"failure", "success"}
    assert outbox.claim("three") == []
    clock.advance(61)
    assert len(outbox.claim("three")) == 2
    assert outbox.delivered([first.id], "one") == 0, "it is not theirs any more"


def test_what_was_delivered_does_not_come_again(outbox: Outbox, clock: VirtualClock) -> None:
    rows = outbox.claim("one")
    assert outbox.delivered([row.id for row in rows], "one") == 2
    clock.advance(61)
    assert outbox.claim("one") == []


def test_a_row_that_fails_too_often_is_left_where_it_can_be_seen(outbox: Outbox, clock: VirtualClock) -> None:
    [_, success] = outbox.claim("one")
    outbox.delivered([success.id], "one")
    clock.advance(61)
    for failures in range(MOST_FAILURES):
        [row] = outbox.claim("one")
        assert row.failures == failures
        assert outbox.failed(row.id, "one")
        assert outbox.claim("one") == [], "not at once"
        clock.advance(11)
    assert outbox.claim("one") == []


def test_an_empty_outbox_costs_no_write(engine: HandDriven) -> None:
    commits = engine.store.db.commits
    assert engine.store.outbox.claim("one") == []
    assert engine.store.db.commits == commits
