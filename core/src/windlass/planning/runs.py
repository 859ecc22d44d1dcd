"""Which queued runs start, when one has taken too long, and when failures pause a DAG.

A DAG's scheduled, manual and asset-triggered runs share its ``max_active_runs`` and start oldest first. The runs of a
backfill are counted apart, each backfill by its own limit, so that neither holds up the other, and they go on while
the DAG is paused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from windlass.moment import utc
from windlass.ports import RunFacts
from windlass.states import RunState, RunType


class DagLimit(msgspec.Struct, frozen=True, kw_only=True):
    """What bounds the runs of a DAG; -1 means any number."""

    max_active_runs: int
    is_paused: bool = False


class BackfillLimit(msgspec.Struct, frozen=True, kw_only=True):
    """What bounds the runs of a backfill; -1 means any number. ``backwards`` starts the latest logical date first."""

    max_active_runs: int
    backwards: bool = False


class StartChoice(msgspec.Struct, frozen=True, kw_only=True):
    """The runs to start, in order, and why the others stay queued, by the store's id of the run."""

    started: list[RunFacts]
    blocked: dict[int, str]


def choose_runs(
    queued: Iterable[RunFacts],
    running: Iterable[RunFacts],
    dags: Mapping[str, DagLimit],
    backfills: Mapping[int, BackfillLimit],
) -> StartChoice:
    """Return which of the ``queued`` runs start, next to those ``running``.

    A run whose DAG or backfill has no limit in the mappings stays queued: it is gone, or not read yet.
    """
    active: Counter[str | int] = Counter(_limited_by(run) for run in running)
    choice = StartChoice(started=[], blocked={})
    for run in sorted(queued, key=lambda run: _order(run, backfills)):
        reason = _obstacle(run, active, dags, backfills)
        if reason is None:
            active[_limited_by(run)] += 1
            choice.started.append(run)
        else:
            choice.blocked[run.id] = reason
    return choice


def _limited_by(run: RunFacts) -> str | int:
    """Return what the run counts against: its backfill, else its DAG."""
    return run.dag_id if run.backfill_id is None else run.backfill_id


def _order(run: RunFacts, backfills: Mapping[int, BackfillLimit]) -> tuple[float, float, int]:
    limit = None if run.backfill_id is None else backfills.get(run.backfill_id)
    if limit is not None and limit.backwards:
        return (-run.logical_date.timestamp(), 0.0, -run.id)
    return (run.run_after.timestamp(), run.logical_date.timestamp(), run.id)


def _obstacle(
    run: RunFacts, active: Counter[str | int], dags: Mapping[str, DagLimit], backfills: Mapping[int, BackfillLimit]
) -> str | None:
    dag = dags.get(run.dag_id)
    if dag is None:
        return f"DAG `{run.dag_id}` is not known; it may have been removed from its file"
    if dag.is_paused and run.run_type is not RunType.BACKFILL:
        return f"DAG `{run.dag_id}` is paused; `windlass dags unpause {run.dag_id}` starts its runs"
    count = active[_limited_by(run)]
    if run.backfill_id is None:
        if 0 <= dag.max_active_runs <= count:
            return f"max_active_runs ({dag.max_active_runs}) of DAG `{run.dag_id}` is reached"
        return None
    backfill = backfills.get(run.backfill_id)
    if backfill is None:
        return f"backfill {run.backfill_id} is not known; it may have been cancelled"
    if 0 <= backfill.max_active_runs <= count:
        return f"max_active_runs ({backfill.max_active_runs}) of backfill {run.backfill_id} is reached"
    return None


def timeout_due(started: datetime | None, dagrun_timeout: float | None) -> datetime | None:
    """Return the instant at which a run has taken too long; None while it has not started or has no timeout."""
    if started is None or dagrun_timeout is None:
        return None
    return started + timedelta(seconds=dagrun_timeout)


def pauses_after_failures(latest: Sequence[RunState], max_consecutive_failed_dag_runs: int) -> bool:
    """Return whether the DAG is to be paused: its ``latest`` ended runs (newest first) are that many failures in a row.

    0 never pauses.
    """
    limit = max_consecutive_failed_dag_runs
    return 0 < limit <= len(latest) and all(state is RunState.FAILED for state in latest[:limit])


def make_run_id(run_type: RunType, logical_date: datetime) -> str:
    """Return the id of a run that was not given one: ``type__<logical date>``, without microseconds if it has none."""
    return f"{run_type}__{utc(logical_date).isoformat()}"
