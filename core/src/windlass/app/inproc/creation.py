"""Runs of the store in memory: made, let run again for a backfill, or ended before they began."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from windlass.app.inproc.assets import MemoryAssets
from windlass.app.inproc.rows import MemoryRows, Transition
from windlass.errors import DagNotFound
from windlass.planning.dates import tasks_of_run
from windlass.planning.runs import make_run_id
from windlass.ports import BackfillStep, Clock, NewRun, RunFacts, SignalKind, TaskFacts
from windlass.states import Actor, RunState, RunType, TaskState


class MemoryCreation:
    """Makes runs, with their instances."""

    def __init__(self, rows: MemoryRows, clock: Clock, assets: MemoryAssets) -> None:
        self._rows = rows
        self._clock = clock
        self._assets = assets

    def create(self, new: NewRun) -> RunFacts | None:
        """Create a run with its instances, unless it exists."""
        dag = self._rows.dags.get(new.dag_id)
        if dag is None:
            msg = f"DAG `{new.dag_id}` is not known"
            raise DagNotFound(msg)
        logical = new.logical_date
        while new.bump and self._rows.is_taken(new.dag_id, logical):
            logical += timedelta(microseconds=1)
        run_id = new.run_id or make_run_id(new.run_type, logical)
        if not self._assets.all_wait(new.dag_id, new.asset_events):
            return None
        if self._rows.is_taken(new.dag_id, logical) or (new.dag_id, run_id) in self._rows.named:
            return None
        facts = RunFacts(
            id=next(self._rows.ids),
            dag_id=new.dag_id,
            run_id=run_id,
            run_type=new.run_type,
            state=RunState.QUEUED,
            logical_date=logical,
            data_interval_start=new.data_interval_start,
            data_interval_end=new.data_interval_end,
            run_after=new.run_after,
            queued_at=self._clock.now(),
            start_date=None,
            end_date=None,
            spec_version=new.spec_version or dag.spec_version,
            code_version=new.code_version or dag.code_version,
            bundle=dag.bundle,
            file=dag.file,
            generation=0,
            conf=new.conf,
            backfill_id=new.backfill_id,
            interval_pending=new.interval_pending,
        )
        self._rows.add_run(facts)
        self._assets.consume(new.dag_id, new.asset_events, facts.id)
        spec = self._rows.spec(facts.dag_id, facts.spec_version)
        task_ids = tasks_of_run(spec, facts.run_type, facts.logical_date, new.task_ids)
        for task in spec.tasks:
            if task.task_id in task_ids:
                self._rows.create_task(facts.id, task, -1)
        if new.run_type is RunType.SCHEDULED:
            self._rows.dags[new.dag_id] = msgspec.structs.replace(
                dag, last_interval_start=new.data_interval_start, last_interval_end=new.data_interval_end
            )
        self._rows.signal(SignalKind.RUN, run=facts.id)
        return facts

    def run_again(self, run: int, step: BackfillStep) -> None:
        """Make an ended run a run of the backfill, and let its tasks run again."""
        backfill, facts = step.backfill, self._rows.runs[run]
        spec = self._rows.spec(backfill.dag_id, backfill.spec_version)
        wanted = [task.task_id for task in spec.tasks if step.task_ids is None or task.task_id in step.task_ids]
        present = {task.task_id for task in self._rows.tasks_of(run)}
        for task in self._rows.tasks_of(run):
            if task.task_id in wanted and task.state is not TaskState.NONE:
                tries = task.try_number + spec.by_id[task.task_id].retries
                self._leave(task, TaskState.NONE, Actor.CLEAR, "cleared", max_tries=tries)
        for task_id in wanted:
            if task_id not in present:
                self._rows.create_task(run, spec.by_id[task_id], -1)
        self._rows.runs[run] = msgspec.structs.replace(
            facts,
            state=RunState.QUEUED,
            queued_at=self._clock.now(),
            start_date=None,
            end_date=None,
            spec_version=backfill.spec_version,
            code_version=backfill.code_version,
            generation=facts.generation + 1,
            conf=backfill.conf or facts.conf,
            backfill_id=backfill.id,
        )
        self._rows.signal(SignalKind.RUN, run=run)

    def end(self, run: RunFacts, reason: str) -> None:
        """End a run that waits for its start, as failed."""
        for task in self._rows.tasks_of(run.id):
            if not task.state.is_terminal:
                self._leave(task, TaskState.SKIPPED, Actor.MARK, reason)
        self._rows.run_reasons[run.id] = reason
        self._rows.runs[run.id] = msgspec.structs.replace(
            run, state=RunState.FAILED, end_date=self._clock.now(), generation=run.generation + 1
        )
        self._rows.signal(SignalKind.RUN, run=run.id)

    def _leave(self, task: TaskFacts, to: TaskState, actor: Actor, reason: str, **fields: int) -> None:
        after = msgspec.structs.replace(task, state=to, ticket=None, not_before=None, skip_targets=(), **fields)
        number = next(self._rows.ids)
        move = Transition(
            task=task.id, before=task.state, to=to, epoch=task.epoch, actor=actor, op_id=f"by-{number}", reason=reason
        )
        self._rows.transit(after, move)
