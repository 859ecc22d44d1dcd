"""How attempts end: the one way out of ``running``, for reports, lost leases and dead supervisors alike.

``planning.ending_of`` decides what becomes of the task instance; here the decision is written: the guarded transition,
the attempt's end, the audit row, the outbox row of a callback, the result and the signal to the run's scheduler, all in
the caller's transaction. A stop that a person asked for (clear, mark) wins over a result that arrives before the stop
took effect, because the person was told that it would; the guard on ``stop_kind`` finds that out without a read.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from windlass.errors import DagNotFound, SpecError
from windlass.planning.endings import Ending, ending_of
from windlass.ports import Report, SignalKind, StopKind
from windlass.protocol import Defer, Finish, Outcome, Rendered, Reschedule, XComValue, encode
from windlass.spec import DagSpec
from windlass.states import TaskState
from windlass.store import transitions, xcoms
from windlass.store.assets import record_events
from windlass.store.database import Database, Row, Transaction
from windlass.store.facts import to_json
from windlass.store.instants import SECOND, instant, micros
from windlass.store.specs import Specs
from windlass.store.transitions import Values

log = logging.getLogger(__name__)

_END: Final = (
    "UPDATE ti SET state = :to, lease_id = NULL, ticket = NULL, end_date = :end_date, duration_us = :duration,"
    " start_date = COALESCE(:started, start_date), not_before = :not_before, result_length = :length,"
    " skip_targets = :skip_targets, reason = :reason, continues = :continues,"
    " first_poke = COALESCE(:first_poke, first_poke), map_label = COALESCE(:label, map_label), stop_kind = NULL,"
    " stop_who = NULL, clears = clears + :cleared,"
    " max_tries = CASE WHEN :cleared = 1 THEN try_number + retries ELSE max_tries END"
    " WHERE id = :task AND state = 'running' AND epoch = :epoch AND lease_id = :lease"
    " AND (stop_kind IS NULL OR stop_kind = :stopped OR :knows_stop = 1)"
)
_CLOSE: Final = (
    "UPDATE attempt SET ended_at = :now, outcome = :outcome, reason = :reason, started_at = :started_at,"
    " duration_us = :duration, log_size = :log_size, rendered = :rendered"
    " WHERE lease_id = :lease AND ended_at IS NULL"
)
_WAIT: Final = (
    "INSERT INTO trigger_wait (ti_id, epoch, live, classpath, kwargs, method, resume_kwargs, created_at)"
    " VALUES (:task, :epoch, 1, :classpath, :kwargs, :method, :resume_kwargs, :now)"
)
_DROP_WAIT: Final = "DELETE FROM trigger_wait WHERE ti_id = :task"
_HELD: Final = (
    "SELECT a.lease_id, t.id, t.run, r.dag_id, r.run_id, t.task_id, t.map_index, t.try_number, t.max_tries, t.epoch,"
    " r.spec_version, t.callbacks, t.continues, t.stop_kind, t.stop_who"
    " FROM attempt a JOIN ti t ON t.id = a.ti_id JOIN run r ON r.id = t.run"
    " WHERE a.lease_id IN NAMES(:leases) AND t.lease_id = a.lease_id AND t.state = 'running'"
)
_HELD_AND_LOCKED: Final = f"{_HELD} ORDER BY t.id FOR_UPDATE OF t"
_PERSONS: Final = frozenset({StopKind.CLEAR, StopKind.MARK_SUCCESS, StopKind.MARK_FAILED})


class Held(msgspec.Struct, frozen=True):
    """What is fixed about a task instance while a lease holds it; ``stop`` is as of reading."""

    lease_id: str
    task: int
    run: int
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int
    max_tries: int
    epoch: int
    spec_version: str
    callbacks: str
    continues: int
    stop: StopKind | None = None
    stop_who: str | None = None


class Closing(msgspec.Struct, frozen=True):
    """An attempt's end, decided."""

    held: Held
    report: Report
    ending: Ending
    #: Decided in the knowledge of ``held.stop``.
    knows_stop: bool = False


