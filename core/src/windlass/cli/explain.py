"""``windlass explain``: why something has not run, as a tree of causes with the cheapest way out of each."""

from __future__ import annotations

import click

from windlass.cli.arguments import dag_argument, map_index_option, optional_run_argument, optional_task_argument
from windlass.cli.output import Format, emit, emit_one, output_option
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
    found = session.control.explain(dag_id, run_id, task_id, map_index)
    if output in {Format.JSON, Format.YAML}:
        emit_one(found, output)
    elif output is Format.PLAIN:
        rows = [
            {"depth": depth, "kind": cause.kind, "fact": cause.fact, "remedy": cause.remedy}
            for depth, cause in _walk(found, 0)
        ]
        emit(rows, ("depth", "kind", "fact", "remedy"), output)
    else:
        _draw(found, "", "")
        remedies = {cause.remedy for _, cause in _walk(found, 0) if cause.remedy is not None}
        if len(remedies) > 1:
            click.echo(f"begin with: {found.cheapest}")


def _draw(cause: Cause, first: str, rest: str) -> None:
    """Draw a node and what is below it; ``first`` stands before its fact, ``rest`` before everything else of it."""
    click.echo(f"{first}{cause.fact}")
    if cause.remedy is not None:
        click.echo(f"{rest}→ {cause.remedy}")
    for inner in cause.causes:
        last = inner is cause.causes[-1]
        _draw(inner, f"{rest}{'└─ ' if last else '├─ '}", f"{rest}{'   ' if last else '│  '}")


def _walk(cause: Cause, depth: int) -> list[tuple[int, Cause]]:
    return [(depth, cause), *(found for inner in cause.causes for found in _walk(inner, depth + 1))]
