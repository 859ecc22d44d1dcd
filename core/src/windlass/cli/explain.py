"""``windlass explain``: why something has not run, as a tree of causes with the cheapest way out of each."""

from __future__ import annotations

import click

from windlass.cli.arguments import dag_argument, map_index_option, optional_run_argument, optional_task_argument
from windlass.cli.output import Format, emit_one, output_option
from windlass.cli.session import Session, pass_session
from windlass.control import Cause


@click.command("explain")
@dag_argument
@optional_run_argument
@optional_task_argument
@map_index_option
@output_option
@pass_session
def explain(
    session: Session, dag_id: str, run_id: str | None, task_id: str | None, map_index: int, output: Format
) -> None:
    """Say why a DAG, a run or a task has not run."""
    cause = session.control.explain(dag_id, run_id, task_id, map_index)
    if output in {Format.JSON, Format.YAML}:
        emit_one(cause, output)
    else:
        _draw(cause, 0)


def _draw(cause: Cause, depth: int) -> None:
    click.echo(f"{'   ' * (depth - 1)}{'└─ ' if depth else ''}{cause.fact}")
    if cause.remedy is not None:
        click.echo(f"{'   ' * depth}→ {cause.remedy}")
    for inner in cause.causes:
        _draw(inner, depth + 1)
