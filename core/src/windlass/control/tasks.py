"""Task instances: finding, clearing and marking them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from windlass.control.dags import Dags
from windlass.control.marking import Markers
from windlass.control.runs import Runs
from windlass.control.views import ClearedTask, TaskRow
from windlass.control.visibility import Visible, did_you_mean, everything
from windlass.errors import TaskNotFound, UsageError
from windlass.planning.dates import is_within_dates
from windlass.planning.selecting import downstream_of, matching, setups_of, upstream_of
from windlass.ports import RunFacts
from windlass.spec import DagSpec
from windlass.states import TaskState

if TYPE_CHECKING:
    from windlass.store import Affected, Store
    from windlass.store import TaskRow as StoredTask


class Selected(msgspec.Struct, frozen=True, kw_only=True):
    """Task instances that a command is about to change: shown to the person first, then handed to the command.

    ``tasks`` may be of other DAGs too, which markers have led to; ``notes`` say which markers led nowhere, and why.
    """

    dag_id: str
    tasks: tuple[ClearedTask, ...]
    ids: tuple[int, ...]
    notes: tuple[str, ...] = ()

    def without(self, state: TaskState) -> Selected:
        """Return the selection without what is in ``state`` already."""
        kept = [(task, number) for task, number in zip(self.tasks, self.ids, strict=True) if task.state is not state]
        return Selected(
            dag_id=self.dag_id,
            tasks=tuple(task for task, _ in kept),
            ids=tuple(number for _, number in kept),
            notes=self.notes,
        )


class Tasks:
    """Queries and commands about task instances."""

    def __init__(self, store: Store, dags: Dags, runs: Runs) -> None:
        self._store = store
        self._dags = dags
        self._runs = runs
        self._markers = Markers(store, dags)

    # -- queries ------------------------------------------------------------------------------------------------

    def of_run(self, dag_id: str, run_id: str, *, visible: Visible = everything) -> tuple[TaskRow, ...]:
        """Return a run's task instances, in topological order and by map index.

        :raises DagNotFound, RunNotFound: if there is no such run.
        """
        run = self._runs.find(dag_id, run_id, visible=visible)
        spec = self._store.queries.spec(dag_id, run.spec_version)
        order = {task.task_id: place for place, task in enumerate(spec.tasks)}
        rows = sorted(self._rows(dag_id, run_id), key=lambda row: (order.get(row.task_id, len(order)), row.map_index))
        return tuple(_row(row) for row in rows)

    def get(
        self, dag_id: str, run_id: str, task_id: str, map_index: int = -1, *, visible: Visible = everything
    ) -> TaskRow:
        """Return one task instance.

        :raises DagNotFound, RunNotFound, TaskNotFound: if there is none; the sentence has the nearest ids.
        """
        return _row(self.find(dag_id, run_id, task_id, map_index, visible=visible))

    def find(
        self, dag_id: str, run_id: str, task_id: str, map_index: int = -1, *, visible: Visible = everything
    ) -> StoredTask:
        """Return the stored row of a task instance.

        :raises DagNotFound, RunNotFound, TaskNotFound: if there is none.
        """
        run = self._runs.find(dag_id, run_id, visible=visible)
        try:
            return self._store.queries.task(dag_id, run_id, task_id, map_index)
        except TaskNotFound:
            spec = self._store.queries.spec(dag_id, run.spec_version)
        declared = spec.by_id.get(task_id)
        if declared is not None and not is_within_dates(declared, run.logical_date):
            raise TaskNotFound(
                f"task {task_id!r} is no part of run {run_id!r}, which lies outside of its start_date and end_date "
                f"({_shown(declared.start_date)} to {_shown(declared.end_date)}); choose a run within them"
            )
        if declared is not None:
            raise TaskNotFound(
                f"task {task_id!r} of run {run_id!r} has no instance with map index {map_index}; `windlass runs show "
                f"{dag_id} {run_id}` shows which there are, and --map-index chooses one of a mapped task"
            )
        hint = did_you_mean(task_id, spec.by_id)
        raise TaskNotFound(f"run {run_id!r} has no task {task_id!r}.{hint} `windlass tasks list {dag_id}` shows all")

    def select(
        self,
        dag_id: str,
        *,
        run_ids: Sequence[str] = (),
        task_regex: str | None = None,
        map_indexes: Sequence[int] = (),
        since: datetime | None = None,
        until: datetime | None = None,
        states: Sequence[TaskState] = (),
        upstream: bool = False,
        downstream: bool = False,
        past: bool = False,
        future: bool = False,
        visible: Visible = everything,
    ) -> Selected:
        """Return the task instances that the filters leave: of some runs or of all, by task, instance, state.

        ``task_regex`` chooses the tasks whose id it finds; ``upstream`` and ``downstream`` add theirs. The setups of a
        chosen task come along. ``past`` and ``future`` add the runs before and after those named. Bounds are inclusive,
        on logical dates. With an ExternalTaskMarker comes what it marks in another DAG.

        :raises DagNotFound, RunNotFound: if a DAG or run that was named is not there.
        :raises UsageError: if ``past`` or ``future`` is asked for of no run, or too many markers follow each other.
        """
        from windlass.store import Selection

        _, spec = self._dags.find(dag_id, visible=visible)
        named = [self._runs.find(dag_id, run_id, visible=visible) for run_id in run_ids]
        if past or future:
            run_ids, since, until = (), *_stretched(named, since, until, past=past, future=future)
        task_ids = None if task_regex is None else _chosen(spec, task_regex, upstream=upstream, downstream=downstream)
        selection = Selection(
            dag_id=dag_id,
            run_ids=tuple(run_ids),
            task_ids=() if task_ids is None else tuple(sorted(task_ids)),
            map_indexes=tuple(map_indexes),
            states=tuple(states),
            since=since,
            until=until,
        )
        if task_ids is not None and not task_ids:
            return Selected(dag_id=dag_id, tasks=(), ids=())
        rows = self._with_setups(spec, self._store.runs.select(selection))
        marked = self._markers.follow(spec, rows, states=states, visible=visible)
        for other, reached in marked.found:
            rows += self._with_setups(other, reached)
        return _selected(dag_id, rows, marked.notes)

    def exactly(
        self, dag_id: str, run_id: str, task_id: str, map_index: int = -1, *, visible: Visible = everything
    ) -> Selected:
        """Return the selection of one task instance, with its setups and their teardowns.

        :raises DagNotFound, RunNotFound, TaskNotFound: if there is none.
        """
        row = self.find(dag_id, run_id, task_id, map_index, visible=visible)
        _, spec = self._dags.find(dag_id, visible=visible)
        return _selected(dag_id, self._with_setups(spec, [row]))

    def around(
        self,
        dag_id: str,
        run_id: str,
        task_id: str,
        map_index: int | None = None,
        *,
        upstream: bool = False,
        downstream: bool = False,
        past: bool = False,
        future: bool = False,
        visible: Visible = everything,
    ) -> Selected:
        """Return the selection of a task in a run, of all its instances or of one, as a mark takes it.

        ``upstream`` and ``downstream`` add the tasks above and below, ``past`` and ``future`` the runs before and
        after. Setups do not come along: nothing runs.

        :raises DagNotFound, RunNotFound, TaskNotFound: if there is none.
        """
        from windlass.store import Selection

        run = self._runs.find(dag_id, run_id, visible=visible)
        spec = self._store.queries.spec(dag_id, run.spec_version)
        if map_index is not None or task_id not in spec.by_id:
            self.find(dag_id, run_id, task_id, -1 if map_index is None else map_index, visible=visible)
        task_ids = frozenset({task_id})
        if task_id in spec.by_id:
            task_ids = _with_neighbours(spec, task_ids, upstream=upstream, downstream=downstream)
        since, until = _stretched([run], None, None, past=past, future=future)
        rows = self._store.runs.select(
            Selection(
                dag_id=dag_id,
                run_ids=() if past or future else (run_id,),
                task_ids=tuple(sorted(task_ids)),
                since=since,
                until=until,
            )
        )
        wanted = [row for row in rows if map_index is None or row.task_id != task_id or row.map_index == map_index]
        return _selected(dag_id, wanted)

    # -- commands -----------------------------------------------------------------------------------------------

    def clear(
        self, selected: Selected, *, actor: str, latest: bool = False, idempotency_key: str | None = None
    ) -> Affected:
        """Let task instances run again; ``latest`` pins their runs to the DAG's newest code first.

        Attempts and logs are kept. A running instance is stopped, and cleared when its processes are gone.
        """
        return self._store.runs.clear(selected.ids, who=actor, latest=latest, key=idempotency_key)

    def mark(self, selected: Selected, state: TaskState, *, actor: str, idempotency_key: str | None = None) -> Affected:
        """End task instances in ``state``; a running one is stopped first.

        :raises UsageError: if ``state`` is neither success nor failed.
        """
        return self._store.runs.mark(selected.ids, state, who=actor, key=idempotency_key)

    # -- details ------------------------------------------------------------------------------------------------

    def _with_setups(self, spec: DagSpec, rows: Sequence[StoredTask]) -> list[StoredTask]:
        """Return the rows and, in the same runs, those of the setups that they need anew."""
        from windlass.store import Selection

        found = {row.id: row for row in rows}
        for run_id in dict.fromkeys(row.run_id for row in rows):
            needed = setups_of(spec, {row.task_id for row in rows if row.run_id == run_id})
            if needed:
                more = Selection(dag_id=spec.dag_id, run_ids=(run_id,), task_ids=tuple(sorted(needed)))
                found |= {row.id: row for row in self._store.runs.select(more)}
        return list(found.values())

    def _rows(self, dag_id: str, run_id: str) -> Iterator[StoredTask]:
        cursor: str | None = None
        while True:
            page = self._store.queries.tasks(dag_id, run_id, after=cursor)
            yield from page.items
            cursor = page.cursor
            if cursor is None:
                return


def _chosen(spec: DagSpec, task_regex: str, *, upstream: bool, downstream: bool) -> frozenset[str]:
    """Return the ids of the tasks that the regular expression finds, with what must come along."""
    return _with_neighbours(spec, matching(spec, task_regex), upstream=upstream, downstream=downstream)


def _with_neighbours(spec: DagSpec, task_ids: frozenset[str], *, upstream: bool, downstream: bool) -> frozenset[str]:
    above = upstream_of(spec, task_ids) if upstream else frozenset[str]()
    below = downstream_of(spec, task_ids) if downstream else frozenset[str]()
    return task_ids | above | below


def _selected(dag_id: str, rows: Sequence[StoredTask], notes: Sequence[str] = ()) -> Selected:
    """Return each of the rows once."""
    found = {row.id: row for row in rows}
    tasks = (
        ClearedTask(dag_id=row.dag_id, run_id=row.run_id, task_id=row.task_id, map_index=row.map_index, state=row.state)
        for row in found.values()
    )
    return Selected(dag_id=dag_id, ids=tuple(found), tasks=tuple(tasks), notes=tuple(notes))


def _stretched(
    named: Sequence[RunFacts], since: datetime | None, until: datetime | None, *, past: bool, future: bool
) -> tuple[datetime | None, datetime | None]:
    """Return the bounds of the logical dates of some runs, with everything before or after them, within given ones."""
    if not named:
        raise UsageError("past and future are those of a run; name it")
    if not (past or future):
        return since, until
    dates = [run.logical_date for run in named]
    first = None if past else min(dates)
    last = None if future else max(dates)
    return (
        max((bound for bound in (since, first) if bound is not None), default=None),
        min((bound for bound in (until, last) if bound is not None), default=None),
    )


def _shown(date: datetime | None) -> str:
    return "any time" if date is None else date.isoformat()


def _row(row: StoredTask) -> TaskRow:
    return TaskRow(
        task_id=row.task_id,
        map_index=row.map_index,
        state=row.state,
        try_number=row.try_number,
        max_tries=row.max_tries,
        queued_at=row.queued_at,
        start_date=row.start_date,
        end_date=row.end_date,
        duration=row.duration,
        pid=row.pid,
        hostname=row.hostname,
    )
