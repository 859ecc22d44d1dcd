"""Questions to plugins' timetables in memory: the same contract as the table of the real store."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import count

import msgspec

from windlass.planning.asking import TIMEOUT, complaint, retry_delay
from windlass.planning.attempts import question_context
from windlass.planning.paging import verdict
from windlass.ports import Asked, Claim, Claimed, Clock, Report
from windlass.protocol import TimetableQuestion

#: A supervisor's hold, as long as that of a task.
_LEASE = timedelta(seconds=60)


class MemoryQuestions:
    """One question at a time per DAG, and per manual run; ``tell`` signals its scheduler."""

    def __init__(self, clock: Clock, tell: Callable[[TimetableQuestion], None]) -> None:
        self._clock = clock
        self._tell = tell
        self._numbers = count(1)
        self._asked: dict[tuple[str, int], Asked] = {}
        self._leases: dict[str, int] = {}

    def asked(self, dag_id: str, run: int) -> Asked | None:
        """Return what is asked."""
        return self._asked.get((dag_id, run))

    def ask(self, question: TimetableQuestion, digest: str, seen: Asked | None) -> Asked:
        """Put a question in place of what was ``seen``."""
        key = (question.dag_id, question.about)
        now = self._asked.get(key)
        if now is not None and (seen is None or now.ticket != seen.ticket):
            return now
        same = seen is not None and seen.digest == digest
        number = next(self._numbers)
        self._asked[key] = Asked(
            id=number,
            digest=digest,
            ticket=f"question {number}",
            question=question,
            asked_at=self._clock.now(),
            failures=seen.failures if seen is not None and same else 0,
            error=seen.error if seen is not None and same else None,
        )
        return self._asked[key]

    def forget(self, run: int) -> None:
        """Drop the question about a run."""
        self._asked = {key: asked for key, asked in self._asked.items() if key[1] != run}

    def claim(self, claim: Claim) -> Claimed | None:
        """Lease a question that is open and has this ticket."""
        asked = next((asked for asked in self._asked.values() if asked.id == claim.task), None)
        if asked is None or asked.ticket != claim.ticket or asked.lease_until or asked.answered or asked.retry_at:
            return None
        lease = f"lease of {asked.ticket}"
        self._leases[lease] = asked.id
        self._keep(msgspec.structs.replace(asked, lease_until=self._clock.now() + _LEASE))
        context = question_context(asked.question, lease_id=lease)
        return Claimed(
            task=asked.id,
            lease_id=lease,
            context=context,
            execution_timeout=TIMEOUT,
            log_path=context.log_path or "",
        )

    def report(self, report: Report) -> bool:
        """Take an answer, or why there is none."""
        number = self._leases.pop(report.lease_id, None)
        asked = next((asked for asked in self._asked.values() if asked.id == number), None)
        if asked is None or asked.lease_until is None:
            return False
        said, problem = verdict(asked.question, report)
        done = msgspec.structs.replace(asked, lease_until=None)
        if problem is None:
            done = msgspec.structs.replace(done, answered=True, failures=0, error=None)
            kind = "page" if asked.question.limit else "answer"
            done = msgspec.structs.replace(done, **{kind: said})
        else:
            failures = asked.failures + 1
            done = msgspec.structs.replace(
                done,
                failures=failures,
                error=complaint(asked.question, problem),
                retry_at=self._clock.now() + retry_delay(failures),
            )
        self._keep(done)
        self._tell(asked.question)
        return True

    def _keep(self, asked: Asked) -> None:
        self._asked[asked.question.dag_id, asked.question.about] = asked
