"""Callbacks travel from the outbox to a supervisor and back, a few at a time, until they are acknowledged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from windlass.app.clocks import VirtualClock
from windlass.errors import Conflict
from windlass.events import Callbacks
from windlass.ports import Claim, Claimed, Report, StopRequest, Workload, WorkloadKind
from windlass.protocol import Finish, Outcome, Query, XComGet, XComSet, XComValue
from windlass.spec import ParamSpec, TaskSpec
from windlass.states import RunState
from windlass.store.outbox import MOST_FAILURES
from windlass_testing.hand_driven import HandDriven, result


class Line:
    """An executor that takes note of what it is given."""

    parallelism = 1
    backlog = 0

    def __init__(self) -> None:
        self.sent: list[Workload] = []

    def submit(self, workloads: Sequence[Workload]) -> None:
        self.sent += workloads

    def stop(self, requests: Sequence[StopRequest]) -> None:
        raise NotImplementedError

    def prepare(self, code_versions: Sequence[tuple[str, str, str]]) -> None:
        raise NotImplementedError

    def lost_contact(self) -> bool:
        raise NotImplementedError


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
def callbacks(engine: HandDriven, line: Line) -> Callbacks:
    return Callbacks(engine.store.outbox, line, by="server:1")


def failed_tasks(engine: HandDriven, *names: str) -> None:
    engine.dag(*(TaskSpec(task_id=name, callbacks=("failure",)) for name in names))
    run = engine.new_run(conf={"bird": "robin"})
    for name in names:
        claimed = engine.run(engine.ti(run, name))
        engine.report(claimed, ending=engine.finish(Outcome.FAIL, reason="no rain"), xcoms=(result("x"),))


def claim_of(workload: Workload) -> Claim:
    return Claim(
        task=workload.id, epoch=workload.epoch, ticket=workload.ticket, pid=7, hostname="h", kind=workload.kind
    )


def claim(engine: HandDriven, workload: Workload) -> Claimed | None:
    return engine.gateway.claim([claim_of(workload)], "s1")[0]


def report(engine: HandDriven, claimed: Claimed, outcome: Outcome | None = Outcome.SUCCESS) -> bool:
    ending: Finish | None = None if outcome is None else engine.finish(outcome)
    lost = "killed" if outcome is None else None
    made = Report(
        task=claimed.task, lease_id=claimed.lease_id, epoch=0, op_id=engine.token(), ending=ending, lost=lost,
        kind=WorkloadKind.CALLBACK,
    )  # fmt: skip
    return engine.gateway.report([made], "s1")[0]


def sent_and_claimed(engine: HandDriven, callbacks: Callbacks, line: Line) -> Claimed:
    callbacks.step()
    claimed = claim(engine, line.sent.pop())
    assert claimed is not None
    return claimed


def test_a_callback_is_sent_once_with_the_code_of_its_run(engine: HandDriven, callbacks: Callbacks, line: Line) -> None:
    failed_tasks(engine, "a")
    callbacks.step()
    callbacks.step()
    [workload] = line.sent
    assert workload.kind is WorkloadKind.CALLBACK
    assert (workload.bundle, workload.file, workload.code_version) == ("main", "d.py", "code-of-d")


def test_the_supervisor_learns_what_ended_and_how(engine: HandDriven, callbacks: Callbacks, line: Line) -> None:
    failed_tasks(engine, "a")
    claimed = sent_and_claimed(engine, callbacks, line)
    context = claimed.context
    assert (context.callback, context.reason) == ("failure", "no rain")
    assert (context.dag_id, context.task_id, context.try_number) == ("d", "a", 1)
    assert (context.lease_id, context.conf) == (claimed.lease_id, {"bird": "robin"})
    assert claimed.log_path.endswith("task_id=a/attempt=1.log"), "people look where the task wrote"
    assert claimed.execution_timeout == 300


def test_a_run_has_callbacks_without_a_task(engine: HandDriven, callbacks: Callbacks, line: Line) -> None:
    engine.dag("a", callbacks=("failure",), params={"size": ParamSpec(value=3, has_value=True)})
    run = engine.new_run()
    engine.store.runs.mark_run("d", run.run_id, RunState.FAILED, who="ada")
    context = sent_and_claimed(engine, callbacks, line).context
    assert (context.callback, context.reason, context.task_id) == ("run_failure", "marked failed by ada", "")
    assert context.params == {"size": 3}
    assert context.log_path is not None
    assert context.log_path.endswith("/callbacks.log")


def test_only_one_claim_of_a_callback_succeeds(engine: HandDriven, callbacks: Callbacks, line: Line) -> None:
    failed_tasks(engine, "a")
    callbacks.step()
    assert claim(engine, line.sent[0]) is not None
    assert claim(engine, line.sent[0]) is None


class Rival:
    """A second supervisor that claims the same callback between the first one's look and its write."""

    def __init__(self, engine: HandDriven, workload: Workload) -> None:
        self.granted: Claimed | None = None
        self._engine = engine
        self._workload = workload
        self._waits = True

    def statement(self, sql: str, *, writing: bool) -> None:
        if self._waits and sql == self._engine.store.db.dialect.begin:
            self._waits = False
            self.granted = claim(self._engine, self._workload)

    def committed(self) -> None:
        pass


