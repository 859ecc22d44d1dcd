"""Simulated task processes, and what an observer outside the database knows about them.

A process lives by itself: it runs on while its supervisor is frozen, and dies with it. The register of all of them is
the ledger that the database is held against, because no row can tell whether a process really lives.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from windlass.planning.topology import topology_of
from windlass.ports import Claimed, StopKind, Workload, WorkloadKind
from windlass.protocol import Defer, Finish, Outcome, Reschedule, XComSet, XComValue
from windlass.spec import DagSpec
from windlass_testing.simulation.assets import Updates
from windlass_testing.simulation.faults import Faults
from windlass_testing.simulation.world import InvariantBroken, World

if TYPE_CHECKING:
    from windlass_testing.simulation.triggers import TriggerHost

LEASE = 60.0


@dataclass(eq=False)
class Process:
    """A forked child, from the fork to its exit."""

    workload: Workload
    supervisor: str
    pid: int
    alive: bool = True
    refused: bool = False
    claimed: Claimed | None = None
    #: When the newest granted claim or heartbeat for its lease was asked for.
    renewed_at: float = 0.0
    ending: Finish | Defer | Reschedule | None = None
    xcoms: tuple[XComSet, ...] = ()
    stopping: bool = False
    stopped: StopKind | None = None
    timed_out: str | None = None
    fenced: bool = False
    reported: bool = False
    #: Its lease was closed by a reaper that could not know that the calendar had jumped.
    betrayed: bool = False

    def believes(self, now: float) -> bool:
        """Return whether it lives and holds a lease that, as far as its supervisor knows, has not expired."""
        return self.alive and not self.betrayed and now < self.renewed_at + LEASE

    @property
    def asks(self) -> bool:
        """Whether it is a question to a timetable, and no attempt of a task."""
        return self.workload.kind is WorkloadKind.TIMETABLE

    @property
    def name(self) -> str:
        """What a trace calls it."""
        work = self.workload
        index = "" if work.map_index < 0 else f"[{work.map_index}]"
        return f"{work.run_id[-8:]}/{work.task_id}{index} #{work.id} epoch {work.epoch}"


@dataclass
class Register:
    """All processes that were ever given a lease, and what was accepted of them."""

    by_lease: dict[str, Process] = field(default_factory=dict)
    #: (task instance, epoch) of every attempt whose own end was written: not one that was stopped or lost.
    winners: set[tuple[int, int]] = field(default_factory=set)
    #: Who a report is about, by its op id.
    reports: dict[str, Process] = field(default_factory=dict)
    #: Trigger hosts, dead ones too.
    hosts: list[TriggerHost] = field(default_factory=list)
    #: Task instance -> epoch of the deferral that its next attempt goes on after, as of the last commit.
    deferrals: dict[int, int] = field(default_factory=dict)
    #: The same of each lease, as of its claim.
    resumptions: dict[str, int | None] = field(default_factory=dict)
    #: (task instance, epoch) of the deferrals that have a timeout.
    bounded: set[tuple[int, int]] = field(default_factory=set)

    def add(self, lease: str, process: Process, now: float) -> None:
        """Note that a process was given a lease; no other that lives may believe in one for the same task instance.

        A success is written while its process is leaving: only then has it given the lease back before its end.
        """
        for other in self.by_lease.values():
            if other.workload.id != process.workload.id or (other.workload.id, other.workload.epoch) in self.winners:
                continue
            if other.believes(now) and process.believes(now):
                raise InvariantBroken("14 one live lease", f"{process.name} and {other.name} both live and hold one")
        if process.claimed is not None and process.claimed.context.epoch != process.workload.epoch:
            raise InvariantBroken("14 a ticket is for one epoch", f"{process.name}: {process.claimed.context.epoch}")
        self.by_lease[lease] = process

    def check_resumption(self, process: Process) -> None:
        """An attempt goes on after the deferral of its own try, with that one's event, or begins anew."""
        claimed = process.claimed
        if claimed is None or claimed.lease_id not in self.resumptions:
            return
        epoch, context = self.resumptions[claimed.lease_id], claimed.context
        if (epoch is None) != (context.resume_method is None):
            raise InvariantBroken("19 resumed", f"{process.name} resumes at {context.resume_method}, not after {epoch}")
        if epoch is None:
            return
        wait = (process.workload.id, epoch)
        if context.resume_event is not None and read_mark(context.resume_event.data) != wait:
            raise InvariantBroken("19 own event", f"{process.name} got the event of another wait than {wait}")
        if context.resume_timed_out and wait not in self.bounded:
            raise InvariantBroken("19 no event", f"{process.name} is told of a timeout that its deferral has not")

    def living(self) -> list[Process]:
        """Return the processes with a lease that are alive."""
        return [process for process in self.by_lease.values() if process.alive]


