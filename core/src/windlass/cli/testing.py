"""``windlass dags test``, ``tasks test`` and ``tasks render``: author code in this process, no server, no database.

The one place of the command line where a DAG file is imported here, because that is what the person asked for. What
the DAG prints and logs goes to stderr, so that stdout holds the outcome only.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from windlass.cli.arguments import dag_argument, map_index_option, task_argument
from windlass.cli.failing import FAILED, OK
from windlass.cli.options import json_object, moment
from windlass.cli.output import Format, emit, emit_one, output_option
from windlass.cli.session import Session, pass_session
from windlass.states import RunState, TaskState

AnyCallable = TypeVar("AnyCallable", bound=Callable[..., Any])


def _run_options(command: AnyCallable) -> AnyCallable:
    date = click.option("-e", "--logical-date", type=moment, help="The run's logical date; by default now.")
    conf = click.option("-c", "--conf", type=json_object, help="The run's configuration, a JSON object.")
    file = click.option(
        "-f",
        "--file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="The DAG's file; without it the DAG folder is searched.",
    )
    return date(conf(file(command)))


@contextmanager
def _aside() -> Iterator[None]:
    """Show what the DAG prints and logs during the block on stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        root.removeHandler(handler)


@click.command("test")
@dag_argument
@_run_options
@output_option
@pass_session
def dags_test(
    session: Session,
    dag_id: str,
    logical_date: datetime | None,
    conf: dict[str, Any] | None,
    file: Path | None,
    output: Format,
) -> int:
    """Run a DAG in this process, without a server or a database.

    Its tasks run one after another; breakpoints work, and nothing is recorded.
    """
    from windlass.app.inproc import testing as inproc

    with _aside():
        dag = inproc.load_dag(session.settings, dag_id, file)
        result = inproc.test_dag(dag, logical_date=logical_date, conf=conf)
    if output in {Format.JSON, Format.YAML}:
        emit_one({"dag_id": dag_id, "state": result.state, "tasks": result.tasks}, output)
    else:
        emit(result.tasks, ("task_id", "map_index", "state", "try_number", "duration"), output)
    return FAILED if result.state is RunState.FAILED else OK


@click.command("test")
@dag_argument
@task_argument
@_run_options
@map_index_option
@output_option
@pass_session
def tasks_test(
    session: Session,
    dag_id: str,
    task_id: str,
    logical_date: datetime | None,
    conf: dict[str, Any] | None,
    file: Path | None,
    map_index: int,
    output: Format,
) -> int:
    """Run one task in this process, without a server or a database.

    What it depends on does not run; nothing is recorded.
    """
    from windlass.app.inproc import testing as inproc

    with _aside():
        dag = inproc.load_dag(session.settings, dag_id, file)
        result = inproc.test_task(dag, task_id, logical_date=logical_date, conf=conf, map_index=map_index)
    if output in {Format.JSON, Format.YAML}:
        emit_one({"dag_id": dag_id, "task_id": task_id, "map_index": map_index, "state": result.state}, output)
    else:
        click.echo(result.state.value)
    return FAILED if result.state is TaskState.FAILED else OK


@click.command("render")
@dag_argument
@task_argument
@_run_options
@map_index_option
@output_option
@pass_session
def tasks_render(
    session: Session,
    dag_id: str,
    task_id: str,
    logical_date: datetime | None,
    conf: dict[str, Any] | None,
    file: Path | None,
    map_index: int,
    output: Format,
) -> None:
    """Print a task's rendered templates."""
    from windlass.app.inproc import testing as inproc

    with _aside():
        dag = inproc.load_dag(session.settings, dag_id, file)
        fields = inproc.render_task(dag, task_id, logical_date=logical_date, conf=conf, map_index=map_index)
    if output is Format.TABLE:
        for name, value in fields.items():
            click.echo(f"# {name}\n{value}\n")
    else:
        emit_one(fields, output)
