"""``windlass tasks clear | run``: let task instances run again."""

from __future__ import annotations

import time
from datetime import datetime

import click

from windlass.cli.arguments import dag_argument, map_index_option, run_argument, task_argument
from windlass.cli.failing import FAILED, NOTHING_MATCHED, OK
from windlass.cli.options import confirm, dry_run_option, moment, yes_option
from windlass.cli.output import Format, conclude, emit, emit_one, output_option, say
from windlass.cli.session import Session, pass_session
from windlass.control import Selected
from windlass.states import TaskState


@click.command("clear")
@dag_argument
@click.option("-r", "--run-id", "run_ids", multiple=True, help="Only this run; may be given again.")
@click.option("-t", "--task-regex", help="Only tasks whose id this regular expression finds.")
@click.option("--map-index", "map_indexes", type=int, multiple=True, help="Only these instances of mapped tasks.")
@click.option("-s", "--start-date", type=moment, help="Only runs with a logical date from here on.")
@click.option("-e", "--end-date", type=moment, help="Only runs with a logical date up to here, inclusive.")
@click.option("-u", "--upstream", is_flag=True, help="Also everything upstream of the chosen tasks.")
@click.option("-d", "--downstream", is_flag=True, help="Also everything downstream of the chosen tasks.")
@click.option("--past", is_flag=True, help="Also in all runs before those given with -r.")
@click.option("--future", is_flag=True, help="Also in all runs after those given with -r.")
@click.option("-f", "--only-failed", is_flag=True, help="Only failed tasks, and those that failed with them.")
@click.option("--only-running", is_flag=True, help="Only running tasks.")
@click.option("--latest", is_flag=True, help="Run the newest version of the DAG's code instead of the run's own.")
@dry_run_option
@yes_option
@output_option
@pass_session
def clear(
    session: Session,
    dag_id: str,
    run_ids: tuple[str, ...],
    task_regex: str | None,
    map_indexes: tuple[int, ...],
    start_date: datetime | None,
    end_date: datetime | None,
    output: Format,
    *,
    upstream: bool,
    downstream: bool,
    past: bool,
    future: bool,
    only_failed: bool,
    only_running: bool,
    latest: bool,
    dry_run: bool,
    yes: bool,
) -> int:
    """Let tasks of past runs run again.

    Finished attempts and their logs are kept. A running task is stopped first and then runs again. With an
    ExternalTaskMarker the task that it marks in another DAG is cleared too, and what lies downstream of it.
    """
    states = _states(only_failed=only_failed, only_running=only_running)
    selected = session.control.tasks.select(
        dag_id,
        run_ids=run_ids,
        task_regex=task_regex,
        map_indexes=map_indexes,
        since=start_date,
        until=end_date,
        states=states,
        upstream=upstream,
        downstream=downstream,
        past=past,
        future=future,
    )
    return _clear(session, selected, output, latest=latest, dry_run=dry_run, yes=yes)


def _states(*, only_failed: bool, only_running: bool) -> tuple[TaskState, ...]:
    failed = (TaskState.FAILED, TaskState.UPSTREAM_FAILED) if only_failed else ()
    return (*failed, TaskState.RUNNING) if only_running else failed


def _clear(session: Session, selected: Selected, output: Format, *, latest: bool, dry_run: bool, yes: bool) -> int:
    emit(selected.tasks, ("dag_id", "run_id", "task_id", "map_index", "state"), output)
    if not selected.tasks:
        say("nothing matched")
        return NOTHING_MATCHED
    for note in selected.notes:
        say(note)
    if dry_run:
        say(f"would clear {len(selected.tasks)} task instance(s)")
        return OK
    confirm(f"Clear {len(selected.tasks)} task instance(s)?", yes=yes)
    done = session.control.tasks.clear(selected, actor=session.actor, latest=latest)
    waiting = f"; {done.stopping} more will be once their processes have stopped" if done.stopping else ""
    say(f"cleared {done.tasks} task instance(s) of {done.runs} run(s){waiting}")
    return OK


@click.command("run")
@dag_argument
@task_argument
@run_argument
@map_index_option
@dry_run_option
@output_option
@pass_session
def run_task(
    session: Session, dag_id: str, task_id: str, run_id: str, map_index: int, output: Format, *, dry_run: bool
) -> int:
    """Run one task of a run again and wait for it.

    The scheduler runs it, as part of its run: to try a task out without one there is `windlass tasks test`.
    """
    tasks = session.control.tasks
    chosen = tasks.exactly(dag_id, run_id, task_id, map_index)
    task = tasks.get(dag_id, run_id, task_id, map_index)
    if dry_run:
        sentence = f"would run task {task_id!r} of run {run_id!r} again; it is {task.state.value}"
        conclude(output, sentence, task_id=task_id, state=task.state, dry_run=True)
        return OK
    tasks.clear(chosen, actor=session.actor, latest=False)
    task = tasks.get(dag_id, run_id, task_id, map_index)
    while not task.state.is_terminal:
        time.sleep(0.2)
        task = tasks.get(dag_id, run_id, task_id, map_index)
    if output in {Format.JSON, Format.YAML}:
        emit_one(
            {
                "dag_id": dag_id,
                "run_id": run_id,
                "task_id": task_id,
                "state": task.state,
                "try_number": task.try_number,
            },
            output,
        )
    else:
        click.echo(task.state.value)
    return FAILED if task.state in {TaskState.FAILED, TaskState.UPSTREAM_FAILED} else OK
