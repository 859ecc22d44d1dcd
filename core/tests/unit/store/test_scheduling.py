"""What the scheduler reads, who owns a run, and how the dead are found."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from windlass.app.clocks import VirtualClock
from windlass.errors import DagNotFound
from windlass.protocol import Outcome
from windlass.spec import TaskSpec
from windlass.states import RunType, TaskState
from windlass_testing.hand_driven import HandDriven

S = TaskState


def test_a_run_has_a_row_per_task_and_a_placeholder_per_mapped_one(engine: HandDriven) -> None:
    engine.dag(TaskSpec(task_id="a", retries=2, pool="p", pool_slots=3, queue="q"), "b")
    run = engine.new_run()
    a, b = engine.scheduler.tasks_of(run.id)
    assert (a.task_id, a.map_index, a.state, a.try_number, a.max_tries) == ("a", -1, S.NONE, 0, 2)
    assert (a.pool, a.pool_slots, b.pool) == ("p", 3, "default_pool")
    assert run.run_id == "scheduled__2026-03-01T00:00:00+00:00"
    assert engine.scheduler.tasks([b.id, 99, a.id]) == [a, b]


def test_the_bounds_of_the_newest_scheduled_run_are_known(engine: HandDriven) -> None:
    engine.dag("a")
    facts = engine.scheduler.dag("d")
    assert facts is not None
    assert facts.last_interval_end is None
    engine.new_run(day=2)
    newest = engine.new_run(day=3)
    engine.new_run(day=9, run_type=RunType.MANUAL)
    [facts] = engine.scheduler.dags()
    assert facts.last_interval_start == newest.data_interval_start
    assert facts.last_interval_end == newest.data_interval_end


def test_an_unknown_version_is_an_error(engine: HandDriven) -> None:
    spec = engine.dag("a")
    dag = engine.scheduler.dag("d")
    assert dag is not None
    assert engine.scheduler.spec("d", dag.spec_version) is engine.scheduler.spec("d", dag.spec_version)
    assert engine.scheduler.spec("d", dag.spec_version) == spec
    with pytest.raises(DagNotFound, match="no stored version 'x'"):
        engine.scheduler.spec("d", "x")
    assert engine.scheduler.dag("e") is None


def test_the_run_before_is_found_by_logical_date(engine: HandDriven) -> None:
    engine.dag("a", TaskSpec(task_id="b", upstream=("a",)))
    first = engine.new_run(day=1)
    manual = engine.new_run(day=2, run_type=RunType.MANUAL)
    third = engine.new_run(day=3)
    engine.complete(first, "a")

    assert engine.scheduler.previous(first.id, "a", -1, scheduled_only=False) is None
    scheduled = engine.scheduler.previous(third.id, "a", -1, scheduled_only=True)
    assert scheduled is not None
    assert (scheduled.run, scheduled.state, scheduled.downstream_done) == (first.id, S.SUCCESS, False)
    engine.complete(first, "b")
    any_type = engine.scheduler.previous(third.id, "a", -1, scheduled_only=False)
    assert any_type is not None
    assert (any_type.run, any_type.state) == (manual.id, S.NONE)
    scheduled = engine.scheduler.previous(third.id, "a", -1, scheduled_only=True)
    assert scheduled is not None
    assert scheduled.downstream_done


def test_a_task_that_is_new_has_no_earlier_instance(engine: HandDriven) -> None:
    engine.dag("a")
    engine.new_run(day=1)
    engine.dag("a", "new")
    second = engine.new_run(day=2)
    fresh = engine.scheduler.previous(second.id, "new", -1, scheduled_only=True)
    assert fresh is not None
    assert (fresh.state, fresh.has_earlier_instance) == (None, False)


def test_after_a_time_without_reaping_the_living_may_renew_first(engine: HandDriven, clock: VirtualClock) -> None:
    engine.dag(TaskSpec(task_id="a", retries=1))
    run = engine.new_run()
    engine.run(engine.ti(run))
    assert engine.scheduler.reap(queued_timeout=600) == 0
    clock.advance(61)  # a full disk, say: nobody could renew, and nobody could reap
    assert engine.scheduler.reap(queued_timeout=600) == 0
    clock.advance(16)
    assert engine.scheduler.reap(queued_timeout=600) == 1


def test_an_expired_lease_is_lost_and_the_run_signalled(engine: HandDriven, clock: VirtualClock) -> None:
    engine.dag(TaskSpec(task_id="a", retries=1))
    run = engine.new_run()
    engine.run(engine.ti(run))
    for seconds in (0, 29, 30):
        clock.advance(seconds)
        assert engine.scheduler.reap(queued_timeout=600) == 0
    clock.advance(2)
    assert engine.scheduler.reap(queued_timeout=600) == 1
    assert engine.state(run) is S.UP_FOR_RETRY
    assert engine.scheduler.signals()[-1].task == engine.ti(run).id
    assert engine.scheduler.reap(queued_timeout=600) == 0


class RenewsInBetween:
    """Renews a lease when the reaper has seen that it lapsed, and has not ended it yet."""

    def __init__(self, renew: Callable[[], object]) -> None:
        self._renew = renew
        self._seen = False

    def statement(self, sql: str, *, writing: bool) -> None:
        if self._seen and not writing:
            self._seen = False
            self._renew()
        self._seen = self._seen or sql.startswith(
            "SELECT lease_id FROM attempt WHERE ended_at IS NULL AND lease_until <"
        )

    def committed(self) -> None:
        pass


def test_a_lease_that_is_renewed_while_the_reaper_looks_lives_on(engine: HandDriven, clock: VirtualClock) -> None:
    engine.dag("a")
    run = engine.new_run()
    claimed = engine.run(engine.ti(run))
    for seconds in (0, 29, 30):
        clock.advance(seconds)
        assert engine.scheduler.reap(queued_timeout=600) == 0
    clock.advance(2)
    engine.store.db.probe = RenewsInBetween(lambda: engine.gateway.heartbeat([claimed.lease_id], "s1"))
    assert engine.scheduler.reap(queued_timeout=600) == 0
    engine.store.db.probe = None
    assert engine.state(run) is S.RUNNING


def test_what_nobody_picked_up_is_scheduled_again_without_a_charge(engine: HandDriven, clock: VirtualClock) -> None:
    engine.dag("a")
    run = engine.new_run()
    engine.queue(engine.ti(run))
    before = engine.ti(run)
    clock.advance(20)
    assert engine.scheduler.reap(queued_timeout=30) == 0
    clock.advance(20)
    assert engine.scheduler.reap(queued_timeout=30) == 1
    ti = engine.ti(run)
    assert (ti.state, ti.try_number) == (S.SCHEDULED, 1)
    assert engine.claim(before) is None, "a late claim finds its ticket void"
    assert engine.run(ti).context.epoch == 2


class Jumping(VirtualClock):
    """A calendar that somebody sets while the monotonic clock goes on."""

    jumped = 0.0

    def monotonic(self) -> float:
        return super().monotonic() - self.jumped


def test_a_clock_that_jumps_forward_kills_nobody(engine: HandDriven, clock: VirtualClock) -> None:
    clock.__class__ = Jumping
    assert isinstance(clock, Jumping)
    engine.dag("a")
    run = engine.new_run()
    claimed = engine.run(engine.ti(run))
    engine.scheduler.reap(queued_timeout=600)

    clock.advance(3600)
    clock.jumped = 3600
    assert engine.scheduler.reap(queued_timeout=6000) == 0

    assert engine.gateway.heartbeat([claimed.lease_id], "s1") == []
    clock.advance(50)
    assert engine.scheduler.reap(queued_timeout=6000) == 0
    clock.advance(20)
    assert engine.scheduler.reap(queued_timeout=6000) == 1


def test_a_run_knows_its_end_only_by_its_leaves(engine: HandDriven) -> None:
    engine.dag("a", TaskSpec(task_id="b", upstream=("a",)), TaskSpec(task_id="t", upstream=("b",), is_teardown=True))
    run = engine.new_run()
    leaves = engine.store.db.rows("SELECT task_id FROM ti WHERE run = :run AND is_leaf = 1", {"run": run.id})
    assert leaves == [("b",)]
    engine.report(engine.run(engine.ti(run)), Outcome.FAIL)
