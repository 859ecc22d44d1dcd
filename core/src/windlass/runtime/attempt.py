"""One attempt of one task, inside its own process: from the attempt's facts to how it ended.

::

    context ─► references and templates ─► on_execute ─► pre_execute ─► execute ─► post_execute ─► result ─► Finish

Everything the engine learns goes through the session: rendered fields and results are told (they leave together with
the ending), questions are asked. :func:`run_attempt` never raises for what user code does: each way of ending a
function has its outcome here. Times are stamped around user code, and the traceback in the log begins in the user's
code, not in ours.
"""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from copy import copy
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import msgspec

import windlass
from windlass.authoring.dag import DAG
from windlass.authoring.mapped import MappedOperator
from windlass.authoring.nesting import start_running, stop_running
from windlass.authoring.operator import FAILED, BaseOperator
from windlass.errors import (
    TaskDeferred,
    TaskFailed,
    TaskReschedule,
    TaskSkipped,
    TaskTimeout,
    UsageError,
    XComError,
)
from windlass.moment import utc
from windlass.ports import KnowsHooks, TaskSession, enter_session, instant_now, leave_session, session_scope
from windlass.protocol import (
    AssetEvent,
    AttemptContext,
    Defer,
    Finish,
    Outcome,
    Rendered,
    Reschedule,
    Verb,
    XComValue,
)
from windlass.runtime.context import Context
from windlass.runtime.installed import InstalledHooks
from windlass.runtime.resolve import mapped_arguments
from windlass.runtime.task_instance import RETURN_VALUE, TaskInstance
from windlass.runtime.templates import Renderer, needs_jinja
from windlass.runtime.trace import reason_of
from windlass.runtime.xcom import pack, unpack

Ending = Finish | Defer | Reschedule
#: Does what an operator's ``execute`` would do.
StandIn = Callable[[BaseOperator, Context], Any]
log = logging.getLogger("windlass.task")
#: Looked up once: up to Python 3.11 the members of an enum are found by a function of its own.
_SUCCESS = Outcome.SUCCESS


class OwnSession(TaskSession, KnowsHooks, Protocol):
    """A session of one attempt: its context is the attempt's."""

    context: Mapping[str, Any] | None


class AttemptSession(InstalledHooks):
    """An attempt's own session over the session of its process, which may serve others."""

    def __init__(self, session: TaskSession) -> None:
        self._session = session
        self.context: Mapping[str, Any] | None = None

    def ask(self, verb: Verb) -> Any:
        """Send ``verb`` and return its result."""
        return self._session.ask(verb)

    def tell(self, verb: Verb) -> None:
        """Send ``verb`` without waiting."""
        self._session.tell(verb)


def preload() -> None:
    """Get ready what an ordinary task needs, so that nothing is imported between a fork and user code."""
    import traceback  # noqa: F401
    import zoneinfo  # noqa: F401

    import windlass.authoring.sensor
    import windlass.authoring.taskflow
    import windlass.interfaces.hook
    import windlass.registry.declared  # noqa: F401 - with the look-up of manifests, which a task with a connection reads


def prepare(dags: Iterable[DAG]) -> None:
    """Get ready what the tasks of ``dags`` will need besides; called in the zygote when their file is loaded."""
    for dag in dags:
        for task in dag.tasks:
            task.get_ready()
        if needs_jinja(dag):
            from windlass.runtime import jinja

            jinja.environment(dag)


def run_attempt(
    dag: DAG,
    attempt: AttemptContext,
    session: TaskSession,
    *,
    last: bool = False,
    stand_in: StandIn | None = None,
    limit: AbstractContextManager[None] | None = None,
) -> Ending:
    """Run the task, call the callbacks or ask the timetable that ``attempt`` names, and return how it ended.

    ``last`` says that this process runs nothing afterwards, so that the operator itself may be rendered, and that
    ``session`` is the attempt's own (:class:`OwnSession`).
    ``stand_in`` is called instead of the operator's ``execute``, in a test that does not want the task's effects.
    ``limit`` is a block around the author's code that may raise in the midst of it, where no supervisor ends what
    takes too long.
    """
    if attempt.callback:
        from windlass.runtime.callbacks import run_callbacks  # it builds on this module

        return run_callbacks(dag, attempt, session)
    if attempt.question is not None:
        from windlass.runtime.timetables import answer_question  # so does it

        return answer_question(dag, attempt.question, session)
    own: OwnSession = session if last else AttemptSession(session)  # type: ignore[assignment]  # as the caller says
    run = _Attempt(dag, attempt, own, last=last, stand_in=stand_in)
    token = enter_session(own)
    try:
        if limit is None:
            return run.run()
        with limit:
            return run.run()
    except BaseException as error:  # noqa: BLE001 - every end of user code has an outcome
        return run.failed(error)
    finally:
        leave_session(token)


