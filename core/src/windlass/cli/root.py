"""The root command, and the one place where commands run and fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click

from windlass.cli.failing import guarded
from windlass.cli.lazy import Entry, LazyGroup
from windlass.cli.session import Session
from windlass.cli.table import COMMANDS

_HELP = """Windlass runs data pipelines written as Python DAGs.

Data goes to stdout, messages to stderr; `-o json` is made for scripts. Exit codes: 0 ok, 1 a run or check failed,
2 usage or configuration, 3 internal error, 4 not found, 5 nothing matched.
"""


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click's signature
    if wanted:
        from windlass import __version__

        click.echo(f"windlass {__version__}")
        ctx.exit()


class Root(LazyGroup):
    """The root group: the built-in commands, and those that providers declare."""

    def table(self) -> Mapping[str, Entry]:
        """Return the built-in commands, then the providers'; a provider cannot replace a built-in one."""
        return COMMANDS


root = Root(
    "windlass",
    COMMANDS,
    help=_HELP,
    params=[
        click.Option(
            ["--version", "-V"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_print_version,
            help="Print the version.",
        )
    ],
)


def run(args: Sequence[str]) -> int:
    """Run the command that ``args`` name and return its exit code."""

    def command() -> object:
        with Session() as session:
            return root.main(list(args), prog_name="windlass", standalone_mode=False, obj=session)

    return guarded(command, args)
