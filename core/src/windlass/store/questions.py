"""Questions to plugins' timetables: put by the scheduler, taken by a supervisor, answered by a child.

One row per DAG (for its next run), one per manual run whose interval is pending, and one per open backfill. A question
is put under a random ticket; the claim needs the ticket and makes a lease; the answer needs the lease. So an answer to
an older question, or one that comes twice, changes nothing. What a child says is judged before it is written: nonsense,
an exception and a time-out all become one sentence in the row, which people see, and a time from which it may be asked
again.
"""

# ruff: noqa: S608 - statements are put together from constants; values are always parameters

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec

from windlass.planning.asking import TIMEOUT, complaint, retry_delay
from windlass.planning.attempts import question_context
from windlass.planning.paging import verdict
from windlass.ports import Asked, Claim, Claimed, Report, SignalKind
from windlass.protocol import TimetableQuestion
from windlass.protocol.timetables import decode_answer, decode_page, decode_question, encode_answer, encode_question
from windlass.store.database import Database, Row, Transaction
from windlass.store.facts import to_json
from windlass.store.instants import SECOND, instant
from windlass.store.reaping import LEASE
from windlass.store.transitions import signal

log = logging.getLogger(__name__)

_COLUMNS: Final = "id, digest, ticket, question, asked_at, lease_until, answered_at, answer, failures, error, retry_at"
_READ: Final = f"SELECT {_COLUMNS} FROM timetable_question WHERE dag_id = :dag_id AND run = :run"
_READ_ONE: Final = f"SELECT {_COLUMNS} FROM timetable_question WHERE id = :id"
_PUT: Final = (
    "INSERT INTO timetable_question (dag_id, run, digest, spec_version, question, ticket, asked_at)"
    " SELECT :dag_id, :run, :digest, :spec_version, :question, :ticket, :now WHERE :run = 0"
    " OR EXISTS (SELECT 1 FROM backfill WHERE id = :backfill AND completed_at IS NULL AND cancelled_at IS NULL)"
    " OR EXISTS (SELECT 1 FROM run WHERE id = :run AND interval_pending = 1) ON CONFLICT DO NOTHING"
)
_ITS_RUN: Final = "SELECT 1 FROM run WHERE id = :run FOR_UPDATE"
_ITS_BACKFILL: Final = "SELECT 1 FROM backfill WHERE id = :backfill FOR_UPDATE"
_PUT_AGAIN: Final = (
    "UPDATE timetable_question SET digest = :digest, spec_version = :spec_version, question = :question,"
    " ticket = :ticket, lease_id = NULL, lease_until = NULL, asked_at = :now, answered_at = NULL, answer = NULL,"
    " failures = :failures, error = :error, retry_at = NULL"
    " WHERE dag_id = :dag_id AND run = :run AND ticket = :seen"
)
_CLAIM: Final = (
    "UPDATE timetable_question SET lease_id = :lease, lease_until = :until"
    " WHERE id = :id AND ticket = :ticket AND lease_id IS NULL AND answered_at IS NULL AND retry_at IS NULL"
)
_PENDING: Final = "answered_at IS NULL AND retry_at IS NULL AND lease_id IN NAMES(:leases)"
_RENEW: Final = f"UPDATE timetable_question SET lease_until = :until WHERE {_PENDING}"
_OURS: Final = f"SELECT lease_id FROM timetable_question WHERE {_PENDING}"
_ANSWER: Final = (
    "UPDATE timetable_question SET answered_at = :now, answer = :answer, failures = 0, error = NULL, lease_id = NULL,"
    " lease_until = NULL WHERE id = :id AND lease_id = :lease AND answered_at IS NULL"
)
_FAIL: Final = (
    "UPDATE timetable_question SET retry_at = :again, failures = failures + 1, error = :error, lease_id = NULL,"
    " lease_until = NULL WHERE id = :id AND lease_id = :lease AND answered_at IS NULL"
)
#: Of DAGs as they are now, and of runs that wait.
_ERRORS: Final = (
    "SELECT d.bundle, d.file, q.error, q.asked_at FROM timetable_question q JOIN dag d ON d.dag_id = q.dag_id"
    " LEFT JOIN run r ON r.id = q.run WHERE q.error IS NOT NULL AND d.stale = 0"
    " AND ((q.run = 0 AND q.spec_version = d.spec_version) OR r.interval_pending = 1) ORDER BY q.id"
)


