"""Parameters that several commands share, and the question before something is destroyed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import click

from windlass.cli.failing import FAILED
from windlass.errors import UsageError
from windlass.moment import parse_moment

AnyCallable = TypeVar("AnyCallable", bound=Callable[..., Any])


class MomentType(click.ParamType):
    """An ISO 8601 date or datetime; a naive one is in UTC."""

    name = "datetime"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the UTC datetime that ``value`` names."""
        if isinstance(value, datetime):
            return value
        try:
            return parse_moment(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class JsonObject(click.ParamType):
    """A JSON object."""

    name = "json"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        """Return the dict that ``value`` holds."""
        if isinstance(value, dict):
            return value
        import json

        try:
            data = json.loads(str(value))
        except ValueError as error:
            self.fail(f"not JSON: {error}", param, ctx)
        if not isinstance(data, dict):
            self.fail(f'an object such as \'{{"key": "value"}}\' is wanted, not {type(data).__name__}', param, ctx)
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
