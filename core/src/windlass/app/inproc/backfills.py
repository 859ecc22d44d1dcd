"""Backfills of the store in memory, by the contract of the real one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import count

import msgspec

from windlass.app.inproc.creation import MemoryCreation
from windlass.app.inproc.questions import MemoryQuestions
from windlass.app.inproc.rows import MemoryRows
from windlass.planning.runs import make_run_id
from windlass.ports import BackfillFacts, BackfillStep, Clock, NewBackfill, Reuse, RunFacts, SignalKind
from windlass.states import RunState


class MemoryBackfills:
    """All backfills; a run names the one that it belongs to."""

    def __init__(self, rows: MemoryRows, clock: Clock, creation: MemoryCreation, questions: MemoryQuestions) -> None:
        self._rows = rows
        self._clock = clock
        self._creation = creation
        self._questions = questions
        self._backfills: dict[int, BackfillFacts] = {}
        self._numbers = count(1)

    def add(self, new: NewBackfill) -> BackfillFacts:
        """Record a backfill."""
        number = next(self._numbers)
        facts = BackfillFacts(**msgspec.structs.asdict(new), id=number)
        self._backfills[number] = facts
        self._rows.signal(SignalKind.BACKFILL, dag_id=new.dag_id)
        return facts

    def cancel(self, backfill: int) -> None:
        """Make no more runs of a backfill; those that wait for their start fail."""
        self._backfills[backfill] = msgspec.structs.replace(self._backfills[backfill], cancelled_at=self._clock.now())
        for run in [run for run in self._open_runs(backfill) if run.state is RunState.QUEUED]:
            self._creation.end(run, f"backfill {backfill} was cancelled")
        self.complete(backfill)
        self._rows.signal(SignalKind.BACKFILL, dag_id=self._backfills[backfill].dag_id)

    def incomplete(self) -> list[BackfillFacts]:
        """Return the backfills that are not completed."""
        return [facts for number in self._backfills if (facts := self._facts(number)).completed_at is None]

    def get(self, backfill: int) -> BackfillFacts | None:
        """Return one backfill."""
        return self._facts(backfill) if backfill in self._backfills else None

    def runs_at(self, dag_id: str, dates: Sequence[datetime], run_ids: Sequence[str]) -> list[RunFacts]:
        """Return the DAG's runs that have one of these logical dates or ids."""
        mine = [run for run in self._rows.runs.values() if run.dag_id == dag_id]
        return [run for run in mine if run.logical_date in dates or run.run_id in run_ids]

    def advance(self, step: BackfillStep) -> bool:
        """Write a step, unless what it was decided on no longer holds."""
        facts = self._backfills.get(step.backfill.id)
        if facts is None or facts.dealt != step.backfill.dealt or facts.cancelled_at or facts.completed_at:
            return False
        dates = [new.logical_date for new in step.created]
        names = [make_run_id(new.run_type, new.logical_date) for new in step.created]
        if self.runs_at(facts.dag_id, dates, names) or not all(map(self._is_as_found, step.reused)):
            return False
        for new in step.created:
            self._creation.create(new)
        for reuse in step.reused:
            self._creation.run_again(reuse.run, step)
        self._backfills[facts.id] = msgspec.structs.replace(
            facts, dealt=step.dealt, reached=step.reached, intervals=step.intervals
        )
        return True

    def complete(self, backfill: int) -> bool:
        """Note that a backfill has nothing left to do, if that is so."""
        facts = self._facts(backfill)
        unfinished = facts.cancelled_at is None and facts.dealt < facts.intervals
        if facts.completed_at is not None or facts.open_runs or unfinished:
            return False
        self._backfills[backfill] = msgspec.structs.replace(self._backfills[backfill], completed_at=self._clock.now())
        self._questions.forget(-backfill)
        return True

    def _facts(self, backfill: int) -> BackfillFacts:
        return msgspec.structs.replace(self._backfills[backfill], open_runs=len(self._open_runs(backfill)))

    def _open_runs(self, backfill: int) -> list[RunFacts]:
        return [run for run in self._rows.runs.values() if run.backfill_id == backfill and not run.state.is_terminal]

    def _is_as_found(self, reuse: Reuse) -> bool:
        run = self._rows.runs.get(reuse.run)
        return run is not None and (run.generation, run.state) == (reuse.generation, reuse.state)
