"""How a command fails: one sentence on stderr, and an exit code that a script can rely on.

0 ok · 1 a run or a check failed, or somebody else was first · 2 usage or configuration · 3 internal · 4 not found ·
5 nothing matched · 130 interrupted · 143 told to end. A :class:`~windlass.errors.WindlassError` carries its own code
and is printed without a traceback; anything else is a bug of ours and is printed with one.

With ``-o json`` the sentence is an object ``{"error", "code"}``, also when the arguments themselves could not be
parsed, which is why the format is read from the raw arguments here.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Final

import click

from windlass.errors import WindlassError

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
INTERNAL: Final = 3
NOT_FOUND: Final = 4
NOTHING_MATCHED: Final = 5
INTERRUPTED: Final = 130
TERMINATED: Final = 143


class Terminated(BaseException):
    """SIGTERM has come: whatever is open is closed on the way out."""


def wants_json(args: Sequence[str]) -> bool:
    """Return whether ``args`` ask for JSON output."""
    words = list(args)[: args.index("--")] if "--" in args else list(args)
    asked = {"--json", "-ojson", "--output=json"}
    return any(
        word in asked or (word in {"-o", "--output"} and words[position + 1 : position + 2] == ["json"])
        for position, word in enumerate(words)
    )


def tell(sentence: str, code: str, *, as_json: bool) -> None:
    """Write one failure to stderr."""
    line = json.dumps({"error": sentence, "code": code}) if as_json else f"error: {sentence}"
    click.echo(line, err=True)


def guarded(command: Callable[[], object], args: Sequence[str]) -> int:
    """Call ``command`` and return the exit code that its result or its failure stands for."""
    as_json = wants_json(args)
    try:
        result = command()
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return USAGE
    except click.ClickException as error:
        if isinstance(error, click.UsageError) and error.ctx is not None and not as_json:
            click.echo(error.ctx.get_usage(), err=True)
        tell(error.format_message(), "usage", as_json=as_json)
        return error.exit_code if error.exit_code != 1 else USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except Terminated:
        return TERMINATED
    except BrokenPipeError:
        # The reader (`| head`) has seen enough, and click ends such a command with 1 as well. Python flushes stdout
        # once more at exit: give it somewhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except WindlassError as error:
        tell(str(error), error.code, as_json=as_json)
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the last resort of the process
        if not as_json:
            import traceback

            traceback.print_exc()
        tell(f"internal error: {type(error).__name__}: {error}. Please report it", "internal", as_json=as_json)
        return INTERNAL
    return result if isinstance(result, int) else OK
