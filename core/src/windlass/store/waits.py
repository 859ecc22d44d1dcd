"""The waits of deferred tasks: held by a supervisor, ended by the first event, kept until the next attempt has ended.

A row of ``trigger_wait`` is made with the state ``deferred`` and is *live* until the instance leaves it: an event (or
the failure of its trigger) moves it to ``scheduled`` here, the timeout of the deferral is a timer of the run's
scheduler (``changes``), and whatever else ends a deferral drops the row. One guarded statement decides between them,
so that of all events that hosts may send for one wait, late or twice, exactly one resumes the task. The op_id is made
from the wait, so a repeat is recognised whoever sends it.

A supervisor *holds* a wait by a lease like an attempt's. It is no lock: after a failure two hosts may run one trigger.
It only keeps every supervisor from running every wait, and a dead one's waits from being forgotten.
"""

# ruff: noqa: S608 - statements are put together from constants; values are always parameters

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from windlass.errors import Conflict
from windlass.planning.attempts import log_path_of
from windlass.ports import Fired, SignalKind, Wait, WaitChanges, WaitKey
from windlass.protocol import Query, encode
from windlass.states import Actor, TaskState
from windlass.store import transitions
from windlass.store.asking import Asking
from windlass.store.database import Database, Row, Transaction
from windlass.store.endings import Held, decode_value
from windlass.store.facts import to_json
from windlass.store.instants import SECOND, instant
from windlass.store.reaping import LEASE

#: A lease with less than this left is renewed; more often would only cost writes.
_RENEW: Final = LEASE / 2

_TAKEABLE: Final = "live = 1 AND (holder IS NULL OR (holder = :supervisor AND held_until < :soon) OR held_until < :now)"
_ANY: Final = f"SELECT 1 FROM trigger_wait WHERE {_TAKEABLE} LIMIT 1"
_TAKE: Final = f"UPDATE trigger_wait SET holder = :supervisor, held_until = :until WHERE {_TAKEABLE}"
_MINE: Final = "SELECT ti_id, epoch FROM trigger_wait WHERE live = 1 AND holder = :supervisor"
_WAITS: Final = (
    "SELECT w.ti_id, w.epoch, w.classpath, w.kwargs, r.dag_id, r.run_id, t.task_id, t.map_index, t.try_number,"
    " r.bundle, r.file, r.code_version"
    " FROM trigger_wait w JOIN ti t ON t.id = w.ti_id JOIN run r ON r.id = t.run"
    " WHERE w.live = 1 AND w.ti_id IN IDS(:ids) ORDER BY w.created_at, w.ti_id"
)
_FIRE: Final = (
    "UPDATE ti SET state = 'scheduled', not_before = NULL, reason = NULL"
    " WHERE id = :task AND state = 'deferred' AND epoch = :epoch AND lease_id IS NULL AND EXISTS"
    " (SELECT 1 FROM trigger_wait w WHERE w.ti_id = ti.id AND w.epoch = :epoch AND w.live = 1)"
)
_CLOSE: Final = (
    "UPDATE trigger_wait SET live = 0, event = :event, failure = :failure"
    " WHERE ti_id = :task AND epoch = :epoch AND live = 1"
)
_RUN: Final = "SELECT r.id, r.dag_id FROM ti t JOIN run r ON r.id = t.run WHERE t.id = :task"
_ASKER: Final = (
    "SELECT r.id, r.dag_id, r.run_id, t.task_id, t.map_index, t.try_number, t.max_tries, r.spec_version"
    " FROM trigger_wait w JOIN ti t ON t.id = w.ti_id JOIN run r ON r.id = t.run"
    " WHERE w.ti_id = :task AND w.epoch = :epoch AND w.live = 1"
)
_LIVE: Final = "SELECT classpath, created_at, holder FROM trigger_wait WHERE ti_id = :task AND live = 1"


class LiveWait(msgspec.Struct, frozen=True, kw_only=True):
    """What people may know of a wait: its trigger, since when it waits, and the supervisor that runs it."""

    trigger: str
    since: datetime
    supervisor: str | None


