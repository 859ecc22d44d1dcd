"""Whatever people, schedulers and supervisors do in whatever order, the invariants hold after every step."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from windlass.app.clocks import SeededRng, VirtualClock
from windlass.ports import Changes, Claimed, Report, StopKind
from windlass.protocol import Outcome, Reschedule
from windlass.spec import TaskSpec
from windlass.states import RunState, TaskState
from windlass_testing.hand_driven import HandDriven, result
from windlass_testing.stores import new_store

S = TaskState
TASKS = st.sampled_from(["a", "b", "c"])
MAY_BE_QUEUED = {S.NONE, S.SCHEDULED, S.UP_FOR_RETRY, S.UP_FOR_RESCHEDULE, S.DEFERRED}


class Everybody(RuleBasedStateMachine):
    """Three tasks of one run, in a pool of two slots."""

    def __init__(self) -> None:
        super().__init__()
        clock = VirtualClock(datetime(2026, 3, 1, tzinfo=UTC))
        self.engine = HandDriven(new_store(clock, SeededRng(1)), clock)
        self.clock = clock
        self.engine.store.pools.set("two", 2)
        every = ("success", "failure", "retry", "skipped")
        self.engine.dag(*(TaskSpec(task_id=t, retries=1, pool="two", callbacks=every) for t in "abc"))
        self.run = self.engine.new_run()
        self.held: list[Claimed] = []
        self.sent_steps: list[Changes] = []
        self.sent_reports: list[Report] = []

    def teardown(self) -> None:
        self.engine.store.close()

    @rule(tasks=st.lists(TASKS, min_size=1, max_size=3, unique=True))
    def queue(self, tasks: list[str]) -> None:
        tis = [self.engine.ti(self.run, task) for task in tasks]
        step = self.engine.queueing(*(ti for ti in tis if ti.state in MAY_BE_QUEUED))
        self.sent_steps.append(step)
        assert not self.engine.scheduler.commit(step).conflicts

    @rule(data=st.data())
    def send_an_old_step_again(self, data: st.DataObject) -> None:
        if self.sent_steps:
            self.engine.scheduler.commit(data.draw(st.sampled_from(self.sent_steps)))

    @rule(task=TASKS, supervisor=st.sampled_from(["s1", "s2"]))
    def claim(self, task: str, supervisor: str) -> None:
        claimed = self.engine.claim(self.engine.ti(self.run, task), supervisor=supervisor)
        if claimed is not None:
            self.held.append(claimed)

    @rule(data=st.data(), how=st.sampled_from([*Outcome, *StopKind, "lost", "deferred", "rescheduled"]))
    def report(self, data: st.DataObject, how: str) -> None:
        if not self.held:
            return
        claimed = data.draw(st.sampled_from(self.held))
        now = self.clock.now()
        fields: dict[str, Any] = {"xcoms": (result("x"),)}
        if isinstance(how, Outcome):
            fields["ending"] = self.engine.finish(how)
        elif isinstance(how, StopKind):
            fields["stopped"] = how
        elif how == "lost":
            fields["lost"] = "killed by signal 9"
        elif how == "deferred":
            fields["ending"] = self.engine.deferral(timeout=data.draw(st.sampled_from([None, 60.0])))
        else:
            fields["ending"] = Reschedule(at=now, started_at=now, ended_at=now)
        report = self.engine.reporting(claimed, **fields)
        self.sent_reports.append(report)
        self.engine.gateway.report([report], "s1")

    @rule(data=st.data())
    def send_an_old_report_again(self, data: st.DataObject) -> None:
        if self.sent_reports:
            self.engine.gateway.report([data.draw(st.sampled_from(self.sent_reports))], "s1")

    @rule(data=st.data(), failure=st.sampled_from([None, "its trigger failed"]))
    def an_event_comes_for_whatever_wait_there_was(self, data: st.DataObject, failure: str | None) -> None:
        if self.held:
            self.engine.fire(data.draw(st.sampled_from(self.held)), failure=failure)

    @rule(supervisor=st.sampled_from(["s1", "s2"]))
    def a_supervisor_asks_for_waits(self, supervisor: str) -> None:
        for wait in self.engine.gateway.waits([], supervisor).begun:
            assert self.engine.store.waits.live(wait.task) is not None

    @rule(tasks=st.lists(TASKS, min_size=1, unique=True), latest=st.booleans())
    def clear(self, tasks: list[str], latest: bool) -> None:
        self.engine.store.runs.clear([self.engine.ti(self.run, t).id for t in tasks], who="ann", latest=latest)

    @rule(task=TASKS, state=st.sampled_from([S.SUCCESS, S.FAILED]))
    def mark(self, task: str, state: TaskState) -> None:
        self.engine.store.runs.mark([self.engine.ti(self.run, task).id], state, who="ann")

    @rule(state=st.sampled_from([RunState.SUCCESS, RunState.FAILED]))
    def mark_run(self, state: RunState) -> None:
        self.engine.store.runs.mark_run("d", self.run.run_id, state, who="ann")

    @rule(seconds=st.sampled_from([1, 50, 100]))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)
        self.engine.scheduler.reap(queued_timeout=60)

    @rule()
    def a_supervisor_comes_back(self) -> None:
        self.engine.gateway.recover("s1")

    @rule()
    def a_supervisor_looks_what_must_stop(self) -> None:
        leases = [claimed.lease_id for claimed in self.held]
        stops = {stop.lease_id: stop for stop in self.engine.gateway.heartbeat(leases, "s1")}
        for claimed in self.held:
            stop = stops.get(claimed.lease_id)
            if stop is not None:
                self.engine.report(claimed, stopped=stop.kind)

    @invariant()
    def every_promise_holds(self) -> None:
        assert self.engine.violations() == []

    @invariant()
    def the_pool_is_never_overdrawn(self) -> None:
        assert sum(held.pool_slots for held in self.engine.scheduler.occupied()) <= 2


Everybody.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestEverybody = Everybody.TestCase
