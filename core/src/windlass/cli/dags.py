"""``windlass dags``: what is known of DAGs, and whether they run."""

from __future__ import annotations

import click

from windlass.cli.arguments import dag_argument, run_argument
from windlass.cli.failing import NOTHING_MATCHED
from windlass.cli.options import confirm, dry_run_option, page_options, yes_option
from windlass.cli.output import Format, conclude, emit, emit_one, output_option, say
from windlass.cli.session import Session, pass_session


@click.command("list")
@click.option("--tag", "tags", multiple=True, help="Only DAGs with this tag; may be given again.")
@click.option("--stale", is_flag=True, help="Also DAGs that are no longer in any file.")
@page_options
@output_option
@pass_session
def list_dags(
    session: Session, tags: tuple[str, ...], cursor: str | None, limit: int, output: Format, *, stale: bool
) -> int | None:
    """List the DAGs."""
    page = session.control.dags.list(tags=tags, stale=stale, cursor=cursor, limit=limit)
    emit(page.items, ("dag_id", "schedule", "paused", "owners", "file"), output)
    if page.next is not None:
        say(f"there are more: --cursor {page.next}")
    errors = session.control.dagfiles.count_import_errors()
    if errors:
        say(f"{errors} DAG file(s) could not be read: windlass dags list-import-errors")
    return None if page.items or not tags else NOTHING_MATCHED


@click.command("show")
@dag_argument
@output_option
@pass_session
def show(session: Session, dag_id: str, output: Format) -> None:
    """Show a DAG's tasks and what they depend on."""
    graph = session.control.dags.graph(dag_id)
    if output in {Format.JSON, Format.YAML}:
        emit_one(graph, output)
    else:
        emit(graph.tasks, ("task_id", "operator", "trigger_rule", "upstream"), output)


@click.command("details")
@dag_argument
@output_option
@pass_session
def details(session: Session, dag_id: str, output: Format) -> None:
    """Show everything that is known of a DAG."""
    emit_one(session.control.dags.details(dag_id), output)


@click.command("state")
@dag_argument
@run_argument
@output_option
@pass_session
def state(session: Session, dag_id: str, run_id: str, output: Format) -> None:
    """Print the state of a DAG's run."""
    run = session.control.runs.get(dag_id, run_id)
    if output is Format.TABLE or output is Format.PLAIN:
        click.echo(run.state.value)
    else:
        emit_one({"dag_id": dag_id, "run_id": run_id, "state": run.state}, output)


@click.command("next-execution")
@dag_argument
@output_option
@pass_session
def next_execution(session: Session, dag_id: str, output: Format) -> None:
    """Print when a DAG will run next."""
    emit_one(session.control.dags.next_run(dag_id), output)


@click.command("pause")
@dag_argument
@dry_run_option
@output_option
@pass_session
def pause(session: Session, dag_id: str, output: Format, *, dry_run: bool) -> None:
    """Stop the scheduler from starting a DAG's runs."""
    _set_paused(session, dag_id, output, paused=True, dry_run=dry_run)


@click.command("unpause")
@dag_argument
@dry_run_option
@output_option
@pass_session
def unpause(session: Session, dag_id: str, output: Format, *, dry_run: bool) -> None:
    """Let the scheduler start a DAG's runs again."""
    _set_paused(session, dag_id, output, paused=False, dry_run=dry_run)


def _set_paused(session: Session, dag_id: str, output: Format, *, paused: bool, dry_run: bool) -> None:
    changed = session.control.dags.set_paused(dag_id, paused=paused, dry_run=dry_run, actor=session.actor)
    state = "paused" if paused else "unpaused"
    if dry_run:
        sentence = f"DAG {dag_id!r} would be {state}" if changed else f"DAG {dag_id!r} is {state} already"
    else:
        sentence = f"DAG {dag_id!r} is {state}" if changed else f"DAG {dag_id!r} was {state} already"
    conclude(output, sentence, dag_id=dag_id, paused=paused, changed=changed, dry_run=dry_run)


@click.command("delete")
@dag_argument
@dry_run_option
@yes_option
@output_option
@pass_session
def delete(session: Session, dag_id: str, output: Format, *, dry_run: bool, yes: bool) -> None:
    """Delete a DAG's runs, logs' records and history."""
    runs = session.control.dags.count_runs(dag_id)
    sentence = f"would delete DAG {dag_id!r} with {runs} run(s)"
    if not dry_run:
        confirm(f"Delete DAG {dag_id!r} with {runs} run(s)?", yes=yes)
        session.control.dags.delete(dag_id, actor=session.actor)
        sentence = f"deleted DAG {dag_id!r} with {runs} run(s); it comes back if its file is still there"
    conclude(output, sentence, dag_id=dag_id, runs=runs, dry_run=dry_run)
