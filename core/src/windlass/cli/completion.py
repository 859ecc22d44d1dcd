"""``windlass completion``: the script that makes a shell complete commands, options and ids."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from windlass.errors import UsageError


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    For bash: eval "$(windlass completion bash)"
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise UsageError(f"click knows no completion for {shell}")
    click.echo(kind(ctx.find_root().command, {}, "windlass", "_WINDLASS_COMPLETE").source())
