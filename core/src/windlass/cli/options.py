"""Parameters that several commands share, and the question before something is destroyed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import click

from windlass.cli.failing import FAILED
from windlass.errors import UsageError
from windlass.moment import parse_moment

AnyCallable = TypeVar("AnyCallable", bound=Callable[..., Any])


def moment(text: str) -> datetime:
    """Return the UTC datetime that an option's ISO 8601 text names; a naive one is in UTC."""
    try:
        return parse_moment(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def age(text: str) -> datetime:
    """Return the UTC datetime that an option names, as a date or as an age such as ``30d`` or ``12h``."""
    units = {"d": "days", "h": "hours", "w": "weeks"}
    if not (text[:-1].isdecimal() and text[-1:] in units):
        return moment(text)
    try:
        return datetime.now(tz=UTC) - timedelta(**{units[text[-1]]: int(text[:-1])})
    except OverflowError:
        raise click.BadParameter(f"{text} ago was before the year 1") from None


def json_object(text: str) -> dict[str, Any]:
    """Return the dict that an option's JSON text holds."""
    import json

    try:
        data = json.loads(text)
    except ValueError as error:
        raise click.BadParameter(f"not JSON: {error}") from None
    if not isinstance(data, dict):
        wanted = '{"key": "value"}'
        raise click.BadParameter(f"an object such as {wanted} is wanted, not {type(data).__name__}")
    return data


def yes_option(command: AnyCallable) -> AnyCallable:
    """Give ``command`` the flag ``yes``."""
    return click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")(command)


def dry_run_option(command: AnyCallable) -> AnyCallable:
    """Give ``command`` the flag ``dry_run``."""
    return click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")(command)


def page_options(command: AnyCallable) -> AnyCallable:
    """Give ``command`` the parameters ``limit`` and ``cursor``."""
    bounds = click.IntRange(1, 1000)
    limit = click.option("--limit", type=bounds, default=100, show_default=True, help="At most so many.")
    cursor = click.option("--cursor", help="Go on where a list ended.")
    return limit(cursor(command))


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something is changed for good.

    :raises UsageError: where nobody can answer.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{question} There is no terminal to answer on; pass -y to confirm")
    if not click.confirm(question, err=True):
        click.echo("nothing was changed", err=True)
        raise click.exceptions.Exit(FAILED)
