"""What becomes of a task instance when its attempt has ended: one function for every store.

The supervisor reports what happened (:class:`~windlass.ports.Report`); the state that follows depends on the tries,
the kind of stop, and whether a mapped downstream can use the result. A loss is retried without delay.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import msgspec

from windlass.planning.mapping import check_map_length
from windlass.planning.retries import after_failure, retry_delay
from windlass.ports import Report, StopKind
from windlass.protocol import Defer, Finish, Outcome, Reschedule
from windlass.spec import DagSpec, TaskSpec
from windlass.states import Actor, RunState, TaskState

RESULT_KEY: Final = "return_value"
#: The event whose callback a task instance's end out of ``running`` calls.
CALLBACK_OF: Final = {
    TaskState.SUCCESS: "success",
    TaskState.FAILED: "failure",
    TaskState.UP_FOR_RETRY: "retry",
    TaskState.SKIPPED: "skipped",
}
#: The event whose callback a run's end calls.
RUN_CALLBACK_OF: Final = {RunState.SUCCESS: "success", RunState.FAILED: "failure"}

_STOPPED: Final = {
    StopKind.MARK_SUCCESS: (TaskState.SUCCESS, Actor.MARK),
    StopKind.MARK_FAILED: (TaskState.FAILED, Actor.MARK),
    StopKind.CLEAR: (TaskState.NONE, Actor.CLEAR),
    StopKind.TIMEOUT: (TaskState.SKIPPED, Actor.TIMEOUT),
    StopKind.FAIL_FAST: (TaskState.SKIPPED, Actor.TIMEOUT),
}


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """The transition that ends an attempt, and what is kept with it."""

    state: TaskState
    actor: Actor
    reason: str = ""
    not_before: datetime | None = None
    skip_targets: tuple[str, ...] = ()
    result_length: int | None = None


def ending_of(  # noqa: C901 - one table of what can happen
    spec: DagSpec, task_id: str, key: str, report: Report, *, try_number: int, max_tries: int, now: datetime
) -> Ending:
    """Return what ``report`` makes of an instance of ``task_id`` in its try ``try_number``.

    ``key`` names the task instance; it spreads the backoff.
    """

    def failed(reason: str, *, retryable: bool, delay: float | None = None, actor: Actor = Actor.TASK) -> Ending:
        state = after_failure(try_number, max_tries, retryable=retryable)
        if state is not TaskState.UP_FOR_RETRY:
            return Ending(state=state, actor=actor, reason=reason)
        if delay is None:
            task = spec.by_id.get(task_id) or TaskSpec(task_id=task_id)  # the run may be of another version by now
            delay = retry_delay(task, key, try_number)
        return Ending(state=state, actor=actor, reason=reason, not_before=now + timedelta(seconds=delay))

    if report.stopped is not None:
        state, actor = _STOPPED[report.stopped]
        return Ending(state=state, actor=actor, reason=f"stopped: {report.stopped}")
    if report.lost is not None:
        return failed(report.lost, retryable=True, delay=0.0, actor=Actor.REAPER)
    if report.timed_out is not None:
        return failed(report.timed_out, retryable=True)
    match report.ending:
        case Defer(timeout=timeout):
            until = None if timeout is None else now + timedelta(seconds=timeout)
            return Ending(state=TaskState.DEFERRED, actor=Actor.TASK, not_before=until)
        case Reschedule(at=at):
            return Ending(state=TaskState.UP_FOR_RESCHEDULE, actor=Actor.TASK, not_before=at)
        case Finish(outcome=Outcome.FAIL | Outcome.FAIL_NO_RETRY, reason=reason) as finish:
            return failed(reason or "the task failed", retryable=finish.outcome is Outcome.FAIL)
        case Finish(outcome=Outcome.SKIP, reason=reason):
            return Ending(state=TaskState.SKIPPED, actor=Actor.TASK, reason=reason or "")
        case Finish(skip_targets=skip_targets):
            length = _result_length(report)
            problem = check_map_length(spec, task_id, length)
            if problem is not None:
                return failed(problem, retryable=False)
            return Ending(state=TaskState.SUCCESS, actor=Actor.TASK, skip_targets=skip_targets, result_length=length)
        case None:
            return failed("the attempt ended without a result", retryable=True, delay=0.0, actor=Actor.REAPER)


def _result_length(report: Report) -> int | None:
    """Return the length of the return value, None if there is none or it is neither a list nor a dict."""
    return next((xcom.value.length for xcom in report.xcoms if xcom.key == RESULT_KEY), None)
