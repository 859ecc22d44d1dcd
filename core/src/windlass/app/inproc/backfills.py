"""Backfills of the store in memory, by the contract of the real one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from itertools import count

import msgspec

from windlass.app.inproc.questions import MemoryQuestions
from windlass.planning.runs import make_run_id
from windlass.ports import BackfillFacts, BackfillStep, Clock, NewBackfill, NewRun, Reuse, RunFacts, Signal, SignalKind
from windlass.states import RunState


class MemoryBackfills(ABC):
    """The part of the MemoryStore that keeps backfills."""

    clock: Clock
    questions: MemoryQuestions
    _runs: dict[int, RunFacts]
    _signals: dict[int, Signal]

    def __init__(self) -> None:
        self._backfills: dict[int, BackfillFacts] = {}
        self._backfill_ids = count(1)

    # -- what a test or a simulation puts in --------------------------------------------------------------------------

    def add_backfill(self, new: NewBackfill) -> BackfillFacts:
        """Record a backfill."""
        number = next(self._backfill_ids)
        facts = BackfillFacts(**msgspec.structs.asdict(new), id=number)
        self._backfills[number] = facts
        self._signal(SignalKind.BACKFILL, dag_id=new.dag_id)
        return facts

    def cancel_backfill(self, backfill: int) -> None:
        """Make no more runs of a backfill; those that wait for their start fail."""
        self._backfills[backfill] = msgspec.structs.replace(self._backfills[backfill], cancelled_at=self.clock.now())
        for run in [run for run in self._open_runs(backfill) if run.state is RunState.QUEUED]:
            self._end_run(run, f"backfill {backfill} was cancelled")
        self.complete_backfill(backfill)
        self._signal(SignalKind.BACKFILL, dag_id=self._backfills[backfill].dag_id)

    # -- StorePort ----------------------------------------------------------------------------------------------------

    def backfills(self) -> list[BackfillFacts]:
        """Return the backfills that are not completed."""
        return [facts for number in self._backfills if (facts := self._facts(number)).completed_at is None]

    def backfill(self, backfill: int) -> BackfillFacts | None:
        """Return one backfill."""
        return self._facts(backfill) if backfill in self._backfills else None

    def runs_at(self, dag_id: str, dates: Sequence[datetime], run_ids: Sequence[str]) -> list[RunFacts]:
        """Return the DAG's runs that have one of these logical dates or ids."""
        mine = [run for run in self._runs.values() if run.dag_id == dag_id]
        return [run for run in mine if run.logical_date in dates or run.run_id in run_ids]

    def advance_backfill(self, step: BackfillStep) -> bool:
        """Write a step, unless what it was decided on no longer holds."""
        facts = self._backfills.get(step.backfill.id)
        if facts is None or facts.dealt != step.backfill.dealt or facts.cancelled_at or facts.completed_at:
            return False
        dates = [new.logical_date for new in step.created]
        names = [make_run_id(new.run_type, new.logical_date) for new in step.created]
        if self.runs_at(facts.dag_id, dates, names) or not all(map(self._is_as_found, step.reused)):
            return False
        for new in step.created:
            self.create_run(new)
        for reuse in step.reused:
            self._run_again(reuse.run, step)
        self._backfills[facts.id] = msgspec.structs.replace(
            facts, dealt=step.dealt, reached=step.reached, intervals=step.intervals
        )
        return True

    def complete_backfill(self, backfill: int) -> bool:
        """Note that a backfill has nothing left to do, if that is so."""
        facts = self._facts(backfill)
        unfinished = facts.cancelled_at is None and facts.dealt < facts.intervals
        if facts.completed_at is not None or facts.open_runs or unfinished:
            return False
        self._backfills[backfill] = msgspec.structs.replace(self._backfills[backfill], completed_at=self.clock.now())
        self.questions.forget(-backfill)
        return True

    # -- details ------------------------------------------------------------------------------------------------------

    def _facts(self, backfill: int) -> BackfillFacts:
        return msgspec.structs.replace(self._backfills[backfill], open_runs=len(self._open_runs(backfill)))

    def _open_runs(self, backfill: int) -> list[RunFacts]:
        return [run for run in self._runs.values() if run.backfill_id == backfill and not run.state.is_terminal]

    def _is_as_found(self, reuse: Reuse) -> bool:
        run = self._runs.get(reuse.run)
        return run is not None and (run.generation, run.state) == (reuse.generation, reuse.state)

    # -- what the store itself has ------------------------------------------------------------------------------------

    @abstractmethod
    def create_run(self, new: NewRun) -> RunFacts | None:
        """Create a run with its instances, unless it exists."""

    @abstractmethod
    def _run_again(self, run: int, step: BackfillStep) -> None:
        """Make an ended run a run of the backfill, and let its tasks run again."""

    @abstractmethod
    def _end_run(self, run: RunFacts, reason: str) -> None:
        """End a run that waits for its start, as failed."""

    @abstractmethod
    def _signal(self, kind: SignalKind, *, dag_id: str = "", run: int = 0, task: int = 0) -> None:
        """Put a row into the inbox."""
