"""What is known of DAGs, and the switch that lets their runs start."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from windlass.control.views import DagDetails, DagRow, Graph, GraphTask, NextRun, Page
from windlass.control.visibility import Visible, did_you_mean, everything
from windlass.errors import DagNotFound
from windlass.planning.assets import condition_of, describe, still_missing
from windlass.ports import Clock
from windlass.spec import DagSpec

if TYPE_CHECKING:
    from windlass.store import Store
    from windlass.store.queries import DagRow as StoredDag


class Dags:
    """Queries and commands about DAGs."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    # -- queries ------------------------------------------------------------------------------------------------

    def list(
        self,
        *,
        tags: Collection[str] = (),
        stale: bool = False,
        cursor: str | None = None,
        limit: int = 100,
        visible: Visible = everything,
    ) -> Page[DagRow]:
        """Return DAGs in the order of their ids; those with all of ``tags``, and ``stale`` ones only if asked for."""
        page = self._store.queries.dags(after=cursor, limit=limit)
        rows = [self._row(dag) for dag in page.items if (stale or not dag.stale) and visible(dag.dag_id)]
        wanted = set(tags)
        return Page(tuple(row for row in rows if wanted <= set(row.tags)), page.cursor)

    def ids(self, *, visible: Visible = everything) -> tuple[str, ...]:
        """Return the ids of all DAGs that are in some file."""
        return tuple(dag.dag_id for dag in self._all() if not dag.stale and visible(dag.dag_id))

    def details(self, dag_id: str, *, visible: Visible = everything) -> DagDetails:
        """Return everything about a DAG but its tasks.

        :raises DagNotFound: if there is none.
        """
        dag, spec = self.find(dag_id, visible=visible)
        return DagDetails(
            dag_id=dag_id,
            display_name=spec.display_name,
            description=spec.description,
            doc=spec.doc,
            bundle=dag.bundle,
            file=dag.file,
            schedule=spec.schedule_summary,
            timezone=spec.timezone,
            start_date=spec.start_date,
            end_date=spec.end_date,
            catchup=spec.catchup,
            paused=dag.paused,
            stale=dag.stale,
            max_active_runs=spec.max_active_runs,
            max_active_tasks=spec.max_active_tasks,
            dagrun_timeout=spec.dagrun_timeout,
            tags=spec.tags,
            owners=_owners(spec),
            params={name: param.value if param.has_value else None for name, param in spec.params.items()},
            tasks=len(spec.tasks),
            spec_version=dag.spec_version,
            code_version=dag.code_version,
            next_run=self._next_run(spec),
            paused_by=dag.paused_by,
            paused_reason=dag.paused_reason,
        )

    def graph(self, dag_id: str, *, spec_version: str | None = None, visible: Visible = everything) -> Graph:
        """Return a DAG's tasks and edges, in its newest version or that of a run.

        :raises DagNotFound: if there is none.
        """
        dag, spec = self.find(dag_id, visible=visible)
        if spec_version is not None:
            spec = self._store.queries.spec(dag_id, spec_version)
        tasks = tuple(
            GraphTask(
                task_id=task.task_id,
                operator=task.operator,
                trigger_rule=task.trigger_rule.value,
                upstream=task.upstream,
                downstream=spec.downstream[task.task_id],
                group=task.group,
                retries=task.retries,
                pool=task.pool,
                queue=task.queue,
                mapped=task.map is not None or spec.mapped_group_of(task.task_id) is not None,
            )
            for task in spec.tasks
        )
        return Graph(dag_id=dag_id, spec_version=spec_version or dag.spec_version, tasks=tasks)

    def next_run(self, dag_id: str, *, visible: Visible = everything) -> NextRun:
        """Return the run that the DAG's schedule wants next.

        :raises DagNotFound: if there is no such DAG.
        """
        _, spec = self.find(dag_id, visible=visible)
        return self._next_run(spec)

    def count_runs(self, dag_id: str, *, visible: Visible = everything) -> int:
        """Return how many runs a DAG has.

        :raises DagNotFound: if there is no such DAG.
        """
        self.find(dag_id, visible=visible)
        return self._store.queries.count_runs(dag_id)

    def find(self, dag_id: str, *, visible: Visible = everything) -> tuple[StoredDag, DagSpec]:
        """Return the stored row and the newest spec of a DAG.

        :raises DagNotFound: if there is none; the sentence has the nearest ids.
        """
        try:
            if visible(dag_id):
                return self._store.queries.dag(dag_id), self._store.queries.spec(dag_id)
        except DagNotFound:
            pass
        hint = did_you_mean(dag_id, self.ids(visible=visible))
        errors = [row for row in self._store.queries.import_errors() if row.severity == "error"]
        # An error names the DAG that cannot be; its first line is a sentence, and ends without a full stop.
        mine = next((row.message.partition("\n")[0] for row in errors if repr(dag_id) in row.message), None)
        trouble = f" {len(errors)} DAG file(s) could not be read: `windlass dags list-import-errors`." if errors else ""
        if mine is not None and visible(dag_id):
            trouble = f" Its file could not be read: {mine}."
        raise DagNotFound(f"DAG {dag_id!r} is not known.{hint}{trouble} `windlass dags list` shows all")

    # -- commands -----------------------------------------------------------------------------------------------

    def set_paused(
        self, dag_id: str, *, paused: bool, dry_run: bool = False, actor: str, visible: Visible = everything
    ) -> bool:
        """Pause or unpause a DAG; return whether that changed anything (repeating it is harmless), or would.

        :raises DagNotFound: if there is no such DAG.
        """
        dag, _ = self.find(dag_id, visible=visible)
        if dry_run:
            return dag.paused is not paused
        return self._store.dags.set_paused(dag_id, paused, who=actor)

    def delete(self, dag_id: str, *, actor: str, visible: Visible = everything) -> None:
        """Delete a DAG with its runs and their records. It comes back, without them, if its file is still there.

        :raises DagNotFound: if there is no such DAG.
        :raises Conflict: while tasks of it are running.
        """
        self.find(dag_id, visible=visible)
        self._store.dags.delete(dag_id, who=actor)

    # -- details ------------------------------------------------------------------------------------------------

    def _all(self) -> Iterator[StoredDag]:
        cursor: str | None = None
        while True:
            page = self._store.queries.dags(after=cursor, limit=1000)
            yield from page.items
            cursor = page.cursor
            if cursor is None:
                return

    def _row(self, dag: StoredDag) -> DagRow:
        spec = self._store.queries.spec(dag.dag_id, dag.spec_version)
        return DagRow(
            dag_id=dag.dag_id,
            file=dag.file,
            bundle=dag.bundle,
            schedule=spec.schedule_summary,
            paused=dag.paused,
            stale=dag.stale,
            owners=_owners(spec),
            tags=spec.tags,
            description=spec.description,
        )

    def _next_run(self, spec: DagSpec) -> NextRun:
        from windlass.planning.calendar import is_asked, next_run

        facts = self._store.scheduler.dag(spec.dag_id)
        if facts is None or facts.stale:
            return NextRun(dag_id=spec.dag_id, reason="the DAG is no longer in any file")
        if is_asked(spec):
            from windlass.control.timetables import asked_next  # few DAGs have one, and a trigger must start fast

            return asked_next(self._store, facts, spec, self._clock.now())
        info = next_run(facts, spec, self._clock.now())
        if info is None:
            return NextRun(dag_id=spec.dag_id, reason=self._why_none(spec, paused=facts.paused))
        return NextRun(
            dag_id=spec.dag_id,
            run_after=info.run_after,
            logical_date=info.logical_date,
            data_interval_start=info.data_interval.start,
            data_interval_end=info.data_interval.end,
            reason="the DAG is paused" if facts.paused else self._earlier_by_assets(spec),
        )

    def missing_assets(self, spec: DagSpec) -> str | None:
        """Return in words what a DAG's asset schedule still waits for; None if it has none, or nothing is missing."""
        condition = condition_of(spec.schedule)
        if condition is None:
            return None
        rest = still_missing(condition, self._store.scheduler.updated_assets(spec.dag_id))
        return None if rest is None else describe(rest)

    def _why_none(self, spec: DagSpec, *, paused: bool) -> str:
        if condition_of(spec.schedule) is None:
            return f"the schedule ({spec.schedule_summary}) wants no run"
        missing = self.missing_assets(spec)
        if missing is not None:
            return f"it waits for an update of {missing}" + ("; the DAG is paused" if paused else "")
        return "its assets have been updated; its run is created " + (
            "when the DAG is unpaused" if paused else "as soon as max_active_runs allows and a scheduler is running"
        )

    def _earlier_by_assets(self, spec: DagSpec) -> str | None:
        missing = self.missing_assets(spec)
        return None if missing is None else f"or earlier, upon an update of {missing}"


def _owners(spec: DagSpec) -> tuple[str, ...]:
    return tuple(dict.fromkeys(task.owner for task in spec.tasks))
