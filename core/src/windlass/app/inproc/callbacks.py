"""Callbacks of tasks and runs in a test: called in this process, right after what they are about.

As in production they are called with the context of what has ended, after the fact, and what they raise changes nothing
but their own account. Here each is called once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from windlass.app.inproc.results import CallbackCall
from windlass.authoring.dag import DAG
from windlass.planning.attempts import callback_context
from windlass.planning.deadlines import miss_reason
from windlass.planning.endings import CALLBACK_OF, RUN_CALLBACK_OF
from windlass.ports import RunFacts, TaskFacts, clock_scope
from windlass.protocol import Outcome
from windlass.runtime.callbacks import DEADLINE_PREFIX, run_callbacks

if TYPE_CHECKING:
    from windlass.app.inproc.engine import InlineEngine


class InlineCallbacks:
    """Calls what a DAG file has set for an end, and remembers what came of it."""

    def __init__(self, engine: InlineEngine, dags: Mapping[str, DAG]) -> None:
        self._engine = engine
        self._dags = dags
        self.calls: list[CallbackCall] = []
        self._told: set[tuple[int, int]] = set()

    def task_ended(self, task: TaskFacts, reason: str) -> None:
        """Call the callbacks for the state in which an attempt has left its instance."""
        run = self._engine.store.run(task.run)
        event = CALLBACK_OF.get(task.state)
        if run is None or event is None:
            return
        spec = self._engine.store.spec(run.dag_id, run.spec_version)
        if event in spec.by_id[task.task_id].callbacks:
            self._call(run, task, event, reason)

    def deadlines_missed(self, run: RunFacts) -> None:
        """Call the callbacks of the deadlines that the scheduler has found missed, each once."""
        spec = self._engine.store.spec(run.dag_id, run.spec_version)
        for (number, position), due in list(self._engine.store.missed.items()):
            if number == run.id and (number, position) not in self._told:
                self._told.add((number, position))
                self._call(run, None, f"run_{DEADLINE_PREFIX}{position}", miss_reason(spec.deadlines[position], due))

    def run_ended(self, run: RunFacts) -> None:
        """Call the callbacks for the end of a run."""
        event = RUN_CALLBACK_OF.get(run.state)
        if event in self._engine.store.spec(run.dag_id, run.spec_version).callbacks:
            self._call(run, None, f"run_{event}", self._engine.store.run_reasons.get(run.id, ""))

    def _call(self, run: RunFacts, task: TaskFacts | None, event: str, reason: str) -> None:
        from windlass.app.inproc.engine import captured  # it builds on this module

        engine = self._engine
        spec = engine.store.spec(run.dag_id, run.spec_version)
        context = callback_context(run, spec, task, lease_id="callback", event=event, reason=reason)
        # What a run's callback asks is answered as to any of its tasks.
        asker = task or next(iter(engine.store.tasks_of(run.id)), None)
        with captured(engine.gateway.masker) as log, clock_scope(engine.clock):
            done = run_callbacks(self._dags[run.dag_id], context, engine.session(asker))
        self.calls.append(
            CallbackCall(
                event=event,
                task_id=None if task is None else task.task_id,
                map_index=-1 if task is None else task.map_index,
                try_number=0 if task is None else task.try_number,
                reason=reason,
                error=done.reason if done.outcome is Outcome.FAIL else None,
                log=log.getvalue(),
            )
        )
