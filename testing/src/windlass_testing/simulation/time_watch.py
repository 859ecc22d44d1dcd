"""Watches what the database says about time: answers of timetables, missed deadlines, DAGs that pause themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from windlass.protocol.timetables import decode_answer, decode_page, decode_question
from windlass.spec import CustomTimetableSpec, DagSpec, Reference
from windlass.store.database import Database
from windlass.store.instants import SECOND
from windlass_testing.simulation.timetables import grid_seconds, true_answer
from windlass_testing.simulation.world import InvariantBroken, World

_ANSWERED: Final = "SELECT question, answer FROM timetable_question WHERE answered_at IS NOT NULL"
_OPEN: Final = (
    "SELECT COUNT(*) FROM timetable_question q JOIN dag d ON d.dag_id = q.dag_id"
    " LEFT JOIN run r ON r.id = q.run WHERE q.answered_at IS NULL AND (q.run < 0 OR (d.paused = 0"
    " AND (q.run = 0 OR (r.state = 'queued' AND r.interval_pending = 1))))"
)
_INTERVAL: Final = "SELECT logical_date, interval_start, interval_end, run_type FROM run WHERE id = :run"
_PAUSED: Final = "SELECT paused FROM dag WHERE dag_id = :dag_id"
_MISSES: Final = "SELECT run, position, due_at, missed_at FROM deadline_miss"
_TIMES: Final = (
    "SELECT r.id, r.dag_id, r.logical_date, r.queued_at, r.state, r.end_date,"
    " (SELECT COUNT(*) FROM run_transition x WHERE x.run = r.id AND x.actor <> 'scheduler') FROM run r"
)
#: How long a step of the scheduler may take from its look at the clock to its commit, frozen as it may be.
_SLOWEST_STEP: Final = 200 * SECOND
_ENDED: Final = ("success", "failed")


class Run(Protocol):
    """What is needed of the observer's view of a run."""

    @property
    def id(self) -> int:
        """The id of its row."""

    @property
    def dag_id(self) -> str:
        """Its DAG."""

    @property
    def run_type(self) -> str:
        """Why it was made."""

    @property
    def state(self) -> str:
        """Its state."""

    @property
    def logical_date(self) -> int:
        """Its logical date."""


class TimeWatch:
    """Checks against the truth, which the simulation knows."""

    def __init__(self, world: World, database: Database, specs: dict[str, DagSpec]) -> None:
        self._world = world
        self._database = database
        self._specs = specs
        self._has_timetable = any(isinstance(spec.schedule, CustomTimetableSpec) for spec in specs.values())
        self._has_deadlines = any(spec.deadlines for spec in specs.values())
        self._checked: list[tuple[object, ...]] = []
        #: When an answer came last, or was made use of.
        self.moved_at = 0.0

    def look(self) -> None:
        """Check the answers after a commit: each is to the very question in its row."""
        if not self._has_timetable:
            return
        rows = self._database.rows(_ANSWERED)
        if rows == self._checked:
            return
        self._checked = rows
        self.moved_at = self._world.time
        for question, answer in rows:
            asked = decode_question(question)
            said = decode_page(answer) if asked.limit else decode_answer(answer)
            if said != true_answer(asked):
                raise InvariantBroken("19 an answer is to its question", f"{asked} was answered with {answer}")

    def moved(self, run: Run, runs: Mapping[int, Run]) -> None:
        """Check a run that has just changed its state: its interval when it starts, its DAG when it has failed."""
        spec = self._specs[run.dag_id]
        if run.state == "running" and isinstance(spec.schedule, CustomTimetableSpec):
            date, start, end, kind = self._database.rows(_INTERVAL, {"run": run.id})[0]
            length = int((grid_seconds(spec) or 0.0) * SECOND)
            expected = (date - length, date) if kind == "manual" else (date, date + length)
            if (start, end) != expected:
                raise InvariantBroken("19 interval", f"run {run.id} ({kind}) starts with [{start}, {end})")
        limit = spec.max_consecutive_failed_dag_runs
        if run.state == "failed" and limit and run.run_type != "backfill":
            ended = [
                other
                for other in runs.values()
                if other.dag_id == run.dag_id and other.state in _ENDED and other.run_type != "backfill"
            ]
            latest = sorted(ended, key=lambda other: other.logical_date, reverse=True)[:limit]
            failed = len(latest) == limit and all(other.state == "failed" for other in latest)
            if failed and not self.is_paused(run.dag_id):
                raise InvariantBroken("22 failures pause", f"the last {limit} runs of {run.dag_id} failed")

    def is_paused(self, dag_id: str) -> bool:
        """Return whether a DAG is paused now."""
        return bool(self._database.rows(_PAUSED, {"dag_id": dag_id})[0][0])

    def is_asking(self) -> bool:
        """Return whether some timetable has yet to answer."""
        return self._has_timetable and self._database.rows(_OPEN)[0][0] > 0

    def check_end(self) -> None:
        """Check that every run that was late has missed its deadlines, and no other has."""
        if not self._has_deadlines:
            return
        missed = {(run, position): (due, at) for run, position, due, at in self._database.rows(_MISSES)}
        now = self._database.now()
        # A step that was frozen over a jump of the calendar has looked at the clock before it.
        patience = _SLOWEST_STEP + int(self._world.jumped * SECOND)
        for run, dag_id, logical_date, queued_at, state, end_date, meddled in self._database.rows(_TIMES):
            for position, deadline in enumerate(self._specs[dag_id].deadlines):
                noted = missed.pop((run, position), None)
                until = end_date if state in _ENDED else now
                if noted is not None and noted[1] > until:
                    raise InvariantBroken("18 deadline", f"run {run} missed deadline {position} after its end")
                if meddled:  # a clear or a mark moves what a deadline counts from, or ends a run at any time
                    continue
                start = logical_date if deadline.reference is Reference.LOGICAL_DATE else queued_at
                due = start + int(deadline.interval * SECOND)
                if noted is None and until > due + patience:
                    raise InvariantBroken("18 deadline", f"run {run} was late for deadline {position}, unnoticed")
                if noted is not None and (noted[0] > noted[1] or abs(noted[0] - due) > SECOND):
                    raise InvariantBroken("18 deadline", f"run {run} has missed deadline {position} at {noted}")
