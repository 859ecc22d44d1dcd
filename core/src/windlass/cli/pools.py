"""``windlass pools``: how many tasks may run at once, across DAGs."""

from __future__ import annotations

import click

from windlass.cli.arguments import pool_argument
from windlass.cli.options import confirm, dry_run_option, yes_option
from windlass.cli.output import Format, conclude, emit, emit_one, output_option
from windlass.cli.session import Session, pass_session

_COLUMNS = ("name", "slots", "running", "queued", "deferred", "include_deferred", "description")


@click.command("list")
@output_option
@pass_session
def list_pools(session: Session, output: Format) -> None:
    """List the pools and what they hold now."""
    emit(session.control.pools.list(), _COLUMNS, output)


@click.command("get")
@pool_argument
@output_option
@pass_session
def get(session: Session, name: str, output: Format) -> None:
    """Show a pool."""
    emit_one(session.control.pools.get(name), output)


@click.command("set")
@pool_argument
@click.argument("slots", type=click.IntRange(min=-1))
@click.argument("description", default="")
@click.option("--include-deferred", is_flag=True, help="Deferred tasks hold their slots.")
@dry_run_option
@output_option
@pass_session
def set_pool(
    session: Session,
    name: str,
    slots: int,
    description: str,
    output: Format,
    *,
    include_deferred: bool,
    dry_run: bool,
) -> None:
    """Create or change a pool.

    SLOTS is how many tasks may be queued or running at once; -1 (after `--`) is no limit.
    """
    session.control.pools.set(
        name,
        slots=slots,
        description=description,
        include_deferred=include_deferred,
        dry_run=dry_run,
        actor=session.actor,
    )
    sentence = f"pool {name!r} {'would have' if dry_run else 'has'} {slots} slot(s)"
    conclude(output, sentence, name=name, slots=slots, dry_run=dry_run)


@click.command("delete")
@pool_argument
@dry_run_option
@yes_option
@output_option
@pass_session
def delete(session: Session, name: str, output: Format, *, dry_run: bool, yes: bool) -> None:
    """Delete a pool."""
    session.control.pools.get(name)
    if not dry_run:
        confirm(f"Delete pool {name!r}?", yes=yes)
    session.control.pools.delete(name, dry_run=dry_run, actor=session.actor)
    conclude(output, f"{'would delete' if dry_run else 'deleted'} pool {name!r}", name=name, dry_run=dry_run)
