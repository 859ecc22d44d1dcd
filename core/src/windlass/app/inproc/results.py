"""What came of a test: states, results, logs and callbacks, to look at and to assert on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from windlass.errors import TaskNotFound
from windlass.planning.decisions import label
from windlass.planning.endings import RESULT_KEY
from windlass.ports import RunFacts, TaskFacts
from windlass.runtime.xcom import unpack
from windlass.states import RunState, TaskState

if TYPE_CHECKING:
    from windlass.app.inproc.engine import InlineEngine


class CallbackCall(msgspec.Struct, frozen=True, kw_only=True):
    """One call of the callbacks of an event.

    The event is success, failure, retry or skipped of a task, run_success or run_failure, or ``run_deadline:0`` for the
    DAG's first deadline, when the run has missed it.

    ``error`` is what the callbacks raised, None if all returned; a test may want it to be None.
    """

    event: str
    task_id: str | None
    map_index: int
    try_number: int
    reason: str
    error: str | None
    log: str


class TaskResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a task instance. ``duration`` is that of its last attempt, in seconds."""

    task_id: str
    map_index: int
    state: TaskState
    try_number: int
    duration: float | None = None
    #: Why it is in its state, where there is something to say.
    reason: str = ""


class DagTestResult:
    """What became of a run: states, results, logs and callbacks, to look at and to assert on."""

    def __init__(self, engine: InlineEngine, run: RunFacts) -> None:
        self._engine = engine
        order = list(engine.store.spec(run.dag_id, run.spec_version).by_id)
        tasks = sorted(engine.store.tasks_of(run.id), key=lambda task: (order.index(task.task_id), task.map_index))
        self._tasks = {(task.task_id, task.map_index): task for task in tasks}
        reasons = {move.task: move.reason for move in engine.store.transitions}
        self.dag_id = run.dag_id
        self.run_id = run.run_id
        self.state: RunState = run.state
        #: Why it ended so.
        self.reason = engine.store.run_reasons.get(run.id, "")
        self.tasks = tuple(
            TaskResult(
                task_id=task.task_id,
                map_index=task.map_index,
                state=task.state,
                try_number=task.try_number,
                duration=engine.executor.durations.get(task.id),
                reason=reasons.get(task.id, ""),
            )
            for task in self._tasks.values()
        )
        #: Variables that tasks have set; None means deleted.
        self.variables = dict(engine.gateway.variables)
        #: What the run's tasks said about their outlets, oldest first.
        self.asset_events = tuple(e for e in engine.store.assets.events if e.source_run_id == run.run_id)
        #: The callbacks that were called, in order.
        self.callbacks = tuple(engine.callbacks.calls)

    @property
    def states(self) -> dict[str, str]:
        """The states by task id; a mapped instance is ``task[index]``."""
        return {label(task.task_id, task.map_index): str(task.state) for task in self.tasks}

    def task(self, task_id: str, map_index: int = -1) -> TaskResult:
        """Return what became of one task instance.

        :raises TaskNotFound: if the run has none of that name.
        """
        found = self._find(task_id, map_index)
        return next(task for task in self.tasks if (task.task_id, task.map_index) == (found.task_id, found.map_index))

    def xcom(self, task_id: str, key: str = RESULT_KEY, map_index: int = -1) -> Any:  # noqa: ANN401 - any value
        """Return an XCom, None if the task pushed none under that key.

        :raises TaskNotFound: if the run has no such task instance.
        """
        task = self._find(task_id, map_index)
        value = self._engine.store.xcoms.get(task.id, {}).get(key)
        return None if value is None else unpack(value, self._engine.session())

    def rendered(self, task_id: str, map_index: int = -1) -> dict[str, Any]:
        """Return the rendered template fields of the last try; empty if the task did not run.

        :raises TaskNotFound: if the run has no such task instance.
        """
        found = self._engine.store.rendered.get(self._find(task_id, map_index).id)
        return {} if found is None else dict(found.fields)

    def log(self, task_id: str, map_index: int = -1) -> str:
        """Return what the task printed and logged in all its tries.

        :raises TaskNotFound: if the run has no such task instance.
        """
        return self._engine.executor.logs.get(self._find(task_id, map_index).id, "")

    def __repr__(self) -> str:
        return f"<{self.dag_id} {self.run_id}: {self.state} {self.states}>"

    def _find(self, task_id: str, map_index: int) -> TaskFacts:
        try:
            return self._tasks[task_id, map_index]
        except KeyError:
            known = ", ".join(self.states)
            raise TaskNotFound(f"the run has no {label(task_id, map_index)!r}; it has {known}") from None


class TaskTestResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one try of one task did: its state, what it returned and pushed, its rendered fields and its log."""

    task_id: str
    state: TaskState
    reason: str | None
    xcoms: dict[str, Any]
    rendered: dict[str, Any]
    log: str
    #: The task ids that its decision skips.
    skips: tuple[str, ...] = ()
    #: The callbacks that were called.
    callbacks: tuple[CallbackCall, ...] = ()

    @property
    def result(self) -> Any:  # noqa: ANN401 - any value
        """What the task returned."""
        return self.xcoms.get(RESULT_KEY)
