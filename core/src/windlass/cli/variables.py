"""``windlass variables``: stored values that tasks read. Values are shown only where they are asked for by name."""

from __future__ import annotations

import sys

import click

from windlass.cli.arguments import variable_argument
from windlass.cli.documents import read_document, write_document
from windlass.cli.options import confirm, dry_run_option, yes_option
from windlass.cli.output import Format, as_data, conclude, document_option, emit, emit_one, output_option
from windlass.cli.session import Session, pass_session


@click.command("list")
@output_option
@pass_session
def list_variables(session: Session, output: Format) -> None:
    """List the names of the stored variables."""
    emit(session.control.variables.list(), ("key", "description"), output)


@click.command("get")
@variable_argument
@click.option("--default", help="Print this if there is no such variable.")
@output_option
@pass_session
def get(session: Session, key: str, default: str | None, output: Format) -> None:
    """Print the value of a stored variable."""
    value = session.control.variables.get(key, default)
    if output is Format.TABLE or output is Format.PLAIN:
        click.echo(value)
    else:
        emit_one({"key": key, "value": value}, output)


@click.command("set")
@variable_argument
@click.argument("value", required=False)
@click.option("--description", help="What the variable is for.")
@dry_run_option
@output_option
@pass_session
def set_variable(
    session: Session, key: str, value: str | None, description: str | None, output: Format, *, dry_run: bool
) -> None:
    """Store a variable.

    Without VALUE it is read from standard input, so that a secret need not appear among the arguments.
    """
    text = sys.stdin.read().removesuffix("\n") if value is None else value
    session.control.variables.set(key, text, description=description, dry_run=dry_run, actor=session.actor)
    conclude(output, f"{'would store' if dry_run else 'stored'} variable {key!r}", key=key, dry_run=dry_run)


@click.command("delete")
@variable_argument
@dry_run_option
@yes_option
@output_option
@pass_session
def delete(session: Session, key: str, output: Format, *, dry_run: bool, yes: bool) -> None:
    """Delete a stored variable."""
    session.control.variables.get(key)
    if not dry_run:
        confirm(f"Delete variable {key!r}?", yes=yes)
        session.control.variables.delete(key, actor=session.actor)
    conclude(output, f"{'would delete' if dry_run else 'deleted'} variable {key!r}", key=key, dry_run=dry_run)


@click.command("import")
@click.argument("file")
@click.option("--overwrite", is_flag=True, help="Replace variables that exist; without it they are kept.")
@dry_run_option
@output_option
@pass_session
def import_file(session: Session, file: str, output: Format, *, overwrite: bool, dry_run: bool) -> None:
    """Store the variables of a file.

    FILE (.json, .yaml, .toml or .env) maps keys to values; one that is not a text is stored as JSON. `-` is JSON on
    standard input.
    """
    values = read_document(file)
    done = session.control.variables.import_all(values, overwrite=overwrite, dry_run=dry_run, actor=session.actor)
    sentence = f"{'would store' if dry_run else 'stored'} {len(done.stored)} variable(s), kept {len(done.kept)}"
    conclude(output, sentence, stored=done.stored, kept=done.kept, dry_run=dry_run)


@click.command("export")
@click.argument("file", default="-")
@document_option
@pass_session
def export_file(session: Session, file: str, output: Format) -> None:
    """Write the stored variables, with values, to a file.

    `-`, the default, is standard output; a file is made readable by its owner only.
    """
    write_document(file, as_data(session.control.variables.export()), output)
