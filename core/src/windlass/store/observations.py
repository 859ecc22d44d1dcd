"""What observer hooks are owed: a row of the outbox per change and provider, written in the change's own transaction.

A provider that implements no observer hook costs nothing, and a change that no hook is about neither. Each provider
has rows of its own, so that one whose observer fails is told again without the others hearing twice. The row of a
task's or a run's change holds only its op_id: what was changed stands in the audit row of the same transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import msgspec

from windlass.interfaces.views import AssetUpdated, ImportErrorChanged, RunChanged, TaskChanged
from windlass.states import Actor, RunState, RunType, TaskState
from windlass.store.audience import KNOWN
from windlass.store.database import Database, Row, Transaction
from windlass.store.facts import to_json
from windlass.store.instants import instant
from windlass.store.outbox import Outbox

Change = TaskChanged | RunChanged | AssetUpdated | ImportErrorChanged
TASK_HOOK: Final = "on_task_changed"
RUN_HOOK: Final = "on_run_changed"
ASSET_HOOK: Final = "on_asset_updated"
IMPORT_ERROR_HOOK: Final = "on_import_error"
_DETAILED: Final[dict[str, type[AssetUpdated | ImportErrorChanged]]] = {
    ASSET_HOOK: AssetUpdated,
    IMPORT_ERROR_HOOK: ImportErrorChanged,
}

_OWE_TASK: Final = (
    "INSERT INTO outbox (consumer, event, run, ti_id, try_number, op_id, reason, created_at)"
    " SELECT :consumer, :hook, run, id, try_number, :op_id, '', :now FROM ti WHERE id = :task"
)
_OWE: Final = (
    "INSERT INTO outbox (consumer, event, run, op_id, reason, detail, created_at)"
    " VALUES (:consumer, :hook, :run, :op_id, '', :detail, :now)"
)
_READ_TASKS: Final = (
    "SELECT o.id, r.dag_id, r.run_id, t.task_id, t.map_index, o.try_number, x.from_state, x.to_state, x.actor,"
    " x.reason, x.at FROM outbox o JOIN ti t ON t.id = o.ti_id JOIN run r ON r.id = t.run"
    " JOIN transition x ON x.op_id = o.op_id WHERE o.id IN IDS(:ids) AND o.event = :hook"
)
_READ_RUNS: Final = (
    "SELECT o.id, r.dag_id, r.run_id, r.run_type, r.logical_date, r.interval_start, r.interval_end, x.from_state,"
    " x.to_state, x.actor, x.reason, x.at FROM outbox o JOIN run r ON r.id = o.run"
    " JOIN run_transition x ON x.op_id = o.op_id WHERE o.id IN IDS(:ids) AND o.event = :hook"
)
_READ_DETAILS: Final = "SELECT id, event, detail FROM outbox WHERE id IN IDS(:ids) AND detail IS NOT NULL"
_FAILURES: Final = "SELECT id, event, failures FROM outbox WHERE id IN IDS(:ids) ORDER BY id"
_FORGET: Final = "DELETE FROM outbox WHERE consumer = :name AND delivered_at IS NULL"
_ANNOUNCE: Final = "INSERT INTO observer (name, hooks) VALUES (:name, :hooks)"


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """A change that one provider's observers are owed."""

    id: int
    hook: str
    change: Change
    #: How often telling it has failed.
    failures: int


class Observations:
    """Knows who observes, and hands out what they are owed."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox

    def announce(self, hooks: Mapping[str, Collection[str]]) -> None:
        """Say which hooks each provider implements: from now on its rows are written.

        What is still owed to a provider that is here no more is dropped, since nobody is left to be told.
        """
        wanted = {name: to_json(sorted(names)) for name, names in hooks.items()}

        def work(transaction: Transaction) -> None:
            transaction.exclude("observers")
            for (name,) in transaction.rows("SELECT name FROM observer"):
                if name not in wanted:
                    transaction.send(_FORGET, [{"name": name}])
            transaction.send("DELETE FROM observer", [{}])
            transaction.send(_ANNOUNCE, [{"name": name, "hooks": names} for name, names in wanted.items()])

        if dict(self._database.rows(KNOWN)) != wanted:
            self._database.write(work)
        self._database.audience.learn(wanted.items())

    def claim(self, by: str, provider: str, *, limit: int = 100, seconds: float = 60.0) -> list[Observation]:
        """Take the oldest changes that this provider is owed and nobody holds, for ``seconds``."""
        ids = self._outbox.take(by, provider, limit=limit, seconds=seconds)
        if not ids:
            return []
        values = {"ids": to_json(ids)}
        changes: dict[int, Change] = {
            row[0]: msgspec.json.decode(row[2], type=_DETAILED[row[1]])
            for row in self._database.rows(_READ_DETAILS, values)
        }
        changes |= {row[0]: _run(row) for row in self._database.rows(_READ_RUNS, {**values, "hook": RUN_HOOK})}
        changes |= {row[0]: _task(row) for row in self._database.rows(_READ_TASKS, {**values, "hook": TASK_HOOK})}
        return [
            Observation(id=row, hook=hook, change=changes[row], failures=failures)
            for row, hook, failures in self._database.rows(_FAILURES, values)
            if row in changes  # its run may have been deleted between the statements
        ]

    def delivered(self, ids: Sequence[int], by: str) -> None:
        """Note that these were told."""
        self._outbox.delivered(ids, by)

    def failed(self, row: int, by: str) -> None:
        """Note that telling failed."""
        self._outbox.failed(row, by)


# --- Owing, inside the transaction of a change


def owe_task_changes(transaction: Transaction, audits: Sequence[Mapping[str, object]]) -> None:
    """Owe the transitions that these audit rows describe to whoever observes tasks."""
    for provider in transaction.audience(TASK_HOOK):
        transaction.send(_OWE_TASK, [{**audit, "consumer": provider, "hook": TASK_HOOK} for audit in audits])


def owe_run_change(transaction: Transaction, audit: Mapping[str, object]) -> None:
    """Owe the transition that this audit row describes to whoever observes runs."""
    for provider in transaction.audience(RUN_HOOK):
        transaction.send(_OWE, [{**audit, "consumer": provider, "hook": RUN_HOOK, "detail": None}])


def owe_detail(
    transaction: Transaction, hook: str, change: AssetUpdated | ImportErrorChanged, now: int, run: int | None = None
) -> None:
    """Owe a change that has no audit row to whoever observes ``hook``."""
    for provider in transaction.audience(hook):
        values = {"consumer": provider, "hook": hook, "run": run, "op_id": transaction.key(), "now": now}
        transaction.send(_OWE, [{**values, "detail": to_json(change)}])


def _task(row: Row) -> TaskChanged:
    return TaskChanged(
        dag_id=row[1],
        run_id=row[2],
        task_id=row[3],
        map_index=row[4],
        try_number=row[5],
        before=TaskState(row[6]),
        after=TaskState(row[7]),
        actor=Actor(row[8]),
        reason=row[9],
        at=instant(row[10]),
    )


def _run(row: Row) -> RunChanged:
    return RunChanged(
        dag_id=row[1],
        run_id=row[2],
        run_type=RunType(row[3]),
        logical_date=instant(row[4]),
        data_interval_start=instant(row[5]),
        data_interval_end=instant(row[6]),
        before=RunState(row[7]),
        after=RunState(row[8]),
        actor=Actor(row[9]),
        reason=row[10],
        at=instant(row[11]),
    )