class Behaviour:
    """Decides what user code does, attempt by attempt."""

    def __init__(self, world: World, faults: Faults, specs: dict[str, DagSpec], updates: Updates) -> None:
        self._updates = updates
        self._world = world
        self.faults = faults
        self.specs = specs
        self._deferrals: dict[tuple[int, int], int] = {}
        self._reschedules: dict[tuple[int, int], int] = {}
        self._pace = world.random.choice((0.5, 3.0, 10.0, 25.0))
        #: How long it takes at most from the fork to the hello.
        self.start_up = world.random.choice((0.05, 0.05, 3.0))

    def duration(self) -> float:
        """Return how long user code takes."""
        source = self._world.random
        # A process that outlives the freeze of its supervisor is what a hasty reaper would harm.
        if source.random() < (0.25 if self.faults.freeze_supervisor else 0.05):
            return source.uniform(30.0, 150.0)
        return min(source.expovariate(1 / self._pace), 60.0)

    def dies(self) -> bool:
        """Return whether the process is killed from outside before it ends."""
        return self._world.chance(self.faults.kill_task)

    def end(self, process: Process) -> None:
        """Have user code come to its end: note it on the process."""
        source = self._world.random
        work, claimed = process.workload, process.claimed
        if claimed is None:
            return
        now = self._world.now()
        tries = (work.id, claimed.context.try_number)
        draw = source.random()
        if draw < 0.07 and self._reschedules.get(tries, 0) < 2:
            self._reschedules[tries] = self._reschedules.get(tries, 0) + 1
            again = now + timedelta(seconds=source.uniform(0, 15))
            process.ending = Reschedule(at=again, started_at=now, ended_at=now)
            return
        deferred = self._deferrals.get(tries, 0)
        # Who has deferred once often does so again: that is where an event may meet the wrong wait.
        if draw < (0.2 if deferred == 0 else 0.5) and deferred < 3:
            self._deferrals[tries] = deferred + 1
            process.ending = self._deferral(process)
            return
        outcome = Outcome.SUCCESS
        if draw > 0.98:
            outcome = Outcome.FAIL_NO_RETRY
        elif draw > 0.85:
            outcome = Outcome.FAIL
        elif draw > 0.81:
            outcome = Outcome.SKIP
        spec = self.specs[work.dag_id]
        targets: tuple[str, ...] = ()
        if outcome is Outcome.SUCCESS:
            if spec.by_id[work.task_id].is_brancher:
                targets = tuple(name for name in spec.downstream[work.task_id] if source.random() < 0.5)
            process.xcoms = self._result(spec, process)
        process.ending = Finish(
            outcome=outcome,
            started_at=now,
            ended_at=now,
            duration=1.0,
            skip_targets=targets,
            outlets=self._updates.of_task(work.dag_id) if outcome is Outcome.SUCCESS else (),
        )

    def _deferral(self, process: Process) -> Defer:
        source, now = self._world.random, self._world.now()
        timeout = source.choice((None, None, 5.0, 30.0))
        never = timeout is not None and source.random() < 0.4
        empty = XComValue(codec="json", data=b"{}")
        arguments = XComValue(codec="json", data=b"never" if never else b"{}")
        trigger = source.choice(("shared", "own"))
        return Defer(
            trigger=trigger, trigger_kwargs=arguments, method="resume", kwargs=empty, timeout=timeout,
            started_at=now, ended_at=now,
        )  # fmt: skip

    def _result(self, spec: DagSpec, process: Process) -> tuple[XComSet, ...]:
        topology = topology_of(spec)
        feeds = topology.position[process.workload.task_id] in topology.feeds
        source = self._world.random
        if not feeds and source.random() < 0.4:
            return ()
        length = source.randint(0, 3) if source.random() < 0.93 else None
        value = XComValue(codec="json", data=mark(process), size=1, length=length)
        return (XComSet(key="return_value", value=value),)


def mark(process: Process) -> bytes:
    """Return a value that says which attempt made it."""
    return f"{process.workload.id}:{process.workload.epoch}".encode()


def read_mark(data: bytes) -> tuple[int, int]:
    """Return the task instance and the epoch that made a value."""
    task, _, epoch = data.decode().partition(":")
    return int(task), int(epoch)
