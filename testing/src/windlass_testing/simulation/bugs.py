"""Bugs to plant: each takes one guard of the protocol away, and the simulation has to notice.

A guard that can be removed without any seed failing is either useless or unproven. So every promise that the engine's
code makes by a clause, a comparison or an order of two calls has a counterpart here, and a test asserts that some seed
among the first few hundred finds each of them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, Final

import msgspec

from windlass.planning import asking, rules
from windlass.planning import assets as planned_assets
from windlass.planning import endings as planned_endings
from windlass.planning.assets import condition_of
from windlass.planning.runs import BackfillLimit, DagLimit, choose_runs
from windlass.ports import (
    Changes,
    Claim,
    Committed,
    DeadlineMiss,
    RunFacts,
    SignalKind,
    StopRequest,
    TaskFacts,
)
from windlass.scheduler import calendar, owned, tracked
from windlass.scheduler import scheduler as stepping
from windlass.scheduler.deadlines import Deadlines
from windlass.scheduler.scheduler import Scheduler
from windlass.scheduler.tracked import TrackedRun
from windlass.spec import TriggerRule
from windlass.states import Actor, TaskState
from windlass.store import (
    assets,
    backfills,
    changes,
    claiming,
    commands,
    creation,
    deadlines,
    endings,
    facts,
    filling,
    gateway,
    pinning,
    questions,
    reaping,
    scheduling,
    waits,
    xcoms,
)
from windlass.store.database import Database, Row, Savepoint, Transaction
from windlass.store.gateway import SqlGateway
from windlass.store.instants import SECOND
from windlass.store.reaping import Reaper
from windlass.store.room import Room
from windlass.store.scheduling import SqlStore
from windlass.supervisor.ledger import Ledger
from windlass.supervisor.waiting import Waiting

Plant = Callable[[ExitStack], None]


@dataclass(frozen=True)
class Bug:
    """A planted bug: what is wrong with it, and how to plant it."""

    story: str
    plant: Plant

    @contextlib.contextmanager
    def planted(self) -> Iterator[None]:
        """Plant it for a while."""
        with ExitStack() as stack:
            self.plant(stack)
            yield


BUGS: Final[dict[str, Bug]] = {}


def _bug(story: str) -> Callable[[Plant], Plant]:
    def register(plant: Plant) -> Plant:
        BUGS[plant.__name__.strip("_").replace("_", "-")] = Bug(story, plant)
        return plant

    return register


@contextlib.contextmanager
def _attribute(owner: object, name: str, value: object) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _replace(stack: ExitStack, owner: object, name: str, value: object) -> None:
    patch: AbstractContextManager[None] = _attribute(owner, name, value)
    stack.enter_context(patch)


def _without(stack: ExitStack, module: object, name: str, *clauses: str) -> None:
    """Take clauses out of a statement; the statement must have them."""
    sql = getattr(module, name)
    for clause in clauses:
        if clause not in sql:
            msg = f"{name} has no {clause!r} any more: plant this bug where the guard is now"
            raise LookupError(msg)
        sql = sql.replace(clause, "")
    _replace(stack, module, name, sql)


# --- What the scheduler writes


@_bug("a move does not look at the state it finds")
def _move_any_state(stack: ExitStack) -> None:
    _without(stack, changes, "_MOVE", " AND state = :before", " AND lease_id IS NULL")


@_bug("a step is written although the run was cleared, marked or taken over since")
def _ignore_generation(stack: ExitStack) -> None:
    _replace(stack, changes, "_outdated", lambda _transaction, _generations: set())


@_bug("pools and limits are believed to have room, as the scheduler remembers it, instead of counting rows")
def _count_from_memory(stack: ExitStack) -> None:
    _replace(stack, Room, "admit", lambda _self, _wanted: True)


@_bug("queueing keeps the epoch")
def _keep_epoch(stack: ExitStack) -> None:
    original = changes._queue_values  # noqa: SLF001 - what is patched
    _replace(stack, changes, "_queue_values", lambda *args: {**original(*args), "queues": 0})


@_bug("a conflict leaves half of a run's changes behind")
def _half_conflict(stack: ExitStack) -> None:
    _replace(stack, Savepoint, "undo", lambda _self: None)
    _replace(stack, changes, "_Mismatch", _Unnoticed)


class _Unnoticed(Exception):
    """Raised instead of a mismatch; nobody catches the step's savepoint for it."""


