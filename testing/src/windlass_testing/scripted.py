"""A whole engine in memory whose tasks do what a test says: the real scheduler and planning on a virtual clock.

No process is started and no author code runs, so a test of scheduling says in a few lines what every attempt does,
and thousands of task instances take a second.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from windlass.app.clocks import SeededRng, VirtualClock
from windlass.app.inproc.gateway import MemoryGateway
from windlass.app.inproc.memory import MemoryStore
from windlass.errors import DagNotFound, RunExists
from windlass.planning.backfill import count_intervals
from windlass.planning.endings import RESULT_KEY
from windlass.ports import (
    BackfillFacts,
    Claim,
    Claimed,
    Fired,
    Gateway,
    NewBackfill,
    NewRun,
    Report,
    RunFacts,
    StopRequest,
    WaitKey,
    Workload,
    WorkloadKind,
)
from windlass.protocol import (
    AssetEvent,
    AttemptContext,
    Defer,
    Finish,
    Outcome,
    TimetableAnswer,
    TimetablePage,
    TimetableQuestion,
    XComSet,
    XComValue,
)
from windlass.protocol.timetables import encode_answer
from windlass.scheduler import Scheduler, SchedulerSettings
from windlass.spec import DagSpec
from windlass.states import RunType

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class Result:
    """What a task does: its outcome, how long its list is, what it skips and updates; or that it defers."""

    outcome: Outcome = Outcome.SUCCESS
    length: int | None = None
    skips: tuple[str, ...] = ()
    updates: tuple[AssetEvent, ...] = ()
    defers: bool = False
    #: Of the deferral, in seconds.
    timeout: float | None = None


#: What the attempt of a workload does, by its try number.
Script = Callable[[Workload, int], Result]


def _nothing(_name: str) -> None:
    """Know no connection and no variable."""


#: What a plugin's timetable answers; raising is what a timetable that raises does.
TimetableScript = Callable[[TimetableQuestion], TimetableAnswer | TimetablePage | None]


def _no_run(_question: TimetableQuestion) -> None:
    """Want no run."""


def _succeed(_workload: Workload, _try_number: int) -> Result:
    return Result()


@dataclass
class ScriptedExecutor:
    """Runs nothing: claims and reports what the script says, one workload at a time."""

    gateway: Gateway
    clock: VirtualClock
    parallelism: int = 32
    backlog: int = 0
    script: Script = _succeed
    timetable: TimetableScript = _no_run
    #: The questions that timetables were asked, in order.
    questions: list[TimetableQuestion] = field(default_factory=list)
    waiting: deque[Workload] = field(default_factory=deque)
    running: dict[str, Claimed] = field(default_factory=dict)
    stopped: list[StopRequest] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    #: The waits of what has deferred, oldest first.
    deferred: list[WaitKey] = field(default_factory=list)
    #: Every context that an attempt was given.
    contexts: list[AttemptContext] = field(default_factory=list)

    def submit(self, workloads: Sequence[Workload]) -> None:
        """Queue the workloads until the test lets them run."""
        self.waiting.extend(workloads)

    def stop(self, requests: Sequence[StopRequest]) -> None:
        """Keep the requests for the test to see."""
        self.stopped.extend(requests)

    def prepare(self, code_versions: Sequence[tuple[str, str, str]]) -> None:
        """Nothing is to be prepared."""

    def lost_contact(self) -> bool:
        """Contact is never lost."""
        return False

    def claim(self) -> tuple[Workload, Claimed] | None:
        """Start the next workload; None if its claim is refused."""
        work = self.waiting.popleft()
        claim = Claim(task=work.id, epoch=work.epoch, ticket=work.ticket, pid=1, hostname="h", kind=work.kind)
        [claimed] = self.gateway.claim([claim], "s")
        if claimed is None:
            return None
        self.contexts.append(claimed.context)
        if work.kind is WorkloadKind.TIMETABLE:
            return work, claimed
        self.started.append(work.task_id if work.map_index < 0 else f"{work.task_id}[{work.map_index}]")
        return work, claimed

    def finish(self, work: Workload, claimed: Claimed, result: Result) -> bool:
        """End an attempt as ``result`` says; return whether the report was accepted."""
        now = self.clock.now()
        value = XComValue(codec="json", data=b"[]", length=result.length)
        ending: Finish | Defer = Finish(
            outcome=result.outcome,
            started_at=now,
            ended_at=now,
            skip_targets=result.skips,
            outlets=result.updates,
        )
        if result.defers:
            ending = Defer(
                trigger="t.T",
                trigger_kwargs=value,
                method="resume",
                kwargs=value,
                timeout=result.timeout,
                started_at=now,
                ended_at=now,
            )
            self.deferred.append((work.id, work.epoch))
        report = Report(
            task=work.id,
            lease_id=claimed.lease_id,
            epoch=work.epoch,
            op_id=f"op-{claimed.lease_id}",
            ending=ending,
            xcoms=() if result.length is None else (XComSet(key=RESULT_KEY, value=value),),
        )
        return self.gateway.report([report], "s")[0]

    def fire(self, wait: WaitKey, failure: str | None = None) -> bool:
        """Send the event of a wait, or why there is none; return whether it was live."""
        event = None if failure is not None else XComValue(codec="json", data=b'"event"')
        return self.gateway.fire([Fired(task=wait[0], epoch=wait[1], event=event, failure=failure)], "s")[0]

    def answer(self, work: Workload, claimed: Claimed) -> bool:
        """Answer a question to a timetable; return whether the answer was taken."""
        question = claimed.context.question
        if question is None:
            raise AssertionError("a workload for a timetable has no question")
        self.questions.append(question)
        now, outcome, reason = self.clock.now(), Outcome.SUCCESS, None
        xcoms: tuple[XComSet, ...] = ()
        try:
            data = encode_answer(self.timetable(question))
            xcoms = (XComSet(key="answer", value=XComValue(codec="json", data=data)),)
        except Exception as error:  # noqa: BLE001 - as the child does
            outcome, reason = Outcome.FAIL, f"raised {type(error).__name__}: {error}"
        report = Report(
            task=work.id,
            lease_id=claimed.lease_id,
            epoch=work.epoch,
            op_id=f"op-{claimed.lease_id}",
            ending=Finish(outcome=outcome, started_at=now, ended_at=now, reason=reason),
            xcoms=xcoms,
            kind=work.kind,
        )
        return self.gateway.report([report], "s")[0]

    def run_one(self) -> None:
        """Run the next workload by the script."""
        taken = self.claim()
        if taken is None:
            return
        work, claimed = taken
        if work.kind is WorkloadKind.TIMETABLE:
            self.answer(work, claimed)
        else:
            self.finish(work, claimed, self.script(work, claimed.context.try_number))


class ScriptedEngine:
    """The engine, its clock, and what a test does with them."""

    settings = SchedulerSettings()

    def __init__(self) -> None:
        self.clock = VirtualClock(START)
        self.rng = SeededRng(1)
        self.store = MemoryStore(self.clock)
        gateway = MemoryGateway(self.store, self.rng, _nothing, _nothing)
        self.executor = ScriptedExecutor(gateway, self.clock)
        self.scheduler = self.new_scheduler()

    def new_scheduler(self) -> Scheduler:
        """Return a scheduler that knows nothing yet, as after a restart."""
        return Scheduler(self.store, self.executor, self.clock, self.rng, self.settings)

    def add(self, spec: DagSpec, *, paused: bool = False) -> None:
        """Store a DAG."""
        self.store.add_dag(spec, paused=paused)

    def trigger(self, dag_id: str, *, interval_pending: bool = False, **conf: object) -> RunFacts:
        """Create a manual run now; with ``interval_pending`` its data interval is the timetable's to say."""
        now = self.clock.now()
        run = self.store.create_run(
            NewRun(
                dag_id=dag_id,
                run_type=RunType.MANUAL,
                logical_date=now,
                data_interval_start=now,
                data_interval_end=now,
                run_after=now,
                conf=conf,
                bump=True,
                interval_pending=interval_pending,
            )
        )
        if run is None:
            raise RunExists(f"DAG `{dag_id}` has a run at {now.isoformat()} already")
        return run

    def update(self, uri: str, *, alias: str | None = None, **extra: object) -> None:
        """Record an event of an asset from outside, a millisecond after what went before."""
        self.clock.advance(0.001)
        self.store.record_asset_event(AssetEvent(uri=uri, alias=alias, extra=extra))

    def runs_of(self, dag_id: str) -> list[RunFacts]:
        """Return the runs of a DAG in the order of their creation."""
        return sorted((run for run in self.store.runs() if run.dag_id == dag_id), key=lambda run: run.id)

    def backfill(self, dag_id: str, first: datetime, last: datetime, **fields: Any) -> BackfillFacts:
        """Record a backfill of the intervals from ``first`` to ``last``."""
        dag = self.store.dag(dag_id)
        if dag is None:
            raise DagNotFound(f"DAG `{dag_id}` is not known")
        now = self.clock.now()
        new = NewBackfill(
            dag_id=dag_id,
            from_date=first,
            to_date=last,
            spec_version=dag.spec_version,
            code_version=dag.code_version,
            intervals=count_intervals(self.store.spec(dag_id, dag.spec_version), first, last, now=now),
            **{"max_active_runs": 2, "created_by": "ann", "created_at": now, **fields},
        )
        return self.store.add_backfill(new)

    def runs_of_backfill(self, backfill: BackfillFacts) -> list[RunFacts]:
        """Return the runs of a backfill, by logical date."""
        mine = [run for run in self.store.runs() if run.backfill_id == backfill.id]
        return sorted(mine, key=lambda run: run.logical_date)

    def settle(self) -> float:
        """Run everything that can run now; return the pause the scheduler asks for."""
        for _ in range(10_000):
            pause = self.scheduler.step()
            if self.executor.waiting:
                self.executor.run_one()
            elif not self.store.signals() and pause > 0:
                return pause
        raise AssertionError("the scheduler does not come to rest: it still wants to go on after 10,000 steps")

    def pass_time(self, amount: timedelta) -> None:
        """Let time pass, with a step whenever the scheduler wants one."""
        end = self.clock.now() + amount
        while self.clock.now() < end:
            pause = self.settle()
            self.clock.advance(min(pause, (end - self.clock.now()).total_seconds()))
        self.settle()

    def states(self, run: RunFacts) -> dict[str, str]:
        """Return the states of a run's instances, as ``task`` or ``task[index]``."""
        return {
            task.task_id if task.map_index < 0 else f"{task.task_id}[{task.map_index}]": str(task.state)
            for task in self.store.tasks_of(run.id)
        }

    def state(self, run: RunFacts) -> str:
        """Return the state of a run."""
        return next(str(found.state) for found in self.store.runs() if found.id == run.id)
