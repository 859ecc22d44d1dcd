"""What an attempt is told about itself: one function for every store."""

from __future__ import annotations

import hashlib
from datetime import datetime
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote

import msgspec

from windlass.ports import RunFacts, TaskFacts
from windlass.protocol import AttemptContext, TimetableQuestion, XComValue
from windlass.spec import DagSpec

#: Bytes of a name in a path: file systems take 255, the word before it included.
_LONGEST_NAME = 200
_PREFIX = 120


#: What a task is told whose deferral had a timeout.
TIMED_OUT: Final = "its trigger did not fire within the timeout of the deferral"


class Resumption(msgspec.Struct, frozen=True, kw_only=True):
    """A deferral that has ended: where the task goes on, and with which event, or why there is none."""

    method: str
    kwargs: XComValue | None = None
    event: XComValue | None = None
    failure: str | None = None


def attempt_context(
    run: RunFacts,
    spec: DagSpec,
    task: TaskFacts,
    *,
    lease_id: str,
    clears: int = 0,
    mapped_count: int | None = None,
    first_poke: datetime | None = None,
    resume: Resumption | None = None,
) -> AttemptContext:
    """Return the context of the attempt of ``task`` that holds ``lease_id``.

    ``clears`` counts how often the instance was cleared; ``resume`` is the deferral that this attempt goes on after.
    """
    context = AttemptContext(
        dag_id=run.dag_id,
        run_id=run.run_id,
        task_id=task.task_id,
        map_index=task.map_index,
        try_number=task.try_number,
        max_tries=task.max_tries,
        epoch=task.epoch,
        lease_id=lease_id,
        run_type=run.run_type,
        logical_date=run.logical_date,
        data_interval_start=run.data_interval_start,
        data_interval_end=run.data_interval_end,
        run_after=run.run_after,
        queued_at=task.queued_at,
        run_start_date=run.start_date,
        conf=run.conf,
        params=params_of(spec, task.task_id, run.conf),
        idempotency_key=idempotency_key(run, task, clears),
        mapped_count=mapped_count,
        first_poke=first_poke,
        log_path=log_path(run, task),
    )
    return context if resume is None else resumed(context, resume)


def resumed(context: AttemptContext, resume: Resumption) -> AttemptContext:
    """Return ``context`` for an attempt that goes on after a deferral."""
    timed_out = resume.event is None and resume.failure is None
    return msgspec.structs.replace(
        context,
        resume_method=resume.method,
        resume_kwargs=resume.kwargs,
        resume_event=resume.event,
        resume_failure=TIMED_OUT if timed_out else resume.failure,
        resume_timed_out=timed_out,
    )


def callback_context(
    run: RunFacts, spec: DagSpec, task: TaskFacts | None, *, lease_id: str, event: str, reason: str
) -> AttemptContext:
    """Return what a callback is told about the task instance, or the run, that it is called for."""
    if task is not None:
        context = attempt_context(run, spec, task, lease_id=lease_id)
        return msgspec.structs.replace(context, callback=event, reason=reason)
    return AttemptContext(
        dag_id=run.dag_id,
        run_id=run.run_id,
        task_id="",
        map_index=-1,
        try_number=0,
        max_tries=0,
        epoch=0,
        lease_id=lease_id,
        run_type=run.run_type,
        logical_date=run.logical_date,
        data_interval_start=run.data_interval_start,
        data_interval_end=run.data_interval_end,
        run_after=run.run_after,
        run_start_date=run.start_date,
        conf=run.conf,
        params={name: param.value for name, param in spec.params.items() if param.has_value} | run.conf,
        log_path=f"dag_id={_quoted(run.dag_id)}/run_id={_quoted(run.run_id)}/callbacks.log",
        callback=event,
        reason=reason,
    )


def question_context(question: TimetableQuestion, *, lease_id: str) -> AttemptContext:
    """Return what a child is told that shall ask a timetable: nothing but the question."""
    return AttemptContext(
        dag_id=question.dag_id,
        run_id="",
        task_id="",
        map_index=-1,
        try_number=0,
        max_tries=0,
        epoch=0,
        lease_id=lease_id,
        run_type="",
        logical_date=question.now,
        data_interval_start=question.now,
        data_interval_end=question.now,
        run_after=question.now,
        log_path=timetable_log(question.dag_id),
        question=question,
    )


def timetable_log(dag_id: str) -> str:
    """Return where a DAG's timetable logs, below the log folder."""
    return f"dag_id={_quoted(dag_id)}/timetable.log"


def params_of(spec: DagSpec, task_id: str, conf: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a task's params: the DAG's defaults, then the task's, then all of the run's conf."""
    params = spec.params | spec.by_id[task_id].params
    return {name: param.value for name, param in params.items() if param.has_value} | conf


def run_fields(run: RunFacts) -> dict[str, Any]:
    """Return a run as a task sees it."""
    return {
        "dag_id": run.dag_id,
        "run_id": run.run_id,
        "run_type": run.run_type.value,
        "state": run.state.value,
        "logical_date": run.logical_date,
        "data_interval_start": run.data_interval_start,
        "data_interval_end": run.data_interval_end,
        "run_after": run.run_after,
        "start_date": run.start_date,
        "end_date": run.end_date,
        "conf": run.conf,
    }


def idempotency_key(run: RunFacts, task: TaskFacts, clears: int) -> str:
    """Return a key that stays the same for every try and attempt of the instance until it is cleared."""
    text = "\n".join((run.dag_id, run.run_id, task.task_id, str(task.map_index), str(clears)))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def log_path(run: RunFacts, task: TaskFacts) -> str:
    """Return where the log of the instance's current try lies below the log folder."""
    return log_path_of(run.dag_id, run.run_id, task.task_id, task.map_index, task.try_number)


def log_path_of(dag_id: str, run_id: str, task_id: str, map_index: int, try_number: int) -> str:
    """Return where the log of a try lies below the log folder; ids are quoted, so none can lead out of it."""
    parts = [f"dag_id={_quoted(dag_id)}", f"run_id={_quoted(run_id)}", f"task_id={_quoted(task_id)}"]
    if map_index >= 0:
        parts.append(f"map_index={map_index}")
    return "/".join([*parts, f"attempt={try_number}.log"])


def run_folder_of(dag_id: str, run_id: str) -> tuple[str, str]:
    """Return the two folders, one in the other, that hold every log of a run."""
    return f"dag_id={_quoted(dag_id)}", f"run_id={_quoted(run_id)}"


@lru_cache(maxsize=4096)  # the same DAGs, runs and tasks again and again
def _quoted(name: str) -> str:
    """Return ``name`` as part of a file name, shortened to a prefix and a hash where no file system would take it."""
    quoted = quote(name, safe="+:@=, ")
    if len(quoted) <= _LONGEST_NAME:
        return quoted
    return f"{quoted[:_PREFIX]}~{hashlib.sha256(name.encode()).hexdigest()[:32]}"
