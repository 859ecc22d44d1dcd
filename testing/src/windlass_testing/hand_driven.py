"""The few moves of scheduler and supervisor, by hand and one at a time, over a real store.

For tests that need a task instance in a certain state, or two actors that disagree about one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from windlass.ports import (
    Admission,
    Changes,
    Claim,
    Claimed,
    Clock,
    Committed,
    Fired,
    NewRun,
    Report,
    RunFacts,
    TaskFacts,
    TaskMove,
)
from windlass.protocol import Defer, Finish, Outcome, XComSet, XComValue
from windlass.spec import DagSpec, TaskSpec
from windlass.states import Actor, RunType, TaskState
from windlass.store import ParsedFile, Store, invariant_violations


class HandDriven:
    """Does what scheduler and supervisor do, one step at a time, and notes what came of it."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.scheduler = store.scheduler
        self.gateway = store.gateway
        self.token: Callable[[], str] = store.db.rng.token

    # --- What is there

    def dag(self, *tasks: TaskSpec | str, dag_id: str = "d", file: str = "d.py", **fields: Any) -> DagSpec:
        """Store a DAG of these tasks; a name alone is a task without options."""
        specs = tuple(TaskSpec(task_id=t) if isinstance(t, str) else t for t in tasks)
        spec = DagSpec(dag_id=dag_id, tasks=specs, file=file, **fields)
        parsed = ParsedFile(bundle="main", file=file, code_version=f"code-of-{dag_id}", specs=(spec,))
        self.store.dags.store_parse_results([parsed], paused=False)
        return spec

    def new_run(self, dag_id: str = "d", *, day: int = 1, **fields: Any) -> RunFacts:
        """Create the run of a day in March."""
        date = datetime(2026, 3, day, tzinfo=UTC)
        given = {
            "run_type": RunType.SCHEDULED,
            "logical_date": date,
            "data_interval_start": date,
            "data_interval_end": date + timedelta(days=1),
            "run_after": date + timedelta(days=1),
            **fields,
        }
        run = self.scheduler.create_run(NewRun(dag_id=dag_id, **given))
        if run is None:
            raise AssertionError("the run exists already")
        return run

    def ti(self, run: RunFacts, task_id: str = "a", map_index: int = -1) -> TaskFacts:
        """Return a task instance as it is now."""
        return next(t for t in self.scheduler.tasks_of(run.id) if t.task_id == task_id and t.map_index == map_index)

    def state(self, run: RunFacts, task_id: str = "a", map_index: int = -1) -> TaskState:
        """Return the state of a task instance as it is now."""
        return self.ti(run, task_id, map_index).state

    # --- What the scheduler does

    def move(self, ti: TaskFacts, to: TaskState, **fields: Any) -> TaskMove:
        """Return a guarded move of ``ti`` as it was read."""
        charge = to is TaskState.SCHEDULED and ti.state in {TaskState.NONE, TaskState.UP_FOR_RETRY}
        given = {"op_id": self.token(), "charge": charge, "actor": Actor.SCHEDULER, **fields}
        return TaskMove(task=ti.id, run=ti.run, before=ti.state, to=to, epoch=ti.epoch, **given)

    def admission(self, ti: TaskFacts, **fields: Any) -> Admission:
        """Return the admission of ``ti`` as it was read."""
        given = {
            "dag_id": "d",
            "op_id": self.token(),
            "ticket": self.token(),
            "executor": "local",
            "queue": "default",
            "pool": ti.pool,
            "pool_slots": ti.pool_slots,
            **fields,
        }
        return Admission(task=ti.id, run=ti.run, task_id=ti.task_id, epoch=ti.epoch, **given)

    def queueing(self, *tis: TaskFacts, **fields: Any) -> Changes:
        """Return the step that takes these from ``none`` to ``queued``."""
        return Changes(
            task_moves=[self.move(ti, TaskState.SCHEDULED) for ti in tis if ti.state is not TaskState.SCHEDULED],
            admissions=[self.admission(ti, **fields) for ti in tis],
        )

    def queue(self, *tis: TaskFacts, **fields: Any) -> Committed:
        """Take these to ``queued``."""
        return self.scheduler.commit(self.queueing(*tis, **fields))

    # --- What the supervisor does

    def claim(self, ti: TaskFacts, *, pid: int = 100, supervisor: str = "s1") -> Claimed | None:
        """Claim ``ti``, read again for its ticket; None if that is refused, or its run was deleted meanwhile."""
        found = self.scheduler.tasks([ti.id])
        return self.gateway.claim([self.claiming(found[0], pid=pid)], supervisor)[0] if found else None

    def claiming(self, ti: TaskFacts, *, pid: int = 100) -> Claim:
        """Return the claim of ``ti`` as it was read."""
        return Claim(task=ti.id, epoch=ti.epoch, ticket=ti.ticket or "", pid=pid, hostname="host")

    def run(self, ti: TaskFacts, **fields: Any) -> Claimed:
        """Take ``ti`` from wherever it waits to ``running``."""
        self.queue(ti, **fields)
        claimed = self.claim(ti)
        if claimed is None:
            raise AssertionError("the claim was refused")
        return claimed

    def finish(self, outcome: Outcome = Outcome.SUCCESS, **fields: Any) -> Finish:
        """Return the end of user code that took a second."""
        now = self.clock.now()
        return Finish(outcome=outcome, started_at=now - timedelta(seconds=1), ended_at=now, duration=1.0, **fields)

    def deferral(self, **fields: Any) -> Defer:
        """Return the end of an attempt that waits for a trigger."""
        now = self.clock.now()
        empty = XComValue(codec="json", data=b"{}")
        given = {"trigger": "t.T", "trigger_kwargs": empty, "method": "resume", "kwargs": empty, **fields}
        return Defer(started_at=now, ended_at=now, **given)

    def fire(self, claimed: Claimed, event: str | None = "event", failure: str | None = None) -> bool:
        """Send the event of the wait of ``claimed``, or why there is none; return whether the wait was live."""
        value = None if failure is not None or event is None else XComValue(codec="json", data=event.encode())
        fired = Fired(task=claimed.task, epoch=claimed.context.epoch, event=value, failure=failure)
        return self.gateway.fire([fired], "s1")[0]

    def reporting(self, claimed: Claimed, outcome: Outcome = Outcome.SUCCESS, **fields: Any) -> Report:
        """Return the report of an attempt's end."""
        given: dict[str, Any] = {"op_id": self.token(), **fields}
        if not {"ending", "lost", "stopped", "timed_out"} & given.keys():
            given["ending"] = self.finish(outcome)
        return Report(task=claimed.task, lease_id=claimed.lease_id, epoch=claimed.context.epoch, **given)

    def report(self, claimed: Claimed, outcome: Outcome = Outcome.SUCCESS, **fields: Any) -> bool:
        """Report an attempt's end."""
        return self.gateway.report([self.reporting(claimed, outcome, **fields)], "s1")[0]

    def complete(self, run: RunFacts, *task_ids: str) -> None:
        """Run these tasks to success."""
        for task_id in task_ids:
            if not self.report(self.run(self.ti(run, task_id))):
                raise AssertionError(f"the report of {task_id} was refused")

    # --- What must hold

    def violations(self, *, liveness: bool = False) -> list[str]:
        """Return the names of the invariants that do not hold."""
        return sorted({v.name for v in invariant_violations(self.store.db, liveness=liveness)})

    def count(self, table: str, where: str = "1 = 1") -> int:
        """Return how many rows a table has."""
        count: int = self.store.db.rows(f"SELECT COUNT(*) FROM {table} WHERE {where}")[0][0]  # noqa: S608 - a constant
        return count


def result(value: Sequence[Any] | str, length: int | None = None) -> XComSet:
    """Return the XCom of a return value."""
    size = len(value) if length is None and not isinstance(value, str) else length
    return XComSet(key="return_value", value=XComValue(codec="json", data=repr(value).encode(), size=3, length=size))
