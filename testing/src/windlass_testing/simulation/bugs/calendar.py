"""What goes wrong with timetables, deadlines and pauses."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import timedelta

import msgspec

from windlass.planning import asking, backfill, paging
from windlass.ports import DeadlineMiss
from windlass.scheduler import calendar
from windlass.scheduler.deadlines import Deadlines
from windlass.store import changes, commands, deadlines, facts, questions, scheduling
from windlass.store.database import Transaction
from windlass_testing.simulation.bugs.planting import bug, replace, without


@bug("a question is claimed whichever ticket is shown")
def _any_ticket_asks(stack: ExitStack) -> None:
    without(stack, questions, "_CLAIM", " AND ticket = :ticket")


@bug("a question that somebody has is given to another one too")
def _shared_question(stack: ExitStack) -> None:
    without(stack, questions, "_CLAIM", " AND lease_id IS NULL", " AND answered_at IS NULL", " AND retry_at IS NULL")


@bug("what a timetable says is believed")
def _credulous(stack: ExitStack) -> None:
    replace(stack, asking, "problem_with", lambda _question, _answer: None)


@bug("the intervals that a timetable says for a backfill are believed")
def _credulous_pages(stack: ExitStack) -> None:
    replace(stack, paging, "problem_with_page", lambda _question, _page: None)


@bug("a backfill keeps its place in a timetable's intervals by when they are due, and not by their dates")
def _page_by_due(stack: ExitStack) -> None:
    replace(stack, backfill, "_place", lambda interval, _page: interval.run_after)


@bug("a timetable that has failed is asked no more")
def _never_asked_again(stack: ExitStack) -> None:
    replace(stack, questions, "retry_delay", lambda _failures: timedelta(days=1))


@bug("a manual run does not wait for its interval")
def _hasty_start(stack: ExitStack) -> None:
    replace(stack, calendar.Calendar, "_known", lambda _self, run, _now: run)


@bug("a run whose interval is pending may be started without one, by a scheduler that does not know of it")
def _unguarded_start(stack: ExitStack) -> None:
    guard = " AND (:starts = 0 OR interval_pending = 0 OR CAST(:interval_start AS BIGINT) IS NOT NULL)"
    without(stack, changes, "_MOVE_RUN", guard)
    original = facts.run_facts
    replace(stack, scheduling, "run_facts", lambda row: msgspec.structs.replace(original(row), interval_pending=False))


@bug("a missed deadline owes no callback")
def _silent_deadline(stack: ExitStack) -> None:
    replace(stack, deadlines, "_OWE", "UPDATE outbox SET failures = failures WHERE id = -1")


@bug("a deadline passes unnoticed")
def _unnoticed_deadline(stack: ExitStack) -> None:
    replace(stack, Deadlines, "missed", lambda _self, _run, _now: [])


@bug("a deadline that was missed is told again by the next scheduler")
def _deadline_told_again(stack: ExitStack) -> None:
    original = deadlines.note_misses

    def note(transaction: Transaction, misses: Sequence[DeadlineMiss], now: int) -> None:
        original(transaction, misses, now)
        for miss in misses:
            values = {"event": f"run_deadline:{miss.position}", "run": miss.run, "reason": miss.reason, "now": now}
            transaction.run(deadlines._OWE, {**values, "op_id": transaction.key()})  # noqa: SLF001

    replace(stack, changes, "note_misses", note)


@bug("failures in a row pause nothing")
def _tireless(stack: ExitStack) -> None:
    for module in (changes, commands):
        replace(stack, module, "pause_after_failures", lambda *_args: False)
