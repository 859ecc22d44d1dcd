"""One step of the scheduler, written: all of its changes in one transaction of guarded statements.

The straight way sends each kind of statement once for all rows. Only when a guard finds fewer rows than it should,
the step is undone and taken again run by run and row by row: a row that finds nothing was either written before (its
op_id is in the log; the first answer was lost) or is a conflict, and then this run keeps none of the step while the
others stand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from typing import Final

import msgspec

from windlass.ports import Admission, Changes, Committed, Expansion, RunMove, TaskFacts, TaskMove
from windlass.ports.gateway import StopRequest
from windlass.states import TERMINAL_RUN_STATES, TERMINAL_TASK_STATES, Actor, RunState, TaskState
from windlass.store import transitions
from windlass.store.database import Database, Refused, Transaction
from windlass.store.deadlines import note_misses
from windlass.store.expansion import expand
from windlass.store.facts import to_json
from windlass.store.instants import instant, micros
from windlass.store.pausing import pause_after_failures
from windlass.store.questions import forget_questions
from windlass.store.room import Room, lock_room
from windlass.store.transitions import Values

_GENERATIONS: Final = "SELECT id, generation FROM run WHERE id IN IDS(:ids) ORDER BY id FOR_UPDATE"
_MOVE_RUN: Final = (
    "UPDATE run SET state = :to, ending = :ending, ending_reason = :reason,"
    " start_date = CASE WHEN :starts = 1 THEN COALESCE(start_date, :now) ELSE start_date END,"
    " end_date = CASE WHEN :ends = 1 THEN :now ELSE end_date END,"
    " interval_start = COALESCE(:interval_start, interval_start), interval_end = COALESCE(:interval_end, interval_end),"
    " interval_pending = CASE WHEN CAST(:interval_start AS BIGINT) IS NULL THEN interval_pending ELSE 0 END"
    " WHERE id = :run AND state = :before AND (:starts = 0 OR interval_pending = 0"
    " OR CAST(:interval_start AS BIGINT) IS NOT NULL)"
)
#: One statement for all moves: a new try, a queueing and an ending differ only in their values.
_MOVE: Final = (
    "UPDATE ti SET state = :to, epoch = epoch + :queues, ticket = :ticket, queued_at = :queued_at,"
    " queue = COALESCE(:queue, queue), executor = COALESCE(:executor, executor), not_before = NULL,"
    " try_number = try_number + :charge, continues = CASE WHEN :charge = 1 THEN 0 ELSE continues END,"
    " first_poke = CASE WHEN :charge = 1 THEN NULL ELSE first_poke END,"
    " start_date = CASE WHEN :charge = 1 THEN NULL ELSE start_date END, end_date = :end_date, reason = :reason"
    " WHERE id = :task AND state = :before AND epoch = :epoch AND lease_id IS NULL"
)
#: The timeout of a deferral has come: the row, with neither event nor failure, says so to the next attempt.
_RESUME_WAIT: Final = "UPDATE trigger_wait SET live = 0 WHERE ti_id = :task"
_DROP_WAIT: Final = "DELETE FROM trigger_wait WHERE ti_id = :task"
_STOP: Final = (
    "UPDATE ti SET stop_kind = COALESCE(stop_kind, :kind), stop_who = COALESCE(stop_who, :who)"
    " WHERE id = :task AND lease_id = :lease AND state = 'running'"
)
_DELETE_SIGNALS: Final = 'DELETE FROM "signal" WHERE id IN IDS(:ids) AND run NOT IN IDS(:conflicts)'


_CHANGED: Final = "what the step was decided by has changed meanwhile; it is decided again"
_ENDS: Final = frozenset(state.value for state in TERMINAL_TASK_STATES)
#: Deferred, or resumed and not running yet.
_MAY_HAVE_WAIT: Final = frozenset({"deferred", "scheduled", "queued"})


class _Write(msgspec.Struct):
    """One guarded update and the audit rows it stands for: a lone move or admission, or both of one task instance."""

    run: int
    values: Values
    audits: list[Values]
    admission: Admission | None = None
    #: The move alone, for when its admission finds no room.
    otherwise: _Write | None = None


class _Step(msgspec.Struct):
    """The changes of some runs, ready to be sent."""

    run_moves: list[RunMove]
    expansions: list[Expansion]
    writes: list[_Write]

    def of(self, run: int) -> _Step:
        """Return the part that concerns one run."""
        return _Step(
            [m for m in self.run_moves if m.run == run],
            [e for e in self.expansions if e.run == run],
            [w for w in self.writes if w.run == run],
        )


class _Outcome(msgspec.Struct):
    """What came of it so far."""

    conflicts: set[int] = msgspec.field(default_factory=set)
    expanded: list[TaskFacts] = msgspec.field(default_factory=list)
    refused: set[int] = msgspec.field(default_factory=set)
    admitted: dict[int, int] = msgspec.field(default_factory=dict)


_Way = Callable[[Transaction, _Step, Room, _Outcome, int], None]


def commit(database: Database, changes: Changes) -> Committed:
    """Apply ``changes`` in one transaction; safe to repeat."""
    now = database.now()
    whole = _Step(changes.run_moves, changes.expansions, list(_writes(changes, now)))

    def by(write: _Way) -> Callable[[Transaction], _Outcome]:
        return lambda transaction: _commit(transaction, changes, whole, write, now)

    # A repeat may be refused for its op_id alone, where since then the states have come round again.
    outcome = database.write(by(_straight), by(_run_by_run), durable=not changes.only_queues)
    return Committed(
        conflicts=frozenset(outcome.conflicts),
        expanded=tuple(outcome.expanded),
        refused=frozenset(outcome.refused),
        admitted=outcome.admitted,
        queued_at=instant(now) if outcome.admitted else None,
    )


def _commit(transaction: Transaction, changes: Changes, whole: _Step, write: _Way, now: int) -> _Outcome:
    outdated = _outdated(transaction, changes.generations)
    if changes.misses:  # first, since what ends only now has missed them
        conflicts = outdated()
        note_misses(transaction, [miss for miss in changes.misses if miss.run not in conflicts], now)
    admissions = [w.admission for w in whole.writes if w.admission is not None]
    if admissions:
        lock_room(transaction, admissions)
    room = Room.read(transaction) if admissions else Room()
    outcome = _Outcome(conflicts=outdated())
    write(transaction, _without(whole, outcome.conflicts) if outcome.conflicts else whole, room, outcome, now)
    _stop(transaction, changes.stops)
    if changes.signals:
        # Those of a refused run stay for whoever owns it now.
        values = {"ids": to_json(changes.signals), "conflicts": to_json(sorted(outcome.conflicts))}
        transaction.send(_DELETE_SIGNALS, [values])
    return outcome


def _writes(changes: Changes, now: int) -> Iterable[_Write]:
    """Yield the guarded updates of a step: a move and the admission of the same task instance become one."""
    admissions = {a.task: a for a in changes.admissions}
    for move in changes.task_moves:
        alone = _Write(move.run, _move_values(move, now), [_move_audit(move, now)])
        admission = admissions.get(move.task) if move.to is TaskState.SCHEDULED else None
        if admission is None:
            yield alone
            continue
        del admissions[move.task]
        values = {**_queue_values(admission, now), "before": move.before.value, "charge": int(move.charge)}
        yield _Write(move.run, values, [*alone.audits, _queue_audit(admission, now)], admission, alone)
    for admission in admissions.values():
        yield _Write(admission.run, _queue_values(admission, now), [_queue_audit(admission, now)], admission)


def _move_values(move: TaskMove, now: int) -> Values:
    return {
        "task": move.task,
        "before": move.before.value,
        "to": move.to.value,
        "epoch": move.epoch,
        "queues": 0,
        "ticket": None,
        "queued_at": None,
        "queue": None,
        "executor": None,
        "charge": int(move.charge),
        "end_date": now if move.to in TERMINAL_TASK_STATES else None,
        "reason": move.reason or None,
    }


def _queue_values(admission: Admission, now: int) -> Values:
    return {
        "task": admission.task,
        "before": TaskState.SCHEDULED.value,
        "to": TaskState.QUEUED.value,
        "epoch": admission.epoch,
        "queues": 1,
        "ticket": admission.ticket,
        "queued_at": now,
        "queue": admission.queue,
        "executor": admission.executor,
        "charge": 0,
        "end_date": None,
        "reason": None,
    }


def _move_audit(move: TaskMove, now: int) -> Values:
    return transitions.audit(
        move.task, move.before, move.to, move.actor, epoch=move.epoch, op_id=move.op_id, reason=move.reason, now=now
    )


def _queue_audit(admission: Admission, now: int) -> Values:
    return transitions.audit(
        admission.task,
        TaskState.SCHEDULED,
        TaskState.QUEUED,
        Actor.SCHEDULER,
        epoch=admission.epoch + 1,
        op_id=admission.op_id,
        reason="",
        now=now,
    )


def _outdated(transaction: Transaction, generations: dict[int, int]) -> Callable[[], set[int]]:
    """Lock the runs; return what tells which were cleared, marked or taken over since the step was decided."""
    if not generations:
        return set
    found = transaction.ask(_GENERATIONS, {"ids": to_json(list(generations))})

    def outdated() -> set[int]:
        current: dict[int, int] = dict(found())
        return {run for run, generation in generations.items() if current.get(run) != generation}

    return outdated


def _without(step: _Step, runs: set[int]) -> _Step:
    return _Step(
        [m for m in step.run_moves if m.run not in runs],
        [e for e in step.expansions if e.run not in runs],
        [w for w in step.writes if w.run not in runs],
    )


def _straight(transaction: Transaction, step: _Step, room: Room, outcome: _Outcome, now: int) -> None:
    """Send everything, each kind of statement once."""
    for move in step.run_moves:
        transaction.each(_MOVE_RUN, [_run_values(move, now)])
        _follow_run(transaction, move, now)
    for expansion in step.expansions:
        outcome.expanded += expand(transaction, expansion)
    writes: list[_Write] = []
    for write in step.writes:
        chosen = _choose(write, room, outcome)
        if chosen is not None:
            writes.append(chosen)
    transaction.each(_MOVE, [w.values for w in writes])
    transitions.write(transaction, [a for w in writes for a in w.audits])
    for write in writes:
        _settle_wait(transaction, write.values)


def _run_by_run(transaction: Transaction, step: _Step, room: Room, outcome: _Outcome, now: int) -> None:
    """Send each run's changes by themselves: one that cannot be made concerns its run alone."""
    runs = chain((m.run for m in step.run_moves), (e.run for e in step.expansions), (w.run for w in step.writes))
    for run in dict.fromkeys(runs):
        careful = _Outcome()
        try:
            with transaction.savepoint():
                _careful(transaction, step.of(run), room, careful, now)
        except Refused:
            outcome.conflicts.add(run)
            room = Room.read(transaction)  # what the run took is free again
            continue
        outcome.expanded += careful.expanded
        outcome.refused |= careful.refused
        outcome.admitted |= careful.admitted