class TimetableError(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a timetable, and the file of the DAG that has it."""

    bundle: str
    file: str
    message: str
    at: datetime


class Questions:
    """All that the store does about questions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- The scheduler's side

    def asked(self, dag_id: str, run: int = 0) -> Asked | None:
        """Return the question about a DAG's next run, a manual run, or a backfill, whose number is given below zero."""
        row = self._database.row(_READ, {"dag_id": dag_id, "run": run})
        return None if row is None else _asked(row)

    def ask(self, question: TimetableQuestion, digest: str, seen: Asked | None) -> Asked | None:
        """Put a question in place of what was ``seen``; return what is asked now, None if nobody waits for it."""
        same = seen is not None and seen.digest == digest
        values = {
            "dag_id": question.dag_id,
            "run": question.about,
            "backfill": question.backfill,
            "digest": digest,
            "spec_version": question.spec_version,
            "question": encode_question(question),
            "ticket": self._database.rng.token(),
            "now": self._database.now(),
            "failures": seen.failures if seen is not None and same else 0,
            "error": seen.error if seen is not None and same else None,
            "seen": None if seen is None else seen.ticket,
        }

        def work(transaction: Transaction) -> Row | None:
            # What answers a question, or makes it needless, takes the question away: under the same lock.
            transaction.lock(_ITS_RUN, values)
            transaction.lock(_ITS_BACKFILL, values)
            transaction.run(_PUT if seen is None else _PUT_AGAIN, values)
            return transaction.row(_READ, {"dag_id": question.dag_id, "run": question.about})

        row = self._database.write(work)
        return None if row is None else _asked(row)

    def errors(self) -> list[TimetableError]:
        """Return what is wrong with timetables now."""
        return [
            TimetableError(bundle=bundle, file=file, message=message, at=instant(at))
            for bundle, file, message, at in self._database.rows(_ERRORS)
        ]

    # --- The supervisor's side

    def claim(self, claim: Claim) -> Claimed | None:
        """Lease the question to its supervisor; None if it is another one by now, or somebody has it."""
        lease = self._database.rng.token()
        until = self._database.now() + int(LEASE * SECOND)
        values = {"id": claim.task, "ticket": claim.ticket, "lease": lease, "until": until}

        def work(transaction: Transaction) -> Row | None:
            return transaction.row(_READ_ONE, values) if transaction.run(_CLAIM, values) == 1 else None

        row = self._database.write(work)
        if row is None:
            return None
        context = question_context(_asked(row).question, lease_id=lease)
        return Claimed(
            task=claim.task,
            lease_id=lease,
            context=context,
            execution_timeout=TIMEOUT,
            log_path=context.log_path or "",
        )

    def renew(self, leases: Sequence[str]) -> set[str]:
        """Renew those of ``leases`` that are of questions and still held; return them."""
        values = {"leases": to_json(list(leases)), "until": self._database.now() + int(LEASE * SECOND)}
        if self._database.write(lambda transaction: transaction.run(_RENEW, values)) == 0:
            return set()
        return {row[0] for row in self._database.rows(_OURS, values)}

    def report(self, report: Report) -> bool:
        """Write down an answer, or why there is none, and tell the scheduler; False if the lease had ended."""
        row = self._database.row(_READ_ONE, {"id": report.task})
        if row is None:
            return False
        asked = _asked(row)
        answer, problem = verdict(asked.question, report)
        now = self._database.now()
        values = {"id": report.task, "lease": report.lease_id, "now": now}
        error = complaint(asked.question, problem) if problem is not None else None
        if error is None:
            sql, values = _ANSWER, {**values, "answer": encode_answer(answer)}
        else:
            again = now + int(retry_delay(asked.failures + 1).total_seconds() * SECOND)
            sql, values = _FAIL, {**values, "again": again, "error": error}

        def work(transaction: Transaction) -> bool:
            if transaction.run(sql, values) != 1:
                return False
            _tell(transaction, asked.question)
            return True

        written = self._database.write(work)
        if written and error is not None and error != asked.error:
            log.error("%s", error)
        return written


def forget_questions(transaction: Transaction, run: int) -> None:
    """Drop the question about a run, whose interval is known, or a backfill (below zero), which needs no more."""
    transaction.send("DELETE FROM timetable_question WHERE run = :run", [{"run": run}])


def _tell(transaction: Transaction, question: TimetableQuestion) -> None:
    kind = SignalKind.RUN if question.run else SignalKind.BACKFILL if question.backfill else SignalKind.DAG
    signal(transaction, kind, dag_id=question.dag_id, run=question.run)


def _asked(row: Row) -> Asked:
    question, said = decode_question(row[3]), row[7]
    return Asked(
        id=row[0],
        digest=row[1],
        ticket=row[2],
        question=question,
        asked_at=instant(row[4]),
        lease_until=instant(row[5]),
        answered=row[6] is not None,
        answer=None if said is None or question.limit else decode_answer(said),
        page=decode_page(said) if said is not None and question.limit else None,
        failures=row[8],
        error=row[9],
        retry_at=instant(row[10]),
    )
