"""The root command, and the one place where commands run and fail."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import click

from windlass.cli.failing import Terminated, guarded
from windlass.cli.lazy import Entry, LazyGroup, nearest
from windlass.cli.session import Session
from windlass.cli.table import COMMANDS

if TYPE_CHECKING:
    from windlass.interfaces.provider import Provider

_HELP = """Windlass runs data pipelines written as Python DAGs.

Data goes to stdout, messages to stderr; `-o json` is made for scripts. Exit codes: 0 ok, 1 a run or check failed,
2 usage or configuration, 3 internal error, 4 not found, 5 nothing matched.
"""


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click's signature
    if wanted:
        from windlass.version import __version__

        click.echo(f"windlass {__version__}")
        ctx.exit()


def _color(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.ensure_object(Session).flag("cli.color", value)


class Root(LazyGroup):
    """The root group: the built-in commands, and those that providers declare.

    Discovering providers is slow and its cache fast, so the help page and completion show what the cache knows, and
    only a name that is not built in has providers discovered. A built-in command asks nobody.
    """

    def table(self) -> Mapping[str, Entry]:
        """Return the built-in commands and those of the providers that the cache knows."""
        from windlass.registry.cache import cache_file, read

        file = cache_file()
        catalog = None if file is None else read(file)
        return COMMANDS if catalog is None else _with(catalog.providers)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command; a provider cannot replace a built-in one."""
        if cmd_name in COMMANDS:
            return self.load(cmd_name, COMMANDS[cmd_name])
        from windlass.registry import registry

        entry = _with(registry().providers).get(cmd_name)
        return None if entry is None else self.load(cmd_name, entry)

    def unknown(self, name: str) -> str:
        """Return the sentence for a name that is no command; one of the project's own names what brings it."""
        from windlass.registry import registry
        from windlass.registry.absent import OWN_COMMANDS

        if name in OWN_COMMANDS:
            brings = OWN_COMMANDS[name]
            there = {usable.name for usable in registry().providers} | {broken.name for broken in registry().broken}
            if there & {brings, brings.removeprefix("windlass-")}:
                remedy = f"`pip install --upgrade {brings}`, or see `windlass plugins`"
                return f"Command {name!r} is not in the {brings} that is installed: {remedy}"
            return f"Command {name!r} is not installed; it comes with {brings}: `pip install {brings}`"
        return f"No such command {name!r}.{nearest(name, tuple({**self.table(), **OWN_COMMANDS}))}"


def _with(providers: Iterable[Provider]) -> Mapping[str, Entry]:
    found = {
        name: Entry(dotted, provider.cli_help.get(name, f"Command of the provider {provider.name}."))
        for provider in reversed(tuple(providers))
        for name, dotted in provider.cli_commands.items()
    }
    return {**COMMANDS, **{name: found[name] for name in sorted(found) if name not in COMMANDS}}


root = Root(
    "windlass",
    COMMANDS,
    about=_HELP,
    params=[
        click.Option(
            ["--version", "-V"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_print_version,
            help="Print the version.",
        ),
        click.Option(
            ["--color"],
            type=click.Choice(["auto", "always", "never"]),
            is_eager=True,
            expose_value=False,
            callback=_color,
            help="Whether to colour; NO_COLOR and FORCE_COLOR are heeded as well.",
        ),
    ],
)


def run(args: Sequence[str], session: Session | None = None) -> int:
    """Run the command that ``args`` name and return its exit code; a session that is given is left open."""

    def command() -> object:
        if session is not None:
            return _invoke(args, session)
        with Session() as opened:
            return _invoke(args, opened)

    with _ending_by_signal():
        return guarded(command, args)


@contextmanager
def _ending_by_signal() -> Iterator[None]:
    """Let SIGTERM unwind the command; processes of our own have their own way of ending and set their own handlers."""

    def end(_number: int, _frame: FrameType | None) -> NoReturn:
        raise Terminated

    if threading.current_thread() is not threading.main_thread():  # only there can it be set
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _invoke(args: Sequence[str], session: Session) -> object:
    return root.main(list(args), prog_name="windlass", standalone_mode=False, obj=session)
