"""``windlass jobs``: the long-lived processes on the database, those that run and those that did."""

from __future__ import annotations

import click

from windlass.cli.failing import FAILED, OK
from windlass.cli.output import Format, emit, output_option, say
from windlass.cli.session import Session, pass_session

_COLUMNS = ("kind", "state", "hostname", "pid", "dags", "started_at", "ended_at")
_KINDS = click.Choice(["scheduler", "supervisor"])


@click.command("list")
@click.option("--kind", type=_KINDS, help="Only this kind.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many.")
@output_option
@pass_session
def list_jobs(session: Session, kind: str | None, limit: int, output: Format) -> None:
    """List schedulers and supervisors, and who holds how many DAGs."""
    emit(session.control.jobs.list(kind=kind, limit=limit), _COLUMNS, output)


@click.command("check")
@click.option("--kind", type=_KINDS, help="Only this kind; by default there must be one of each.")
@output_option
@pass_session
def check(session: Session, kind: str | None, output: Format) -> int:
    """Check that a scheduler and a supervisor of this home run."""
    wanted = ("scheduler", "supervisor") if kind is None else (kind,)
    rows = [job for job in session.control.jobs.list(limit=1000) if job.here and job.kind in wanted]
    emit(rows, _COLUMNS, output)
    missing = [name for name in wanted if name not in {job.kind for job in rows}]
    if missing:
        say(f"no {' and no '.join(missing)} is running; start one with `windlass standalone`")
    return FAILED if missing else OK