@_bug("a step deletes every signal, also what came after it had read the inbox")
def _delete_all_signals(stack: ExitStack) -> None:
    _replace(stack, changes, "_DELETE_SIGNALS", 'DELETE FROM "signal" WHERE :ids = :ids OR :conflicts = :ids')


# --- What the scheduler remembers


@_bug("workloads are sent before their queueing is committed")
def _send_then_commit(stack: ExitStack) -> None:
    original = Scheduler._commit  # noqa: SLF001 - what is patched

    def commit(self: Scheduler, step: Changes) -> None:
        for admission in step.admissions:
            run = self._owned.running[admission.run]
            self._executor.submit([run.workload(run.tasks[admission.task], admission.ticket)])
        original(self, step)

    _replace(stack, Scheduler, "_commit", commit)


@_bug("a scheduler whose leases had lapsed believes that nobody else owned its runs meanwhile")
def _lapse_unnoticed(stack: ExitStack) -> None:
    original = Scheduler._renew  # noqa: SLF001 - what is patched

    def renew(self: Scheduler, *, lapsed: bool) -> None:  # noqa: ARG001 - what it should look at
        original(self, lapsed=False)

    _replace(stack, Scheduler, "_renew", renew)


@_bug("what an expansion returns unlearns what the same step has decided")
def _unlearn_expansion(stack: ExitStack) -> None:
    def take(self: Scheduler, run: TrackedRun, task: TaskFacts) -> None:
        known = run.tasks.get(task.id)
        run.expanded([task])
        self._owned.put(run, known, task)

    _replace(stack, Scheduler, "_take_expansion", take)


@_bug("a run that was cleared keeps the plan it had")
def _keep_counters(stack: ExitStack) -> None:
    original = Scheduler._track  # noqa: SLF001 - what is patched

    def track(self: Scheduler, facts: RunFacts) -> bool:
        return facts.id in self._owned.running or original(self, facts)

    _replace(stack, Scheduler, "_track", track)


@_bug("what was queued is not sent again after a supervisor's restart")
def _no_resubmission(stack: ExitStack) -> None:
    _replace(stack, Scheduler, "_resubmit", lambda _self: None)


@_bug("the scheduler does not notice that its changes were refused")
def _conflicts_unnoticed(stack: ExitStack) -> None:
    original = SqlStore.commit

    def commit(self: SqlStore, step: Changes) -> Committed:
        return msgspec.structs.replace(original(self, step), conflicts=frozenset())

    _replace(stack, SqlStore, "commit", commit)


@_bug("looking for running instances unlearns what the same step has decided")
def _unlearn(stack: ExitStack) -> None:
    def reread(self: Scheduler, run: TrackedRun) -> None:
        for task in self._store.tasks_of(run.facts.id):
            self._absorb(task)

    _replace(stack, Scheduler, "_reread", reread)


@_bug("a decision overtakes one that waits for an expansion")
def _overtaken(stack: ExitStack) -> None:
    original = TrackedRun.find

    def apply(self: Scheduler, run: int, move: Any, step: Changes) -> None:  # noqa: ANN401 - a planning move
        known = self._owned.running.get(run)
        task: TaskFacts | None = None if known is None else original(known, move.task_id, move.map_index)
        if known is None:
            return
        if task is None:
            self._postponed.setdefault(run, []).append(move)
        else:
            self._move(known, task, move.to, move.reason, step, planned=True)

    _replace(stack, Scheduler, "_apply", apply)


@_bug("decisions of a plan outlive it")
def _keep_postponed(stack: ExitStack) -> None:
    original = Scheduler._track  # noqa: SLF001 - what is patched

    def track(self: Scheduler, facts: RunFacts) -> bool:
        kept = self._postponed.get(facts.id)
        done = original(self, facts)
        if kept is not None:
            self._postponed[facts.id] = kept
        return done

    _replace(stack, Scheduler, "_track", track)


@_bug("a scheduler takes away the signals of another one's runs")
def _take_foreign_signals(stack: ExitStack) -> None:
    original = Scheduler._adopt  # noqa: SLF001 - what is patched

    def adopt(self: Scheduler, runs: Sequence[int]) -> set[int]:
        original(self, runs)
        return set()

    _replace(stack, Scheduler, "_adopt", adopt)