def render_attempt(dag: DAG, attempt: AttemptContext, session: TaskSession) -> dict[str, Any]:
    """Return the rendered template fields of the task that ``attempt`` names, without running it.

    :raises WindlassError: if a template or an argument cannot be resolved.
    """
    own = AttemptSession(session)
    run = _Attempt(dag, attempt, own)
    with session_scope(own):
        run.prepare()
    return run.rendered


class _Attempt:
    """The steps of one attempt, and the clock around user code."""

    def __init__(
        self,
        dag: DAG,
        attempt: AttemptContext,
        session: OwnSession,
        *,
        last: bool = False,
        stand_in: StandIn | None = None,
    ) -> None:
        self._dag = dag
        self._last = last
        self._stand_in = stand_in
        self._attempt = attempt
        self._session = session
        self._started_at = instant_now()
        self._started = time.perf_counter()
        self._ended_at: datetime | None = None
        self._ended = 0.0
        self._task: BaseOperator | None = None
        self._ti: TaskInstance | None = None
        self._rendered: dict[str, Any] = {}

    def prepare(self) -> tuple[BaseOperator, TaskInstance]:
        """Make the context, resolve and render the arguments; return the operator that will run."""
        task = self._dag.get_task(self._attempt.task_id)
        ti = self._ti = TaskInstance(task, self._attempt, self._session)
        context = ti.context = Context(ti, self._attempt, self._session)
        attempt = self._attempt  # the run's params: of the DAG, over them the task's, over them all of the run's conf
        ti.params = {
            **self._dag.params.values_by_name,
            **task.params.values_by_name,
            **attempt.params,
            **attempt.conf,
        }
        self._session.context = context
        if task.is_mapped:
            task = self._unmapped(task, ti)
        elif not self._last:
            # Rendering changes fields; the DAG's own operator stays as it was written, for a next attempt.
            task = copy(task)
        self._task = ti.task = task
        if not task.nothing_to_render:
            self._rendered = Renderer(ti).render_fields(task)
        return task, ti

    @property
    def rendered(self) -> dict[str, Any]:
        """The template fields as people may see them, once prepared."""
        return self._rendered

    def run(self) -> Ending:
        """Take the steps in order; whatever is raised is judged by :meth:`failed`."""
        task, ti = self.prepare()
        context = ti.context
        if self._rendered:
            self._session.tell(Rendered(fields=self._rendered))
        self._started_at = ti.start_date = instant_now()
        self._started = time.perf_counter()
        token = start_running(task)
        try:
            result = self._call(task, context)
        finally:
            stop_running(token)
        self._stop()
        ti.end_date = self._ended_at
        if task.map_index_template:
            label = str(Renderer(ti).render(task.map_index_template, "map_index_template"))
            self._session.tell(Rendered(fields=self._rendered, map_index_label=label))
        if result is not None:
            self._push(task, result)
        outlets = context.outlet_messages() if task.outlets else ()
        return self._finish(_SUCCESS, None, ti.skip_targets, outlets)

    def _unmapped(self, task: BaseOperator, ti: TaskInstance) -> BaseOperator:
        assert isinstance(task, MappedOperator)  # noqa: S101 - that is what is_mapped says
        if self._attempt.map_index < 0:
            raise UsageError(f"task {task.task_id!r} is mapped and needs a map index")
        arguments = mapped_arguments(task.expand_input, self._attempt.map_index, ti)
        return task.unmap(arguments)

    def _stop(self) -> None:
        if self._ended_at is None:
            self._ended = time.perf_counter()
            self._ended_at = instant_now()

    def _call(self, task: BaseOperator, context: Context) -> Any:
        if task.on_execute_callback is not None:
            for callback in task.callbacks("execute"):
                try:
                    callback(context)
                except Exception:
                    log.exception("on_execute_callback failed; the task runs all the same")
        if not task.nothing_before:
            task.pre_execute(context)
        if self._stand_in is not None:
            return self._stand_in(task, context)
        method = self._attempt.resume_method
        result = task.execute(context) if method is None else self._resume(task, method, context)
        if not task.nothing_after:
            task.post_execute(context, result)
        return result

    def _resume(self, task: BaseOperator, method: str, context: Context) -> Any:
        """Go on after a deferral: at the method that the operator named then, or nowhere if there is no event."""
        attempt = self._attempt
        if attempt.resume_failure is not None:
            failed = {"error": attempt.resume_failure, "timed_out": attempt.resume_timed_out}
            return task.resume_execution(FAILED, failed, context)
        kwargs = unpack(attempt.resume_kwargs, self._session) if attempt.resume_kwargs is not None else {}
        event = unpack(attempt.resume_event, self._session) if attempt.resume_event is not None else None
        return task.resume_execution(method, {**kwargs, "event": event}, context)

    def _push(self, task: BaseOperator, result: Any) -> None:
        assert self._ti is not None  # noqa: S101 - run() made it
        if not task.do_xcom_push:
            return
        if task.multiple_outputs:
            if not isinstance(result, Mapping):
                raise XComError(
                    f"task {task.task_id!r} has multiple_outputs and returned a {type(result).__name__}; return a dict"
                )
            for key, value in result.items():
                if not isinstance(key, str):
                    raise XComError(
                        f"task {task.task_id!r} has multiple_outputs, so its keys must be text, not {key!r}"
                    )
                self._ti.xcom_push(key, value)
        self._ti.xcom_push(RETURN_VALUE, result)

    def _finish(
        self,
        outcome: Outcome,
        reason: str | None = None,
        skip_targets: tuple[str, ...] = (),
        outlets: tuple[AssetEvent, ...] = (),
    ) -> Finish:
        self._stop()
        assert self._ended_at is not None  # noqa: S101 - just set
        return Finish(
            outcome=outcome,
            started_at=self._started_at,
            ended_at=self._ended_at,
            duration=self._ended - self._started,
            reason=reason,
            skip_targets=skip_targets,
            outlets=outlets,
        )

    # --- Every other end --------------------------------------------------------------------------------------

    def failed(self, error: BaseException) -> Ending:
        """Return the ending that ``error`` means, and say in the log what happened."""
        self._stop()
        match error:
            case TaskSkipped():
                log.info("skipped: %s", error)
                return self._finish(Outcome.SKIP, reason_of(error))
            case TaskReschedule():
                return self._rescheduled(error)
            case TaskDeferred():
                return self._deferred(error)
            case TaskFailed():
                self._log_failure(error)
                return self._finish(Outcome.FAIL_NO_RETRY, reason_of(error))
            case TaskTimeout():
                self._clean_up(error)
                self._log_failure(error)
                return self._finish(Outcome.FAIL, reason_of(error))
            case SystemExit():
                self._clean_up(error)
                self._log_failure(error)
                return self._finish(Outcome.FAIL, f"the task called exit({error.code!r}); raise or return instead")
            case _:
                self._log_failure(error)
                return self._finish(Outcome.FAIL, reason_of(error))

    def _clean_up(self, error: SystemExit | TaskTimeout) -> None:
        """Let the operator clean up outside its process when the attempt is being ended (SIGTERM, or a timeout)."""
        if (isinstance(error, TaskTimeout) or error.code == 128 + 15) and self._task is not None:
            try:
                self._task.on_kill()
            except Exception:
                log.exception("on_kill failed")

    def _log_failure(self, error: BaseException) -> None:
        log.error("task failed: %s", reason_of(error), exc_info=(type(error), error, trimmed(error.__traceback__)))

    def _rescheduled(self, signal: TaskReschedule) -> Reschedule:
        assert self._ended_at is not None  # noqa: S101 - failed() stopped the clock
        return Reschedule(
            at=utc(signal.at),
            first_poke=self._attempt.first_poke or self._started_at,
            started_at=self._started_at,
            ended_at=self._ended_at,
        )

    def _deferred(self, signal: TaskDeferred) -> Ending:
        assert self._ended_at is not None  # noqa: S101 - failed() stopped the clock
        try:
            from windlass.runtime.trigger_classes import describe

            trigger, arguments = describe(signal.trigger)
            what = f"the trigger of task {self._attempt.task_id!r}"
            log.info("deferred to %s", type(signal.trigger).__name__)
            return Defer(
                trigger=trigger,
                trigger_kwargs=_unseen(pack(arguments, what, self._session)),
                method=signal.method_name,
                kwargs=_unseen(pack(signal.kwargs, f"the kwargs of {what}", self._session)),
                timeout=signal.timeout.total_seconds() if signal.timeout is not None else None,
                started_at=self._started_at,
                ended_at=self._ended_at,
            )
        except Exception as error:  # noqa: BLE001 - the trigger is the author's
            self._log_failure(error)
            return self._finish(Outcome.FAIL, reason_of(error))


_OURS = str(Path(windlass.__file__).parent) + "/"


def trimmed(traceback: TracebackType | None) -> TracebackType | None:
    """Return ``traceback`` from the first frame on that is not Windlass's own; None if it has no other."""
    current = traceback
    while current is not None and current.tb_frame.f_code.co_filename.startswith(_OURS):
        current = current.tb_next
    return current


def _unseen(value: XComValue) -> XComValue:
    """Return ``value`` without the preview that nobody is shown."""
    return msgspec.structs.replace(value, preview="")
