"""What a plugin's timetable has said, for people: the next run, or that it is pending, or what is wrong with it.

Nothing is asked from here; the scheduler asks, and this reads what has come of it.
"""

from __future__ import annotations

from datetime import datetime

from windlass.control.views import NextRun
from windlass.planning.asking import digest, is_outdated, next_question
from windlass.planning.calendar import asked_timetable
from windlass.ports import Asked, DagFacts, RunFacts
from windlass.spec import DagSpec
from windlass.store import Store


def asked_next(store: Store, dag: DagFacts, spec: DagSpec, now: datetime) -> NextRun:
    """Return the next run of a DAG whose timetable is a plugin's."""
    question = next_question(dag, spec, now)
    asked = store.questions.asked(dag.dag_id)
    if asked is not None and asked.digest != digest(question):
        asked = None
    if asked is None or not asked.answered:
        paused = "; it is asked when the DAG is unpaused" if dag.paused else ""
        return NextRun(dag_id=dag.dag_id, reason=f"{pending(question.name, asked)}{paused}")
    answer = asked.answer
    if answer is None:
        return NextRun(dag_id=dag.dag_id, reason=f"the schedule ({spec.schedule_summary}) wants no run")
    reason = "the DAG is paused" if dag.paused else None
    if is_outdated(asked.question, answer, now):
        reason = f"pending: timetable {question.name!r} is asked again, since this run is long overdue"
    return NextRun(
        dag_id=dag.dag_id,
        run_after=answer.run_after,
        logical_date=answer.start,
        data_interval_start=answer.start,
        data_interval_end=answer.end,
        reason=reason,
    )


def pending_interval(store: Store, run: RunFacts, spec: DagSpec) -> str:
    """Return why the data interval of a manual run is not known yet."""
    schedule = asked_timetable(spec)
    name = spec.schedule_summary if schedule is None else schedule.name
    return pending(name, store.questions.asked(run.dag_id, run.id))


def pending(name: str, asked: Asked | None) -> str:
    """Return how it stands with a question that has no answer."""
    if asked is None:
        return f"pending: timetable {name!r} has not been asked yet"
    if asked.error is None:
        return f"pending: timetable {name!r} has been asked and has not answered yet"
    return asked.error