@_bug("any number of a DAG's runs may be active")
def _any_number_of_runs(stack: ExitStack) -> None:
    original = choose_runs

    def choose(queued: Any, running: Any, dags: dict[str, DagLimit], backfills: Any) -> Any:  # noqa: ANN401
        free = {dag: msgspec.structs.replace(limit, max_active_runs=-1) for dag, limit in dags.items()}
        return original(queued, running, free, backfills)

    _replace(stack, calendar, "choose_runs", choose)


@_bug("a reschedule is charged as a new try")
def _charge_reschedule(stack: ExitStack) -> None:
    new_try = tracked._NEW_TRY | {TaskState.UP_FOR_RESCHEDULE}  # noqa: SLF001 - what is patched
    _replace(stack, tracked, "_NEW_TRY", new_try)


@_bug("all_success does not wait for what is pending")
def _hasty_rule(stack: ExitStack) -> None:
    clauses = tuple(c for c in rules.RULES[TriggerRule.ALL_SUCCESS] if c.verdict is not rules.Verdict.RUN)
    hasty = {**rules.RULES, TriggerRule.ALL_SUCCESS: (*clauses, rules.Clause(rules.Verdict.RUN))}
    _replace(stack, rules, "RULES", hasty)


# --- Timetables, deadlines, pauses


@_bug("an answer to a timetable's question is taken from anybody")
def _any_lease_answers(stack: ExitStack) -> None:
    _without(stack, questions, "_ANSWER", " AND lease_id = :lease", " AND answered_at IS NULL")


@_bug("a question is claimed whichever ticket is shown")
def _any_ticket_asks(stack: ExitStack) -> None:
    _without(stack, questions, "_CLAIM", " AND ticket = :ticket")


@_bug("a question that somebody has is given to another one too")
def _shared_question(stack: ExitStack) -> None:
    _without(stack, questions, "_CLAIM", " AND lease_id IS NULL", " AND answered_at IS NULL", " AND retry_at IS NULL")


@_bug("what a timetable says is believed")
def _credulous(stack: ExitStack) -> None:
    _replace(stack, asking, "problem_with", lambda _question, _answer: None)


@_bug("a timetable that has failed is asked no more")
def _never_asked_again(stack: ExitStack) -> None:
    _replace(stack, questions, "retry_delay", lambda _failures: timedelta(days=1))


@_bug("a manual run does not wait for its interval")
def _hasty_start(stack: ExitStack) -> None:
    _replace(stack, calendar.Calendar, "_known", lambda _self, run, _now: run)


@_bug("a run whose interval is pending may be started without one, by a scheduler that does not know of it")
def _unguarded_start(stack: ExitStack) -> None:
    guard = " AND (:starts = 0 OR interval_pending = 0 OR :interval_start IS NOT NULL)"
    _without(stack, changes, "_MOVE_RUN", guard)
    original = facts.run_facts
    _replace(stack, scheduling, "run_facts", lambda row: msgspec.structs.replace(original(row), interval_pending=False))


@_bug("a missed deadline owes no callback")
def _silent_deadline(stack: ExitStack) -> None:
    _replace(stack, deadlines, "_OWE", "UPDATE outbox SET failures = failures WHERE id = -1")


@_bug("a deadline passes unnoticed")
def _unnoticed_deadline(stack: ExitStack) -> None:
    _replace(stack, Deadlines, "missed", lambda _self, _run, _now: [])


@_bug("a deadline that was missed is told again by the next scheduler")
def _deadline_told_again(stack: ExitStack) -> None:
    original = deadlines.note_misses

    def note(transaction: Transaction, misses: Sequence[DeadlineMiss], now: int) -> None:
        original(transaction, misses, now)
        for miss in misses:
            values = {"event": f"run_deadline:{miss.position}", "run": miss.run, "reason": miss.reason, "now": now}
            transaction.run(deadlines._OWE, {**values, "op_id": transaction.token()})  # noqa: SLF001

    _replace(stack, changes, "note_misses", note)


@_bug("failures in a row pause nothing")
def _tireless(stack: ExitStack) -> None:
    for module in (changes, commands):
        _replace(stack, module, "pause_after_failures", lambda *_args: False)


# --- Backfills


@_bug("a step of a backfill is written wherever it stands by now")
def _any_place(stack: ExitStack) -> None:
    _without(stack, filling, "_ADVANCE", " AND dealt = :before")


@_bug("a backfill does not keep its place")
def _lose_the_place(stack: ExitStack) -> None:
    _without(stack, filling, "_ADVANCE", ", reached = :reached")