class Endings:
    """Decides and writes the ends of attempts."""

    def __init__(self, database: Database, specs: Specs) -> None:
        self._database = database
        self._specs = specs

    def held(self, leases: Iterable[str], transaction: Transaction | None = None) -> dict[str, Held]:
        """Return what is known of each lease that holds a running task instance.

        In a transaction this stays so until its end: nobody else ends the attempt, or asks it to stop.
        """
        values = {"leases": to_json(list(leases))}
        rows = self._database.rows(_HELD, values) if transaction is None else transaction.rows(_HELD_AND_LOCKED, values)
        return {row[0]: _held(row) for row in rows}

    def decide(self, held: Held, report: Report, now: int, *, knows_stop: bool = False) -> Closing:
        """Return what becomes of the task instance that ``held`` describes."""
        if knows_stop and is_overruled(held, report):
            report = msgspec.structs.replace(
                report, stopped=held.stop, ending=None, lost=None, timed_out=None, xcoms=()
            )
        key = f"{held.dag_id}/{held.run_id}/{held.task_id}/{held.map_index}"
        ending = ending_of(
            self._spec_of(held),
            held.task_id,
            key,
            report,
            try_number=held.try_number,
            max_tries=held.max_tries,
            now=instant(now),
        )
        return Closing(held, report, ending, knows_stop)

    def _spec_of(self, held: Held) -> DagSpec:
        """Return the DAG; one that cannot be read must not keep an attempt from ending, so it is an empty one then."""
        try:
            return self._specs.get(held.dag_id, held.spec_version)
        except (SpecError, DagNotFound) as error:
            log.error("task %s of run %s ends without its DAG: %s", held.task_id, held.run_id, error)  # noqa: TRY400
            return DagSpec(dag_id=held.dag_id)


def write_endings(transaction: Transaction, closings: Sequence[Closing], now: int) -> None:
    """Write these ends, each kind of statement once; the write is refused if a guard finds too few."""
    transaction.each(_END, [_end_values(c, now) for c in closings])
    transaction.each(_CLOSE, [_close_values(c, now) for c in closings])
    transitions.write(transaction, [_audit(c, now) for c in closings])
    xcoms.write(transaction, [(c.held.task, c.held.epoch, x) for c in closings for x in c.report.xcoms])
    # A resumed attempt leaves its wait until now, so that a claim whose answer was lost can be answered again.
    transaction.send(_DROP_WAIT, [{"task": c.held.task} for c in closings if c.held.continues])
    transaction.send(_WAIT, [_wait_values(c, e, now) for c in closings if isinstance(e := c.report.ending, Defer)])
    transaction.send(transitions.INSERT_OUTBOX, [o for c in closings if (o := _outbox(c, now)) is not None])
    for closing in closings:
        _record_outlets(transaction, closing, now)
    transaction.send(
        transitions.INSERT_SIGNAL,
        [
            {"kind": SignalKind.TASK.value, "dag_id": c.held.dag_id, "run": c.held.run, "task": c.held.task}
            for c in closings
        ],
    )
    transaction.ring()


def _held(row: Row) -> Held:
    lease, task, run, dag_id, run_id, task_id, index, tries, most, epoch, version, callbacks, continues, stop, who = row
    kind = StopKind(stop) if stop else None
    return Held(
        lease, task, run, dag_id, run_id, task_id, index, tries, most, epoch, version, callbacks, continues, kind, who
    )


def is_overruled(held: Held, report: Report) -> bool:
    """Return whether a stop that was asked for, but that the report does not know, decides instead of its ending."""
    return held.stop is not None and held.stop != report.stopped and _stop_wins(held.stop, report)


def _stop_wins(stop: StopKind, report: Report) -> bool:
    """Whether the stop is stronger than the ending: always a person's, else unless it ended well."""
    well = isinstance(report.ending, Finish) and report.ending.outcome in {Outcome.SUCCESS, Outcome.SKIP}
    return stop in _PERSONS or not well


