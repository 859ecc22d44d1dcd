"""``windlass db``: the database's schema."""

from __future__ import annotations

import click

from windlass.cli.failing import FAILED, OK
from windlass.cli.options import confirm, yes_option
from windlass.cli.output import Format, emit_one, output_option, say
from windlass.cli.session import Session, pass_session
from windlass.control import database


@click.command("migrate")
@pass_session
def migrate(session: Session) -> None:
    """Create the database, or bring its schema up to date."""
    say(f"the database is at revision {database.migrate(session.settings)}")


@click.command("check")
@output_option
@pass_session
def check(session: Session, output: Format) -> int:
    """Check that the database answers and its schema is current."""
    schema = database.check(session.settings)
    emit_one(schema, output)
    return OK if schema.current else FAILED


@click.command("reset")
@yes_option
@pass_session
def reset(session: Session, *, yes: bool) -> None:
    """Delete everything in the database and create it anew."""
    confirm("Delete every DAG, run, connection and variable in the database?", yes=yes)
    say(f"the database is empty, at revision {database.reset(session.settings)}")
