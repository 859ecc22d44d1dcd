"""``windlass simulate``: what the scheduler would do in a period of time, and what a change would make of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from windlass.cli.options import moment
from windlass.cli.output import Format, emit, emit_one, output_option, say
from windlass.cli.session import Session, pass_session

if TYPE_CHECKING:
    from windlass_testing.simulate.difference import Difference
    from windlass_testing.simulate.outcome import Simulation

_RUNS: Final = ("dag_id", "run_id", "data_interval_start", "data_interval_end", "start", "end", "state", "waited")
_WAITS: Final = ("dag_id", "task_id", "reason", "pool", "count", "total", "longest")
_POOLS: Final = ("name", "slots", "peak", "saturated", "count", "waited", "used")
_TASKS: Final = ("dag_id", "run_id", "task_id", "map_index", "state", "try_number", "start", "end", "waited")
_DAGS: Final = ("dag_id", "change", "runs", "failed", "open", "duration", "runs_waited", "tasks_waited")
_CHANGED_RUNS: Final = ("dag_id", "logical_date", "change", "start", "end", "state")
_CHANGED_WAITS: Final = ("dag_id", "task_id", "reason", "pool", "total")
_CHANGED_POOLS: Final = ("name", "slots", "peak", "saturated", "waited")
_SECTIONS: Final = ("runs", "waits", "pools", "tasks", "dags")


def _slots(_ctx: click.Context, _param: click.Parameter, values: Sequence[str]) -> dict[str, int]:
    pools: dict[str, int] = {}
    for value in values:
        name, _, slots = value.rpartition("=")
        if not name or not slots.lstrip("-").isdigit():
            raise click.BadParameter(f"{value!r} is no pool; write NAME=SLOTS")
        pools[name] = int(slots)
    return pools


_FOLDER: Final = click.Path(exists=True, file_okay=False, path_type=Path)
_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("simulate")
@click.option("--from", "since", type=moment, required=True, help="Where the period begins (included).")
@click.option("--to", "until", type=moment, required=True, help="Where it ends (not included).")
@click.option("--dags", type=_FOLDER, help="Take the DAGs of this folder, not those of the database.")
@click.option("--dag-id", "dag_ids", multiple=True, help="Only this DAG; may be given again.")
@click.option("--durations", type=_FILE, help="What is assumed of tasks and pools: a TOML, JSON or YAML file.")
@click.option("--pool", "pools", multiple=True, metavar="NAME=SLOTS", callback=_slots, help="Change a pool.")
@click.option("--runs-only", is_flag=True, help="Look at timetables and the limits of runs only.")
@click.option("--against", type=_FOLDER, help="Show what differs with the DAGs of this folder.")
@click.option("--config", type=_FILE, help="Show what differs with this windlass.toml in force.")
@click.option(
    "--against-pool",
    "other_pools",
    multiple=True,
    metavar="NAME=SLOTS",
    callback=_slots,
    help="Show what differs with this pool.",
)
@click.option(
    "--show",
    type=click.Choice(_SECTIONS),
    multiple=True,
    help="Only this part of a table; may be given again. By default all but tasks, with -o plain the runs.",
)
@output_option
@pass_session
def simulate(
    session: Session,
    since: datetime,
    until: datetime,
    dags: Path | None,
    dag_ids: tuple[str, ...],
    durations: Path | None,
    pools: dict[str, int],
    against: Path | None,
    config: Path | None,
    other_pools: dict[str, int],
    show: tuple[str, ...],
    output: Format,
    *,
    runs_only: bool,
) -> None:
    """Show what the scheduler would do in a period of time.

    Nothing is run and nothing is written: the real scheduler decides on a virtual clock, and tasks only take time.
    With --against, --config or --against-pool, show what differs between two simulations.
    """
    from windlass.control.database import check
    from windlass_testing.simulate.assumptions import Assumptions, read_assumptions
    from windlass_testing.simulate.difference import compare
    from windlass_testing.simulate.sources import open_case

    settings = session.settings
    assumptions = Assumptions() if durations is None else read_assumptions(durations)
    store = session.control.store if check(settings).current else None
    case = open_case(settings, store, dags, dag_ids, pools)
    specs = list(case.specs)
    first = case.simulate(since, until, assumptions, runs_only=runs_only)
    outcome: Simulation | Difference = first
    if against is not None or config is not None or other_pools:
        changed = settings if config is None else settings.with_file(config)
        other = open_case(changed, store, against or dags, dag_ids, pools | other_pools, strict=against is None)
        specs += other.specs
        outcome = compare(first, other.simulate(since, until, assumptions, runs_only=runs_only))
    for note in (*assumptions.strangers(specs), *outcome.notes):
        say(f"note: {note}")
    if output in {Format.JSON, Format.YAML}:
        emit_one(outcome, output)
    else:
        _print(outcome, show or (("runs",) if output is Format.PLAIN else _SECTIONS), output)
    say(_about(first, runs_only=runs_only) if outcome is first else outcome.summary)


def _about(outcome: Simulation, *, runs_only: bool) -> str:
    known = ", ".join(f"{number} from {source}" for source, number in sorted(outcome.durations.items()))
    longest = "; a run takes as long as its longest path" if runs_only else ""
    return f"{outcome.summary}; durations of tasks: {known or 'none'}{longest}"


def _print(outcome: Simulation | Difference, show: Iterable[str], output: Format) -> None:
    from windlass_testing.simulate.difference import Difference

    tables = _differing(outcome) if isinstance(outcome, Difference) else _simulated(outcome, show)
    chosen = [(name, *tables[name]) for name in _SECTIONS if name in show and name in tables]
    for name, rows, columns in chosen:
        if output is Format.TABLE:
            click.echo(f"{name.upper()}{'' if rows else ': none'}")
        if rows or output is Format.PLAIN:
            emit(rows, columns, output)
        if output is Format.TABLE:
            click.echo()


_Table = tuple[Sequence[object], tuple[str, ...]]


def _simulated(outcome: Simulation, show: Iterable[str]) -> dict[str, _Table]:
    tables: dict[str, _Table] = {
        "runs": (outcome.runs, _RUNS),
        "waits": (outcome.waits, _WAITS),
        "pools": (outcome.pools, _POOLS),
    }
    if tuple(show) != _SECTIONS:  # so many rows are shown to those who ask for them
        tables["tasks"] = (outcome.tasks, _TASKS)
    return tables


def _differing(outcome: Difference) -> dict[str, _Table]:
    def both(old: object, new: object) -> str:
        return _short(old) if old == new else f"{_short(old)} → {_short(new)}"

    def fields(old: object, new: object, names: Iterable[str]) -> dict[str, str]:
        return {name: both(getattr(old, name, None), getattr(new, name, None)) for name in names}

    return {
        "dags": (
            [
                {"dag_id": row.dag_id, "change": row.change, **fields(row.before, row.after, _DAGS[2:])}
                for row in outcome.dags
            ],
            _DAGS,
        ),
        "runs": (
            [
                {
                    "dag_id": row.dag_id,
                    "logical_date": row.logical_date,
                    "change": row.change,
                    "start": both(row.start_before, row.start_after),
                    "end": both(row.end_before, row.end_after),
                    "state": both(row.state_before, row.state_after),
                }
                for row in outcome.runs
            ],
            _CHANGED_RUNS,
        ),
        "waits": (
            [
                {
                    "dag_id": row.dag_id,
                    "task_id": row.task_id,
                    "reason": row.reason,
                    "pool": row.pool,
                    "total": both(row.total_before, row.total_after),
                }
                for row in outcome.waits
            ],
            _CHANGED_WAITS,
        ),
        "pools": (
            [{"name": row.name, **fields(row.before, row.after, _CHANGED_POOLS[1:])} for row in outcome.pools],
            _CHANGED_POOLS,
        ),
    }


def _short(value: object) -> str:
    match value:
        case None:
            return "-"
        case datetime():
            return value.strftime("%Y-%m-%dT%H:%M:%SZ")
        case float():
            return f"{value:g}"
    return str(value)
