"""``windlass dags list-import-errors | report | reparse``: the files that DAGs come from."""

from __future__ import annotations

import click

from windlass.cli.failing import FAILED
from windlass.cli.options import dry_run_option
from windlass.cli.output import Format, conclude, emit, output_option
from windlass.cli.session import Session, pass_session


@click.command("list-import-errors")
@output_option
@pass_session
def import_errors(session: Session, output: Format) -> int | None:
    """List the DAG files that could not be read."""
    errors = session.control.dagfiles.import_errors()
    if output is Format.TABLE:
        for error in errors:
            click.echo(f"{error.file} ({error.bundle})\n{error.error.rstrip()}\n")
    else:
        emit(errors, ("bundle", "file", "error", "at"), output)
    return FAILED if errors else None


@click.command("report")
@output_option
@pass_session
def report(session: Session, output: Format) -> None:
    """List the DAG files with what they hold and how long they parsed."""
    emit(session.control.dagfiles.report(), ("file", "duration", "dags", "errors", "parsed_at"), output)


@click.command("reparse")
@click.argument("file", required=False)
@dry_run_option
@output_option
@pass_session
def reparse(session: Session, file: str | None, output: Format, *, dry_run: bool) -> None:
    """Have DAG files parsed again although they did not change."""
    count = session.control.dagfiles.reparse(file, dry_run=dry_run, actor=session.actor)
    when = "would" if dry_run else "will"
    conclude(output, f"{count} file(s) {when} be parsed again by the running server", files=count, dry_run=dry_run)
