"""What a task costs in trips to a server: how often somebody waits for an answer of PostgreSQL or MariaDB."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import closing

import pytest

from windlass.app.clocks import SystemClock, SystemRng
from windlass.ports import Claim
from windlass.store import open_store
from windlass_testing.hand_driven import HandDriven, result
from windlass_testing.stores import URL_FIXTURES, emptied_url
from windlass_testing.trips import Trips, counting_trips

pytestmark = pytest.mark.services


@pytest.fixture(params=sorted(URL_FIXTURES))
def trips(request: pytest.FixtureRequest) -> Iterator[Trips]:
    with counting_trips(emptied_url(request.param, request)) as trips:
        yield trips


@pytest.fixture
def engine(trips: Trips) -> Iterator[HandDriven]:
    """An engine whose store is reached by way of the counter; it knows who observes, and what time it is there."""
    with closing(open_store(trips.url, clock=SystemClock(), rng=SystemRng())) as store:
        engine = HandDriven(store, SystemClock())
        store.db.audience.learn(())
        store.db.audience._monotonic = lambda: 0.0
        yield engine
        assert not engine.violations()


@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.budget
def test_a_task_takes_seven_trips_however_many_go_together(engine: HandDriven, trips: Trips, batch: int) -> None:
    engine.dag(*(f"t{number}" for number in range(4 * batch)))
    run = engine.new_run()
    engine.store.pools.set("default_pool", -1)
    instances = engine.scheduler.tasks_of(run.id)

    def costs() -> list[int]:
        """Take some tasks from none to their end, as scheduler and supervisor do; return what each part took."""
        counts = [trips.count]
        chosen = [instances.pop() for _ in range(batch)]
        signals = engine.scheduler.signals()
        engine.scheduler.tasks([signal.task for signal in signals])
        counts.append(trips.count)
        changes = engine.queueing(*chosen)
        changes.generations = {run.id: 0}
        changes.signals = [signal.id for signal in signals]
        engine.scheduler.commit(changes)
        counts.append(trips.count)
        claims = [Claim(task=a.task, epoch=1, ticket=a.ticket, pid=1, hostname="h") for a in changes.admissions]
        claimed = [c for c in engine.gateway.claim(claims, "s1") if c is not None]
        counts.append(trips.count)
        assert all(engine.gateway.report([engine.reporting(c, xcoms=(result("x"),)) for c in claimed], "s1"))
        counts.append(trips.count)
        return [after - before for before, after in itertools.pairwise(counts)]

    costs()  # reads the spec
    reading, queueing, claiming, reporting = costs()
    assert (reading, queueing, claiming, reporting) == (2, 2, 2, 1)


def test_a_run_is_created_in_three_trips_and_owned_in_one(engine: HandDriven, trips: Trips) -> None:
    engine.dag("a", "b")
    engine.new_run(day=1)
    before = trips.count
    run = engine.new_run(day=2)
    assert trips.count - before == 4, "one of them reads the DAG"
    before = trips.count
    assert [facts.id for facts in engine.scheduler.own([run.id])] == [run.id]
    assert trips.count - before == 1


def test_a_heartbeat_takes_two_trips(engine: HandDriven, trips: Trips) -> None:
    engine.dag("a")
    claimed = engine.run(engine.ti(engine.new_run()))
    before = trips.count
    assert engine.gateway.heartbeat([claimed.lease_id], "s1") == []
    assert trips.count - before == 2
