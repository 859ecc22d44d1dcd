"""What goes wrong in what the scheduler remembers and decides."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import msgspec

from windlass.planning import rules
from windlass.planning.runs import DagLimit, choose_runs
from windlass.ports import Changes, Committed, RunFacts, TaskFacts
from windlass.scheduler import calendar, tracked
from windlass.scheduler.progress import Progress
from windlass.scheduler.scheduler import Scheduler
from windlass.scheduler.tracked import TrackedRun
from windlass.spec import TriggerRule
from windlass.states import TaskState
from windlass.store.scheduling import SqlStore
from windlass_testing.simulation.bugs.planting import bug, replace


@bug("workloads are sent before their queueing is committed")
def _send_then_commit(stack: ExitStack) -> None:
    original = Scheduler._commit  # noqa: SLF001 - what is patched

    def commit(self: Scheduler, step: Changes) -> None:
        for admission in step.admissions:
            run = self._owned.running[admission.run]
            self._executor.submit([run.workload(run.tasks[admission.task], admission.ticket)])
        original(self, step)

    replace(stack, Scheduler, "_commit", commit)


@bug("what an expansion returns unlearns what the same step has decided")
def _unlearn_expansion(stack: ExitStack) -> None:
    def take(self: Progress, task: TaskFacts) -> None:
        run = self._owned.running.get(task.run)
        if run is not None:
            known = run.tasks.get(task.id)
            run.expanded([task])
            self._owned.put(run, known, task)

    replace(stack, Progress, "take_expansion", take)


@bug("a run that was cleared keeps the plan it had")
def _keep_counters(stack: ExitStack) -> None:
    original = Progress.track

    def track(self: Progress, facts: RunFacts) -> None:
        if facts.id not in self._owned.running:
            original(self, facts)

    replace(stack, Progress, "track", track)


@bug("what was queued is not sent again after a supervisor's restart")
def _no_resubmission(stack: ExitStack) -> None:
    replace(stack, Scheduler, "_resubmit", lambda _self: None)


@bug("the scheduler does not notice that its changes were refused")
def _conflicts_unnoticed(stack: ExitStack) -> None:
    original = SqlStore.commit

    def commit(self: SqlStore, step: Changes) -> Committed:
        return msgspec.structs.replace(original(self, step), conflicts=frozenset())

    replace(stack, SqlStore, "commit", commit)


@bug("looking for running instances unlearns what the same step has decided")
def _unlearn(stack: ExitStack) -> None:
    def reread(self: Progress, run: TrackedRun) -> None:
        for task in self._store.tasks_of(run.facts.id):
            self.absorb(task)

    replace(stack, Progress, "_reread", reread)


@bug("a decision overtakes one that waits for an expansion")
def _overtaken(stack: ExitStack) -> None:
    original = TrackedRun.find

    def apply(self: Progress, run: int, move: Any, step: Changes) -> None:  # noqa: ANN401 - a planning move
        known = self._owned.running.get(run)
        task: TaskFacts | None = None if known is None else original(known, move.task_id, move.map_index)
        if known is None:
            return
        if task is None:
            self._postponed.setdefault(run, []).append(move)
        else:
            self.move(known, task, move.to, move.reason, step, planned=True)

    replace(stack, Progress, "_apply", apply)


@bug("decisions of a plan outlive it")
def _keep_postponed(stack: ExitStack) -> None:
    original = Progress.track

    def track(self: Progress, facts: RunFacts) -> None:
        kept = self._postponed.get(facts.id)
        original(self, facts)
        if kept is not None:
            self._postponed[facts.id] = kept

    replace(stack, Progress, "track", track)


@bug("any number of a DAG's runs may be active")
def _any_number_of_runs(stack: ExitStack) -> None:
    original = choose_runs

    def choose(queued: Any, running: Any, dags: dict[str, DagLimit], backfills: Any) -> Any:  # noqa: ANN401
        free = {dag: msgspec.structs.replace(limit, max_active_runs=-1) for dag, limit in dags.items()}
        return original(queued, running, free, backfills)

    replace(stack, calendar, "choose_runs", choose)


@bug("a reschedule is charged as a new try")
def _charge_reschedule(stack: ExitStack) -> None:
    new_try = tracked._NEW_TRY | {TaskState.UP_FOR_RESCHEDULE}  # noqa: SLF001 - what is patched
    replace(stack, tracked, "_NEW_TRY", new_try)


@bug("all_success does not wait for what is pending")
def _hasty_rule(stack: ExitStack) -> None:
    clauses = tuple(c for c in rules.RULES[TriggerRule.ALL_SUCCESS] if c.verdict is not rules.Verdict.RUN)
    hasty = {**rules.RULES, TriggerRule.ALL_SUCCESS: (*clauses, rules.Clause(rules.Verdict.RUN))}
    replace(stack, rules, "RULES", hasty)