def _careful(transaction: Transaction, step: _Step, room: Room, outcome: _Outcome, now: int) -> None:
    """Send one run's changes row by row; refuse them if one of them neither holds nor was done before."""
    for move in step.run_moves:
        if transaction.run(_MOVE_RUN, _run_values(move, now)) == 1:
            _follow_run(transaction, move, now)
        elif not transitions.is_run_done(transaction, move.op_id):
            raise Refused(_CHANGED)
    for expansion in step.expansions:
        outcome.expanded += expand(transaction, expansion)
    for write in step.writes:
        done = [transitions.is_done(transaction, audit["op_id"]) for audit in write.audits]
        if all(done):
            if write.admission is not None:
                outcome.admitted[write.admission.task] = write.admission.epoch + 1
            continue
        chosen = _choose(write, room, outcome)
        if chosen is None or (any(done) and chosen is write.otherwise):
            continue
        if any(done):
            # The move was kept when its admission was refused; now there is room for the admission alone.
            values = {**write.values, "before": TaskState.SCHEDULED.value, "charge": 0}
            chosen = _Write(write.run, values, [a for a, was in zip(write.audits, done, strict=True) if not was])
        if transaction.run(_MOVE, chosen.values) != 1:
            raise Refused(_CHANGED)
        transitions.write(transaction, chosen.audits)
        _settle_wait(transaction, chosen.values)


