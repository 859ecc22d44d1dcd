"""``windlass providers`` and ``plugins``: what is installed, and the beginning of another one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from windlass.cli.failing import FAILED
from windlass.cli.options import dry_run_option
from windlass.cli.output import Format, emit, emit_one, output_option, say
from windlass.control import plugins as installed
from windlass.interfaces.provider import KINDS, Provider


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
    """Show what a provider brings.

    For people, each type of connection with the names of its fields, and the other names by the module that they are
    in; `-o json` has everything of its manifest.
    """
    manifest = installed.provider(name)
    emit_one(manifest if output in {Format.JSON, Format.YAML} else _outline(manifest), output)


def _outline(manifest: Provider) -> dict[str, object]:
    """Return what a manifest says, without what it leaves empty, and a line for each type and module."""
    fields = {name: getattr(manifest, name) for name in manifest.__struct_fields__}
    fields["connection_types"] = "\n".join(
        f"{entry.conn_type}: {', '.join([*(field.name for field in entry.fields), *['…'] * entry.open_extra])}"
        for entry in manifest.connection_types
    )
    fields["config_options"] = ", ".join(f"{option.section}.{option.key}" for option in manifest.config_options)
    fields["cli_help"] = "\n".join(f"{name}: {line}" for name, line in manifest.cli_help.items())
    fields |= {kind: _by_module(fields[kind]) for kind in KINDS}
    return {name: value for name, value in fields.items() if value}


def _by_module(names: Mapping[str, str]) -> str:
    found: dict[str, list[str]] = {}
    for name, dotted in names.items():
        module = dotted.partition(":")[0] if ":" in dotted else dotted.rpartition(".")[0]
        found.setdefault(module, []).append(name.removeprefix(f"{module}."))
    return "\n".join(f"{module}: {', '.join(entries)}" for module, entries in found.items())


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
