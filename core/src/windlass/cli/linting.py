"""``windlass dags lint``: what is wrong with DAG files although they can be read."""

from __future__ import annotations

import click

from windlass.cli.arguments import lint_argument
from windlass.cli.failing import FAILED, OK
from windlass.cli.output import Format, emit, output_option, say
from windlass.cli.session import Session, pass_session


@click.command("lint")
@lint_argument
@output_option
@pass_session
def lint(session: Session, target: str | None, output: Format) -> int:
    """Look for mistakes in DAG files.

    TARGET is a folder, a file or the id of a DAG; by default the DAG folder. The files are imported in child processes,
    as the server does it. A comment such as `# windlass: ignore[WL105]` excuses the statement it stands at.
    """
    from windlass.app.linting import lint_target
    from windlass.protocol.findings import Level

    found = []
    for item in lint_target(session.settings, target):
        found.append(item)
        if output is Format.TABLE:
            place = f"{item.file}:{item.line}: " if item.file else ""
            click.echo(f"{place}{item.code} {item.level.value}: {item.message}; {item.remedy}")
    if output is not Format.TABLE:
        emit(found, ("code", "level", "file", "line", "message", "remedy"), output)
    errors = sum(item.level is Level.ERROR for item in found)
    say(f"{errors} error(s), {len(found) - errors} warning(s)" if found else "nothing was found")
    return FAILED if errors else OK
