"""``windlass backfill`` and ``windlass dags backfill``: fill a range of a DAG's intervals with runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, TypeVar

import click

from windlass.cli.arguments import backfill_argument, dag_argument, dag_option
from windlass.cli.failing import FAILED, NOTHING_MATCHED, OK
from windlass.cli.options import confirm, dry_run_option, json_object, moment, page_options, yes_option
from windlass.cli.output import Format, emit, emit_one, output_option, say
from windlass.cli.session import Session, pass_session
from windlass.control import AskPage, BackfillPlan, BackfillRequest, BackfillRow
from windlass.ports import BackfillState, Reprocess, Treatment
from windlass.protocol import TimetablePage, TimetableQuestion

AnyCallable = TypeVar("AnyCallable", bound=Callable[..., Any])

#: More runs than this are not made without asking.
_MANY: Final = 100
#: Seconds between two looks at a backfill that is waited for.
_LOOK: Final = 0.5
_LISTED: Final = ("id", "dag_id", "state", "from_date", "to_date", "progress", "failed", "created_by")
_PLANNED: Final = ("action", "run_id", "state", "data_interval_start", "data_interval_end")
_OVER: Final = frozenset({BackfillState.COMPLETED, BackfillState.CANCELLED})


def _common_options(command: AnyCallable) -> AnyCallable:
    """Give ``command`` everything that both spellings of a backfill share."""
    for option in reversed(
        (
            click.option(
                "-s",
                "--from-date",
                "--start-date",
                "since",
                type=moment,
                required=True,
                help="The first logical date, inclusive.",
            ),
            click.option(
                "-e",
                "--to-date",
                "--end-date",
                "until",
                type=moment,
                required=True,
                help="The last logical date, inclusive.",
            ),
            click.option(
                "--max-active-runs",
                type=click.IntRange(min=1),
                help="How many of its runs may be active at once; by default as many as of the DAG itself.",
            ),
            click.option(
                "--run-backwards", is_flag=True, help="Begin with the latest interval. Not if tasks depend on the past."
            ),
            click.option(
                "-t",
                "--task-regex",
                help="Only tasks whose id this regular expression finds, with their setups and teardowns.",
            ),
            click.option("-c", "--conf", type=json_object, help="The runs' configuration, a JSON object."),
            click.option("--wait", is_flag=True, help="Wait for the end; exit 1 if a run failed."),
            dry_run_option,
            yes_option,
            output_option,
            pass_session,
        )
    ):
        command = option(command)
    return command


@click.command("create")
@dag_option("The DAG.", required=True)
@click.option(
    "--reprocess",
    type=click.Choice([choice.value for choice in Reprocess]),
    default=Reprocess.NONE.value,
    show_default=True,
    help="Which runs that exist already run again: none, the failed ones, or all that have ended.",
)
@_common_options
def create(session: Session, dag_id: str, reprocess: str, output: Format, **options: Any) -> int:
    """Fill a range of a DAG's intervals with runs.

    The scheduler makes the runs a few at a time, whatever catchup says and also while the DAG is paused. --dry-run
    shows them.
    """
    return _create(session, dag_id, Reprocess(reprocess), output, **options)


@click.command("backfill")
@dag_argument
@click.option("--rerun-failed-tasks", is_flag=True, help="The same as --reprocess failed of `backfill create`.")
@click.option("--reset-dagruns", is_flag=True, help="The same as --reprocess completed of `backfill create`.")
@_common_options
def dags_backfill(
    session: Session,
    dag_id: str,
    output: Format,
    *,
    rerun_failed_tasks: bool,
    reset_dagruns: bool,
    **options: Any,
) -> int:
    """Fill a range of a DAG's intervals with runs; an older spelling of `windlass backfill create`."""
    reprocess = Reprocess.FAILED if rerun_failed_tasks else Reprocess.NONE
    return _create(session, dag_id, Reprocess.COMPLETED if reset_dagruns else reprocess, output, **options)


def _create(
    session: Session,
    dag_id: str,
    reprocess: Reprocess,
    output: Format,
    *,
    since: datetime,
    until: datetime,
    max_active_runs: int | None,
    run_backwards: bool,
    task_regex: str | None,
    conf: dict[str, Any] | None,
    wait: bool,
    dry_run: bool,
    yes: bool,
) -> int:
    request = BackfillRequest(
        dag_id=dag_id,
        from_date=since,
        to_date=until,
        max_active_runs=max_active_runs,
        reprocess=reprocess,
        backwards=run_backwards,
        task_regex=task_regex,
        conf=conf or {},
    )
    backfills = session.control.backfills
    plan = backfills.plan(request, ask=_asking(session)) if dry_run or not backfills.is_asked(dag_id) else None
    if dry_run and plan is not None:
        emit(plan.runs, _PLANNED, output)
        _say_plan(plan, dry_run=True)
        return OK
    if plan is None:
        if reprocess is not Reprocess.NONE:
            confirm("Run again what exists in the intervals that the timetable says?", yes=yes)
    elif not _is_wanted(plan, yes=yes):
        return NOTHING_MATCHED
    row = backfills.create(request, actor=session.actor)
    if plan is None:
        say("the timetable is asked for the intervals as the runs are made; --dry-run shows them all")
    else:
        _say_plan(plan, dry_run=False)
    if not session.control.alive.scheduler():
        say("no scheduler is running; nothing happens until `windlass standalone` is")
    if wait:
        row = _ended(session, row)
    _show(row, output)
    failed = row.runs["failed"] or row.state is BackfillState.CANCELLED or row.error
    return FAILED if wait and failed else OK


