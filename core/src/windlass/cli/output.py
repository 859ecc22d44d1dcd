"""Printing data: one shape for people, three for programs.

A command hands over structs or plain dicts and names the columns; ``-o`` decides. ``table`` is drawn by rich when
stdout is a terminal and rich is installed, else with spaces. ``plain`` is one header line and tab-separated cells.
``json`` and ``yaml`` hold every field, datetimes in ISO 8601 UTC with microseconds, durations in seconds. A command
that changes something prints a sentence for people (:func:`conclude`) and, for programs, what it did.

Colour: ``--color`` decides, then ``NO_COLOR``, then ``cli.color``, then ``FORCE_COLOR``, then whether stdout is a
terminal.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum, StrEnum
from typing import Any, TypeVar

import click
import msgspec

from windlass.cli.session import Session
from windlass.config import Settings
from windlass.errors import ConfigError, ExtraMissing
from windlass.moment import iso

AnyCallable = TypeVar("AnyCallable", bound=Callable[..., Any])


class Format(StrEnum):
    """The forms of ``-o``."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    PLAIN = "plain"


def document_option(command: AnyCallable) -> AnyCallable:
    """Give ``command`` the parameter ``output`` for a document that is read again: JSON, the default, or YAML."""
    alias = click.option(
        "--json", is_flag=True, is_eager=True, expose_value=False, callback=_remember, help="The same as -o json."
    )
    choice = click.option(
        "-o",
        "--output",
        type=click.Choice([Format.JSON.value, Format.YAML.value]),
        default=Format.JSON.value,
        callback=lambda _ctx, _param, value: Format(value),
        help="In which format to write.",
    )
    return color_option(choice(alias(command)))


def color_option(command: AnyCallable) -> AnyCallable:
    """Give ``command`` the option ``--color``, which the root has as well."""
    return click.option(
        "--color",
        type=click.Choice(["auto", "always", "never"]),
        is_eager=True,
        expose_value=False,
        callback=remember_color,
        help="Whether to colour; by default what cli.color says.",
    )(command)


