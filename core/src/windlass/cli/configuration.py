"""``windlass config``: the settings, their values and where those come from."""

from __future__ import annotations

import click

from windlass.cli.failing import OK, USAGE
from windlass.cli.output import Format, emit, emit_one, output_option, say
from windlass.cli.session import Session, pass_session
from windlass.config import Reference, Setting
from windlass.control.configuration import resolved

_HIDDEN = "***"


@click.command("list")
@click.option("--section", help="Only this section.")
@click.option("--changed", is_flag=True, help="Only settings that are not at their default.")
@output_option
@pass_session
def list_options(session: Session, section: str | None, output: Format, *, changed: bool) -> None:
    """List the options, their values and where they come from."""
    rows = [
        {
            "section": setting.option.section,
            "key": setting.option.key,
            "value": _shown(setting),
            "origin": f"{setting.origin.kind} {setting.origin.where}".strip(),
            "description": setting.option.description,
        }
        for setting in session.settings
        if (section is None or setting.option.section == section) and not (changed and setting.origin.kind == "default")
    ]
    emit(rows, ("section", "key", "value", "origin"), output)


@click.command("get-value")
@click.argument("section")
@click.argument("key")
@output_option
@pass_session
def get_value(session: Session, section: str, key: str, output: Format) -> None:
    """Print the value of an option.

    A value that is given by reference is fetched.
    """
    session.settings.setting(section, key)
    value = resolved(session.settings).get(section, key)
    if output in {Format.JSON, Format.YAML}:
        emit_one({"section": section, "key": key, "value": value if _is_data(value) else str(value)}, output)
    else:
        click.echo("" if value is None else ",".join(value) if isinstance(value, tuple) else value)


@click.command("lint")
@output_option
@pass_session
def lint(session: Session, output: Format) -> int:
    """Check the configuration for mistakes."""
    from windlass.control.configuration import mistakes

    found = mistakes()
    if found or output is not Format.TABLE:
        emit(found, ("problem",), output)
    if found:
        return USAGE
    changed = sum(setting.origin.kind != "default" for setting in session.settings)
    say(f"the configuration is fine; {changed} option(s) are set")
    return OK


def _shown(setting: Setting) -> str:
    value = setting.value
    if isinstance(value, Reference):
        return f"(from {value.kind} {value.target})"
    if setting.option.secret and value:
        return _HIDDEN
    if isinstance(value, tuple):
        return ",".join(value)
    return "" if value is None else str(value)


def _is_data(value: object) -> bool:
    return value is None or isinstance(value, str | int | float | bool | tuple | dict)
