"""Where the DAGs of a simulation come from: a folder, whose files children parse, or the database, which is only read.

The past is read from the database in both cases, if there is one: durations, lengths of results, pools.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import closing
from datetime import datetime
from pathlib import Path

import msgspec

from windlass.app.clocks import SystemClock
from windlass.app.services import StoredSecrets, parallelism_of
from windlass.config import Settings
from windlass.errors import DagNotFound, UsageError
from windlass.secrets.resolver import open_resolver
from windlass.spec import DagSpec
from windlass.store import Store
from windlass_testing.simulate.assumptions import Assumptions, History
from windlass_testing.simulate.outcome import Simulation
from windlass_testing.simulate.reading import read_folder
from windlass_testing.simulate.world import simulate


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One version of everything: the DAGs, what is known of their past, and the limits they run under."""

    specs: tuple[DagSpec, ...]
    history: History
    pools: dict[str, int]
    parallelism: int
    notes: tuple[str, ...] = ()

    def simulate(
        self, since: datetime, until: datetime, assumptions: Assumptions, *, runs_only: bool = False
    ) -> Simulation:
        """Return what would happen.

        :raises UsageError: if the period is empty, or holds more than can be simulated.
        """
        outcome = simulate(
            self.specs,
            since,
            until,
            assumptions=assumptions,
            history=self.history,
            pools=self.pools,
            parallelism=self.parallelism,
            runs_only=runs_only,
        )
        return msgspec.structs.replace(outcome, notes=(*self.notes, *outcome.notes))


def open_case(
    settings: Settings,
    store: Store | None,
    folder: Path | None,
    dag_ids: Collection[str] = (),
    pools: dict[str, int] | None = None,
    *,
    strict: bool = True,
) -> Case:
    """Return the DAGs of ``folder``, or without one the newest of the database that are not paused.

    Args:
        settings: the limits.
        store: the database, if there is one.
        folder: the DAG folder.
        dag_ids: only these DAGs, paused or not; all if empty.
        pools: slots by name, instead of the database's.
        strict: whether every one of ``dag_ids`` must be there; the other side of a comparison may lack some.

    :raises UsageError: if there is neither a folder nor a database.
    :raises DagNotFound: if one of ``dag_ids`` is not there but must be.
    """
    if folder is not None:
        specs, notes = _from_folder(settings, folder, store)
    elif store is not None:
        specs, notes = _from_store(store, dag_ids)
    else:
        raise UsageError(f"there is no database in {settings.home} to take DAGs from; name a folder with --dags")
    by_id = {spec.dag_id: spec for spec in specs}
    if strict:
        _require(by_id, dag_ids, folder)
    chosen = tuple(by_id[dag_id] for dag_id in sorted(dag_ids or by_id) if dag_id in by_id)
    known = {} if store is None else {pool.name: pool.slots for pool in store.pools.list()}
    return Case(
        specs=chosen,
        history=History() if store is None else _history(store, chosen),
        pools=known | (pools or {}),
        parallelism=parallelism_of(settings),
        notes=tuple(notes),
    )


def _from_folder(settings: Settings, folder: Path, store: Store | None) -> tuple[list[DagSpec], list[str]]:
    with closing(open_resolver(settings, None if store is None else StoredSecrets(store))) as secrets:
        reading = read_folder(folder, settings, clock=SystemClock(), secrets=secrets)
    if not reading.specs and not reading.errors:
        raise UsageError(f"{folder} holds no DAG file: a .py file in which the words dag and windlass stand")
    return list(reading.specs.values()), reading.errors


def _from_store(store: Store, dag_ids: Collection[str]) -> tuple[list[DagSpec], list[str]]:
    specs, paused = [], []
    for dag in store.scheduler.dags():
        if dag.paused and dag.dag_id not in dag_ids:
            paused.append(dag.dag_id)
        else:
            specs.append(store.scheduler.spec(dag.dag_id, dag.spec_version))
    note = f"{len(paused)} paused DAG(s) are left out; name one with --dag-id to have it simulated: "
    return specs, [note + ", ".join(paused[:5]) + (" …" if len(paused) > 5 else "")] if paused else []


def _require(known: Collection[str], dag_ids: Collection[str], folder: Path | None) -> None:
    for dag_id in dag_ids:
        if dag_id not in known:
            where = "the database" if folder is None else str(folder)
            there = ", ".join(sorted(known)[:10]) or "no DAG that could be read"
            raise DagNotFound(f"DAG {dag_id!r} is not in {where}; it has {there}")


def _history(store: Store, specs: Iterable[DagSpec]) -> History:
    history = History()
    for spec in specs:
        for task in spec.tasks:
            duration, length = store.history.of(spec.dag_id, task.task_id)
            if duration is not None:
                history.durations[spec.dag_id, task.task_id] = duration
            if length is not None:
                history.lengths[spec.dag_id, task.task_id] = length
    return history
