"""The store in memory where the scheduler's tests do not lead: refusals half-way, and lookups among many runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from windlass.app.clocks import VirtualClock
from windlass.app.inproc.memory import MemoryStore
from windlass.ports import Admission, Changes, Expansion, NewRun, PoolFacts, RunFacts, RunMove, TaskFacts, TaskMove
from windlass.spec import DagSpec, LiteralLength, MapSpec, TaskSpec
from windlass.states import Actor, RunState, RunType, TaskState

DAY = datetime(2026, 3, 1, tzinfo=UTC)
SPEC = DagSpec(
    dag_id="d",
    tasks=(
        TaskSpec(task_id="a", pool="one"),
        TaskSpec(task_id="b", pool="one"),
        TaskSpec(task_id="m", map=MapSpec(factors=(("x", LiteralLength(3)),))),
    ),
)


class Rig:
    """A store with one DAG and a pool of one slot, and the changes that a scheduler would make."""

    def __init__(self) -> None:
        self.store = MemoryStore(VirtualClock(DAY))
        self.store.set_pool(PoolFacts(name="one", slots=1))
        self.store.add_dag(SPEC)
        self.ops = 0

    def run(self, day: int, **fields: Any) -> RunFacts:
        date = DAY + timedelta(days=day)
        given = {"run_type": RunType.SCHEDULED, "logical_date": date, "run_after": date, **fields}
        run = self.store.create_run(NewRun(dag_id="d", data_interval_start=date, data_interval_end=date, **given))
        assert run is not None
        return run

    def task(self, run: RunFacts, task_id: str) -> TaskFacts:
        return next(task for task in self.store.tasks_of(run.id) if task.task_id == task_id)

    def op(self) -> str:
        self.ops += 1
        return f"op{self.ops}"

    def start(self, run: RunFacts) -> RunMove:
        return RunMove(run=run.id, before=RunState.QUEUED, to=RunState.RUNNING, actor=Actor.SCHEDULER, op_id=self.op())

    def move(self, task: TaskFacts, epoch: int = 0) -> TaskMove:
        return TaskMove(
            task=task.id, run=task.run, before=TaskState.NONE, to=TaskState.SCHEDULED, epoch=epoch,
            actor=Actor.SCHEDULER, op_id=self.op(),
        )  # fmt: skip

    def admit(self, task: TaskFacts, epoch: int = 0) -> Admission:
        return Admission(
            task=task.id, run=task.run, dag_id="d", task_id=task.task_id, epoch=epoch, op_id=self.op(), ticket="t",
            executor="e", queue="q", pool=task.pool, pool_slots=1,
        )  # fmt: skip

    def seen(self, run: RunFacts) -> tuple[RunFacts | None, list[TaskFacts]]:
        return self.store.run(run.id), self.store.tasks_of(run.id)


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_a_run_that_is_refused_half_way_keeps_nothing_and_another_keeps_all(rig: Rig) -> None:
    refused, kept = rig.run(1), rig.run(2)
    before = rig.seen(refused)
    a, b, m = (rig.task(refused, name) for name in "abm")
    changes = Changes(
        run_moves=[rig.start(refused), rig.start(kept)],
        expansions=[Expansion(task=m.id, run=refused.id, task_id="m", length=3)],
        task_moves=[rig.move(a), rig.move(rig.task(kept, "a"))],
        # The first takes the pool's only slot, and gives it back when the second finds another epoch than it expects.
        admissions=[rig.admit(a), rig.admit(b, epoch=7), rig.admit(rig.task(kept, "a"))],
    )
    committed = rig.store.commit(changes)
    assert committed.conflicts == {refused.id}
    assert committed.expanded == ()
    assert rig.store.count_of(refused.id, "m") == 1
    admitted = rig.task(kept, "a")
    assert committed.admitted == {admitted.id: 1}
    assert [held.task for held in rig.store.occupied()] == [admitted.id]
    assert rig.seen(refused) == before
    assert {move.task for move in rig.store.transitions} == {admitted.id}


def test_what_was_refused_may_be_sent_again(rig: Rig) -> None:
    run = rig.run(1)
    a = rig.task(run, "a")
    first = Changes(task_moves=[rig.move(a), rig.move(rig.task(run, "b"), epoch=9)])
    assert rig.store.commit(first).conflicts == {run.id}
    assert rig.store.commit(Changes(task_moves=first.task_moves[:1])).conflicts == frozenset()
    assert rig.task(run, "a").state is TaskState.SCHEDULED


def test_a_commit_that_is_sent_twice_is_done_once(rig: Rig) -> None:
    run = rig.run(1)
    a = rig.task(run, "a")
    changes = Changes(run_moves=[rig.start(run)], task_moves=[rig.move(a)], admissions=[rig.admit(a)])
    assert rig.store.commit(changes).admitted == {a.id: 1}
    assert rig.store.commit(changes).admitted == {a.id: 1}
    assert len(rig.store.transitions) == 2
    assert len(rig.store.occupied()) == 1


def test_a_full_pool_refuses_and_a_free_one_admits(rig: Rig) -> None:
    first, second = rig.run(1), rig.run(2)
    tasks = [rig.task(first, "a"), rig.task(second, "a")]
    committed = rig.store.commit(
        Changes(task_moves=[rig.move(task) for task in tasks], admissions=[rig.admit(task) for task in tasks])
    )
    assert (committed.admitted, set(committed.refused)) == ({tasks[0].id: 1}, {tasks[1].id})


def test_the_run_before_is_found_by_date_and_kind_among_many(rig: Rig) -> None:
    runs = {day: rig.run(day) for day in (5, 1, 3)}
    rig.run(4, run_type=RunType.MANUAL)
    before = rig.store.previous(runs[5].id, "a", -1, scheduled_only=True)
    assert before is not None
    assert before.run == runs[3].id
    any_kind = rig.store.previous(runs[5].id, "a", -1, scheduled_only=False)
    assert any_kind is not None
    assert any_kind.run not in {run.id for run in runs.values()}
    assert rig.store.previous(runs[1].id, "a", -1, scheduled_only=False) is None
    assert (before.state, before.has_earlier_instance) == (TaskState.NONE, True)
    unknown = rig.store.previous(runs[5].id, "nope", -1, scheduled_only=True)
    assert unknown is not None
    assert (unknown.state, unknown.has_earlier_instance) == (None, False)


def test_a_date_or_an_id_that_is_taken_makes_no_run(rig: Rig) -> None:
    run = rig.run(1)
    date = run.logical_date
    new = NewRun(
        dag_id="d", run_type=RunType.MANUAL, logical_date=date, data_interval_start=date, data_interval_end=date,
        run_after=date,
    )  # fmt: skip
    assert rig.store.create_run(new) is None
    bumped = rig.run(1, run_type=RunType.MANUAL, bump=True)
    assert bumped.logical_date == date + timedelta(microseconds=1)
    assert rig.store.run_named("d", bumped.run_id) == bumped
    assert rig.store.run_named("d", "nope") is None
