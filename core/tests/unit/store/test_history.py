from __future__ import annotations

from datetime import timedelta

import pytest

from windlass.protocol import Outcome
from windlass_testing.hand_driven import HandDriven


def succeed(engine: HandDriven, day: int, seconds: float, outcome: Outcome = Outcome.SUCCESS) -> None:
    run = engine.new_run(day=day)
    claimed = engine.run(engine.ti(run))
    now = engine.clock.now()
    ending = engine.finish(outcome)
    engine.report(
        claimed,
        ending=type(ending)(
            outcome=outcome, started_at=now - timedelta(seconds=seconds), ended_at=now, duration=seconds
        ),
    )


def test_the_duration_is_the_median_of_the_successes(engine: HandDriven) -> None:
    engine.dag("a")
    for day, seconds in enumerate([5.0, 1.0, 100.0], start=1):
        succeed(engine, day, seconds)
    succeed(engine, 4, 9000.0, Outcome.FAIL)
    assert engine.store.history.of("d", "a") == (5.0, None)


def test_only_the_latest_20_count(engine: HandDriven) -> None:
    engine.dag("a")
    for day in range(1, 26):
        succeed(engine, day, 1000.0 if day <= 10 else 2.0)
    assert engine.store.history.of("d", "a")[0] == pytest.approx(2.0)


def test_of_what_never_ran_nothing_is_known(engine: HandDriven) -> None:
    engine.dag("a")
    assert engine.store.history.of("d", "a") == (None, None)
    assert engine.store.history.of("nope", "a") == (None, None)
