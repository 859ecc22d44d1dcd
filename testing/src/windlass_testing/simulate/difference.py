"""Two simulations side by side: what is new, what is gone, and what takes another course. Equal things are left out."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from datetime import datetime
from typing import Literal, TypeVar

import msgspec

from windlass.states import RunState
from windlass_testing.simulate.outcome import PoolUse, SimulatedRun, Simulation, Wait

Change = Literal["added", "removed", "changed"]
_T = TypeVar("_T")
_K = TypeVar("_K", bound=Hashable)


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """One simulation, or one DAG in it, in numbers; lengths are seconds."""

    runs: int
    failed: int
    #: Runs that had not ended.
    open: int
    #: Mean length of the runs that ended, from start to end; None if none did.
    duration: float | None
    #: Of runs for their start, all together.
    runs_waited: float
    #: Of task instances, all together.
    tasks_waited: float


class DagDifference(msgspec.Struct, frozen=True, kw_only=True):
    """A DAG whose numbers are not the same; None where it is not there."""

    dag_id: str
    change: Change
    before: Totals | None
    after: Totals | None


class RunDifference(msgspec.Struct, frozen=True, kw_only=True):
    """A run that is only in one simulation, or that is not due, starts, or ends alike in both."""

    dag_id: str
    logical_date: datetime
    change: Change
    run_after_before: datetime | None
    run_after_after: datetime | None
    start_before: datetime | None
    start_after: datetime | None
    end_before: datetime | None
    end_after: datetime | None
    state_before: RunState | None
    state_after: RunState | None


class WaitDifference(msgspec.Struct, frozen=True, kw_only=True):
    """What one task, or the runs of a DAG, wait for one reason, where that is not the same; seconds."""

    dag_id: str
    task_id: str | None
    reason: str
    pool: str | None
    total_before: float
    total_after: float


class PoolDifference(msgspec.Struct, frozen=True, kw_only=True):
    """A pool (or ``parallelism``) that is used differently."""

    name: str
    before: PoolUse | None
    after: PoolUse | None


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that differs between two simulations of one period."""

    since: datetime
    until: datetime
    before: Totals
    after: Totals
    dags: tuple[DagDifference, ...]
    runs: tuple[RunDifference, ...]
    waits: tuple[WaitDifference, ...]
    pools: tuple[PoolDifference, ...]
    notes: tuple[str, ...]

    @property
    def summary(self) -> str:
        """The whole in one sentence."""
        if not (self.dags or self.runs or self.waits or self.pools):
            return "no difference"
        by_change = {kind: sum(run.change == kind for run in self.runs) for kind in ("added", "removed", "changed")}
        return "runs: " + ", ".join(f"{number} {kind}" for kind, number in by_change.items())


def compare(before: Simulation, after: Simulation) -> Difference:
    """Return what differs between two simulations of the same period."""
    notes = dict.fromkeys([f"before: {note}" for note in before.notes] + [f"after: {note}" for note in after.notes])
    return Difference(
        since=before.since,
        until=before.until,
        before=_totals(before, None),
        after=_totals(after, None),
        dags=tuple(_dags(before, after)),
        runs=tuple(_runs(before, after)),
        waits=tuple(_waits(before, after)),
        pools=tuple(
            PoolDifference(name=name, before=old, after=new)
            for name, old, new in _pairs(before.pools, after.pools, lambda pool: pool.name)
            if old != new
        ),
        notes=tuple(notes),
    )


def _dags(before: Simulation, after: Simulation) -> Iterable[DagDifference]:
    for dag_id in sorted({run.dag_id for run in (*before.runs, *after.runs)}):
        old, new = _totals(before, dag_id), _totals(after, dag_id)
        if old == new:
            continue
        change = _change(old.runs or None, new.runs or None)
        yield DagDifference(
            dag_id=dag_id, change=change, before=old if old.runs else None, after=new if new.runs else None
        )


def _runs(before: Simulation, after: Simulation) -> Iterable[RunDifference]:
    for (dag_id, logical_date), old, new in _pairs(before.runs, after.runs, lambda run: (run.dag_id, run.logical_date)):
        if old is not None and new is not None and _course(old) == _course(new):
            continue
        yield RunDifference(
            dag_id=dag_id,
            logical_date=logical_date,
            change=_change(old, new),
            run_after_before=None if old is None else old.run_after,
            run_after_after=None if new is None else new.run_after,
            start_before=None if old is None else old.start,
            start_after=None if new is None else new.start,
            end_before=None if old is None else old.end,
            end_after=None if new is None else new.end,
            state_before=None if old is None else old.state,
            state_after=None if new is None else new.state,
        )


def _course(run: SimulatedRun) -> tuple[object, ...]:
    return run.run_after, run.start, run.end, run.state


def _waits(before: Simulation, after: Simulation) -> Iterable[WaitDifference]:
    def key(wait: Wait) -> tuple[str, str, str, str]:
        return wait.dag_id, wait.task_id or "", wait.reason, wait.pool or ""

    for (dag_id, task_id, reason, pool), old, new in _pairs(before.waits, after.waits, key):
        was, now = 0.0 if old is None else old.total, 0.0 if new is None else new.total
        if was != now:
            yield WaitDifference(
                dag_id=dag_id,
                task_id=task_id or None,
                reason=reason,
                pool=pool or None,
                total_before=was,
                total_after=now,
            )


def _totals(simulation: Simulation, dag_id: str | None) -> Totals:
    runs = [run for run in simulation.runs if dag_id in {None, run.dag_id}]
    lengths = [(run.end - run.start).total_seconds() for run in runs if run.start is not None and run.end is not None]
    waits = [wait for wait in simulation.waits if dag_id in {None, wait.dag_id}]
    return Totals(
        runs=len(runs),
        failed=sum(run.state is RunState.FAILED for run in runs),
        open=sum(not run.state.is_terminal for run in runs),
        duration=sum(lengths) / len(lengths) if lengths else None,
        runs_waited=sum(wait.total for wait in waits if wait.task_id is None),
        tasks_waited=sum(wait.total for wait in waits if wait.task_id is not None),
    )


def _pairs(before: Iterable[_T], after: Iterable[_T], key: Callable[[_T], _K]) -> list[tuple[_K, _T | None, _T | None]]:
    """Return the things of both sides by their key, those of ``before`` first."""
    old, new = {key(thing): thing for thing in before}, {key(thing): thing for thing in after}
    return [(name, old.get(name), new.get(name)) for name in dict.fromkeys([*old, *new])]


def _change(old: object | None, new: object | None) -> Change:
    if old is None:
        return "added"
    return "removed" if new is None else "changed"