def _choose(write: _Write, room: Room, outcome: _Outcome) -> _Write | None:
    """Return what to write given the room: the whole, the move without its admission, or nothing."""
    admission = write.admission
    if admission is None:
        return write
    if admission.task in room.holding:
        raise Refused(_CHANGED)
    if room.admit(admission):
        outcome.admitted[admission.task] = admission.epoch + 1
        return write
    outcome.refused.add(admission.task)
    return write.otherwise


def _settle_wait(transaction: Transaction, values: Values) -> None:
    """Keep "deferred means one live trigger": resuming keeps the row for the next attempt, any other end drops it."""
    if values["to"] in _ENDS and values["before"] in _MAY_HAVE_WAIT:
        transaction.send(_DROP_WAIT, [{"task": values["task"]}])
    elif values["before"] == TaskState.DEFERRED.value:
        transaction.send(_RESUME_WAIT, [{"task": values["task"]}])


def _run_values(move: RunMove, now: int) -> Values:
    return {
        "run": move.run,
        "before": move.before.value,
        "to": move.to.value,
        "ending": None if move.ending is None else move.ending.value,
        "reason": move.reason or None,
        "starts": int(move.to is RunState.RUNNING),
        "ends": int(move.to in TERMINAL_RUN_STATES),
        "interval_start": None if move.interval is None else micros(move.interval[0]),
        "interval_end": None if move.interval is None else micros(move.interval[1]),
        "now": now,
    }


