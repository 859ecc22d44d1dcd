"""A supervisor without processes: its decisions and its real ledger, over simulated children.

It follows ``windlass.supervisor.loop`` step by step: claim after hello, report a success at once and anything else when
the process is gone, renew every ten seconds, stop what it is told to, recover before the first claim. Claims and
reports go through the real :class:`~windlass.supervisor.ledger.Ledger`, so its retries and batches are under test too;
in two of five seeds turns go on for a while, so that ends and beginnings come together and it exchanges them.
"""

from __future__ import annotations

import functools
import heapq
import itertools
from collections import deque
from collections.abc import Sequence

import msgspec

from windlass.errors import Conflict, WindlassError
from windlass.ports import Claim, Claimed, Fired, Report, Rng, StopRequest, Workload
from windlass.protocol import Defer, Finish, Outcome, XComGet
from windlass.store.database import Database
from windlass.store.gateway import SqlGateway
from windlass.store.specs import Specs
from windlass.supervisor.reactor import Callback, Reactor
from windlass.supervisor.waiting import HostKey, Waiting
from windlass_testing.simulation.audit import AuditedLedger, Read
from windlass_testing.simulation.interference import Watched
from windlass_testing.simulation.processes import Behaviour, Process, Register, read_mark
from windlass_testing.simulation.timetables import Answering
from windlass_testing.simulation.triggers import TriggerHost, is_shared
from windlass_testing.simulation.world import Actor, InvariantBroken, World

HEARTBEAT = 10.0
GRACE = 5.0
#: A remote supervisor kills its tasks when it could not renew for this long.
FENCE = 45.0
_LAUNCHES = 3


class VirtualReactor(Reactor):
    """The supervisor's timers on the virtual clock; what would be a descriptor is a call in the inbox."""

    def __init__(self, world: World, actor: Actor) -> None:
        self.monotonic = world.monotonic
        self._timers = []
        self._order = itertools.count()
        self._actor = actor
        self.inbox: deque[Callback] = deque()

    def tell(self, message: Callback) -> None:
        """Put a message where the next turn finds it."""
        self.inbox.append(message)
        self._actor.ring()

    def turn(self, longest: float = 60.0) -> None:
        """Wait for a message or a timer, and handle all that are due."""
        if not self.inbox:
            self._actor.wait(self._wait(longest))
        while self.inbox:
            self.inbox.popleft()()
        now = self.monotonic()
        while self._timers and self._timers[0][0] <= now:
            callback = heapq.heappop(self._timers)[2].callback
            if callback is not None:
                callback()


class SupervisorHost:
    """A machine that has a supervisor, which may die and be started again."""

    def __init__(
        self,
        world: World,
        name: str,
        database: Database,
        specs: Specs,
        rng: Rng,
        register: Register,
        behaviour: Behaviour,
        answering: Answering,
        read: Read,
        *,
        fences: bool,
        gathers: float,
    ) -> None:
        self.world = world
        self.name = name
        self.database = database
        self.specs = specs
        self.rng = rng
        self.register = register
        self.behaviour = behaviour
        self.answering = answering
        #: How to read without being disturbed.
        self.read = read
        self.fences = fences
        #: For how many seconds a turn goes on that has something to write.
        self.gathers = gathers
        #: Counts the starts: who talks to an earlier one has lost contact.
        self.incarnation = 0
        self.supervisor: Supervisor | None = None
        self._pids = 0
        self._start()

    def next_pid(self) -> int:
        """Return the id of a new process."""
        self._pids += 1
        return self._pids

    def _start(self) -> None:
        self.incarnation += 1
        self.supervisor = Supervisor(self)

    def on_death(self, supervisor: Supervisor) -> None:
        """Have the children die with their supervisor, and start the next one."""
        self.supervisor = None
        for process in supervisor.children:
            process.alive = False
        supervisor.end_hosts()
        pause = 0.5 if self.world.calm else self.world.random.uniform(0.1, 20.0)
        self.world.at(pause, self._start)