def remember_color(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    """Let the settings of this invocation say what ``--color`` says."""
    session = ctx.find_object(Session)
    if value is not None and session is not None:
        session.flag("cli.color", value)


def output_option(command: AnyCallable) -> AnyCallable:
    """Give ``command`` the parameter ``output`` with ``-o FORMAT`` and its alias ``--json``, and ``--color``.

    Without either, the configuration (``cli.output``) decides.
    """
    alias = click.option(
        "--json", is_flag=True, is_eager=True, expose_value=False, callback=_remember, help="The same as -o json."
    )
    choice = click.option(
        "-o",
        "--output",
        type=click.Choice([form.value for form in Format]),
        callback=_settle,
        help="How to print the data; by default what cli.output says.",
    )
    return color_option(choice(alias(command)))


def _remember(ctx: click.Context, _: click.Parameter, as_json: bool) -> None:  # noqa: FBT001 - click's signature
    if as_json:
        ctx.meta[__name__] = Format.JSON


def _settle(ctx: click.Context, _: click.Parameter, value: str | None) -> Format:
    if value is not None:
        return Format(value)
    chosen = ctx.meta.get(__name__)
    if isinstance(chosen, Format):
        return chosen
    try:
        return Format(_settings(ctx).cli.output)
    except ConfigError:  # the command will say so, unless it is the one that looks for mistakes
        return Format.TABLE


def _settings(ctx: click.Context) -> Settings:
    session = ctx.find_object(Session)
    return Session().settings if session is None else session.settings


def as_data(value: object) -> object:
    """Return ``value`` as JSON types: structs by field name, instants as ISO 8601, durations in seconds."""
    match value:
        case None | bool() | int() | float():
            return value
        case Enum():
            return value.value
        case str():
            return value
        case datetime():
            return iso(value)
        case timedelta():
            return value.total_seconds()
        case msgspec.Struct():
            return {name: as_data(getattr(value, name)) for name in value.__struct_fields__}
        case Mapping():
            return {str(key): as_data(item) for key, item in value.items()}
        case _ if isinstance(value, Iterable):
            return [as_data(item) for item in value]
    return str(value)


def emit(rows: Iterable[object], columns: Sequence[str], output: Format) -> None:
    """Print a list: ``columns`` of it for people, every field for programs."""
    if output is Format.JSON or output is Format.YAML:
        _write_document([as_data(row) for row in rows], output)
        return
    cells = [[_cell(fields.get(column)) for column in columns] for fields in map(_fields, rows)]
    if output is Format.PLAIN:
        for line in [list(columns), *cells]:
            click.echo("\t".join(cell.replace("\t", " ").replace("\n", " ") for cell in line))
    else:
        _write_table(columns, cells)


def emit_one(thing: object, output: Format) -> None:
    """Print one thing: a field per line for people (a text of several goes on below itself), an object for programs."""
    if output is Format.JSON or output is Format.YAML:
        _write_document(as_data(thing), output)
        return
    scalars = [[name, _cell(value)] for name, value in _fields(thing).items()]
    if output is Format.PLAIN:
        for name, cell in scalars:
            click.echo(f"{name}\t{cell}".replace("\n", " "))
        return
    width = max((len(name) for name, _ in scalars), default=0)
    for name, cell in scalars:
        click.echo(f"{name:<{width}}  {cell}".rstrip().replace("\n", "\n" + " " * (width + 2)))


def conclude(output: Format, sentence: str, **fields: object) -> None:
    """Say what a command has done, or with ``--dry-run`` would do: a sentence, or these fields for programs."""
    if output is Format.JSON or output is Format.YAML:
        emit_one(fields, output)
    else:
        say(sentence)


def say(message: str) -> None:
    """Tell the person something that is not data."""
    click.echo(message, err=True)


def document(data: object, output: Format) -> str:
    """Return ``data``, which is of JSON types, as YAML if that is wanted, else as JSON; its last line is ended."""
    if output is not Format.YAML:
        return msgspec.json.format(msgspec.json.encode(data), indent=2).decode() + "\n"
    try:
        import yaml
    except ImportError:
        raise ExtraMissing("-o yaml needs PyYAML (-o json needs nothing)") from None
    return str(yaml.safe_dump(data, sort_keys=False, allow_unicode=True))


def _write_document(data: object, output: Format) -> None:
    click.echo(document(data, output), nl=False)


def _fields(thing: object) -> Mapping[str, object]:
    if isinstance(thing, msgspec.Struct):
        return {name: getattr(thing, name) for name in thing.__struct_fields__}
    if isinstance(thing, Mapping):
        return thing
    raise TypeError(f"{type(thing).__name__} has no fields to print")


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime():
            return iso(value)[:19] + "Z"
        case float():
            return f"{value:.3f}"
        case str():
            return str(value)
        case list() | tuple() if all(isinstance(item, str) for item in value):
            return ", ".join(value)
        case msgspec.Struct() | Mapping() | list() | tuple():
            return msgspec.json.encode(as_data(value)).decode()
    return str(value)


def _write_table(columns: Sequence[str], cells: list[list[str]]) -> None:
    color = _is_colored()
    if (color or sys.stdout.isatty()) and _rich_table(columns, cells, color=color):
        return
    widths = [max(len(column), *(len(row[place]) for row in cells), 0) for place, column in enumerate(columns)]
    for row in [list(columns), *cells]:
        click.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def _is_colored() -> bool:
    """Return whether stdout is to be coloured."""
    setting = _settings(click.get_current_context()).setting("cli", "color")
    if os.environ.get("NO_COLOR") and setting.origin.kind != "flag":
        return False
    if setting.value != "auto":
        return setting.value == "always"
    if os.environ.get("FORCE_COLOR", "0") not in {"", "0"}:
        return True
    return sys.stdout.isatty()


def _rich_table(columns: Sequence[str], cells: list[list[str]], *, color: bool) -> bool:
    try:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        return False
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in cells:
        # Text, not markup: a DAG may be called [red].
        table.add_row(*(Text(cell, style=_STATE_STYLES.get(cell, "")) for cell in row))
    Console(force_terminal=color or None, no_color=not color).print(table)
    return True


_STATE_STYLES = {
    "success": "green",
    "running": "bright_green",
    "failed": "red",
    "upstream_failed": "dark_orange",
    "up_for_retry": "yellow",
    "skipped": "magenta",
    "queued": "bright_black",
}
