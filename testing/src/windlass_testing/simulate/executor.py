"""The executor of a simulation: an attempt is an interval of virtual time, and an ending that was agreed beforehand.

Claims and reports go through the same gateway as in ``dag.test()``, and the ending is judged by the same function as in
production, so retries, reschedules, lengths and timeouts mean what they mean there.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count

from windlass.app.clocks import VirtualClock
from windlass.app.inproc.gateway import MemoryGateway
from windlass.app.inproc.memory import MemoryStore
from windlass.planning.endings import RESULT_KEY
from windlass.ports import Claim, Claimed, Report, StopKind, StopRequest, Workload
from windlass.protocol import Finish, Outcome, Reschedule, XComSet, XComValue
from windlass_testing.simulate.assumptions import ALWAYS, Behaviour, Behaviours

_SUPERVISOR = "simulation"


@dataclass(slots=True, eq=False)
class _Running:
    work: Workload
    claimed: Claimed
    behaviour: Behaviour
    started: datetime
    timed_out: bool = False
    stopped: StopKind | None = None
    is_over: bool = False


class SimulatedExecutor:
    """Implements :class:`~windlass.ports.ExecutorPort`; :meth:`end_due` ends what has taken its time."""

    def __init__(
        self, store: MemoryStore, gateway: MemoryGateway, clock: VirtualClock, behaviours: Behaviours, parallelism: int
    ) -> None:
        self._store = store
        self._gateway = gateway
        self._clock = clock
        self._behaviours = behaviours
        self._parallelism = parallelism
        self._numbers = count()
        self._ends: list[tuple[datetime, int, _Running]] = []
        self._running: dict[int, _Running] = {}
        #: Task instance -> how often it has poked in its current try.
        self._pokes: dict[int, int] = {}

    @property
    def parallelism(self) -> int:
        """How many workloads may run at once; 0 = unlimited."""
        return self._parallelism

    @property
    def backlog(self) -> int:
        """None: its tasks take as long as they take, and the way to it takes no time."""
        return 0

    def submit(self, workloads: Sequence[Workload]) -> None:
        """Start these at once."""
        claims = [
            Claim(task=work.id, epoch=work.epoch, ticket=work.ticket, pid=1, hostname=_SUPERVISOR) for work in workloads
        ]
        for work, claimed in zip(workloads, self._gateway.claim(claims, _SUPERVISOR), strict=True):
            if claimed is not None:
                self._start(work, claimed)

    def stop(self, requests: Sequence[StopRequest]) -> None:
        """End these now."""
        for request in requests:
            running = self._running.get(request.task)
            if running is not None:
                running.stopped = request.kind
                heapq.heappush(self._ends, (self._clock.now(), next(self._numbers), running))

    def prepare(self, code_versions: Sequence[tuple[str, str, str]]) -> None:
        """There is no code."""

    def lost_contact(self) -> bool:
        """Return False: there is nobody to lose."""
        return False

    def next_end(self) -> datetime | None:
        """Return when the next attempt ends."""
        while self._ends and self._ends[0][2].is_over:
            heapq.heappop(self._ends)
        return self._ends[0][0] if self._ends else None

    def end_due(self) -> None:
        """End what has taken its time."""
        now = self._clock.now()
        reports = []
        while (end := self.next_end()) is not None and end <= now:
            _, _, running = heapq.heappop(self._ends)
            running.is_over = True
            del self._running[running.work.id]
            reports.append(self._report(running, now))
        if reports:
            self._gateway.report(reports, _SUPERVISOR)

    def _start(self, work: Workload, claimed: Claimed) -> None:
        run = self._store.run(self._store.task(work.id).run)
        spec = self._store.spec(work.dag_id, run.spec_version if run is not None else "")
        behaviour = self._behaviours.of(spec, work.task_id)
        running = _Running(work, claimed, behaviour, self._clock.now())
        takes, limit = behaviour.duration, claimed.execution_timeout
        if limit is not None and takes > limit:
            takes, running.timed_out = limit, True
        self._running[work.id] = running
        heapq.heappush(self._ends, (running.started + timedelta(seconds=takes), next(self._numbers), running))

    def _report(self, running: _Running, now: datetime) -> Report:
        work, claimed, behaviour = running.work, running.claimed, running.behaviour
        ending: Finish | Reschedule | None = None
        xcoms: tuple[XComSet, ...] = ()
        timed_out = None
        if running.stopped is None and running.timed_out:
            timed_out = f"ran longer than its execution_timeout of {claimed.execution_timeout:g} s"
        elif running.stopped is None:
            ending = self._ending(running, now)
            if isinstance(ending, Finish) and ending.outcome is Outcome.SUCCESS:
                value = XComValue(codec="json", data=b"", length=behaviour.length)
                xcoms = (XComSet(key=RESULT_KEY, value=value),)
        return Report(
            task=work.id,
            lease_id=claimed.lease_id,
            epoch=work.epoch,
            op_id=f"report-{claimed.lease_id}",
            ending=ending,
            xcoms=xcoms,
            stopped=running.stopped,
            timed_out=timed_out,
        )

    def _ending(self, running: _Running, now: datetime) -> Finish | Reschedule:
        behaviour, task = running.behaviour, running.work.id
        poked = self._pokes.get(task, 0)
        if poked < behaviour.reschedules:
            self._pokes[task] = poked + 1
            again = now + timedelta(seconds=behaviour.poke_interval)
            return Reschedule(at=again, first_poke=running.started, started_at=running.started, ended_at=now)
        self._pokes.pop(task, None)
        outcome = Outcome.SUCCESS
        if behaviour.fails == ALWAYS or running.claimed.context.try_number <= behaviour.fails:
            outcome = Outcome.FAIL
        elif behaviour.skips:
            outcome = Outcome.SKIP
        return Finish(
            outcome=outcome,
            started_at=running.started,
            ended_at=now,
            duration=(now - running.started).total_seconds(),
            reason="the simulation has it fail" if outcome is Outcome.FAIL else None,
            skip_targets=behaviour.skip_targets if outcome is Outcome.SUCCESS else (),
        )
