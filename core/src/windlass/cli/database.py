"""``windlass db``: the database's schema, what it holds that nobody needs any more, and the keys of its secrets."""

from __future__ import annotations

from datetime import datetime

import click

from windlass.cli.failing import FAILED, OK
from windlass.cli.options import age, confirm, dry_run_option, yes_option
from windlass.cli.output import Format, conclude, emit, emit_one, output_option, say
from windlass.cli.session import Session, pass_session
from windlass.control import database
from windlass.errors import UsageError


@click.command("migrate")
@dry_run_option
@output_option
@pass_session
def migrate(session: Session, output: Format, *, dry_run: bool) -> None:
    """Create the database, or bring its schema up to date."""
    before = database.check(session.settings)
    if dry_run:
        sentence = f"the database is {before.state.value}; it would be brought to revision {database.newest()}"
        conclude(output, sentence, revision=before.revision, to=database.newest(), dry_run=True)
        return
    revision = database.migrate(session.settings)
    conclude(output, f"the database is at revision {revision}", revision=revision, dry_run=False)


@click.command("check")
@output_option
@pass_session
def check(session: Session, output: Format) -> int:
    """Check that the database answers and its schema is current."""
    schema = database.check(session.settings)
    emit_one(schema, output)
    return OK if schema.current else FAILED


@click.command("reset")
@dry_run_option
@yes_option
@output_option
@pass_session
def reset(session: Session, output: Format, *, dry_run: bool, yes: bool) -> None:
    """Delete everything in the database and create it anew."""
    if dry_run:
        database.require_unused(session.settings)
        conclude(output, "would delete every DAG, run, connection and variable in the database", dry_run=True)
        return
    confirm("Delete every DAG, run, connection and variable in the database?", yes=yes)
    revision = database.reset(session.settings)
    conclude(output, f"the database is empty, at revision {revision}", revision=revision, dry_run=False)


@click.command("downgrade")
@click.option("--to-revision", required=True, help="The revision to go back to; `base` is an empty database.")
@dry_run_option
@yes_option
@output_option
@pass_session
def downgrade(session: Session, to_revision: str, output: Format, *, dry_run: bool, yes: bool) -> None:
    """Take the schema back to an earlier revision, for an older release.

    What only the newer release knows is lost. Stop everything that uses the database first.
    """
    steps = database.downgrade_steps(session.settings, to_revision)
    names = ", ".join(steps)
    if dry_run or not steps:
        sentence = f"would undo the revisions {names}" if steps else f"the database is at revision {to_revision}"
        conclude(output, sentence, to=to_revision, undone=steps, dry_run=dry_run)
        return
    confirm(f"Undo the revisions {names}, and lose what only they can hold?", yes=yes)
    database.downgrade(session.settings, to_revision)
    conclude(output, f"the database is at revision {to_revision}", to=to_revision, undone=steps, dry_run=False)


@click.command("shell", context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@pass_session
def shell(session: Session, arguments: tuple[str, ...]) -> None:
    """Open the database's own shell.

    ARGUMENTS go to it, for example a statement. What a shell changes is guarded by nothing: rather look than write
    while a scheduler runs.
    """
    database.open_shell(session.settings, arguments)


@click.command("clean")
@click.option(
    "--before",
    type=age,
    default="90d",
    show_default=True,
    help="What ended before this instant is old; a date, or an age such as 30d.",
)
@click.option("--tables", help="Only these kinds, commas between; `windlass db clean --dry-run` lists all.")
@dry_run_option
@yes_option
@output_option
@pass_session
def clean(session: Session, before: datetime, tables: str | None, output: Format, *, dry_run: bool, yes: bool) -> None:
    """Remove old runs and everything that nothing needs any more.

    Runs that have not ended are never touched, and the newest runs of a DAG stay. It may be stopped and started again
    at any time, and a scheduler may run beside it.
    """
    from windlass.app.cleaning import TABLES
    from windlass.app.cleaning import clean as clean_home

    wanted = TABLES if tables is None else tuple(name.strip() for name in tables.split(",") if name.strip())
    unknown = [name for name in wanted if name not in TABLES]
    if unknown:
        raise UsageError(f"there is nothing called {unknown[0]!r} to clean; choose from {', '.join(TABLES)}")
    control = session.control
    if not dry_run:
        confirm(f"Remove what is older than {before:%Y-%m-%d %H:%M} UTC ({', '.join(wanted)})?", yes=yes)
    rows = list(clean_home(control.store, session.settings, before=before, tables=wanted, dry_run=dry_run))
    emit(rows, ("table", "removed", "note"), output)
    if dry_run:
        say("nothing was removed")


@click.command("rotate-fernet-key")
@click.option("--new-key", is_flag=True, help="First make a key and put it before those in the home's fernet.key.")
@dry_run_option
@output_option
@pass_session
def rotate(session: Session, output: Format, *, new_key: bool, dry_run: bool) -> None:
    """Encrypt the stored connections and variables anew, with the first key.

    Keys stand in core.fernet_key or the home's fernet.key, the newest first. When this is done the others are needed no
    longer, and may be taken away.
    """
    from windlass.app.keys import add_key

    control = session.control
    if dry_run:
        count = control.connections.count_secrets()
        conclude(output, f"would encrypt {count} value(s) anew", values=count, dry_run=True)
        return
    if new_key:
        say(f"added a key to {add_key(session.settings)}")
    count = control.connections.rotate(actor=session.actor)
    conclude(output, f"encrypted {count} value(s) anew; older keys may be removed", values=count, dry_run=False)
