"""``windlass providers`` and ``plugins``: what is installed, and the beginning of another one."""

from __future__ import annotations

from pathlib import Path

import click

from windlass.cli.failing import FAILED
from windlass.cli.options import dry_run_option
from windlass.cli.output import Format, emit, emit_one, output_option, say
from windlass.control import plugins as installed


@click.command("list")
@output_option
def list_providers(output: Format) -> None:
    """List the installed providers."""
    emit(installed.providers(), ("name", "version", "description", "brings"), output)
    broken = installed.broken_plugins()
    if broken:
        say(f"{len(broken)} more cannot be used: windlass plugins")


@click.command("show")
@click.argument("name")
@output_option
def show(name: str, output: Format) -> None:
    """Show what a provider brings."""
    emit_one(installed.provider(name), output)


@click.command("new")
@click.argument("name")
@click.option(
    "--path",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="The folder to make; by default windlass-NAME in the current one.",
)
@dry_run_option
@output_option
def new(name: str, path: Path | None, output: Format, *, dry_run: bool) -> None:
    """Make the package of a new provider.

    It has a hook, an operator, a sensor, their tests and pages, ready to be changed. NAME is what people call the
    system, for example acme-cloud.
    """
    from windlass.control import scaffolding

    plan = scaffolding.new_provider(name, path)
    if not dry_run:
        scaffolding.make(plan)
    rows = [scaffolding.NewFile(file=str(plan.folder / file), size=len(data)) for file, data in plan.files.items()]
    emit(rows, ("file", "size"), output)
    say(f"{'would make' if dry_run else 'made'} {plan.folder} with {len(rows)} files")
    if not dry_run:
        say(f"next: cd {plan.folder}; pip install -e . --group dev; nox")


@click.command("plugins")
@output_option
def plugins(output: Format) -> int | None:
    """List every plugin, also those that could not be loaded."""
    rows = installed.plugins()
    emit(rows, ("name", "version", "status", "error", "remedy"), output)
    return FAILED if any(row.status == "broken" for row in rows) else None