@_bug("a backfill goes on though it was cancelled")
def _cancelled_goes_on(stack: ExitStack) -> None:
    _without(stack, filling, "_ADVANCE", " AND cancelled_at IS NULL AND completed_at IS NULL")


@_bug("cancelling a backfill forgets the runs that wait for their start")
def _waiting_forgotten(stack: ExitStack) -> None:
    _replace(stack, backfills, "_WAITING", backfills._WAITING.replace("'queued'", "'none'"))  # noqa: SLF001


@_bug("any number of a backfill's runs may be active")
def _any_number_of_backfill_runs(stack: ExitStack) -> None:
    original = choose_runs

    def choose(queued: Any, running: Any, dags: Any, limits: dict[int, BackfillLimit]) -> Any:  # noqa: ANN401
        free = {number: msgspec.structs.replace(limit, max_active_runs=-1) for number, limit in limits.items()}
        return original(queued, running, dags, free)

    _replace(stack, calendar, "choose_runs", choose)


@_bug("a backfill is completed while runs of it are open")
def _completed_too_soon(stack: ExitStack) -> None:
    open_runs = " AND NOT EXISTS (SELECT 1 FROM run WHERE run.backfill_id = :id AND run.state IN ('queued','running'))"
    for module in (filling, backfills):
        _without(stack, module, "COMPLETE", open_runs)


@_bug("a cleared run leaves its backfill completed")
def _stays_completed(stack: ExitStack) -> None:
    _replace(stack, commands, "_REOPEN", "UPDATE run SET conf = conf WHERE id = :run")


# --- Claims and leases


@_bug("a claim takes whatever is queued, whichever ticket it shows")
def _any_ticket(stack: ExitStack) -> None:
    original = claiming._candidate  # noqa: SLF001 - what is patched

    def candidate(claim: Claim, row: Row | None) -> Any:  # noqa: ANN401 - passed on
        return original(claim if row is None else msgspec.structs.replace(claim, epoch=row[7]), row)

    _without(stack, claiming, "_CLAIM", " AND ticket = :ticket")
    _replace(stack, claiming, "_candidate", candidate)


@_bug("a claim takes an instance that is running already")
def _claim_running(stack: ExitStack) -> None:
    _without(stack, claiming, "_CLAIM", " AND state = 'queued'", " AND lease_id IS NULL")


@_bug("heartbeats do not say that a lease is lost or a stop was asked for")
def _deaf_heartbeat(stack: ExitStack) -> None:
    original = SqlGateway.heartbeat

    def heartbeat(self: SqlGateway, leases: Sequence[str], supervisor: str) -> list[StopRequest]:
        original(self, leases, supervisor)
        return []

    _replace(stack, SqlGateway, "heartbeat", heartbeat)


@_bug("each process compares leases with a clock of its own")
def _local_clocks(stack: ExitStack) -> None:
    original = Database.now

    def now(self: Database) -> int:
        actor = getattr(self.clock, "current", None)
        ahead = actor is not None and actor.name.startswith("scheduler")
        return original(self) + (70 * SECOND if ahead else 0)

    _replace(stack, Database, "now", now)


@_bug("the reaper trusts a calendar that has jumped")
def _trust_the_calendar(stack: ExitStack) -> None:
    _replace(stack, Reaper, "_must_wait", lambda _self, _now: False)


@_bug("a supervisor that starts ends the leases of all supervisors")
def _recover_all(stack: ExitStack) -> None:
    _without(stack, gateway, "_OPEN_OF", " AND supervisor = :supervisor")


@_bug("the reaper does not look again whether a lease was renewed")
def _no_second_look(stack: ExitStack) -> None:
    _without(stack, reaping, "_STILL", " AND ended_at IS NULL AND lease_until < :now")


@_bug("going back from queued charges a try")
def _charge_requeue(stack: ExitStack) -> None:
    sql = reaping._UNQUEUE.replace("SET state", "SET try_number = try_number + 1, state")  # noqa: SLF001
    _replace(stack, reaping, "_UNQUEUE", sql)


@_bug("going back from queued tells nobody")
def _silent_requeue(stack: ExitStack) -> None:
    _replace(stack, reaping, "SignalKind", SimpleNamespace(TASK=SignalKind.DAG))


# --- Ends


@_bug("a report ends whatever attempt is running")
def _report_any_lease(stack: ExitStack) -> None:
    _without(stack, endings, "_END", " AND epoch = :epoch", " AND lease_id = :lease")
    _without(stack, endings, "_CLOSE", " AND ended_at IS NULL")
    _without(stack, endings, "_HELD", " AND t.lease_id = a.lease_id")