def _end_values(closing: Closing, now: int) -> Values:
    held, report, ending = closing.held, closing.report, closing.ending
    done = report.ending
    cleared = ending.state is TaskState.NONE
    stays = ending.state in {TaskState.DEFERRED, TaskState.UP_FOR_RESCHEDULE}
    ended = None if stays or cleared else micros(done.ended_at) if done is not None else now
    return {
        "task": held.task,
        "epoch": held.epoch,
        "lease": held.lease_id,
        "to": ending.state.value,
        "end_date": ended,
        "duration": _duration(report),
        "started": None if held.continues else _started(report),
        "not_before": micros(ending.not_before),
        "length": ending.result_length,
        "skip_targets": to_json(ending.skip_targets) if ending.skip_targets else None,
        "reason": ending.reason or None,
        "continues": int(stays),
        "first_poke": micros(done.first_poke) if isinstance(done, Reschedule) else None,
        "label": None if report.rendered is None else report.rendered.map_index_label,
        "cleared": int(cleared),
        "knows_stop": int(closing.knows_stop),
        "stopped": None if report.stopped is None else report.stopped.value,
    }


def _close_values(closing: Closing, now: int) -> Values:
    report = closing.report
    outcome = closing.ending.state.value
    if report.stopped is not None:
        outcome = "stopped"
    elif report.timed_out is not None:
        outcome = "timed_out"
    elif report.ending is None:
        outcome = "lost"
    return {
        "lease": closing.held.lease_id,
        "now": now,
        "outcome": outcome,
        "reason": closing.ending.reason or None,
        "started_at": _started(report),
        "duration": _duration(report),
        "log_size": report.log_size,
        "rendered": _rendered(report.rendered),
    }


def _audit(closing: Closing, now: int) -> Values:
    held = closing.held
    return transitions.audit(
        held.task,
        TaskState.RUNNING,
        closing.ending.state,
        closing.ending.actor,
        epoch=held.epoch,
        op_id=closing.report.op_id,
        reason=closing.ending.reason,
        now=now,
        who=held.stop_who or "" if closing.report.stopped is not None else "",
    )


def _wait_values(closing: Closing, defer: Defer, now: int) -> Values:
    return {
        "task": closing.held.task,
        "epoch": closing.held.epoch,
        "classpath": defer.trigger,
        "kwargs": encode(defer.trigger_kwargs),
        "method": defer.method,
        "resume_kwargs": encode(defer.kwargs),
        "now": now,
    }


def _outbox(closing: Closing, now: int) -> Values | None:
    event = transitions.CALLBACK_OF.get(closing.ending.state)
    if event is None or event not in closing.held.callbacks.split(","):
        return None
    return {
        "event": event,
        "run": closing.held.run,
        "task": closing.held.task,
        "try_number": closing.held.try_number,
        "op_id": closing.report.op_id,
        "reason": closing.ending.reason,
        "now": now,
    }


def _record_outlets(transaction: Transaction, closing: Closing, now: int) -> None:
    done = closing.report.ending
    if isinstance(done, Finish) and done.outlets and closing.ending.state is TaskState.SUCCESS:
        held = closing.held
        source = (held.dag_id, held.run_id, held.task_id, held.map_index)
        record_events(transaction, done.outlets, run=held.run, task=held.task, source=source, now=now)


def _started(report: Report) -> int | None:
    return micros(report.started_at if report.ending is None else report.ending.started_at)


def _duration(report: Report) -> int | None:
    done = report.ending
    if done is None:
        return None
    if isinstance(done, Finish) and done.duration:
        return int(done.duration * SECOND)
    return max(0, micros(done.ended_at) - micros(done.started_at))


def _rendered(rendered: Rendered | None) -> str | None:
    return to_json(rendered.fields) if rendered is not None and rendered.fields else None


def decode_value(data: bytes | None) -> XComValue | None:
    """Return the encoded value kept in a column."""
    return None if data is None else msgspec.msgpack.decode(data, type=XComValue)
