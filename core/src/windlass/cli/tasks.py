"""``windlass tasks list | state | failed-deps``: tasks of DAGs and of runs."""

from __future__ import annotations

import click

from windlass.cli.arguments import dag_argument, map_index_option, run_argument, task_argument
from windlass.cli.failing import FAILED
from windlass.cli.output import Format, emit, emit_one, output_option
from windlass.cli.session import Session, pass_session


@click.command("list")
@dag_argument
@output_option
@pass_session
def list_tasks(session: Session, dag_id: str, output: Format) -> None:
    """List the tasks of a DAG."""
    tasks = session.control.dags.graph(dag_id).tasks
    if output is Format.TABLE:
        for task in tasks:
            click.echo(task.task_id)
    else:
        emit(tasks, ("task_id", "operator", "trigger_rule", "group", "pool", "retries"), output)


@click.command("state")
@dag_argument
@task_argument
@run_argument
@map_index_option
@output_option
@pass_session
def state(session: Session, dag_id: str, task_id: str, run_id: str, map_index: int, output: Format) -> None:
    """Print the state of a task in a run."""
    task = session.control.tasks.get(dag_id, run_id, task_id, map_index)
    if output is Format.TABLE or output is Format.PLAIN:
        click.echo(task.state.value)
    else:
        name = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id, "map_index": map_index}
        emit_one({**name, "state": task.state}, output)


@click.command("states-for-dag-run")
@dag_argument
@run_argument
@output_option
@pass_session
def states(session: Session, dag_id: str, run_id: str, output: Format) -> None:
    """List the states of all tasks of a run."""
    columns = ("task_id", "map_index", "state", "try_number", "start_date", "end_date")
    emit(session.control.tasks.of_run(dag_id, run_id), columns, output)


@click.command("failed-deps")
@dag_argument
@task_argument
@run_argument
@map_index_option
@output_option
@pass_session
def failed_deps(session: Session, dag_id: str, task_id: str, run_id: str, map_index: int, output: Format) -> int | None:
    """Say what keeps a task of a run from starting."""
    causes = session.control.explain(dag_id, run_id, task_id, map_index).causes
    emit(causes, ("fact", "remedy"), output)
    return FAILED if causes else None
