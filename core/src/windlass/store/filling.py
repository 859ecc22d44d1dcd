"""The scheduler's side of backfills: what is open, the next runs of one, its end.

A step is one transaction. Its guard is the number of intervals dealt with, which each step raises: of two schedulers
that decide on the same one the second finds nothing to update, and a step whose answer was lost is not taken again.
What the step found of the DAG's runs is guarded as well: a new run must not exist, a reused one must be as it was.
"""

# ruff: noqa: S608 - statements are put together from constants; values are always parameters

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from windlass.ports import BackfillFacts, BackfillStep, Reuse, RunFacts
from windlass.store.backfills import BACKFILL, COMPLETE, LOCK, backfill_facts
from windlass.store.commands import Step
from windlass.store.creation import Creation
from windlass.store.database import Database, Transaction
from windlass.store.facts import RUN_COLUMNS, run_facts, to_json
from windlass.store.instants import micros
from windlass.store.pinning import Version, pin
from windlass.store.questions import forget_questions
from windlass.store.specs import Specs

_ADVANCE: Final = (
    "UPDATE backfill SET dealt = :dealt, reached = :reached, intervals = :intervals"
    " WHERE id = :id AND dealt = :before AND cancelled_at IS NULL AND completed_at IS NULL"
)
_FOUND: Final = (
    f"SELECT {RUN_COLUMNS} FROM run WHERE dag_id = :dag_id AND logical_date IN IDS(:dates)"
    f" UNION SELECT {RUN_COLUMNS} FROM run WHERE dag_id = :dag_id AND run_id IN NAMES(:names)"
)
_REUSED: Final = "SELECT id, state, dag_id, spec_version, generation, bundle, file FROM run WHERE id = :run FOR_UPDATE"
_TAKE: Final = "UPDATE run SET backfill_id = :backfill, conf = COALESCE(:conf, conf) WHERE id = :run"
_CODE: Final = "SELECT bundle, file FROM code_version WHERE code_version = :code_version"
_TASKS: Final = "SELECT id, run, task_id, state, epoch FROM ti WHERE run = :run ORDER BY id FOR_UPDATE"


class _Outdated(Exception):
    """What the step was decided on no longer holds."""


class Filling:
    """The part of the StorePort that is about backfills."""

    def __init__(self, database: Database, specs: Specs) -> None:
        self._database = database
        self._specs = specs

    def backfills(self) -> list[BackfillFacts]:
        """Return the backfills that are not completed."""
        return [
            backfill_facts(row) for row in self._database.rows(f"{BACKFILL} WHERE completed_at IS NULL ORDER BY id")
        ]

    def backfill(self, backfill: int) -> BackfillFacts | None:
        """Return one backfill; None if there is none."""
        row = self._database.row(f"{BACKFILL} WHERE id = :id", {"id": backfill})
        return None if row is None else backfill_facts(row)

    def runs_at(self, dag_id: str, dates: Sequence[datetime], run_ids: Sequence[str]) -> list[RunFacts]:
        """Return the DAG's runs that have one of these logical dates or ids."""
        values = {"dag_id": dag_id, "dates": to_json([*map(micros, dates)]), "names": to_json([*run_ids])}
        return [run_facts(row) for row in self._database.rows(_FOUND, values)]

    def advance_backfill(self, step: BackfillStep) -> bool:
        """Write a step; False, and nothing is written, if what it was decided on no longer holds."""
        creations = [Creation(self._database, self._specs, new) for new in step.created]

        def work(transaction: Transaction) -> None:
            values = {
                "id": step.backfill.id,
                "before": step.backfill.dealt,
                "dealt": step.dealt,
                "reached": micros(step.reached),
                "intervals": step.intervals,
            }
            if transaction.run(_ADVANCE, values) != 1:
                raise _Outdated
            for creation in creations:
                if creation.write(transaction) is None:
                    raise _Outdated
            for reuse in step.reused:
                self._reuse(transaction, step, reuse)
            # Last, as locks go: runs before DAGs.
            if not self._may_decide(transaction, step.backfill.dag_id):
                raise _Outdated

        try:
            self._database.write(work)
        except _Outdated:
            return False
        return True

    def complete_backfill(self, backfill: int) -> bool:
        """Note that a backfill has nothing left to do, if that is so; return whether it was."""
        values = {"id": backfill, "now": self._database.now()}

        def work(transaction: Transaction) -> bool:
            transaction.lock(LOCK, values)
            forget_questions(transaction, -backfill)
            return transaction.run(COMPLETE, values) == 1

        return self._database.write(work)

    def _may_decide(self, transaction: Transaction, dag_id: str) -> bool:
        """Return whether the scheduler may write what it has decided about a DAG: always, where it is the only one."""
        return True

    def _reuse(self, transaction: Transaction, step: BackfillStep, reuse: Reuse) -> None:
        """Make an ended run a run of the backfill, of its version, and let its tasks run again."""
        backfill = step.backfill
        run = transaction.row(_REUSED, {"run": reuse.run})
        if run is None or (run[4], run[1]) != (reuse.generation, reuse.state.value):
            raise _Outdated
        commands = Step(self._database, transaction, backfill.created_by)
        place = transaction.row(_CODE, {"code_version": backfill.code_version}) or run[5:7]
        version = Version(backfill.dag_id, backfill.spec_version, backfill.code_version, *place)
        pin(
            transaction,
            self._specs,
            reuse.run,
            version,
            step.task_ids,
            commands.key,
            commands.now,
            backfill.created_by,
        )
        conf = to_json(backfill.conf) if backfill.conf else None
        transaction.run(_TAKE, {"run": reuse.run, "backfill": backfill.id, "conf": conf})
        tasks = self._specs.get(backfill.dag_id, backfill.spec_version).by_id.keys()
        chosen = tasks if step.task_ids is None else frozenset(step.task_ids)
        commands.clear([row for row in transaction.rows(_TASKS, {"run": reuse.run}) if row[2] in chosen])
        commands.requeue(run)
