"""Task instances: finding, clearing and marking them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime

import msgspec

from windlass.control.dags import Dags
from windlass.control.runs import Runs
from windlass.control.views import ClearedTask, TaskRow
from windlass.control.visibility import Visible, did_you_mean, everything
from windlass.errors import TaskNotFound, UsageError
from windlass.spec import DagSpec
from windlass.states import TaskState
from windlass.store import Affected, Selection, Store
from windlass.store import TaskRow as StoredTask

_Neighbours = Callable[[str], Collection[str]]


class Selected(msgspec.Struct, frozen=True, kw_only=True):
    """Task instances that a command is about to change: shown to the person first, then handed to the command."""

    dag_id: str
    tasks: tuple[ClearedTask, ...]
    ids: tuple[int, ...]


class Tasks:
    """Queries and commands about task instances."""

    def __init__(self, store: Store, dags: Dags, runs: Runs) -> None:
        self._store = store
        self._dags = dags
        self._runs = runs

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
        if task_id in spec.by_id:
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
        visible: Visible = everything,
    ) -> Selected:
        """Return the task instances that the filters leave: of some runs or of all, by task, instance, state.

        ``task_regex`` chooses the tasks whose id it finds; ``upstream`` and ``downstream`` add theirs. The setups of a
        chosen task come along. Bounds are inclusive, on logical dates.

        :raises DagNotFound, RunNotFound: if a DAG or run that was named is not there.
        """
        _, spec = self._dags.find(dag_id, visible=visible)
        for run_id in run_ids:
            self._runs.find(dag_id, run_id, visible=visible)
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
        return self._with_setups(spec, self._store.runs.select(selection))

    def exactly(
        self, dag_id: str, run_id: str, task_id: str, map_index: int = -1, *, visible: Visible = everything
    ) -> Selected:
        """Return the selection of one task instance, with its setups and their teardowns.

        :raises DagNotFound, RunNotFound, TaskNotFound: if there is none.
        """
        row = self.find(dag_id, run_id, task_id, map_index, visible=visible)
        _, spec = self._dags.find(dag_id, visible=visible)
        return self._with_setups(spec, [row])

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

    def _with_setups(self, spec: DagSpec, rows: Sequence[StoredTask]) -> Selected:
        """Return the rows and, in the same runs, those of the setups that they need anew."""
        found = {row.id: row for row in rows}
        for run_id in dict.fromkeys(row.run_id for row in rows):
            needed = _setups(spec, {row.task_id for row in rows if row.run_id == run_id})
            if needed:
                more = Selection(dag_id=spec.dag_id, run_ids=(run_id,), task_ids=tuple(sorted(needed)))
                found |= {row.id: row for row in self._store.runs.select(more)}
        return Selected(
            dag_id=spec.dag_id,
            ids=tuple(found),
            tasks=tuple(
                ClearedTask(run_id=row.run_id, task_id=row.task_id, map_index=row.map_index, state=row.state)
                for row in found.values()
            ),
        )

    def _rows(self, dag_id: str, run_id: str) -> Iterator[StoredTask]:
        cursor: str | None = None
        while True:
            page = self._store.queries.tasks(dag_id, run_id, after=cursor)
            yield from page.items
            cursor = page.cursor
            if cursor is None:
                return


def _chosen(spec: DagSpec, task_regex: str, *, upstream: bool, downstream: bool) -> set[str]:
    """Return the ids of the tasks that the regular expression finds, with what must come along."""
    from windlass.spec.patterns import PatternRefused, pattern

    try:
        wanted = pattern(task_regex)
    except PatternRefused as error:
        raise UsageError(f"task regex {error}") from None
    found = {task_id for task_id in spec.by_id if wanted.search(task_id)}
    chosen = set(found)
    if upstream:
        chosen |= _reached(found, lambda task_id: spec.by_id[task_id].upstream)
    if downstream:
        chosen |= _reached(found, lambda task_id: spec.downstream[task_id])
    return chosen


def _reached(start: Collection[str], neighbours: _Neighbours) -> set[str]:
    reached: set[str] = set()
    waiting = list(start)
    while waiting:
        for task_id in neighbours(waiting.pop()):
            if task_id not in reached:
                reached.add(task_id)
                waiting.append(task_id)
    return reached


def _setups(spec: DagSpec, task_ids: set[str]) -> set[str]:
    """Return the setups in whose scope these tasks stand, with the teardowns that end it."""
    needed: set[str] = set()
    setups = {task.task_id for task in spec.tasks if task.is_setup}
    for task_id in task_ids & spec.by_id.keys() if setups else ():
        after = _reached({task_id}, lambda name: spec.downstream[name])
        for setup in setups & _reached({task_id}, lambda name: spec.by_id[name].upstream):
            teardowns = {task.task_id for task in spec.tasks if setup in task.setups}
            if not teardowns or teardowns & after:
                needed |= {setup, *teardowns}
    return needed - task_ids


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
