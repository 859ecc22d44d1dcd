"""What follows for the runs that are owned: the moves of their tasks, and their ends.

The plans of ``planning`` decide; here their decisions become rows of a step's :class:`~windlass.ports.Changes`, guarded
by what is remembered, and memory takes them over as if they had been written already. Whoever calls
:meth:`Progress.plan` commits the changes, or reads again what was refused.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

import msgspec

from windlass.errors import StoreError
from windlass.planning.decisions import Expand, Move
from windlass.planning.past import past_allows
from windlass.ports import Changes, Rng, RunFacts, RunMove, StopKind, StopRequest, StorePort, TaskFacts
from windlass.scheduler.calendar import Calendar
from windlass.scheduler.owned import WAITING_FOR_TIME, OwnedRuns
from windlass.scheduler.tracked import TrackedRun
from windlass.states import OCCUPYING_STATES, Actor, RunState, RunType, TaskState

log = logging.getLogger(__name__)

#: Why a task instance goes on.
_TIME_IS_UP = {
    TaskState.UP_FOR_RETRY: "its retry delay is over",
    TaskState.UP_FOR_RESCHEDULE: "its next poke is due",
    TaskState.DEFERRED: "its deferral timed out",
}


class Progress:
    """Drives the plans of ``owned``, whose DAGs the ``calendar`` knows."""

    def __init__(self, store: StorePort, rng: Rng, owned: OwnedRuns, calendar: Calendar) -> None:
        self._store = store
        self._rng = rng
        self._owned = owned
        self._calendar = calendar
        #: Runs with tasks that wait for an earlier run, by DAG; and the DAGs of which this step ends tasks or runs.
        self._for_past: dict[str, set[int]] = {}
        self._ending: set[str] = set()
        #: Decisions, by run, that had to wait for the commit of an expansion; none of a run overtakes another.
        self._postponed: dict[int, list[Move]] = {}

    # -- what the store says ------------------------------------------------------------------------------------------

    def track(self, facts: RunFacts) -> None:
        """Make the plan of a running run anew; without its specification it is nobody's."""
        # The new plan decides again what the old one had postponed.
        self._postponed.pop(facts.id, None)
        spec = self._calendar.spec(facts.dag_id, facts.spec_version)
        if spec is None:
            self._owned.forget(facts.id)
        else:
            self._owned.track(facts, spec, self._store.tasks_of(facts.id))

    def absorb(self, task: TaskFacts) -> bool:
        """Take over what the store says of one task instance; return whether an attempt of it has ended."""
        tracked = self._owned.running.get(task.run)
        if tracked is None:
            return False
        known = tracked.tasks.get(task.id)
        if known is None or known.map_index != task.map_index:
            # Another writer made or expanded it: the plan must be built anew.
            self.track(tracked.facts)
            return False
        if tracked.absorb(task):
            self._owned.dirty[task.run] = None
            if task.state.is_terminal:
                self.wake_past(tracked.facts.dag_id)
        self._owned.put(tracked, known, task)
        return known.state in OCCUPYING_STATES and task.state not in OCCUPYING_STATES

    def take_expansion(self, task: TaskFacts) -> None:
        """Take over an instance that the commit has made of a mapped task."""
        tracked = self._owned.running.get(task.run)
        if tracked is None:
            return
        known = tracked.tasks.get(task.id)
        if known is not None and known.map_index == task.map_index:
            return  # it was there before: the rest of the step, which came after the expansion, may have moved it
        tracked.expanded([task])
        self._owned.put(tracked, known, task)

    def forget_dag(self, dag_id: str) -> None:
        """Drop what is remembered of a DAG that is another scheduler's, or nobody's, from now on."""
        for run in [facts.id for facts in self._owned.facts() if facts.dag_id == dag_id]:
            self.forget(run)
        self._for_past.pop(dag_id, None)

    def forget(self, run: int) -> None:
        """Drop what is remembered of a run."""
        self._owned.forget(run)
        self._postponed.pop(run, None)

    def wake_past(self, dag_id: str) -> None:
        """Ask the runs again that wait for an earlier run of this DAG."""
        for run in self._for_past.pop(dag_id, ()):
            self._owned.dirty[run] = None

    def committed(self) -> None:
        """Have the runs ask again that wait for what has ended: they ask the store, which knows it from now on."""
        ending, self._ending = self._ending, set()
        for dag_id in ending:
            self.wake_past(dag_id)

    # -- what was decided elsewhere -----------------------------------------------------------------------------------

    def start(self, facts: RunFacts, now: datetime, changes: Changes) -> None:
        """Let a queued run begin."""
        move = self._run_move(facts, RunState.RUNNING, "started")
        if self._owned.queued[facts.id].interval_pending:
            interval = facts.data_interval_start, facts.data_interval_end
            move = msgspec.structs.replace(move, interval=interval)
        changes.run_moves.append(move)
        changes.generations[facts.id] = facts.generation
        self.track(msgspec.structs.replace(facts, state=RunState.RUNNING, start_date=now))

    def resume(self, run: int, task: int, changes: Changes) -> None:
        """Schedule an instance whose retry delay, reschedule time or deferral timeout is over."""
        tracked = self._owned.running.get(run)
        if tracked is None or tracked.facts.ending is not None:
            return
        facts = tracked.tasks.get(task)
        if facts is not None and facts.state in WAITING_FOR_TIME:
            self.move(tracked, facts, TaskState.SCHEDULED, _TIME_IS_UP[facts.state], changes)

    def time_out(self, run: int, changes: Changes) -> None:
        """Let a run fail that has taken longer than its DAG allows."""
        tracked = self._owned.running.get(run)
        if tracked is not None:
            timeout = tracked.spec.dagrun_timeout
            self._end(tracked, RunState.FAILED, f"the run exceeded its dagrun_timeout of {timeout:g} s", changes)

    def _end(self, tracked: TrackedRun, state: RunState, reason: str, changes: Changes) -> None:
        """Let a run end early: what waits is skipped now, what runs is stopped, and the run ends when all is gone."""
        if tracked.facts.ending is not None:
            return
        move = self._run_move(tracked.facts, tracked.facts.state, reason)
        changes.run_moves.append(msgspec.structs.replace(move, ending=state, actor=Actor.TIMEOUT))
        changes.generations[tracked.facts.id] = tracked.facts.generation
        tracked.facts = msgspec.structs.replace(tracked.facts, ending=state, ending_reason=reason)
        self._reread(tracked)
        for task in list(tracked.tasks.values()):
            if task.state is TaskState.RUNNING:
                self._stop(tracked, task, StopKind.TIMEOUT, changes)
        self._owned.dirty[tracked.facts.id] = None

    def move(
        self,
        tracked: TrackedRun,
        task: TaskFacts,
        to: TaskState,
        reason: str,
        changes: Changes,
        *,
        planned: bool = False,
        actor: Actor = Actor.SCHEDULER,
    ) -> None:
        """Add one transition to the step, and take it over in memory; ``planned``: the plan knows it already."""
        changes.task_moves.append(tracked.task_move(task, to, self._rng.key(), reason, actor))
        changes.generations[tracked.facts.id] = tracked.facts.generation
        self._owned.put(tracked, task, tracked.moved(task, to))
        if to.is_terminal:
            self._ending.add(tracked.facts.dag_id)
        if not planned:
            tracked.plan.update(task.task_id, task.map_index, to)
            self._owned.dirty[tracked.facts.id] = None

    # -- what the plans decide ----------------------------------------------------------------------------------------

    def is_postponed(self, run: int) -> bool:
        """Return whether decisions about a run wait for the commit of an expansion."""
        return run in self._postponed

    @property
    def has_postponed(self) -> bool:
        """Whether the next step has decisions of this one to write."""
        return bool(self._postponed)

    def plan(self, changes: Changes) -> None:
        """Ask every touched plan what follows; conclude the runs that have nothing left."""
        postponed, self._postponed = self._postponed, {}
        dirty, self._owned.dirty = dict.fromkeys([*postponed, *self._owned.dirty]), {}
        for run in dirty:
            tracked = self._owned.running.get(run)
            if tracked is None:
                continue
            try:
                self._advance(tracked, postponed.get(run, ()), changes)
            except StoreError:
                raise
            except Exception:
                log.exception("run %s of DAG %s cannot go on", tracked.facts.run_id, tracked.facts.dag_id)
                self._set_aside(run, changes)

    def _set_aside(self, run: int, changes: Changes) -> None:
        """Let a run that cannot be decided about stand still, and harm no other: none of its changes are written."""
        self.forget(run)
        changes.generations.pop(run, None)
        changes.run_moves = [move for move in changes.run_moves if move.run != run]
        changes.expansions = [expansion for expansion in changes.expansions if expansion.run != run]
        changes.task_moves = [move for move in changes.task_moves if move.run != run]
        changes.stops = [stop for stop in changes.stops if stop.run != run]

    def _advance(self, tracked: TrackedRun, postponed: Sequence[Move], changes: Changes) -> None:
        """Add everything that follows for one run."""
        for move in postponed:
            self._apply(tracked.facts.id, move, changes)
        if tracked.facts.ending is None:
            self._decide(tracked, changes)
            if self._answer_past(tracked):
                self._decide(tracked, changes)
            self._fail_fast(tracked, changes)
        else:
            self._skip_rest(tracked, changes)
        self._conclude(tracked, changes)

    def _decide(self, tracked: TrackedRun, changes: Changes) -> None:
        run = tracked.facts.id
        for decision in tracked.plan.decide():
            if isinstance(decision, Expand):
                changes.expansions.append(tracked.of_expand(decision))
                changes.generations[run] = tracked.facts.generation
            else:
                self._apply(run, decision, changes)

    def _apply(self, run: int, move: Move, changes: Changes) -> None:
        """Write down a decision of a plan; one about an instance without a row yet waits for its expansion.

        So do all that follow it, since they may have been decided because of it.
        """
        tracked = self._owned.running.get(run)
        if tracked is None:
            return
        task = tracked.find(move.task_id, move.map_index)
        if task is None or run in self._postponed:
            self._postponed.setdefault(run, []).append(move)
        else:
            self.move(tracked, task, move.to, move.reason, changes, planned=True)

    def _answer_past(self, tracked: TrackedRun) -> bool:
        """Tell the plan what became of the tasks it waits for in the run before; return whether any may go on."""
        any_allowed = False
        for task_id, map_index in tracked.plan.waiting_for_past():
            previous = self._store.previous(tracked.facts.id, task_id, map_index, scheduled_only=tracked.spec.catchup)
            allowed = past_allows(tracked.spec.by_id[task_id], previous)
            tracked.plan.set_past(task_id, map_index, allowed)
            any_allowed = any_allowed or allowed
            if not allowed:
                self._for_past.setdefault(tracked.facts.dag_id, set()).add(tracked.facts.id)
        return any_allowed

    def _fail_fast(self, tracked: TrackedRun, changes: Changes) -> None:
        if not tracked.plan.to_stop():
            return
        self._reread(tracked)
        for key in tracked.plan.to_stop():
            task = tracked.tasks[tracked.ids[key]]
            if task.state is TaskState.RUNNING:
                self._stop(tracked, task, StopKind.FAIL_FAST, changes)
            else:
                self.move(tracked, task, TaskState.SKIPPED, "fail_fast: another task of the run failed", changes)

    def _stop(self, tracked: TrackedRun, task: TaskFacts, kind: StopKind, changes: Changes) -> None:
        changes.stops.append(StopRequest(task=task.id, run=task.run, lease_id=task.lease_id or "", kind=kind))
        changes.generations[task.run] = tracked.facts.generation

    def _reread(self, tracked: TrackedRun) -> None:
        """Learn which queued instances run by now: a claim rings for nobody, as only a stop needs to know.

        What this step has decided about the others is not in the store yet and must not be unlearned.
        """
        for task in self._store.tasks_of(tracked.facts.id):
            known = tracked.tasks.get(task.id)
            if known is not None and known.state is TaskState.QUEUED:
                self.absorb(task)

    def _skip_rest(self, tracked: TrackedRun, changes: Changes) -> None:
        """Skip everything of an ending run that has no process."""
        reason = tracked.facts.ending_reason or "the run was ended"
        for task in list(tracked.tasks.values()):
            if not task.state.is_terminal and task.state is not TaskState.RUNNING:
                self.move(tracked, task, TaskState.SKIPPED, reason, changes, actor=Actor.TIMEOUT)

    def _conclude(self, tracked: TrackedRun, changes: Changes) -> None:
        conclusion = None if tracked.facts.id in self._postponed else tracked.plan.conclusion()
        if conclusion is None:
            return
        if not tracked.plan.is_finished:  # nothing can move any more: a deadlock
            self._end(tracked, conclusion.state, conclusion.reason, changes)
            self._skip_rest(tracked, changes)
        facts = tracked.facts
        state, reason = facts.ending or conclusion.state, facts.ending_reason or conclusion.reason
        if conclusion.state is RunState.FAILED and state is RunState.SUCCESS:
            # It was marked success, and then a task of it was marked failed.
            state, reason = conclusion.state, conclusion.reason
        move = self._run_move(facts, state, reason)
        if state is RunState.FAILED and facts.run_type is not RunType.BACKFILL:
            move = msgspec.structs.replace(move, pauses_after=self._calendar.failures_limit(facts))
        changes.run_moves.append(move)
        changes.generations[facts.id] = facts.generation
        self._owned.forget(facts.id)
        self._calendar.run_ended(facts)
        self._ending.add(facts.dag_id)

    def _run_move(self, facts: RunFacts, to: RunState, reason: str) -> RunMove:
        return RunMove(
            run=facts.id, before=facts.state, to=to, actor=Actor.SCHEDULER, op_id=self._rng.key(), reason=reason
        )