class Supervisor:
    """One life of a host's supervisor."""

    def __init__(self, host: SupervisorHost) -> None:
        self._host = host
        self._world = host.world
        self.name = host.name
        self.actor = Actor(self._world, f"supervisor-{host.name}", self._run)
        self._reactor = VirtualReactor(self._world, self.actor)
        gateway = SqlGateway(host.database, host.specs)
        self._gateway: SqlGateway = Watched(gateway, allowed=(Conflict,))  # type: ignore[assignment]
        self._ledger = AuditedLedger(self._gateway, host.name, self._reactor, host.read)
        self._waiting = Waiting(
            self._gateway, self._ledger, self._reactor, host.name, self._start_trigger_host, is_shared
        )
        self.children: dict[Process, None] = {}
        #: How often each ticket was launched.
        self._launches: dict[str, int] = {}
        self._recovered = False
        self._renewed_at = self._world.time

    # --- The loop

    def _run(self, _actor: Actor) -> None:
        """Serve until killed."""
        self._world.note("starts")
        try:
            self._recover()
            self._heartbeat()
            while True:
                self._reactor.turn()
                self._gather()
                if self._recovered:
                    self._ledger.flush()
                    self._waiting.catch_up()
        finally:
            self._host.on_death(self)

    def _gather(self) -> None:
        """Let the turn go on, as the real one does where many tasks end: what comes meanwhile is written together."""
        until = self._world.time + self._host.gathers
        while not self._ledger.is_empty and (left := until - self._world.time) > 0:
            self._reactor.turn(left)

    def _recover(self) -> None:
        try:
            lost = self._gateway.recover(self.name)
        except WindlassError:
            self._reactor.after(0.5, self._recover)
            return
        self._world.note(f"recovers {lost} attempts")
        self._recovered = True
        self._waiting.soon()

    def _heartbeat(self) -> None:
        self._reactor.after(HEARTBEAT, self._heartbeat)
        if self._recovered:
            self._waiting.tidy()
            self._waiting.soon()
        mine = {p.claimed.lease_id: p for p in self.children if p.claimed is not None and not p.reported}
        now = self._world.time
        leases = [*mine, *self._ledger.leases]
        if not leases:
            self._renewed_at = now
            return
        try:
            stops = self._gateway.heartbeat(leases, self.name)
        except WindlassError:
            if self._host.fences and self._world.time - self._renewed_at > FENCE:
                self._fence()
            return
        self._renewed_at = now
        lost = {stop.lease_id for stop in stops if stop.actor == "lease lost"}
        for lease, process in mine.items():
            if lease not in lost:
                process.renewed_at = now
        self.stop(stops)

    def _fence(self) -> None:
        self._world.note("fences itself")
        for process in list(self.children):
            if not process.reported:
                process.fenced = True
                self._exit(process)

    # --- Orders

    def submit(self, workload: Workload) -> None:
        """Fork a child for the workload, unless it has one."""
        if workload.ticket not in self._launches:
            self._launch(workload)

    def stop(self, requests: Sequence[StopRequest]) -> None:
        """Ask these attempts to end."""
        for request in requests:
            for process in list(self.children):
                claimed = process.claimed
                if claimed is None or claimed.lease_id != request.lease_id or process.stopping or process.reported:
                    continue
                self._world.note(f"stops {process.name}: {request.kind} by {request.actor}")
                process.stopped = request.kind
                self._stop(process)

    # --- Triggers

    def fire(self, fired: Fired) -> None:
        """Send an event straight to the gateway."""
        self._ledger.fire(fired, lambda _: None)

    def end_hosts(self) -> None:
        """Have the trigger hosts die with their supervisor."""
        self._waiting.close()

    def _start_trigger_host(self, key: HostKey, waiting: Waiting) -> TriggerHost:
        return TriggerHost(key, waiting, self._host)

    # --- A child's way

    def tell(self, message: Callback) -> None:
        """Have this done in the next turn; a dead supervisor hears nothing."""
        if not self.actor.dead:
            self._reactor.tell(message)

    def _launch(self, workload: Workload) -> None:
        self._launches[workload.ticket] = self._launches.get(workload.ticket, 0) + 1
        process = Process(workload, self.name, pid=self._host.next_pid())
        self.children[process] = None
        source = self._world.random
        if self._host.behaviour.dies():
            self._world.at(source.uniform(0.0, self._host.behaviour.start_up), self._exit, process)
        self._world.at(source.uniform(0.0, self._host.behaviour.start_up), self._say_hello, process)

    def _say_hello(self, process: Process) -> None:
        if process.alive:
            self.tell(functools.partial(self._on_ready, process))

    def _on_ready(self, process: Process) -> None:
        work = process.workload
        process.renewed_at = self._world.time
        claim = Claim(
            task=work.id, epoch=work.epoch, ticket=work.ticket, pid=process.pid, hostname=self.name, kind=work.kind
        )
        self._ledger.claim(claim, functools.partial(self._on_claimed, process))

    def _on_claimed(self, process: Process, claimed: Claimed | None) -> None:
        if claimed is None:
            self._world.note(f"is refused {process.name}")
            process.refused = True
            self._exit(process)
            return
        self._world.note(f"claims {process.name}: try {claimed.context.try_number}")
        process.claimed = claimed
        if process.asks:
            self._host.answering.claimed(process)
        else:
            self._host.register.add(claimed.lease_id, process, self._world.time)
            self._host.register.check_resumption(process)
        if claimed.execution_timeout is not None:
            self._reactor.after(
                claimed.execution_timeout, functools.partial(self._on_timeout, process, claimed.execution_timeout)
            )
        if process.alive:
            self._begin(process)

    def _begin(self, process: Process) -> None:
        behaviour, source = self._host.behaviour, self._world.random
        duration = self._host.answering.duration() if process.asks else behaviour.duration()
        if behaviour.dies():
            self._world.at(source.uniform(0.0, duration), self._exit, process)
        if not process.asks and source.random() < 0.3:
            self._world.at(source.uniform(0.0, duration), self._ask, process)
        self._world.at(duration, self._finish, process)

    def _ask(self, process: Process) -> None:
        if process.alive and process.ending is None:
            self.tell(functools.partial(self._on_question, process))

    def _finish(self, process: Process) -> None:
        """Have user code end: in the child, whatever its supervisor is doing."""
        if not process.alive or process.stopping:
            return
        (self._host.answering if process.asks else self._host.behaviour).end(process)
        self.tell(functools.partial(self._on_ending, process))
        self._world.at(self._world.random.uniform(0.0, 0.5), self._exit, process)

    def _exit(self, process: Process) -> None:
        if process.alive:
            process.alive = False
            self.tell(functools.partial(self._on_gone, process))

    def _on_question(self, process: Process) -> None:
        spec = self._host.behaviour.specs[process.workload.dag_id]
        upstream = spec.by_id[process.workload.task_id].upstream
        if process.claimed is None or not upstream or process.reported:
            return
        verb = XComGet(task_id=self._world.random.choice(upstream))
        try:
            values = self._gateway.call(process.claimed.lease_id, verb)
        except WindlassError:
            return
        for _, value in values:
            made_by = read_mark(value.data)
            if made_by not in self._host.register.winners:
                raise InvariantBroken("16 readers see winners", f"{process.name} was given the XCom of {made_by}")

    def _on_ending(self, process: Process) -> None:
        ending = process.ending
        if isinstance(ending, Finish) and ending.outcome is Outcome.SUCCESS and not process.stopping:
            self._report(process, early=True)

    def _on_timeout(self, process: Process, seconds: float) -> None:
        if process.alive and process.ending is None and not process.stopping:
            process.timed_out = f"it ran longer than its execution_timeout of {seconds:g} s"
            self._stop(process)

    def _stop(self, process: Process) -> None:
        process.stopping = True
        self._world.at(self._world.random.uniform(0.0, GRACE), self._exit, process)
        if not process.alive:
            self._on_gone(process)

    def _on_gone(self, process: Process) -> None:
        if process not in self.children:
            return
        if process.claimed is not None and not process.reported:
            self._report(process)
        del self.children[process]
        work = process.workload
        if process.claimed is None:
            self._ledger.withdraw(work.ticket)
            if not process.refused and self._launches[work.ticket] < _LAUNCHES:
                self._launch(work)
                return
        self._launches.pop(work.ticket, None)

    def _report(self, process: Process, *, early: bool = False) -> None:
        claimed = process.claimed
        if claimed is None:
            return
        process.reported = True
        report = Report(
            task=process.workload.id,
            lease_id=claimed.lease_id,
            epoch=process.workload.epoch,
            op_id=self._host.rng.token(),
            early=early,
            kind=process.workload.kind,
        )
        if process.stopped is not None:
            report = msgspec.structs.replace(report, stopped=process.stopped)
        elif process.timed_out is not None:
            report = msgspec.structs.replace(report, timed_out=process.timed_out)
        elif process.ending is not None and not process.fenced:
            report = msgspec.structs.replace(report, ending=process.ending, xcoms=process.xcoms)
        else:
            report = msgspec.structs.replace(report, lost="killed by signal 9")
        self._host.register.reports[report.op_id] = process
        if isinstance(process.ending, Defer) and process.ending.timeout is not None:
            self._host.register.bounded.add((process.workload.id, process.workload.epoch))
        self._ledger.report(report, functools.partial(self._on_written, process, early=early))

    def _on_written(self, process: Process, written: bool, *, early: bool) -> None:  # noqa: FBT001 - the ledger's
        if isinstance(process.ending, Defer):
            self._waiting.soon()
        self._world.note(f"reports {process.name}: {'written' if written else 'conflict'}")
        if early and not written:
            process.reported = False
            if process not in self.children:
                self._report(process)
