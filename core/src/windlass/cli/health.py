"""``windlass info`` and ``doctor``: what is installed here, and whether it is well."""

from __future__ import annotations

import click

from windlass.cli.failing import FAILED
from windlass.cli.output import Format, emit, emit_one, output_option
from windlass.cli.session import Session, pass_session


@click.command("info")
@output_option
@pass_session
def info(session: Session, output: Format) -> None:
    """Print versions, paths and settings, for a bug report."""
    from windlass.control.health import describe

    emit_one(describe(session.settings), output)


@click.command("doctor")
@click.option("--invariants", is_flag=True, help="Also search the database for broken promises; takes longer.")
@output_option
@pass_session
def doctor(session: Session, output: Format, *, invariants: bool) -> int | None:
    """Check the installation and the database for trouble."""
    from windlass.control.health import broken_promises, checks

    findings = [*checks(session.settings)]
    if invariants:
        findings += broken_promises(session.control.store, session.control.alive)
    if output is Format.TABLE:
        for check in findings:
            click.echo(f"{'ok  ' if check.ok else 'BAD '} {check.name}: {check.finding}")
            if check.remedy is not None and not check.ok:
                click.echo(f"     → {check.remedy}")
    else:
        emit(findings, ("name", "ok", "finding", "remedy"), output)
    return None if all(check.ok for check in findings) else FAILED
