"""Why a task instance has not run, or has ended without running: down the tree until something can be done about it."""

from __future__ import annotations

import re
import socket
from datetime import datetime
from typing import Final

from windlass.control.alive import Alive
from windlass.control.explain.commands import SERVE, clear_failed, of_task, windlass
from windlass.control.explain.occupants import Occupants
from windlass.control.explain.snapshot import Snapshot
from windlass.control.views import Cause
from windlass.moment import iso
from windlass.planning.decisions import label
from windlass.planning.explain import Obstacle
from windlass.ports import Clock, TaskFacts
from windlass.protocol.triggering import shown
from windlass.states import TaskState
from windlass.store import Store

#: How many instances a node of the tree has at most.
NAMED: Final = 20
_BROKEN: Final = (TaskState.FAILED, TaskState.UPSTREAM_FAILED)


class Instances:
    """Explains task instances of one store."""

    def __init__(self, store: Store, clock: Clock, alive: Alive, parallelism: int) -> None:
        self._store = store
        self._clock = clock
        self._alive = alive
        self._parallelism = parallelism

    def explain(self, snapshot: Snapshot, task: TaskFacts) -> Cause:
        """Return the node of one task instance with everything below it."""
        name = label(task.task_id, task.map_index)
        key = (task.task_id, task.map_index)
        if key in snapshot.explained:
            return Cause(fact=f"task {name!r} is {task.state}: see above", kind="seen")
        snapshot.explained.add(key)
        if task.state.is_terminal:
            return self._ended(snapshot, task, name)
        fact = f"task {name!r} is {task.state}"
        return Cause(fact=fact, kind="task", causes=tuple(self._causes(snapshot, task)))

    def all(self, snapshot: Snapshot, tasks: list[TaskFacts]) -> list[Cause]:
        """Return the nodes of several instances, as many as fit, and how many there are besides."""
        causes = [self.explain(snapshot, task) for task in tasks[:NAMED]]
        if len(tasks) > NAMED:
            causes.append(Cause(fact=f"and {len(tasks) - NAMED} more", kind="more"))
        return causes

    def _causes(self, snapshot: Snapshot, task: TaskFacts) -> list[Cause]:
        match task.state:
            case TaskState.NONE:
                return self._not_let_go(snapshot, task)
            case TaskState.SCHEDULED:
                return self._no_room(snapshot, task)
            case TaskState.QUEUED:
                return [self._queued(task)]
            case TaskState.RUNNING:
                return [self._running(snapshot, task)]
            case TaskState.UP_FOR_RETRY | TaskState.UP_FOR_RESCHEDULE:
                return [self._paused(snapshot, task)]
            case TaskState.DEFERRED:
                return self._wait(task)
        return []

    # -- before it runs -------------------------------------------------------------------------------------------

    def _not_let_go(self, snapshot: Snapshot, task: TaskFacts) -> list[Cause]:
        if snapshot.is_undecided(task.task_id):
            return [Cause(fact="the scheduler is about to decide on it", kind="undecided")]
        return [self._obstacle(snapshot, task, obstacle) for obstacle in snapshot.obstacles(task)]

    def _obstacle(self, snapshot: Snapshot, task: TaskFacts, obstacle: Obstacle) -> Cause:
        if obstacle.kind == "past":
            return self._past(snapshot, task, obstacle.sentence)
        held_by = [snapshot.facts[name] for name in obstacle.instances if name in snapshot.facts]
        return Cause(fact=obstacle.sentence, kind=obstacle.kind, causes=tuple(self.all(snapshot, held_by)))

    def _past(self, snapshot: Snapshot, task: TaskFacts, sentence: str) -> Cause:
        run, spec = snapshot.run, snapshot.spec
        previous = self._store.scheduler.previous(run.id, task.task_id, task.map_index, scheduled_only=spec.catchup)
        before = None if previous is None else self._store.scheduler.run(previous.run)
        if before is None:
            return Cause(fact=sentence, kind="depends_on_past")
        past = Snapshot(self._store, before)
        there = past.facts.get((task.task_id, task.map_index))
        node = Cause(fact=f"the previous run is {before.run_id!r}, which is {before.state}", kind="run")
        if there is None:
            return Cause(fact=sentence, kind="depends_on_past", causes=(node,))
        only = f"^{re.escape(task.task_id)}$"
        remedy = windlass("tasks", "clear", run.dag_id, "--run-id", before.run_id, "--task-regex", only)
        return Cause(
            fact=sentence,
            kind="depends_on_past",
            remedy=remedy if there.state in _BROKEN else None,
            causes=(node, self.explain(past, there)),
        )

    def _no_room(self, snapshot: Snapshot, task: TaskFacts) -> list[Cause]:
        run = snapshot.run
        causes = []
        if self._store.queries.dag(run.dag_id).paused and run.backfill_id is None:
            remedy = windlass("dags", "unpause", run.dag_id)
            causes.append(Cause(fact="the DAG is paused", kind="paused", remedy=remedy))
        obstacle = Occupants(self._store, self._parallelism).obstacle(snapshot, task)
        if obstacle is not None:
            causes.append(obstacle)
        return causes or [Cause(fact="there is room for it: the scheduler takes it at its next step", kind="undecided")]

    # -- while it runs --------------------------------------------------------------------------------------------

    def _queued(self, task: TaskFacts) -> Cause:
        fact = f"an executor has it since {_when(task.queued_at)}; no process has claimed it"
        return Cause(fact=fact, kind="queued", causes=tuple(self._no_supervisor()))

    def _running(self, snapshot: Snapshot, task: TaskFacts) -> Cause:
        attempts = self._store.queries.attempts(task.id)
        if not attempts:  # it has ended meanwhile
            return Cause(fact="its process has just ended", kind="undecided")
        attempt = attempts[-1]
        since = _when(attempt.started_at or attempt.claimed_at)
        process = f"process {attempt.pid} on {attempt.hostname}"
        is_elsewhere = self._store.db.dialect.shared and attempt.hostname != socket.gethostname()
        if (is_elsewhere or self._alive.supervisor()) and attempt.lease_until >= self._clock.now():
            remedy = of_task("logs", snapshot.run, task)
            return Cause(fact=f"{process} runs it since {since}", kind="running", remedy=remedy)
        until = _when(attempt.lease_until)
        if is_elsewhere or self._alive.supervisor():
            fact = f"its lease ended at {until} and {process} has not renewed it: it is about to be closed as lost"
            return Cause(fact=fact, kind="dead_lease")
        fact = (
            f"{process} holds its lease until {until}, and the supervisor {attempt.supervisor} that started it is dead"
        )
        return Cause(fact=fact, kind="dead_lease", remedy=SERVE)

    def _wait(self, task: TaskFacts) -> list[Cause]:
        wait = self._store.waits.live(task.id)
        if wait is None:
            return [Cause(fact="its trigger has fired just now", kind="undecided")]
        until = "" if task.not_before is None else f", at the latest until {_when(task.not_before)}"
        fact = f"it waits since {_when(wait.since)} for the trigger {shown(wait.trigger)} to fire{until}"
        return [Cause(fact=fact, kind="deferred", causes=tuple(self._no_supervisor()))]

    def _no_supervisor(self) -> list[Cause]:
        here = socket.gethostname()
        if self._alive.supervisor() or any(row.hostname != here for row in self._store.schedulers.living()):
            return []
        if self._alive.scheduler():
            fact = "no supervisor is running; the server starts another one, and run/supervisor.log says what ended it"
            return [Cause(fact=fact, kind="no_supervisor")]
        return [Cause(fact="no supervisor is running", kind="no_supervisor", remedy=SERVE)]

    def _paused(self, snapshot: Snapshot, task: TaskFacts) -> Cause:
        due = _when(task.not_before)
        if task.state is TaskState.UP_FOR_RESCHEDULE:
            return Cause(fact=f"what it waits for was not there; it pokes again at {due}", kind="reschedule")
        return Cause(
            fact=f"try {task.try_number} of {task.max_tries + 1} is over; it goes on at {due}",
            kind="retry_delay",
            remedy=of_task("run", snapshot.run, task),
            causes=self._reason_of(snapshot, task),
        )

    # -- after it ended -------------------------------------------------------------------------------------------

    def _ended(self, snapshot: Snapshot, task: TaskFacts, name: str) -> Cause:
        causes = list(self._reason_of(snapshot, task))
        remedy = clear_failed(snapshot.run, snapshot.newest) if task.state in _BROKEN else None
        if task.state is TaskState.UPSTREAM_FAILED:
            causes += self.all(snapshot, snapshot.upstream_of(task, *_BROKEN))
        elif task.state is TaskState.SKIPPED:
            causes += self.all(snapshot, snapshot.upstream_of(task, TaskState.SKIPPED))
        return Cause(fact=f"task {name!r} has ended: {task.state}", kind="ended", remedy=remedy, causes=tuple(causes))

    def _reason_of(self, snapshot: Snapshot, task: TaskFacts) -> tuple[Cause, ...]:
        """Return why the instance is in its state, where that was written down."""
        log = self._store.queries.transitions(task.id)
        if not log or not log[-1].reason:
            return ()
        failed = task.state in {TaskState.FAILED, TaskState.UP_FOR_RETRY}
        remedy = of_task("logs", snapshot.run, task) if failed else None
        return (Cause(fact=log[-1].reason, kind="reason", remedy=remedy),)


def _when(at: datetime | None) -> str:
    return "an unknown time" if at is None else iso(at)
