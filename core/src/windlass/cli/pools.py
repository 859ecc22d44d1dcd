"""``windlass pools``: how many tasks may run at once, across DAGs."""

from __future__ import annotations

import click

from windlass.cli.options import confirm, yes_option
from windlass.cli.output import Format, emit, emit_one, output_option, say
from windlass.cli.session import Session, pass_session

_COLUMNS = ("name", "slots", "running", "queued", "deferred", "include_deferred", "description")


@click.command("list")
@output_option
@pass_session
def list_pools(session: Session, output: Format) -> None:
    """List the pools and what they hold now."""
    emit(session.control.pools.list(), _COLUMNS, output)


@click.command("get")
@click.argument("name")
@output_option
@pass_session
def get(session: Session, name: str, output: Format) -> None:
    """Show a pool."""
    emit_one(session.control.pools.get(name), output)


@click.command("set")
@click.argument("name")
@click.argument("slots", type=click.IntRange(min=-1))
@click.argument("description", default="")
@click.option("--include-deferred", is_flag=True, help="Deferred tasks hold their slots.")
@pass_session
def set_pool(session: Session, name: str, slots: int, description: str, *, include_deferred: bool) -> None:
    """Create or change a pool.

    SLOTS is how many tasks may be queued or running at once; -1 (after `--`) is no limit.
    """
    session.control.pools.set(
        name, slots=slots, description=description, include_deferred=include_deferred, actor=session.actor
    )
    say(f"pool {name!r} has {slots} slot(s)")


@click.command("delete")
@click.argument("name")
@yes_option
@pass_session
def delete(session: Session, name: str, *, yes: bool) -> None:
    """Delete a pool."""
    session.control.pools.get(name)
    confirm(f"Delete pool {name!r}?", yes=yes)
    session.control.pools.delete(name, actor=session.actor)
    say(f"deleted pool {name!r}")