def test_of_two_claims_at_the_same_time_one_succeeds(engine: HandDriven, callbacks: Callbacks, line: Line) -> None:
    failed_tasks(engine, "a")
    callbacks.step()
    rival = engine.store.db.probe = Rival(engine, line.sent[0])
    assert claim(engine, line.sent[0]) is None
    assert rival.granted is not None
    assert report(engine, rival.granted)


def test_a_callback_is_about_the_try_that_ended_though_another_one_runs(
    engine: HandDriven, callbacks: Callbacks, line: Line, clock: VirtualClock
) -> None:
    engine.dag(TaskSpec(task_id="a", callbacks=("retry",), retries=1))
    run = engine.new_run()
    engine.report(engine.run(engine.ti(run)), ending=engine.finish(Outcome.FAIL))
    clock.advance(3600)
    engine.run(engine.ti(run))
    assert engine.ti(run).try_number == 2
    claimed = sent_and_claimed(engine, callbacks, line)
    assert (claimed.context.callback, claimed.context.try_number) == ("retry", 1)
    assert claimed.log_path.endswith("attempt=1.log")


def test_an_acknowledged_callback_is_over(
    engine: HandDriven, callbacks: Callbacks, line: Line, clock: VirtualClock
) -> None:
    failed_tasks(engine, "a")
    assert report(engine, sent_and_claimed(engine, callbacks, line))
    clock.advance(61)
    callbacks.step()
    assert line.sent == []


@pytest.mark.parametrize("outcome", [Outcome.FAIL, None], ids=["raised", "died"])
def test_one_that_fails_is_called_again_and_given_up_visibly(
    engine: HandDriven, callbacks: Callbacks, line: Line, clock: VirtualClock, outcome: Outcome | None
) -> None:
    failed_tasks(engine, "a")
    for _ in range(MOST_FAILURES):
        assert report(engine, sent_and_claimed(engine, callbacks, line), outcome)
        assert callbacks.step() == 1.0, "not at once"
        clock.advance(11)
    callbacks.step()
    assert line.sent == []
    assert [(event, consumer) for _, event, consumer in engine.store.outbox.given_up()] == [("failure", "")]


def test_what_was_lost_on_the_way_is_sent_again(
    engine: HandDriven, callbacks: Callbacks, line: Line, clock: VirtualClock
) -> None:
    failed_tasks(engine, "a")
    callbacks.step()
    clock.advance(61)
    callbacks.step()
    assert len(line.sent) == 2
    assert [claim(engine, workload) is not None for workload in line.sent] == [True, False]


def test_heartbeats_keep_a_callback_whose_supervisor_lives(
    engine: HandDriven, callbacks: Callbacks, line: Line, clock: VirtualClock
) -> None:
    failed_tasks(engine, "a")
    claimed = sent_and_claimed(engine, callbacks, line)
    for _ in range(3):
        clock.advance(50)
        assert engine.gateway.heartbeat([claimed.lease_id], "s1") == [], "no stop is asked for"
    callbacks.step()
    assert line.sent == []
    assert report(engine, claimed)