@_bug("an end tells nobody")
def _silent_end(stack: ExitStack) -> None:
    _replace(stack, endings, "SignalKind", SimpleNamespace(TASK=SignalKind.DAG))


@_bug("a result that arrives after a person's stop overrules it")
def _result_overrules_stop(stack: ExitStack) -> None:
    _replace(stack, endings, "_stop_wins", lambda _stop, _report: False)


@_bug("a success that a clear overrules frees its task instance before its process is gone")
def _overruled_too_early(stack: ExitStack) -> None:
    _replace(stack, gateway, "is_overruled", lambda _held, _report: False)


@_bug("a callback is forgotten")
def _no_outbox(stack: ExitStack) -> None:
    _replace(stack, endings, "_outbox", lambda _closing, _now: None)


@_bug("a new try sees the XComs of the one before")
def _keep_xcoms(stack: ExitStack) -> None:
    _replace(stack, xcoms, "wipe", lambda _transaction, _tasks: None)


@_bug("a failure is retried for ever")
def _endless_retries(stack: ExitStack) -> None:
    _replace(stack, planned_endings, "after_failure", lambda *_args, **_more: TaskState.UP_FOR_RETRY)


@_bug("a clear does not wait for the running process")
def _clear_overlaps(stack: ExitStack) -> None:
    _without(stack, commands, "_CLEAR", " AND lease_id IS NULL")
    original = commands.Step.clear

    def clear(self: Any, rows: Sequence[Row]) -> None:  # noqa: ANN401 - a private class
        original(self, [row for row in rows if row[3] != "running"])
        running = [(row, TaskState.NONE) for row in rows if row[3] == "running"]
        self._move(commands._CLEAR, running, Actor.CLEAR, "cleared")  # noqa: SLF001

    _replace(stack, commands.Step, "clear", clear)


# --- Assets


@_bug("an event that a run has consumed is consumed once more by whoever read it before")
def _consume_again(stack: ExitStack) -> None:
    _without(stack, assets, "_CONSUME", " AND run IS NULL")


@_bug("a run takes every event that waits, also one that came after it was decided on")
def _consume_unseen(stack: ExitStack) -> None:
    def consume(transaction: Transaction, dag_id: str, run: int, _events: Sequence[int]) -> bool:
        sql = "UPDATE asset_delivery SET run = :run WHERE dag_id = :dag_id AND run IS NULL"
        return transaction.run(sql, {"run": run, "dag_id": dag_id}) > 0

    _replace(stack, creation, "consume_events", consume)


@_bug("a run is created although its events are gone")
def _events_unnoticed(stack: ExitStack) -> None:
    original = assets.consume_events

    def consume(transaction: Transaction, dag_id: str, run: int, events: Sequence[int]) -> bool:
        original(transaction, dag_id, run, events)
        return True

    _replace(stack, creation, "consume_events", consume)


@_bug("an event tells nobody")
def _silent_event(stack: ExitStack) -> None:
    _replace(stack, assets, "_TELL", assets._TELL.replace("'asset'", "'pool'"))  # noqa: SLF001 - what is patched


@_bug("an event that comes while a DAG is paused calls for a run")
def _count_while_paused(stack: ExitStack) -> None:
    _replace(stack, assets, "_DELIVER", assets._DELIVER.replace("1 - d.paused", "1"))  # noqa: SLF001


@_bug("an event through an alias reaches only the listeners of its asset")
def _deaf_alias(stack: ExitStack) -> None:
    _replace(stack, assets, "_DELIVER", assets._DELIVER.replace(":is_alias", "0 * :is_alias"))  # noqa: SLF001


@_bug("events that waited for room are forgotten when a run ends")
def _no_look_after_end(stack: ExitStack) -> None:
    original = calendar.Calendar.run_ended

    def run_ended(self: calendar.Calendar, facts: RunFacts) -> None:
        dag_id = facts.dag_id
        known, was_due = self._dags.get(dag_id), dag_id in self._due
        original(self, facts)
        spec = None if known is None else self.spec(dag_id, known.spec_version)
        if not was_due and spec is not None and condition_of(spec.schedule) is not None:
            del self._due[dag_id]

    _replace(stack, calendar.Calendar, "run_ended", run_ended)


