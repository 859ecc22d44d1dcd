"""Creating runs: the run, a row per task (a placeholder for a mapped one) and the signal, in one transaction."""

# ruff: noqa: S608 - statements are put together from constants; values are always parameters

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from windlass.errors import DagNotFound
from windlass.planning.dates import bridged, tasks_of_run
from windlass.planning.runs import make_run_id
from windlass.planning.topology import topology_of
from windlass.ports import NewRun, RunFacts, SignalKind
from windlass.spec import DagSpec
from windlass.store.assets import consume_events
from windlass.store.database import Database, Transaction
from windlass.store.facts import RUN_COLUMNS, run_facts, to_json
from windlass.store.instants import micros
from windlass.store.specs import Specs
from windlass.store.transitions import signal

_INSERT_RUN: Final = (
    "INSERT INTO run (dag_id, run_id, run_type, state, logical_date, interval_start, interval_end, run_after,"
    " queued_at, spec_version, code_version, bundle, file, conf, note, triggered_by, backfill_id, callbacks,"
    " interval_pending)"
    " VALUES (:dag_id, :run_id, :run_type, 'queued', :logical_date, :interval_start, :interval_end, :run_after, :now,"
    " :spec_version, :code_version, :bundle, :file, :conf, :note, :triggered_by, :backfill_id, :callbacks,"
    " :pending)"
    " ON CONFLICT DO NOTHING"
)
INSERT_TASK: Final = (
    "INSERT INTO ti (run, task_id, max_tries, retries, pool, pool_slots, queue, executor, code_version,"
    " callbacks, is_leaf)"
    " VALUES (:run, :task_id, :retries, :retries, :pool, :pool_slots, :queue, :executor, :code_version,"
    " :callbacks, :is_leaf)"
)
_DAG: Final = "SELECT bundle, file, spec_version, code_version FROM dag WHERE dag_id = :dag_id"
_CODE: Final = "SELECT bundle, file FROM code_version WHERE code_version = :code_version"
_RUN_ID_TAKEN: Final = "SELECT 1 FROM run WHERE dag_id = :dag_id AND run_id = :run_id"
_READ: Final = f"SELECT {RUN_COLUMNS} FROM run WHERE id = :id"
_TICK: Final = timedelta(microseconds=1)
#: Callbacks that the engine delivers; "execute" is called by the task's own process.
_DELIVERED: Final = frozenset({"success", "failure", "retry", "skipped"})

Values = dict[str, Any]


class Creation:
    """A new run, prepared outside the transaction that writes it."""

    def __init__(self, database: Database, specs: Specs, new: NewRun) -> None:
        dag = database.row(_DAG, {"dag_id": new.dag_id})
        if dag is None:
            raise DagNotFound(f"DAG {new.dag_id!r} is not known; `windlass dags list` shows what is")
        bundle, file, spec_version, code_version = dag
        if new.code_version is not None and new.code_version != code_version:
            # An older version may have stood in another file.
            bundle, file = database.row(_CODE, {"code_version": new.code_version}) or (bundle, file)
        self.new = new
        self._now = database.now()
        self._spec = specs.get(new.dag_id, new.spec_version or spec_version)
        self._values: Values = {
            "dag_id": new.dag_id,
            "run_type": new.run_type.value,
            "run_after": micros(new.run_after),
            "now": self._now,
            "spec_version": new.spec_version or spec_version,
            "code_version": new.code_version or code_version,
            "bundle": bundle,
            "file": file,
            "conf": to_json(new.conf),
            "note": new.note,
            "triggered_by": new.triggered_by,
            "backfill_id": new.backfill_id,
            "callbacks": ",".join(self._spec.callbacks),
            "pending": int(new.interval_pending),
        }

    def write(self, transaction: Transaction) -> RunFacts | None:
        """Insert the run, its task instances and its signal, and give it its asset events.

        None if the id or the logical date is taken, or an event: then nothing is written.
        """
        run = self._insert_with_events(transaction) if self.new.asset_events else self._insert_run(transaction)
        if run is None:
            return None
        signal(transaction, SignalKind.RUN, dag_id=self.new.dag_id, run=run)
        facts = run_facts(transaction.rows(_READ, {"id": run})[0])
        task_ids = tasks_of_run(self._spec, facts.run_type, facts.logical_date, self.new.task_ids)
        graph = bridged(self._spec, facts.run_type, facts.logical_date, task_ids)
        transaction.send(INSERT_TASK, task_rows(graph, run, self._values["code_version"], task_ids))
        return facts

    def _insert_with_events(self, transaction: Transaction) -> int | None:
        with transaction.savepoint() as point:
            run = self._insert_run(transaction)
            if run is not None and consume_events(transaction, self.new.dag_id, run, self.new.asset_events):
                return run
            point.undo()
        return None

    def _insert_run(self, transaction: Transaction) -> int | None:
        new = self.new
        while True:
            run_id = new.run_id or make_run_id(new.run_type, new.logical_date)
            run = transaction.insert(_INSERT_RUN, {**self._values, **_dates(new), "run_id": run_id})
            if run is not None or not new.bump:
                return run
            if new.run_id is not None and transaction.row(_RUN_ID_TAKEN, {"dag_id": new.dag_id, "run_id": run_id}):
                return None
            new = _later(new)


def _dates(new: NewRun) -> Values:
    return {
        "logical_date": micros(new.logical_date),
        "interval_start": micros(new.data_interval_start),
        "interval_end": micros(new.data_interval_end),
    }


def _later(new: NewRun) -> NewRun:
    """Move the logical date on by a microsecond, and with it the ends of the interval that are that very instant.

    The interval of asset events is that of the events, whatever the run is called.
    """
    if new.asset_events:
        return msgspec.structs.replace(new, logical_date=new.logical_date + _TICK)

    def moved(value: datetime) -> datetime:
        return value + _TICK if value == new.logical_date else value

    return msgspec.structs.replace(
        new,
        logical_date=new.logical_date + _TICK,
        data_interval_start=moved(new.data_interval_start),
        data_interval_end=moved(new.data_interval_end),
    )


def task_rows(spec: DagSpec, run: int, code_version: str, task_ids: Collection[str]) -> list[Values]:
    """Return a row per task of ``spec`` that is among ``task_ids``: the run has no others.

    What writers of endings need of a task is kept in its row.
    """
    topology = topology_of(spec)
    present = frozenset(position for position, task in enumerate(spec.tasks) if task.task_id in task_ids)
    return [
        {
            "run": run,
            "task_id": task.task_id,
            "retries": task.retries,
            "pool": task.pool,
            "pool_slots": task.pool_slots,
            "queue": task.queue,
            "executor": task.executor,
            "code_version": code_version,
            "callbacks": ",".join(name for name in task.callbacks if name in _DELIVERED),
            "is_leaf": int(topology.is_leaf(position, present)),
        }
        for position, task in enumerate(spec.tasks)
        if position in present
    ]
