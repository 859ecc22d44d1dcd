"""The commands that start Windlass's own processes; ``windlass.app`` holds what they do."""

from __future__ import annotations

import click

from windlass.cli.session import Session, pass_session


@click.command("quickstart")
@pass_session
def quickstart(session: Session) -> int:
    """Run an example from nothing to a result, and show it."""
    from windlass.app.quickstart import run

    return run(session.settings)


@click.command("standalone")
@pass_session
def standalone(session: Session) -> int:
    """Run everything on this machine until interrupted.

    The scheduler, the DAG files and a supervisor of task processes. Task code runs under this user's account.
    """
    from windlass.app.standalone import run

    return run(session.settings)


@click.command("scheduler")
@pass_session
def scheduler(session: Session) -> int:
    """Run the scheduler."""
    from windlass.app.scheduler_process import run

    return run(session.settings)


@click.command("supervisor", hidden=True)
@pass_session
def supervisor(session: Session) -> int:
    """Run a supervisor of task processes."""
    from windlass.app.supervisor_process import run

    return run(session.settings)
