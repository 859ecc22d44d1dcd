"""Following ExternalTaskMarkers: what clearing a task clears in other DAGs.

A marker says that a task of another DAG depends on it. Whoever clears the marker clears that task as well, with all
that lies downstream of it in its run, and if a marker is among those, so on, up to the ``recursion_depth`` of the
marker that it began with. A marker is followed once, so that DAGs that mark each other come to an end.

Which task a marker means may be the result of templates, and a server renders none: what counts is what its last
attempt has rendered. Of one that has never run it is known only if it says so without a template.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from windlass.control.dags import Dags
from windlass.control.visibility import Visible, everything
from windlass.errors import DagNotFound, RunNotFound, UsageError
from windlass.planning.selecting import downstream_of
from windlass.spec import DagSpec, MarkSpec
from windlass.states import TaskState

if TYPE_CHECKING:
    from windlass.store import Store
    from windlass.store import TaskRow as StoredTask


class Marked(NamedTuple):
    """The task instances of other DAGs that follow, by DAG, and sentences about markers that led nowhere."""

    found: list[tuple[DagSpec, list[StoredTask]]]
    notes: list[str]


class _Target(NamedTuple):
    dag_id: str
    task_id: str
    logical_date: datetime


class _Step(NamedTuple):
    """A marker that is to be followed, by which others it was reached, and how many in a row there may be."""

    marker: StoredTask
    mark: MarkSpec
    chain: tuple[str, ...]
    depth: int


class Markers:
    """Finds what the markers among some task instances mean."""

    def __init__(self, store: Store, dags: Dags) -> None:
        self._store = store
        self._dags = dags

    def follow(
        self,
        spec: DagSpec,
        rows: Sequence[StoredTask],
        *,
        states: Sequence[TaskState] = (),
        visible: Visible = everything,
    ) -> Marked:
        """Return what has to be cleared along with ``rows``; only instances in one of ``states``, if any are given.

        :raises UsageError: if more markers follow each other than the first one's ``recursion_depth`` allows.
        """
        marked = Marked([], [])
        waiting = deque(_steps(spec, rows))
        followed: set[int] = set()
        while waiting:
            step = waiting.popleft()
            if step.marker.id in followed:
                continue
            followed.add(step.marker.id)
            if len(step.chain) > step.depth:
                raise UsageError(
                    f"more than {step.depth} ExternalTaskMarkers follow each other: {' -> '.join(step.chain)}; "
                    "raise the recursion_depth of the first, or clear fewer tasks at a time"
                )
            try:
                other, reached = self._marked(step, states, visible)
            except (UsageError, DagNotFound, RunNotFound) as why:
                marked.notes.append(f"what {step.chain[-1]} marks is not cleared: {why}")
                continue
            marked.found.append((other, reached))
            waiting.extend(_steps(other, reached, step))
        return marked

    def _marked(self, step: _Step, states: Sequence[TaskState], visible: Visible) -> tuple[DagSpec, list[StoredTask]]:
        """Return the DAG of the task that a marker marks, and the task's instances with all downstream of them."""
        from windlass.store import Selection

        target = self._target(step)
        _, spec = self._dags.find(target.dag_id, visible=visible)
        if target.task_id not in spec.by_id:
            raise UsageError(f"DAG {target.dag_id!r} has no task {target.task_id!r}")
        wanted = {target.task_id} | downstream_of(spec, {target.task_id})
        rows = self._store.runs.select(
            Selection(
                dag_id=target.dag_id,
                task_ids=tuple(sorted(wanted)),
                states=tuple(states),
                since=target.logical_date,
                until=target.logical_date,
            )
        )
        if not rows and not states:
            raise RunNotFound(f"DAG {target.dag_id!r} has no run of {target.logical_date.isoformat()} with that task")
        return spec, rows

    def _target(self, step: _Step) -> _Target:
        """Return the task that a marker means.

        :raises UsageError: if that is not known yet, or no date.
        """
        marker, mark = step.marker, step.mark
        attempts = self._store.queries.attempts(marker.id)
        rendered = next((one.rendered for one in reversed(attempts) if one.rendered), {})
        dag_id = _field(rendered, "external_dag_id", mark.external_dag_id)
        task_id = _field(rendered, "external_task_id", mark.external_task_id)
        if mark.same_date:
            return _Target(dag_id, task_id, self._store.queries.run(marker.dag_id, marker.run_id).logical_date)
        text = _field(rendered, "logical_date", mark.logical_date)
        try:
            date = datetime.fromisoformat(text)
        except ValueError:
            raise UsageError(f"its logical_date {text!r} is no date in ISO 8601") from None
        return _Target(dag_id, task_id, date if date.tzinfo is not None else date.replace(tzinfo=UTC))


def _steps(spec: DagSpec, rows: Sequence[StoredTask], after: _Step | None = None) -> list[_Step]:
    """Return the markers among ``rows``, to be followed after the one by which they were reached."""
    found = []
    for row in rows:
        task = spec.by_id.get(row.task_id)
        if task is None or task.marks is None:
            continue
        name = f"{row.dag_id}.{row.task_id}" + (f"[{row.map_index}]" if row.map_index >= 0 else "")
        chain = (*(() if after is None else after.chain), name)
        found.append(_Step(row, task.marks, chain, task.marks.recursion_depth if after is None else after.depth))
    return found


def _field(rendered: Mapping[str, Any], name: str, written: str | None) -> str:
    """Return a field as the last attempt has rendered it, else as it is written, if that needs no rendering."""
    if name in rendered:
        return str(rendered[name])
    if written is None or "{{" in written or "{%" in written:
        raise UsageError(f"it has never run, and its {name} is known only then")
    return written
