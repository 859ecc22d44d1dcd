"""Asking plugins' timetables, without ever waiting for one.

A question is a row of the store and a workload of the supervisor: a child that has the DAG's own code answers it, the
answer is judged and written down, and a signal brings the scheduler back here, which finds it. Until then the DAG has
no next run, the manual run no start, the backfill no more runs; nothing else is touched. What fails is asked again
later and later. A few questions are under way at once, so that a thousand DAGs which change together do not become a
thousand processes.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Literal

from windlass.interfaces.timetable import DagRunInfo, DataInterval
from windlass.planning.asking import digest, is_outdated, manual_question, next_question
from windlass.planning.paging import continues, page_question
from windlass.ports import Asked, BackfillFacts, DagFacts, ExecutorPort, RunFacts, StorePort, Workload, WorkloadKind
from windlass.protocol import TimetablePage, TimetableQuestion
from windlass.scheduler.owned import OwnedRuns
from windlass.spec import DagSpec

#: A question that nobody has taken is sent again after this time; the same ticket cannot be claimed twice.
RESEND: Final = timedelta(seconds=10)
#: Questions under way at once, and how soon one that finds no room is looked at again.
_AT_ONCE: Final = 8
_NO_ROOM: Final = timedelta(seconds=0.5)

Key = tuple[Literal["dag"], str] | tuple[Literal["interval", "backfill"], int]


class Timetables:
    """The scheduler's one door to timetables of plugins."""

    def __init__(self, store: StorePort, executor: ExecutorPort, owned: OwnedRuns) -> None:
        self._store = store
        self._executor = executor
        self._owned = owned
        #: What was sent, and when it no longer counts as under way.
        self._sent: dict[Key, datetime] = {}

    def next_run(self, dag: DagFacts, spec: DagSpec, now: datetime) -> DagRunInfo | None:
        """Return the next run that the DAG's timetable wants; None if it wants none, or has yet to say."""
        asked = self._answered(next_question(dag, spec, now), ("dag", dag.dag_id), now)
        answer = None if asked is None else asked.answer
        return None if answer is None else DagRunInfo(answer.run_after, DataInterval(answer.start, answer.end))

    def interval(self, run: RunFacts, spec: DagSpec, now: datetime) -> DataInterval | None:
        """Return the data interval of a manual run; None as long as the timetable has not said."""
        asked = self._answered(manual_question(run, spec), ("interval", run.id), now)
        answer = None if asked is None else asked.answer
        return None if answer is None else DataInterval(answer.start, answer.end)

    def page(self, backfill: BackfillFacts, dag: DagFacts, spec: DagSpec, now: datetime) -> TimetablePage | None:
        """Return intervals among which are those that come next for a backfill; None while they are not known."""
        asked = self._store.asked(backfill.dag_id, -backfill.id)
        if asked is not None and asked.page is not None and continues(asked.question, asked.page, backfill.reached):
            return asked.page
        question = page_question(backfill, spec, dag.bundle, dag.file, backfill=backfill.id, reached=backfill.reached)
        asked = self._answered(question, ("backfill", backfill.id), now)
        return None if asked is None else asked.page

    def under_way(self) -> list[Key]:
        """Return what was sent and may have got lost with a supervisor."""
        return list(self._sent)

    def _answered(self, question: TimetableQuestion, key: Key, now: datetime) -> Asked | None:
        wanted = digest(question)
        asked = self._store.asked(question.dag_id, question.about)
        if asked is None or asked.digest != wanted or _is_over(asked, now):
            if self._is_full(key, now):
                self._owned.timers.set(key, now + _NO_ROOM)
                return None
            asked = self._store.ask(question, wanted, asked)
            if asked is None:
                return None
        if asked.answered and asked.digest == wanted:
            self._sent.pop(key, None)
            return asked
        self._pursue(asked, key, now)
        return None

    def _pursue(self, asked: Asked, key: Key, now: datetime) -> None:
        """See to it that an open question comes to an end, and look again when it should have."""
        if asked.retry_at is not None:
            self._sent.pop(key, None)
            self._owned.timers.set(key, asked.retry_at)
            return
        if asked.lease_until is None:
            self._executor.submit([_workload(asked)])
        self._sent[key] = now + RESEND
        self._owned.timers.set(key, max(now + RESEND, asked.lease_until or now))

    def _is_full(self, key: Key, now: datetime) -> bool:
        self._sent = {sent: until for sent, until in self._sent.items() if until > now or sent == key}
        return key not in self._sent and len(self._sent) >= _AT_ONCE


def _is_over(asked: Asked, now: datetime) -> bool:
    """Return whether the question must be put afresh: outdated, failed a while ago, or lost with its supervisor."""
    if asked.answered:
        return is_outdated(asked.question, asked.answer, now)
    if asked.retry_at is not None:
        return asked.retry_at <= now
    return asked.lease_until is not None and asked.lease_until < now


def _workload(asked: Asked) -> Workload:
    question = asked.question
    return Workload(
        kind=WorkloadKind.TIMETABLE,
        id=asked.id,
        epoch=asked.failures,
        ticket=asked.ticket,
        queue="default",
        code_version=question.code_version,
        bundle=question.bundle,
        file=question.file,
        dag_id=question.dag_id,
    )
