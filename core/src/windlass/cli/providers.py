"""``windlass providers`` and ``plugins``: what is installed."""

from __future__ import annotations

import click

from windlass.cli.failing import FAILED
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


@click.command("plugins")
@output_option
def plugins(output: Format) -> int | None:
    """List every plugin, also those that could not be loaded."""
    rows = installed.plugins()
    emit(rows, ("name", "version", "status", "error", "remedy"), output)
    return FAILED if any(row.status == "broken" for row in rows) else None
