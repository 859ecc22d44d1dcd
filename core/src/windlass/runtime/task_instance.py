"""``ti``: the running task, as its code, its templates and its callbacks see it."""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from windlass.authoring.dag import DAG
from windlass.authoring.operator import BaseOperator
from windlass.moment import moment
from windlass.ports import TaskSession
from windlass.protocol import AttemptContext, Query, XComGet, XComInfo, XComSet
from windlass.runtime.xcom import LazyXComs, pack, read

if TYPE_CHECKING:
    from windlass.runtime.context import Context, DagRun

RETURN_VALUE = "return_value"
_UNSET: Any = object()
log = logging.getLogger("windlass.task")


class TaskInstance:
    """One attempt of a task in a run.

    ``idempotency_key`` stays the same until a clear: send it to systems that deduplicate. ``fencing_token`` grows with
    every attempt: a system that keeps the highest it has seen can refuse a process that should be dead.
    """

    context: Context

    def __init__(self, task: BaseOperator, attempt: AttemptContext, session: TaskSession) -> None:
        self.task = task
        self._attempt = attempt
        self._session = session
        self.dag_id = attempt.dag_id
        self.run_id = attempt.run_id
        self.task_id = attempt.task_id
        self.map_index = attempt.map_index
        self.try_number = attempt.try_number
        self.max_tries = attempt.max_tries
        self.idempotency_key = attempt.idempotency_key
        self.fencing_token = attempt.epoch
        self.state = "running"
        self.start_date: datetime | None = None
        self.end_date: datetime | None = None
        self.params: Mapping[str, Any] = {}
        self.log = log
        self.skip_targets: tuple[str, ...] = ()
        #: Keys pushed by this attempt.
        self.pushed: set[str] = set()

    @cached_property
    def dag_run(self) -> DagRun:
        """The run."""
        from windlass.runtime.context import DagRun

        return DagRun(self._attempt)

    @property
    def dag(self) -> DAG:
        """The DAG."""
        return self.task._owner_dag()  # noqa: SLF001 - the operator's own accessor, with its error

    @property
    def first_poke(self) -> datetime | None:
        """When the sensor of an earlier attempt of this try first poked."""
        return moment(self._attempt.first_poke) if self._attempt.first_poke is not None else None

    @property
    def key(self) -> tuple[str, str, str, int, int]:
        """DAG, task, run, try and map index."""
        return self.dag_id, self.task_id, self.run_id, self.try_number, self.map_index

    @property
    def log_path(self) -> str | None:
        """Path of the log below the log folder."""
        return self._attempt.log_path

    def get_template_context(self) -> Context:
        """Return the template context."""
        return self.context

    def render_template(self, value: Any) -> Any:
        """Return ``value`` with the templates in it rendered, as the fields of the task are."""
        from windlass.runtime.templates import Renderer

        return Renderer(self).render(value, "value")

    def skip_downstream(self, task_ids: Iterable[str]) -> None:
        """Have these tasks skipped when this attempt ends well; the decision is kept when they are cleared."""
        self.skip_targets = tuple(sorted({*self.skip_targets, *task_ids}))

    # --- XComs ------------------------------------------------------------------------------------------------

    def xcom_push(self, key: str, value: Any) -> None:
        """Store ``value`` under ``key`` for other tasks.

        :raises XComError: if the value cannot travel.
        """
        what = f"XCom {key!r} of task {self.task_id!r}"
        self._session.tell(XComSet(key=key, value=pack(value, what, self._session)))
        self.pushed.add(key)

    def xcom_pull(
        self,
        task_ids: str | Iterable[str] | None = None,
        dag_id: str | None = None,
        key: str = RETURN_VALUE,
        include_prior_dates: bool = False,  # noqa: FBT001, FBT002 - Airflow's signature
        *,
        map_indexes: int | Iterable[int] | None = None,
        default: Any = None,
        run_id: str | None = None,
    ) -> Any:
        """Return what a task stored under ``key``, or a list for a list of tasks, in its order.

        A mapped task gives a list by map index, read as it is looked at; ``map_indexes`` picks one or some. Inside a
        mapped group the other tasks of the group give what belongs to the same index.
        """
        base = XComGet(
            task_id=self.task_id,
            key=key,
            dag_id=dag_id if dag_id != self.dag_id else None,
            run_id=run_id,
            include_prior_dates=include_prior_dates,
        )
        if task_ids is None or isinstance(task_ids, str):
            return self._pull(base, task_ids or self.task_id, map_indexes, default)
        return [self._pull(base, task_id, map_indexes, default) for task_id in task_ids]

    def _pull(self, base: XComGet, task_id: str, indexes: int | Iterable[int] | None, default: Any) -> Any:
        def one(map_index: int) -> Any:
            found = read(self._session, _of(base, task_id, map_index))
            return found[0][1] if found else default

        if isinstance(indexes, int):
            return one(indexes)
        if indexes is not None:
            return [one(index) for index in indexes]
        if base.dag_id is not None:
            return self._pull_foreign(_of(base, task_id, None), default)
        source = self.dag.task_dict.get(task_id)
        group = source.task_group.mapped_ancestor() if source is not None and source.task_group is not None else None
        if group is not None and self.task.task_group is not None and self.task.task_group.mapped_ancestor() is group:
            return one(self.map_index)
        if group is None and not (source is not None and source.is_mapped):
            return one(-1)
        if source is self.task:
            return one(self.map_index)
        return self._pull_mapped(_of(base, task_id, None), default)

    def _pull_mapped(self, source: XComGet, default: Any) -> Any:
        info = self._session.ask(XComInfo(task_id=source.task_id, key=source.key, run_id=source.run_id))
        count = int(info["instances"])
        return default if count == 0 and default is not None else LazyXComs(self._session, source, count)

    def _pull_foreign(self, source: XComGet, default: Any) -> Any:
        """Read from another DAG, whose graph is not known here: what has map indexes is a list."""
        found = read(self._session, source)
        if not found:
            return default
        return found[0][1] if found[0][0] < 0 else [value for _, value in found]

    # --- What went before -------------------------------------------------------------------------------------

    @cached_property
    def previous(self) -> Mapping[str, Any]:
        """The run before this one; empty if there is none."""
        rows = self._session.ask(Query(what="previous"))
        return dict(rows[0]) if rows else {}

    @cached_property
    def previous_success(self) -> Mapping[str, Any]:
        """The last run before this one that succeeded; empty if there is none."""
        rows = self._session.ask(Query(what="previous", filters={"success": True}))
        return dict(rows[0]) if rows else {}

    def __repr__(self) -> str:
        index = f"[{self.map_index}]" if self.map_index >= 0 else ""
        return f"<TaskInstance: {self.dag_id}.{self.task_id}{index} {self.run_id} try {self.try_number}>"


def _of(base: XComGet, task_id: str, map_index: int | None) -> XComGet:
    return XComGet(
        task_id=task_id,
        key=base.key,
        dag_id=base.dag_id,
        run_id=base.run_id,
        map_index=map_index,
        include_prior_dates=base.include_prior_dates,
    )
