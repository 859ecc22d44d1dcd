"""Groups whose commands are imported when they are called, and which know the nearest name to a mistyped one.

A group is built from a table of :class:`Entry`. Listing its help needs only that table. A provider's commands enter
the root's table by name, dotted path and the help line of its manifest, so that ``windlass --help`` never imports a
provider.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import NamedTuple

import click

from windlass.errors import PluginError


class Entry(NamedTuple):
    """A command in a group's table: ``module:attribute`` (or a table of its own, for a group) and its one-line help."""

    target: str | Mapping[str, Entry]
    help: str
    hidden: bool = False


def nearest(word: str, known: list[str] | tuple[str, ...]) -> str:
    """Return `` Did you mean …?`` for the known names closest to ``word``, or nothing."""
    from difflib import get_close_matches

    matches = get_close_matches(word, known, n=3, cutoff=0.6)
    if not matches:
        return ""
    return f" Did you mean {' or '.join(repr(match) for match in matches)}?"


class LazyGroup(click.Group):
    """A click group over a table of entries."""

    def __init__(
        self, name: str, table: Mapping[str, Entry], *, about: str, params: list[click.Parameter] | None = None
    ) -> None:
        super().__init__(name, help=about, params=params, no_args_is_help=True)
        self._table = table

    def table(self) -> Mapping[str, Entry]:
        """Return the commands of this group; the root adds those of the providers."""
        return self._table

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the table's order."""
        return list(self.table())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        entry = self.table().get(cmd_name)
        return None if entry is None else self.load(cmd_name, entry)

    @staticmethod
    def load(name: str, entry: Entry) -> click.Command:
        """Import the command behind an entry, or make the group of its table."""
        if not isinstance(entry.target, str):
            return LazyGroup(name, entry.target, about=entry.help)
        module, _, attribute = entry.target.partition(":")
        try:
            command = getattr(import_module(module), attribute)
        except Exception as error:
            raise PluginError(f"command {name!r} ({entry.target}) cannot be imported: {error}") from error
        if not isinstance(command, click.Command):
            raise PluginError(f"command {name!r} ({entry.target}) is not a click command; its provider is broken")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that ``args`` begin with; an unknown name is a usage error with the nearest names."""
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            ctx.fail(self.unknown(name))
        return super().resolve_command(ctx, args)

    def unknown(self, name: str) -> str:
        """Return the sentence for a name that is no command of this group."""
        return f"No such command {name!r}.{nearest(name, tuple(self.table()))}"

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table into the help page without importing any command."""
        rows = [(name, entry.help) for name, entry in self.table().items() if not entry.hidden]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)