@_bug("the interval of a run that takes several events is that of the last one")
def _narrow_interval(stack: ExitStack) -> None:
    original = planned_assets.consume

    def consume(condition: Any, waiting: Any) -> Any:  # noqa: ANN401 - passed on
        due = original(condition, waiting)
        return due if due is None else msgspec.structs.replace(due, start=due.end)

    _replace(stack, calendar, "consume", consume)


# --- Deferrals


@_bug("an event resumes whatever deferral its task instance is in by now")
def _event_of_another_wait(stack: ExitStack) -> None:
    _without(stack, waits, "_FIRE", " AND epoch = :epoch AND lease_id IS NULL", " AND w.epoch = :epoch")
    _without(stack, waits, "_CLOSE", " AND epoch = :epoch")


@_bug("an event moves a task instance that is deferred no more")
def _event_for_anybody(stack: ExitStack) -> None:
    sql = waits._FIRE.partition(" AND state =")[0]  # noqa: SLF001 - what is patched
    _replace(stack, waits, "_FIRE", sql)


@_bug("a trigger's event tells nobody")
def _silent_fire(stack: ExitStack) -> None:
    _replace(stack, waits, "SignalKind", SimpleNamespace(TASK=SignalKind.DAG))


@_bug("an event that could not be written is forgotten")
def _event_forgotten(stack: ExitStack) -> None:
    original = Ledger._suspend  # noqa: SLF001 - what is patched

    def suspend(self: Ledger, doing: str, error: Exception) -> None:
        original(self, doing, error)
        if doing.startswith("resuming"):
            self._fired = []

    _replace(stack, Ledger, "_suspend", suspend)


@_bug("a clear leaves the trigger waiting")
def _clear_keeps_wait(stack: ExitStack) -> None:
    _replace(stack, commands, "DROP_WAITS", f"{pinning.DROP_WAITS} AND 1 = 0")


@_bug("the timeout of a deferral leaves its trigger waiting")
def _timeout_keeps_wait(stack: ExitStack) -> None:
    _replace(stack, changes, "_RESUME_WAIT", f"{changes._RESUME_WAIT} AND 1 = 0")  # noqa: SLF001


@_bug("the timeout of a deferral never comes")
def _no_deferral_timeout(stack: ExitStack) -> None:
    fewer = owned.WAITING_FOR_TIME - {TaskState.DEFERRED}
    _replace(stack, owned, "WAITING_FOR_TIME", fewer)
    _replace(stack, stepping, "WAITING_FOR_TIME", fewer)


@_bug("going on after a deferral is charged as a new try")
def _charge_resumption(stack: ExitStack) -> None:
    _replace(stack, tracked, "_NEW_TRY", tracked._NEW_TRY | {TaskState.DEFERRED})  # noqa: SLF001


@_bug("a deferral is gone on after once more, when the attempt that did so has ended")
def _resume_again(stack: ExitStack) -> None:
    _replace(stack, endings, "_DROP_WAIT", f"{endings._DROP_WAIT} AND 1 = 0")  # noqa: SLF001


@_bug("a trigger host that has died is not started again")
def _dead_host(stack: ExitStack) -> None:
    _replace(stack, Waiting, "_start_again", lambda _self, _key: None)


@_bug("a trigger host that is started again gets none of its waits")
def _empty_host(stack: ExitStack) -> None:
    original = Waiting._of  # noqa: SLF001 - what is patched

    def of(self: Waiting, key: Any) -> Any:  # noqa: ANN401 - a private list
        return [] if self._deaths[key] else original(self, key)

    _replace(stack, Waiting, "_of", of)


@_bug("a supervisor does not take up the waits of the one before it")
def _waits_left_behind(stack: ExitStack) -> None:
    original = Waiting.refresh

    def refresh(self: Waiting) -> None:
        if not getattr(self, "begun", False):
            self.begun = True  # type: ignore[attr-defined]
            before = self._gateway.waits([], self._supervisor)
            self._leaving |= {wait.key for wait in before.begun}
        original(self)

    _replace(stack, Waiting, "refresh", refresh)


@_bug("a trigger goes on when its task does not wait any more")
def _trigger_goes_on(stack: ExitStack) -> None:
    original = SqlGateway.waits

    def changes_of(self: SqlGateway, known: Any, supervisor: str) -> Any:  # noqa: ANN401 - passed on
        return msgspec.structs.replace(original(self, known, supervisor), ended=())

    _replace(stack, SqlGateway, "waits", changes_of)
