"""``windlass runs``: runs of DAGs."""

from __future__ import annotations

import click

from windlass.cli.arguments import dag_argument, optional_dag_argument, run_argument
from windlass.cli.options import page_options
from windlass.cli.output import Format, as_data, emit, emit_one, output_option, say
from windlass.cli.session import Session, pass_session
from windlass.states import RunState

_TASK_COLUMNS = ("task_id", "map_index", "state", "try_number", "start_date", "duration")
#: The order of ``runs show -o json``; more fields may follow, none may go.
_SHOWN = (
    "dag_id",
    "run_id",
    "run_type",
    "logical_date",
    "data_interval_start",
    "data_interval_end",
    "state",
    "queued_at",
    "start_date",
    "end_date",
    "conf",
)
_TASK_SHOWN = (
    "task_id",
    "map_index",
    "state",
    "try_number",
    "queued_at",
    "start_date",
    "end_date",
    "duration",
    "pid",
    "hostname",
)


@click.command("list")
@optional_dag_argument
@click.option("--state", type=click.Choice([state.value for state in RunState]), help="Only runs in this state.")
@page_options
@output_option
@pass_session
def list_runs(
    session: Session, dag_id: str | None, state: str | None, cursor: str | None, limit: int, output: Format
) -> None:
    """List the runs, newest first."""
    if dag_id is not None:
        session.control.dags.find(dag_id)
    _list(session, dag_id, state, cursor, limit, output)


def _list(
    session: Session, dag_id: str | None, state: str | None, cursor: str | None, limit: int, output: Format
) -> None:
    wanted = None if state is None else RunState(state)
    page = session.control.runs.list(dag_id=dag_id, state=wanted, cursor=cursor, limit=limit)
    emit(page.items, ("dag_id", "run_id", "state", "queued_at", "start_date", "end_date"), output)
    if page.next is not None:
        say(f"there are more: --cursor {page.next}")


@click.command("list-runs")
@dag_argument
@click.option("--state", type=click.Choice([state.value for state in RunState]), help="Only runs in this state.")
@page_options
@output_option
@pass_session
def list_runs_of(
    session: Session, dag_id: str, state: str | None, cursor: str | None, limit: int, output: Format
) -> None:
    """List the runs of a DAG, newest first."""
    session.control.dags.find(dag_id)
    _list(session, dag_id, state, cursor, limit, output)


@click.command("show")
@dag_argument
@run_argument
@output_option
@pass_session
def show(session: Session, dag_id: str, run_id: str, output: Format) -> None:
    """Show a run and its tasks."""
    run = session.control.runs.get(dag_id, run_id)
    tasks = session.control.tasks.of_run(dag_id, run_id)
    fields = {name: getattr(run, name) for name in _SHOWN}
    fields["missed_deadlines"] = as_data(session.control.runs.missed_deadlines(dag_id, run_id))
    if output in {Format.JSON, Format.YAML}:
        rows = [{name: getattr(task, name) for name in _TASK_SHOWN} for task in tasks]
        emit_one(fields | {"tasks": as_data(rows)}, output)
        return
    emit_one(fields, output)
    click.echo()
    emit(tasks, _TASK_COLUMNS, output)
