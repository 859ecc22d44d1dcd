"""Calling the callbacks of one event, in a process like a task's: after the fact, with the context of what ended.

Every function of the event is called, whatever another one raises; the callback is acknowledged when all have
returned, else all are called again later. ``context["exception"]`` and ``["reason"]`` say why the task or run ended:
the task's own exception died with its process, so it is a :class:`~windlass.errors.TaskFailed` with its words. A run's
callback has no task: what is a task's is not in its context.
"""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from windlass.authoring.dag import DAG
from windlass.errors import TaskFailed, UsageError
from windlass.ports import TaskSession, session_scope
from windlass.protocol import AttemptContext, Finish, Outcome, Verb, XComSet
from windlass.runtime.attempt import AttemptSession, trimmed
from windlass.runtime.context import Context, DagRun
from windlass.runtime.task_instance import TaskInstance
from windlass.runtime.templates import Renderer
from windlass.runtime.trace import reason_of

#: The states in which a task's, or a run's, event finds it.
_STATES = {"success": "success", "failure": "failed", "retry": "up_for_retry", "skipped": "skipped"}
_RUN_PREFIX = "run_"
#: Of a missed deadline; its place in the DAG's list follows.
DEADLINE_PREFIX = "deadline:"
#: What only a task has.
_TASK_KEYS = frozenset(
    {
        "artifacts", "expanded_ti_count", "inlet_events", "inlets", "map_index_template", "outlet_events", "outlets",
        "task", "task_instance", "task_instance_key_str", "templates_dict", "ti", "try_number",
    }
)  # fmt: skip
log = logging.getLogger("windlass.task")


class _CallbackSession(AttemptSession):
    """The session of a callback, which writes nothing in the name of its task."""

    def tell(self, verb: Verb) -> None:
        """Send ``verb`` without waiting.

        :raises UsageError: for an XCom, which nobody could read: the task, and what follows it, have gone on.
        """
        if isinstance(verb, XComSet):
            raise UsageError("a callback cannot push an XCom: its task has ended; push it in the task itself")
        super().tell(verb)


class _RunSubject:
    """What a run's context asks of its task instance, without one."""

    def __init__(self, dag: DAG, attempt: AttemptContext) -> None:
        self.dag = dag
        self.dag_run = DagRun(attempt)
        self.params = attempt.params


class _Sender:
    """What the renderer asks of a task instance, when the fields are a notifier's."""

    def __init__(self, notifier: Any, context: Context) -> None:
        self.task = self
        self.task_id = context.attempt.task_id or context.attempt.dag_id
        self.template_ext = tuple(getattr(notifier, "template_ext", ()))
        self.dag = context["dag"]
        self.context = context


class RunContext(Context):
    """The context of a run's callback: what is a task's is not there."""

    def __getitem__(self, key: str) -> Any:
        if key in _TASK_KEYS or key.startswith("prev_"):
            raise KeyError(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        return key in list(self)

    def __iter__(self) -> Iterator[str]:
        return (key for key in super().__iter__() if key not in _TASK_KEYS and not key.startswith("prev_"))


def run_callbacks(dag: DAG, attempt: AttemptContext, session: TaskSession) -> Finish:
    """Call what ``attempt.callback`` names, and return whether all of it returned."""
    own = _CallbackSession(session)
    started_at, started = datetime.now(UTC), time.perf_counter()
    failures: list[str] = []
    with session_scope(own):
        kind, callbacks, context = _subject(dag, attempt, own)
        own.context = context
        kind = kind.partition(":")[0]
        for callback in callbacks:
            name = getattr(callback, "__qualname__", None) or type(callback).__name__
            log.info("on_%s_callback: %s", kind, name)
            try:
                _ready(callback, context)(context)
            except Exception as error:  # whatever it raises, the next one is called
                log.error(  # noqa: TRY400 - the traceback begins in the author's code
                    "on_%s_callback %s failed: %s", kind, name, error,
                    exc_info=(type(error), error, trimmed(error.__traceback__)),
                )  # fmt: skip
                failures.append(f"{name}: {reason_of(error)}")
    return Finish(
        outcome=Outcome.FAIL if failures else Outcome.SUCCESS,
        started_at=started_at,
        ended_at=datetime.now(UTC),
        duration=time.perf_counter() - started,
        reason="; ".join(failures) or None,
    )


def _ready(callback: Any, context: Context) -> Any:
    """Return ``callback``, or for a notifier with templates a copy whose fields are rendered."""
    if not getattr(callback, "template_fields", ()):
        return callback
    return Renderer(cast("TaskInstance", _Sender(callback, context))).render(callback, type(callback).__name__)


def _subject(dag: DAG, attempt: AttemptContext, session: AttemptSession) -> tuple[str, Sequence[Any], Context]:
    """Return the kind of callback, the functions and their context."""
    if not attempt.callback.startswith(_RUN_PREFIX):
        kind = attempt.callback
        task = dag.get_task(attempt.task_id)
        ti = TaskInstance(task, attempt, session)
        ti.params = attempt.params
        ti.state = _STATES[kind]
        context = ti.context = Context(ti, attempt, session)
        callbacks: Sequence[Any] = task.callbacks(kind)
    else:
        kind = attempt.callback.removeprefix(_RUN_PREFIX)
        subject = _RunSubject(dag, attempt)
        subject.dag_run.state = _STATES.get(kind) or ("queued" if attempt.run_start_date is None else "running")
        context = RunContext(cast("TaskInstance", subject), attempt, session)
        if kind.startswith(DEADLINE_PREFIX):
            callbacks = dag.deadlines[int(kind.removeprefix(DEADLINE_PREFIX))].callbacks
        else:
            callbacks = dag.callbacks(kind)
    context["reason"] = attempt.reason
    if kind in {"failure", "retry"}:
        context["exception"] = TaskFailed(attempt.reason)
    return kind, callbacks, context
