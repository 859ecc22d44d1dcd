"""``windlass dags trigger``: create a run, and wait for its end if told to.

This command's own start counts (a budget says how much), so its module imports next to nothing.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import click

from windlass.cli.arguments import dag_argument
from windlass.cli.failing import FAILED, OK
from windlass.cli.options import dry_run_option, json_object, moment
from windlass.cli.output import Format, emit_one, output_option, say
from windlass.cli.session import Session, pass_session
from windlass.control import RunRow
from windlass.states import RunState

_FIELDS = ("dag_id", "run_id", "run_type", "logical_date", "data_interval_start", "data_interval_end", "state")
#: Seconds between two looks at the run: soon at first, then rarely enough to cost nothing.
_FIRST_LOOK, _LAST_LOOK, _SLOWDOWN = 0.05, 0.5, 1.3


@click.command("trigger")
@dag_argument
@click.option("-c", "--conf", type=json_object, help="The run's configuration, a JSON object; overrides params.")
@click.option("-e", "--logical-date", type=moment, help="The run's logical date; by default the instant of now.")
@click.option("-r", "--run-id", help="The run's id; by default made from its logical date.")
@click.option("--wait", is_flag=True, help="Wait for the run's end; exit 1 if it failed.")
@dry_run_option
@output_option
@pass_session
def trigger(
    session: Session,
    dag_id: str,
    conf: dict[str, Any] | None,
    logical_date: datetime | None,
    run_id: str | None,
    output: Format,
    *,
    wait: bool,
    dry_run: bool,
) -> int:
    """Create a run of a DAG now.

    The data interval is the last complete period of the DAG's schedule; --dry-run shows it without creating the run.
    """
    runs = session.control.runs
    if dry_run:
        _print(runs.preview(dag_id, conf=conf, logical_date=logical_date, run_id=run_id), output)
        say("nothing was created")
        return OK
    run = runs.trigger(dag_id, conf=conf, logical_date=logical_date, run_id=run_id, actor=session.actor)
    hint = session.control.why_idle(dag_id)
    if hint is not None:
        say(hint)
    if wait:
        run = _ended(session, run)
    _print(run, output)
    return FAILED if wait and run.state is RunState.FAILED else OK


def _ended(session: Session, run: RunRow) -> RunRow:
    """Return the run when it has ended."""
    pause = _FIRST_LOOK
    try:
        while not run.state.is_terminal:
            time.sleep(pause)
            pause = min(pause * _SLOWDOWN, _LAST_LOOK)
            run = session.control.runs.get(run.dag_id, run.run_id)
    except KeyboardInterrupt:
        say(f"the run goes on: windlass runs show {run.dag_id} {run.run_id}")
        raise
    return run


def _print(run: RunRow, output: Format) -> None:
    if run.data_interval_start is None:
        say("the DAG's timetable is asked for the data interval before the run starts")
    emit_one({name: getattr(run, name) for name in _FIELDS}, output)
