"""What simulated DAGs have to do with time besides a plain schedule: a plugin's timetable, deadlines, a failure limit.

The timetable is a grid that a plugin could have written; here it is known, so that every answer in the database and
every run made of one can be held against the truth.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import msgspec

from windlass.interfaces.timetable import DagRunInfo, DataInterval, TimeRestriction, Timetable
from windlass.planning.paging import page_of
from windlass.protocol import Finish, Outcome, TimetableAnswer, TimetablePage, TimetableQuestion, XComSet, XComValue
from windlass.protocol.timetables import encode_answer
from windlass.spec import CustomTimetableSpec, DagSpec, DeadlineSpec, DeltaIntervalSpec, Reference
from windlass_testing.simulation.processes import Process
from windlass_testing.simulation.world import InvariantBroken, World

NAME = "sim.Grid"


def with_time(source: random.Random, spec: DagSpec) -> DagSpec:
    """Return the DAG with some of these."""
    if isinstance(spec.schedule, DeltaIntervalSpec) and source.random() < 0.4:
        data = {"seconds": spec.schedule.delta.seconds}
        spec = msgspec.structs.replace(spec, schedule=CustomTimetableSpec(name=NAME, data=data), catchup=True)
    if source.random() < 0.15:
        spec = msgspec.structs.replace(spec, max_consecutive_failed_dag_runs=source.choice((1, 2)))
    if source.random() < 0.25:
        deadlines = tuple(
            DeadlineSpec(reference=reference, interval=source.uniform(5.0, 120.0))
            for reference in source.choices((Reference.QUEUED_AT, Reference.LOGICAL_DATE), k=source.choice((1, 2)))
        )
        spec = msgspec.structs.replace(spec, deadlines=deadlines)
    return spec


def grid_seconds(spec: DagSpec) -> float | None:
    """Return the length of the DAG's intervals, None if its schedule is no grid."""
    match spec.schedule:
        case DeltaIntervalSpec(delta=delta):
            return delta.seconds
        case CustomTimetableSpec(data=data):
            return float(data["seconds"])
    return None


class _Grid(Timetable):
    """The timetable itself."""

    def __init__(self, seconds: float) -> None:
        self._step = timedelta(seconds=seconds)

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        last = last_automated_data_interval
        start = restriction.earliest if last is None else last.end
        return None if start is None else DagRunInfo.interval(start, start + self._step)

    def infer_manual_data_interval(self, *, run_after: datetime) -> DataInterval:
        return DataInterval(run_after - self._step, run_after)


def true_answer(question: TimetableQuestion) -> TimetableAnswer | TimetablePage | None:
    """Return what the timetable answers."""
    if question.limit:
        return page_of(_Grid(question.data["seconds"]), question)
    step = timedelta(seconds=question.data["seconds"])
    if question.run:
        return TimetableAnswer(run_after=question.now, start=question.now - step, end=question.now)
    start = question.last_end or question.earliest
    if start is None or question.latest is None or start > question.latest:
        return None
    return TimetableAnswer(run_after=start + step, start=start, end=start + step)


class Answering:
    """Has simulated children answer, or fail to; and sees to it that a ticket is good for its own question only."""

    def __init__(self, world: World) -> None:
        self._world = world
        #: The question that each ticket was made for.
        self._sent: dict[str, TimetableQuestion] = {}
        self._claimed: set[str] = set()

    def sent(self, ticket: str, question: TimetableQuestion | None) -> None:
        """Note that a ticket was handed out; what it is for must have been committed."""
        if question is None and ticket not in self._sent:
            raise InvariantBroken("1 commit, then send", f"ticket {ticket[:6]} of a question is in no row")
        if question is not None:
            self._sent.setdefault(ticket, question)

    def duration(self) -> float:
        """Return how long the timetable takes; now and then longer than it may."""
        return 60.0 if self._world.chance(0.1) else self._world.random.uniform(0.0, 2.0)

    def claimed(self, process: Process) -> None:
        """Check that a process was given the question of its ticket."""
        if process.workload.ticket in self._claimed:
            raise InvariantBroken("19 a ticket is claimed once", process.name)
        self._claimed.add(process.workload.ticket)
        question = None if process.claimed is None else process.claimed.context.question
        if question != self._sent.get(process.workload.ticket):
            raise InvariantBroken("19 a ticket is for one question", f"{process.name} was given {question}")

    def end(self, process: Process) -> None:
        """Have the child say what it says."""
        question = None if process.claimed is None else process.claimed.context.question
        if question is None:
            return
        now = self._world.now()
        answer = true_answer(question)
        outcome, reason = Outcome.SUCCESS, None
        if self._world.chance(0.1):
            outcome, reason = Outcome.FAIL, "raised ValueError: simulated"
        elif isinstance(answer, TimetablePage) and answer.runs and self._world.chance(0.2):
            answer = TimetablePage(runs=(*answer.runs, answer.runs[-1]), is_last=answer.is_last)  # one of them twice
        elif self._world.chance(0.1):
            answer = TimetableAnswer(run_after=now, start=now, end=now - timedelta(days=1))
        value = XComValue(codec="json", data=encode_answer(answer))
        process.xcoms = (XComSet(key="answer", value=value),) if outcome is Outcome.SUCCESS else ()
        process.ending = Finish(outcome=outcome, started_at=now, ended_at=now, reason=reason)
