"""``windlass explain``: the tree of a DAG, of one of its runs, or of a task of the run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from windlass.control.alive import Alive
from windlass.control.assets import Assets
from windlass.control.dags import Dags
from windlass.control.explain.awaited import Awaited
from windlass.control.explain.commands import SERVE, windlass
from windlass.control.explain.filling import standing
from windlass.control.explain.instances import NAMED, Instances
from windlass.control.explain.snapshot import Snapshot
from windlass.control.explain.starts import Starts
from windlass.control.runs import Runs
from windlass.control.tasks import Tasks
from windlass.control.views import Cause, Explanation
from windlass.control.visibility import Visible, everything
from windlass.errors import UsageError
from windlass.moment import iso
from windlass.planning.calendar import active_runs_limit, is_asked
from windlass.ports import BackfillFacts, Clock, RunFacts
from windlass.spec import AssetScheduleSpec, DagSpec, NullSpec
from windlass.states import RunState, RunType
from windlass.store import Store
from windlass.store.queries import DagRow as StoredDag

#: Which remedy to begin with: what everything else needs, then what costs a word, then what costs work.
_ORDER: Final = (
    "no_scheduler", "no_supervisor", "dead_lease", "paused", "pool_too_small", "no_pool", "pool", "parallelism",
    "max_active_tasks", "max_active_tis_per_dag", "max_active_tis_per_dagrun", "max_active_runs", "retry_delay",
    "no_schedule", "schedule_ended", "asset", "custom_timetable", "depends_on_past", "ended", "stale", "import_error",
    "backfill", "running", "reason",
)  # fmt: skip


class Explain:
    """The query behind ``windlass explain``."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        dags: Dags,
        runs: Runs,
        tasks: Tasks,
        assets: Assets,
        alive: Alive,
        parallelism: int,
    ) -> None:
        self._store = store
        self._clock = clock
        self._dags = dags
        self._runs = runs
        self._tasks = tasks
        self._alive = alive
        self._instances = Instances(store, clock, alive, parallelism)
        self._starts = Starts(store, dags, runs, self._instances)
        self._awaited = Awaited(store, assets)

    def __call__(
        self,
        dag_id: str,
        run_id: str | None = None,
        task_id: str | None = None,
        map_index: int = -1,
        *,
        visible: Visible = everything,
    ) -> Explanation:
        """Return why a DAG, one of its runs, or a task of the run has not run.

        :raises DagNotFound, RunNotFound, TaskNotFound: if there is no such thing.
        """
        if run_id is None:
            if task_id is not None:
                raise UsageError("a task is explained within a run; name the run as well")
            return _rooted(self._dag(dag_id, visible), self._server())
        run = self._runs.find(dag_id, run_id, visible=visible)
        if task_id is not None:
            self._tasks.find(dag_id, run_id, task_id, map_index, visible=visible)
        snapshot = Snapshot(self._store, run)
        if task_id is None:
            before = [] if run.state.is_terminal else self._server()
            return _rooted(self._starts.explain(snapshot), before, self._backfill_of(run))
        task = snapshot.facts[task_id, map_index]
        node = self._instances.explain(snapshot, task)
        if task.state.is_terminal:
            return _rooted(node, [])
        before = self._server()
        if run.state is RunState.QUEUED:
            start = tuple(self._starts.not_started(run))
            before.append(Cause(fact=f"its run {run_id!r} has not started", kind="run", causes=start))
        return _rooted(node, before)

    def _standing(self, facts: BackfillFacts, *, stale: bool) -> Cause:
        asked = self._store.questions.asked(facts.dag_id, -facts.id)
        return standing(facts, stale=stale, error=None if asked is None else asked.error)

    def _backfill_of(self, run: RunFacts) -> list[Cause]:
        """Return where the backfill stands to which a run belongs that waits for its start."""
        if run.backfill_id is None or run.state is not RunState.QUEUED:
            return []
        facts = self._store.scheduler.backfill(run.backfill_id)
        return [] if facts is None else [self._standing(facts, stale=self._store.queries.dag(run.dag_id).stale)]

    def _server(self) -> list[Cause]:
        if self._alive.scheduler() or self._alive.of(self._store.schedulers.living()):
            return []
        return [Cause(fact="no scheduler is running", kind="no_scheduler", remedy=SERVE)]

    # -- a DAG ----------------------------------------------------------------------------------------------------

    def _dag(self, dag_id: str, visible: Visible) -> Cause:
        dag, spec = self._dags.find(dag_id, visible=visible)
        causes = self._file(dag)
        if dag.paused:
            causes.append(self._starts.paused(dag))
        open_backfills = [facts for facts in self._store.scheduler.backfills() if facts.dag_id == dag_id]
        causes += [self._standing(facts, stale=dag.stale) for facts in open_backfills]
        open_runs = [run for run in self._store.scheduler.open_runs() if run.dag_id == dag_id]
        waiting = [
            run for run in open_runs if run.state is RunState.RUNNING or not dag.paused or run.backfill_id is not None
        ]
        causes += [self._starts.explain(Snapshot(self._store, run)) for run in waiting[:NAMED]]
        if len(open_runs) > len(waiting[:NAMED]):
            causes.append(Cause(fact=f"and {len(open_runs) - len(waiting[:NAMED])} more queued runs", kind="more"))
        if not dag.stale:
            causes += self._schedule(dag, spec, open_runs, visible)
        return Cause(fact=f"DAG {dag_id!r}", kind="dag", causes=tuple(causes))

    def _file(self, dag: StoredDag) -> list[Cause]:
        causes = []
        if dag.stale:
            causes.append(
                Cause(fact="the DAG is no longer in any file", kind="stale", remedy=f"put it back into {dag.file}")
            )
        for row in self._store.queries.import_errors():
            message = row.message.strip()
            if (row.bundle, row.file) == (dag.bundle, dag.file) and row.severity == "error" and message:
                remedy = f"fix {row.file}; `windlass dags list-import-errors` shows all of it"
                fact = f"{row.file} could not be read: {message.splitlines()[-1]}"
                causes.append(Cause(fact=fact, kind="import_error", remedy=remedy))
        return causes

    def _schedule(self, dag: StoredDag, spec: DagSpec, open_runs: list[RunFacts], visible: Visible) -> list[Cause]:
        awaited = self._awaited.explain(spec, open_runs, visible)
        timed = self._timed(dag, spec, open_runs, visible)
        return timed if awaited is None else [awaited, *timed]

    def _timed(self, dag: StoredDag, spec: DagSpec, open_runs: list[RunFacts], visible: Visible) -> list[Cause]:
        """Return what the time of the next run says."""
        following = self._dags.next_run(dag.dag_id, visible=visible)
        trigger = windlass("dags", "trigger", dag.dag_id)
        if following.run_after is None:
            if isinstance(spec.schedule, AssetScheduleSpec):
                return []
            kind = "no_schedule" if isinstance(spec.schedule, NullSpec) else "schedule_ended"
            kind = "custom_timetable" if is_asked(spec) else kind
            return [Cause(fact=following.reason or "the schedule wants no run", kind=kind, remedy=trigger)]
        due = iso(following.run_after)
        if following.run_after > self._clock.now():
            return [Cause(fact=f"its next run is due at {due} ({spec.schedule_summary})", kind="not_due")]
        if dag.paused:
            return []
        limit = active_runs_limit(spec)
        scheduled = [run for run in open_runs if run.run_type is RunType.SCHEDULED]
        if 0 <= limit <= len(scheduled):
            fact = f"its run due at {due} is made when one of its {len(scheduled)} open runs ends"
            remedy = f"wait, or raise max_active_runs ({limit}) in {dag.file}"
            return [Cause(fact=fact, kind="max_active_runs", remedy=remedy)]
        return [Cause(fact=f"its run due at {due} is made at the scheduler's next step", kind="undecided")]


def _rooted(node: Cause, before: list[Cause], after: Sequence[Cause] = ()) -> Explanation:
    """Return ``node`` as the root of a tree, with what comes ``before`` everything else, and what comes ``after``."""
    root = Cause(fact=node.fact, kind=node.kind, remedy=node.remedy, causes=(*before, *node.causes, *after))
    remedies = [cause for cause in _walk(root) if cause.remedy is not None]
    first = min(remedies, key=lambda cause: _ORDER.index(cause.kind), default=None)
    return Explanation(
        fact=root.fact,
        kind=root.kind,
        remedy=root.remedy,
        causes=root.causes,
        cheapest=None if first is None else first.remedy,
    )


def _walk(cause: Cause) -> Iterator[Cause]:
    yield cause
    for inner in cause.causes:
        yield from _walk(inner)