def _follow_run(transaction: Transaction, move: RunMove, now: int) -> None:
    """Write what follows from a run's transition; nothing from noting only what it is going to end as."""
    if move.to is move.before:
        return
    audit = transitions.run_audit(
        move.run, move.before, move.to, move.actor, op_id=move.op_id, reason=move.reason, now=now
    )
    transitions.write_run(transaction, audit)
    if move.interval is not None:
        forget_questions(transaction, move.run)
    if move.to in TERMINAL_RUN_STATES:
        owe_run_callback(transaction, move.run, move.to, op_id=move.op_id, reason=move.reason, now=now)
    if move.to is RunState.FAILED and move.pauses_after:
        dag_id = transaction.rows("SELECT dag_id FROM run WHERE id = :run", {"run": move.run})[0][0]
        pause_after_failures(transaction, dag_id, move.pauses_after, now)


def owe_run_callback(transaction: Transaction, run: int, to: RunState, *, op_id: str, reason: str, now: int) -> None:
    """Put the run's callback for its end into the outbox, if it has one."""
    found = transaction.row("SELECT callbacks FROM run WHERE id = :run", {"run": run})
    row = transitions.run_outbox(run, to, found[0] if found else "", op_id=op_id, reason=reason, now=now)
    if row is not None:
        transaction.send(transitions.INSERT_OUTBOX, [row])


def _stop(transaction: Transaction, stops: list[StopRequest]) -> None:
    transaction.send(
        _STOP, [{"kind": s.kind.value, "who": s.actor, "task": s.task, "lease": s.lease_id} for s in stops]
    )