def test_a_callback_of_a_dead_supervisor_is_called_by_another_and_the_dead_ones_report_is_refused(
    engine: HandDriven, callbacks: Callbacks, line: Line, clock: VirtualClock
) -> None:
    failed_tasks(engine, "a")
    lost = sent_and_claimed(engine, callbacks, line)
    clock.advance(61)
    second = sent_and_claimed(engine, callbacks, line)
    assert not report(engine, lost)
    [stop] = engine.gateway.heartbeat([lost.lease_id], "s1")
    assert stop.lease_id == lost.lease_id
    assert report(engine, second)


def test_a_callback_may_read_what_a_task_may_and_write_nothing_for_it(
    engine: HandDriven, callbacks: Callbacks, line: Line
) -> None:
    failed_tasks(engine, "a")
    lease = sent_and_claimed(engine, callbacks, line).lease_id
    [[index, value]] = engine.gateway.call(lease, XComGet(task_id="a"))
    assert (index, value.data) == (-1, b"'x'")
    [state] = engine.gateway.call(lease, Query(what="task_states", filters={"task_id": "a"}))
    assert state["state"] == "failed"
    with pytest.raises(Conflict, match="attempt is over"):
        engine.gateway.call(lease, XComSet(key="k", value=XComValue(codec="json", data=b"1")))


def test_tasks_and_callbacks_are_claimed_and_reported_together_in_order(
    engine: HandDriven, callbacks: Callbacks, line: Line
) -> None:
    failed_tasks(engine, "a", "b")
    callbacks.step()
    run = engine.new_run(day=2)
    engine.queue(engine.ti(run, "a"), engine.ti(run, "b"))

    def task_claim(name: str) -> Claim:
        ti = engine.ti(run, name)
        return Claim(task=ti.id, epoch=ti.epoch, ticket=ti.ticket or "", pid=1, hostname="h")

    wanted = [claim_of(line.sent[0]), task_claim("a"), claim_of(line.sent[1]), task_claim("b")]
    granted = [claimed for claimed in engine.gateway.claim(wanted, "s1") if claimed is not None]
    assert [claimed.context.callback for claimed in granted] == ["failure", "", "failure", ""]
    kinds = [WorkloadKind.CALLBACK, WorkloadKind.TASK] * 2
    reports = [
        engine.reporting(claimed, kind=kind, op_id=engine.token()) for claimed, kind in zip(granted, kinds, strict=True)
    ]
    assert engine.gateway.report(reports, "s1") == [True] * 4
    assert engine.store.outbox.in_flight() == 0
    assert {engine.ti(run, name).state.value for name in "ab"} == {"success"}


def test_only_a_few_are_under_way_at_once(engine: HandDriven, callbacks: Callbacks, line: Line) -> None:
    failed_tasks(engine, *(f"t{number}" for number in range(12)))
    assert callbacks.step() < 1.0
    assert callbacks.step() < 1.0
    assert len(line.sent) == 8
    for workload in line.sent[:3]:
        claimed = claim(engine, workload)
        assert claimed is not None
        assert report(engine, claimed)
    callbacks.step()
    assert len(line.sent) == 11


def test_a_callback_whose_task_is_gone_from_the_runs_version_is_given_up_not_guessed(
    engine: HandDriven, callbacks: Callbacks, line: Line, clock: VirtualClock
) -> None:
    failed_tasks(engine, "a", "b")
    engine.dag(TaskSpec(task_id="b", callbacks=("failure",)))
    run = next(iter(runs(engine)))
    engine.store.runs.clear([ti.id for ti in engine.scheduler.tasks_of(run) if ti.task_id == "b"], who="x", latest=True)
    callbacks.step()
    granted = engine.gateway.claim([claim_of(workload) for workload in line.sent], "s1")
    assert [claimed.context.task_id for claimed in granted if claimed is not None] == ["b"]


def runs(engine: HandDriven) -> Iterable[int]:
    return [row[0] for row in engine.store.db.rows("SELECT id FROM run ORDER BY id")]


def test_an_idle_outbox_costs_two_reads_and_no_write(engine: HandDriven, callbacks: Callbacks) -> None:
    database = engine.store.db
    statements, commits = database.statements, database.commits
    assert callbacks.step() == 1.0
    assert (database.statements - statements, database.commits - commits) == (2, 0)