class Waits:
    """A supervisor's view of the waits, and what ``control`` asks about them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._asking = Asking(database)

    def changes(self, known: Sequence[WaitKey], supervisor: str) -> WaitChanges:
        """Take what nobody holds, renew what is held, and return what differs from ``known``."""
        now = self._database.now()
        values = {"supervisor": supervisor, "now": now, "soon": now + int(_RENEW * SECOND)}
        if self._database.row(_ANY, values) is not None:
            taking = {**values, "until": now + int(LEASE * SECOND)}
            self._database.write(lambda transaction: transaction.run(_TAKE, taking))
        mine = {(task, epoch) for task, epoch in self._database.rows(_MINE, {"supervisor": supervisor})}
        before = set(known)
        begun: list[Wait] = []
        if mine - before:
            ids = to_json(sorted(task for task, _ in mine - before))
            begun = [_wait(row) for row in self._database.rows(_WAITS, {"ids": ids})]
        ended = tuple(key for key in known if key not in mine)
        return WaitChanges(begun=tuple(wait for wait in begun if wait.key not in before), ended=ended)

    def fire(self, fired: Sequence[Fired]) -> list[bool]:
        """Resume these, each in its own right; False: its wait had ended otherwise."""
        now = self._database.now()
        return self._database.write(lambda transaction: [_fire(transaction, one, now) for one in fired])

    def answer(self, wait: WaitKey, query: Query) -> list[dict[str, Any]]:
        """Answer a trigger's question about runs, task states or asset events.

        Raises:
            Conflict: the wait has ended.
            UsageError: there is no such question or filter.
        """
        task, epoch = wait
        row = self._database.row(_ASKER, {"task": task, "epoch": epoch})
        if row is None:
            raise Conflict("this wait is over, so nothing is read for its trigger")
        run, dag_id, run_id, task_id, map_index, try_number, max_tries, version = row
        held = Held(
            lease_id="",
            task=task,
            run=run,
            dag_id=dag_id,
            run_id=run_id,
            task_id=task_id,
            map_index=map_index,
            try_number=try_number,
            max_tries=max_tries,
            epoch=epoch,
            spec_version=version,
            callbacks="",
            continues=0,
        )
        return self._asking.answer(held, query)

    def live(self, task: int) -> LiveWait | None:
        """Return what a deferred task instance waits for; None if it does not."""
        row = self._database.row(_LIVE, {"task": task})
        if row is None:
            return None
        since = instant(row[1])
        assert since is not None  # noqa: S101 - the column is not null
        return LiveWait(trigger=row[0], since=since, supervisor=row[2])


def _wait(row: Row) -> Wait:
    task, epoch, trigger, kwargs, dag_id, run_id, task_id, map_index, try_number, bundle, file, code_version = row
    arguments = decode_value(kwargs)
    assert arguments is not None  # noqa: S101 - the column is not null
    return Wait(
        task=task,
        epoch=epoch,
        trigger=trigger,
        kwargs=arguments,
        dag_id=dag_id,
        run_id=run_id,
        task_id=task_id,
        map_index=map_index,
        bundle=bundle,
        file=file,
        code_version=code_version,
        log_path=log_path_of(dag_id, run_id, task_id, map_index, try_number),
    )


def _fire(transaction: Transaction, fired: Fired, now: int) -> bool:
    op_id = f"fire:{fired.task}:{fired.epoch}"
    values = {
        "task": fired.task,
        "epoch": fired.epoch,
        "event": None if fired.event is None else encode(fired.event),
        "failure": fired.failure,
    }
    if transaction.run(_FIRE, values) != 1:
        return transitions.is_done(transaction, op_id)
    transaction.send(_CLOSE, [values])
    reason = "its trigger fired" if fired.failure is None else fired.failure
    audit = transitions.audit(
        fired.task,
        TaskState.DEFERRED,
        TaskState.SCHEDULED,
        Actor.TRIGGER,
        epoch=fired.epoch,
        op_id=op_id,
        reason=reason,
        now=now,
    )
    transitions.write(transaction, [audit])
    run, dag_id = transaction.rows(_RUN, {"task": fired.task})[0]
    transitions.signal(transaction, SignalKind.TASK, dag_id=dag_id, run=run, task=fired.task)
    return True