def _asking(session: Session) -> AskPage:
    """Return what has a plugin's timetable answer, imported when it is needed."""

    def ask(question: TimetableQuestion) -> TimetablePage:
        from windlass.app.inproc.timetables import ask_in_child

        return ask_in_child(session.settings, question)

    return ask


def _is_wanted(plan: BackfillPlan, *, yes: bool) -> bool:
    """Return whether there is something to do, and ask first if it is much, or touches what exists."""
    made, cleared = plan.count(Treatment.CREATE), plan.count(Treatment.CLEAR)
    if not made and not cleared:
        say(f"every one of the {len(plan.runs)} intervals has its run; --reprocess makes them run again")
        return False
    if cleared or made > _MANY:
        confirm(f"Make {made} run(s) and clear {cleared} that exist?", yes=yes)
    return True


def _say_plan(plan: BackfillPlan, *, dry_run: bool) -> None:
    made, cleared, left = (plan.count(action) for action in (Treatment.CREATE, Treatment.CLEAR, Treatment.LEAVE))
    parts = [f"{made} run(s) to make"]
    parts += [f"{cleared} to run again"] if cleared else []
    parts += [f"{left} interval(s) left alone, as their runs exist"] if left else []
    say(f"{', '.join(parts)}{'; nothing was created' if dry_run else ''}")
    if plan.task_ids is not None:
        say(f"only these tasks run: {', '.join(plan.task_ids)}")


def _ended(session: Session, row: BackfillRow) -> BackfillRow:
    try:
        while row.state not in _OVER and row.error is None:
            time.sleep(_LOOK)
            row = session.control.backfills.get(row.id)
    except KeyboardInterrupt:
        say(f"the backfill goes on: windlass backfill show {row.id}")
        raise
    if row.error is not None:
        say(f"{row.error}; it is asked again, and `windlass backfill cancel {row.id}` ends the backfill")
    return row


@click.command("list")
@dag_option("Only backfills of this DAG.")
@page_options
@output_option
@pass_session
def list_backfills(session: Session, dag_id: str | None, cursor: str | None, limit: int, output: Format) -> None:
    """List the backfills, newest first."""
    page = session.control.backfills.list(dag_id=dag_id, cursor=cursor, limit=limit)
    if output in {Format.JSON, Format.YAML}:
        emit(page.items, (), output)
    else:
        emit([_line(row) for row in page.items], _LISTED, output)
    if page.next is not None:
        say(f"there are more: --cursor {page.next}")


def _line(row: BackfillRow) -> dict[str, object]:
    fields = {name: getattr(row, name) for name in row.__struct_fields__}
    return fields | {
        "progress": f"{row.dealt}/{'?' if row.intervals is None else row.intervals}",
        "failed": row.runs["failed"],
    }


@click.command("show")
@backfill_argument
@output_option
@pass_session
def show(session: Session, backfill: int, output: Format) -> None:
    """Show a backfill and how far it has come."""
    _show(session.control.backfills.get(backfill), output)


def _show(row: BackfillRow, output: Format) -> None:
    if output in {Format.JSON, Format.YAML}:
        emit_one(row, output)
        return
    counts = ", ".join(f"{count} {state}" for state, count in row.runs.items() if count) or "none yet"
    emit_one({name: getattr(row, name) for name in row.__struct_fields__} | {"runs": counts}, output)


@click.command("cancel")
@backfill_argument
@dry_run_option
@output_option
@pass_session
def cancel(session: Session, backfill: int, output: Format, *, dry_run: bool) -> None:
    """End a backfill: waiting runs fail now, running ones go on to their end, no more are made."""
    if dry_run:
        row = session.control.backfills.get(backfill)
        _show(row, output)
        say(f"would fail {row.runs['queued']} waiting run(s); {row.runs['running']} running one(s) would go on")
        return
    done = session.control.backfills.cancel(backfill, actor=session.actor)
    _show(session.control.backfills.get(backfill), output)
    say(f"{done.ended} waiting run(s) have failed; {done.running} running one(s) go on to their end")
