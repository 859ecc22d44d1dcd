"""``windlass tasks mark-success | mark-failed`` and the same of ``windlass runs``: say how something has ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from windlass.cli.arguments import dag_argument, run_argument, task_argument
from windlass.cli.failing import NOTHING_MATCHED, OK
from windlass.cli.options import confirm, dry_run_option, yes_option
from windlass.cli.output import Format, emit, output_option, say
from windlass.cli.session import Session, pass_session
from windlass.states import RunState, TaskState

if TYPE_CHECKING:
    from windlass.control.views import Affected

AnyCallable = TypeVar("AnyCallable", bound=Callable[..., Any])

_COLUMNS = ("run_id", "task_id", "map_index", "state")


def _task_options(command: AnyCallable) -> AnyCallable:
    for option in reversed(
        (
            dag_argument,
            task_argument,
            run_argument,
            click.option(
                "--map-index", type=click.IntRange(min=0), help="Only this instance of a mapped task, from 0."
            ),
            click.option("-u", "--upstream", is_flag=True, help="Also everything upstream of the task."),
            click.option("-d", "--downstream", is_flag=True, help="Also everything downstream of the task."),
            click.option("--past", is_flag=True, help="Also in all earlier runs."),
            click.option("--future", is_flag=True, help="Also in all later runs."),
            dry_run_option,
            yes_option,
            output_option,
            pass_session,
        )
    ):
        command = option(command)
    return command


def _run_options(command: AnyCallable) -> AnyCallable:
    for option in reversed((dag_argument, run_argument, dry_run_option, yes_option, output_option, pass_session)):
        command = option(command)
    return command


@click.command("mark-success")
@_task_options
def task_success(session: Session, **options: Any) -> int:
    """Mark tasks of a run as successful: what failed for want of them runs again."""
    return _mark_tasks(session, TaskState.SUCCESS, **options)


@click.command("mark-failed")
@_task_options
def task_failed(session: Session, **options: Any) -> int:
    """Mark tasks of a run as failed; running ones are stopped first."""
    return _mark_tasks(session, TaskState.FAILED, **options)


@click.command("mark-success")
@_run_options
def run_success(session: Session, **options: Any) -> int:
    """Mark a run as successful, with every task that has not ended or has failed."""
    return _mark_run(session, RunState.SUCCESS, **options)


@click.command("mark-failed")
@_run_options
def run_failed(session: Session, **options: Any) -> int:
    """Mark a run as failed: what has not ended is stopped or skipped."""
    return _mark_run(session, RunState.FAILED, **options)


def _mark_tasks(
    session: Session,
    state: TaskState,
    *,
    dag_id: str,
    task_id: str,
    run_id: str,
    map_index: int | None,
    upstream: bool,
    downstream: bool,
    past: bool,
    future: bool,
    dry_run: bool,
    yes: bool,
    output: Format,
) -> int:
    tasks = session.control.tasks
    selected = tasks.around(
        dag_id, run_id, task_id, map_index, upstream=upstream, downstream=downstream, past=past, future=future
    )
    chosen = selected.without(state)
    emit(chosen.tasks, _COLUMNS, output)
    if not chosen.tasks:
        say(f"nothing to mark: {len(selected.tasks)} task instance(s) are {state.value} already")
        return NOTHING_MATCHED
    if dry_run:
        say(f"would mark {len(chosen.tasks)} task instance(s) {state.value}")
        return OK
    confirm(f"Mark {len(chosen.tasks)} task instance(s) {state.value}?", yes=yes)
    done = tasks.mark(chosen, state, actor=session.actor)
    say(f"marked {len(chosen.tasks)} task instance(s) of {done.runs} run(s) {state.value}{_waiting(done)}")
    return OK


def _mark_run(
    session: Session, state: RunState, *, dag_id: str, run_id: str, dry_run: bool, yes: bool, output: Format
) -> int:
    run = session.control.runs.get(dag_id, run_id)
    touched = [
        {"run_id": run_id, "task_id": task.task_id, "map_index": task.map_index, "state": task.state}
        for task in session.control.tasks.of_run(dag_id, run_id)
        if not task.state.is_terminal
        or (state is RunState.SUCCESS and task.state in {TaskState.FAILED, TaskState.UPSTREAM_FAILED})
    ]
    emit(touched, _COLUMNS, output)
    if not touched and run.state.value == state.value:
        say(f"run {run_id!r} is {state.value} already")
        return NOTHING_MATCHED
    what = f"run {run_id!r}, which is {run.state.value}, {state.value}, with {len(touched)} task instance(s)"
    if dry_run:
        say(f"would mark {what}")
        return OK
    confirm(f"Mark {what}?", yes=yes)
    done = session.control.runs.mark(dag_id, run_id, state, actor=session.actor)
    say(f"marked {what}{_waiting(done)}")
    return OK


def _waiting(done: Affected) -> str:
    return f"; {done.stopping} of them once their processes have stopped" if done.stopping else ""
