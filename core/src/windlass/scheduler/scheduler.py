"""One step of the scheduler: read the inbox, decide, write once, hand out work.

The scheduler owns the runs of the DAGs that it holds, which are all where there is no other, and keeps a plan of each
in memory. A step

1. reads the inbox and the timers, and brings the touched plans up to date,
2. creates the scheduled runs that are due and starts queued ones,
3. asks the touched plans what follows, and the admission queue what may be queued,
4. writes all of it as one :class:`~windlass.ports.Changes`, and
5. submits the admitted workloads.

Its cost is that of what changed; it never walks over all runs or tasks. Memory is a cache, changed as the step decides:
when the store refuses a run's changes (somebody cleared it, another scheduler took its DAG) that run is read again, and
after an error of the database everything is. A crash at any point loses nothing: what was not committed is decided
again, what was committed but not submitted is found ``queued`` at the next start, and a second submission is refused
by its ticket.

The same class runs in production, in the simulation and in ``dag.test()``; it reaches the world only through ports.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime

import msgspec

from windlass.errors import StoreError
from windlass.planning.pace import Pace
from windlass.planning.queueing import Lane
from windlass.ports import (
    Changes,
    Clock,
    DagLeases,
    ExecutorPort,
    Rng,
    Signal,
    SignalKind,
    StorePort,
    TaskFacts,
)
from windlass.scheduler.calendar import Calendar
from windlass.scheduler.owned import OwnedRuns
from windlass.scheduler.progress import Progress
from windlass.scheduler.sharing import Share
from windlass.states import Actor, RunState, TaskState

log = logging.getLogger(__name__)

#: How many rows of the inbox one step takes.
_INBOX = 1000


class SchedulerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How often the scheduler looks by itself, in seconds. Everything else it does when it is woken.

    ``lease`` is how long the others, where there are any, wait for one that says nothing before they take its DAGs.
    """

    executor: str = "local"
    poll_interval: float = 1.0
    reap_interval: float = 5.0
    lease: float = 60.0
    queued_timeout: float = 60.0
    error_pause: float = 1.0


class Scheduler:
    """Drives every run it owns, one :meth:`step` at a time. One thread calls it.

    ``leases`` are for one of several schedulers of a database, with a ``store`` that sees it with its eyes.
    """

    def __init__(
        self,
        store: StorePort,
        executor: ExecutorPort,
        clock: Clock,
        rng: Rng,
        settings: SchedulerSettings,
        leases: DagLeases | None = None,
    ) -> None:
        self._store = store
        self._executor = executor
        self._clock = clock
        self._rng = rng
        self._settings = settings
        self._share = Share(leases, clock, settings.lease)
        self._owned = OwnedRuns()
        self._calendar: Calendar
        self._progress: Progress
        self._pools: dict[str, int] = {}
        self._pace = Pace()
        #: How many tasks had just ended when one of a DAG last did: its next run is expected to go as fast.
        self._paces: dict[str, int] = {}
        self._loaded = False
        self._next_reap = 0.0

    # -- the step ---------------------------------------------------------------------------------------------------

    def step(self) -> float:
        """Do everything that can be done now; return after how many seconds to call again, unless a ring comes first.

        After an error of the database everything is read again; the scheduler never gives up.
        """
        try:
            if not self._loaded:
                self._load()
            return self._step()
        except StoreError as error:
            log.error("the scheduler cannot use the database and tries again: %s", error)  # noqa: TRY400 - no trace
        except Exception:
            log.exception("a step of the scheduler failed; everything is read again, and it goes on")
        self._loaded = False
        return self._settings.error_pause

    def can_spare(self, seconds: float) -> bool:
        """Return whether the executor holds work for longer than ``seconds``: what is decided now begins no sooner."""
        if not self._executor.backlog:
            return False
        waiting = self._owned.occupancy.total - self._executor.parallelism
        return waiting > self._pace.within(seconds, self._clock.monotonic())

    def leave(self) -> None:
        """Have other schedulers take over at once, where there are any; there is no step after this.

        :raises StoreError: if they cannot be told; they take over when the lease has lapsed.
        """
        self._share.leave()

    def _step(self) -> float:
        now = self._clock.now()
        changes = Changes()
        self._keep_house()
        signals = self._signals()
        self._read(signals, changes)
        self._fire_timers(now, changes)
        if self._calendar.create_due(now) and len(signals) < _INBOX:
            # The new runs start in this very step; whatever else has come meanwhile is as welcome.
            known = {signal.id for signal in signals}
            self._read([signal for signal in self._signals() if signal.id not in known], changes)
        self._calendar.backfills.advance(now)
        self._start_runs(now, changes)
        self._progress.plan(changes)
        self._take_back(changes)
        self._admit(changes)
        if changes:
            self._commit(changes)
        if len(signals) == _INBOX or self._owned.dirty or self._progress.has_postponed or not self._calendar.is_idle:
            return 0.0
        if self._calendar.may_start and self._owned.queued:  # a run has ended meanwhile, and made room
            return 0.0
        return self._pause()

    def _pause(self) -> float:
        pause = min(self._settings.poll_interval, self._share.pause())
        due = self._owned.timers.next()
        return pause if due is None else min(pause, max(0.0, (due - self._clock.now()).total_seconds()))

    # -- reading ----------------------------------------------------------------------------------------------------

    def _load(self) -> None:
        """Read everything anew: DAGs, pools, the runs that can be owned; then submit what is queued once more."""
        self._owned = OwnedRuns()
        self._share.begin()
        self._calendar = Calendar(self._store, self._owned, self._executor, self._share)
        self._progress = Progress(self._store, self._rng, self._owned, self._calendar)
        self._load_pools()
        self._adopt([run.id for run in self._store.open_runs() if self._share.holds(run.dag_id)])
        self._loaded = True
        self._resubmit()

    def _load_pools(self) -> None:
        pools = self._store.pools()
        self._pools = {pool.name: pool.slots for pool in pools}
        self._owned.count_deferred_in(frozenset(pool.name for pool in pools if pool.include_deferred))

    def _keep_house(self) -> None:
        """Reap what is dead, keep to the share, and submit again what a restarted supervisor has lost."""
        now = self._clock.monotonic()
        if now >= self._next_reap:
            self._next_reap = now + self._settings.reap_interval
            self._store.reap(queued_timeout=self._settings.queued_timeout)
            if self._share.has_others:  # one of them may have been told that a pool has changed
                self._load_pools()
        moved = self._share.look()
        if moved.lapsed:
            log.warning("others took this scheduler for dead; it reads everything again, and goes on with its share")
            self._load()
        else:
            self._let_go(moved.lost)
            self._take_over(moved.gained)
        if self._executor.lost_contact():
            self._resubmit()
            self._calendar.ask_again()

    def _let_go(self, dags: AbstractSet[str]) -> None:
        """Forget DAGs that are another scheduler's, or nobody's, from now on."""
        for dag_id in dags:
            self._progress.forget_dag(dag_id)
            self._calendar.forget(dag_id)

    def _take_over(self, dags: AbstractSet[str]) -> None:
        """Read DAGs as a whole that were nobody's; what is queued may have died with its scheduler's supervisor."""
        if not dags:
            return
        self._calendar.add(dags)
        self._adopt([run.id for run in self._store.open_runs() if run.dag_id in dags])
        self._resubmit()

    def _resubmit(self) -> None:
        running = self._owned.running
        self._executor.submit(
            [
                running[task.run].workload(task, task.ticket or "")
                for task in self._store.queued()
                if task.run in running
            ]
        )

    def _signals(self) -> list[Signal]:
        """Return the inbox without what is to be taken first."""
        signals = self._store.signals(_INBOX)
        mine = [signal for signal in signals if not signal.unheld]
        if len(mine) < len(signals):
            self._share.look_soon()
        return mine

    def _read(self, signals: Sequence[Signal], changes: Changes) -> None:
        """Bring memory up to date with the inbox, whose rows go with this step's transaction.

        What concerns the runs of another scheduler stays for that one.
        """
        tasks: dict[int, None] = {}
        runs: dict[int, None] = {}
        dags: dict[str, None] = {}
        for signal in signals:
            if signal.kind is SignalKind.POOL:
                self._load_pools()
            elif signal.kind is SignalKind.DAG:
                dags[signal.dag_id] = None
            elif signal.kind is SignalKind.ASSET:
                self._calendar.look_at(signal.dag_id)
            elif signal.kind is SignalKind.BACKFILL:
                self._calendar.backfills.reload()
            elif signal.kind is SignalKind.TASK and signal.run in self._owned.running:
                tasks[signal.task] = None
                # Only its owner may take the row away; a conflict tells that somebody else is by now.
                changes.generations[signal.run] = self._owned.running[signal.run].facts.generation
            else:
                runs[signal.run] = None
        foreign = self._adopt(list(runs))
        changes.signals += [signal.id for signal in signals if signal.run not in foreign]
        for dag_id in dags:
            self._calendar.refresh(dag_id)
        ended = [task.run for task in self._store.tasks(tasks) if self._progress.absorb(task)] if tasks else []
        if ended:
            now = self._clock.monotonic()
            self._pace.ended(len(ended), now)
            for run in self._owned.running.keys() & ended:  # what was read since may have put one of them aside
                self._paces[self._owned.running[run].facts.dag_id] = self._pace.ahead(now)

    def _adopt(self, runs: Sequence[int]) -> set[int]:
        """Read ``runs`` anew that this scheduler is to decide about; return those that are another's.

        These are forgotten, as is what has ended.
        """
        foreign: set[int] = set()
        if not runs:
            return foreign
        self._calendar.may_start = True
        own = {facts.id: facts for facts in self._store.own(runs)}
        for run in runs:
            self._share.stay()
            facts = own.get(run)
            if facts is None:
                self._progress.forget(run)
                if self._store.run(run) is not None:
                    foreign.add(run)
                    self._share.look_soon()
            elif facts.state.is_terminal:
                self._progress.forget(run)
                self._calendar.run_ended(facts)  # by somebody else: a mark
                self._progress.wake_past(facts.dag_id)
            elif facts.state is RunState.QUEUED:
                self._owned.enqueue(facts, self._calendar.spec(facts.dag_id, facts.spec_version))
                self._executor.prepare([(facts.bundle, facts.file, facts.code_version)])
            else:
                self._progress.track(facts)
        return foreign

    # -- time -------------------------------------------------------------------------------------------------------

    def _fire_timers(self, now: datetime, changes: Changes) -> None:
        for key in self._owned.timers.pop_due(now):
            if key[0] == "dag":
                self._calendar.look_at(key[1])
            elif key[0] == "deadline":
                changes.misses += self._owned.deadlines.missed(key[1], now)
            elif key[0] == "interval":
                self._calendar.may_start = True
            elif key[0] == "backfill":
                self._calendar.backfills.look_at(key[1])
            elif key[0] == "timeout":
                self._progress.time_out(key[1], changes)
            else:
                self._progress.resume(key[1], key[2], changes)

    def _start_runs(self, now: datetime, changes: Changes) -> None:
        """Start the queued runs that max_active_runs has room for."""
        for facts in self._calendar.startable(now):
            if expected := self._paces.get(facts.dag_id):
                self._pace.ended(expected, self._clock.monotonic())
            self._progress.start(facts, now, changes)

    # -- writing ----------------------------------------------------------------------------------------------------

    def _take_back(self, changes: Changes) -> None:
        """Let the executor no longer hold what waits behind tasks that have turned out long: others may go first."""
        parallelism = self._executor.parallelism
        waiting = self._owned.occupancy.total - parallelism
        if not self._executor.backlog or not self._pace.is_too_much(waiting, self._clock.monotonic()):
            return
        queued = [task for task in self._store.queued() if self._knows_as_queued(task)]
        running = self._owned.occupancy.total - len(queued)
        for task in queued[max(0, parallelism - running) :]:
            reason = "the tasks that it waits for take longer than those before them"
            tracked = self._owned.running[task.run]
            self._progress.move(tracked, task, TaskState.SCHEDULED, reason, changes, actor=Actor.REAPER)

    def _knows_as_queued(self, task: TaskFacts) -> bool:
        tracked = self._owned.running.get(task.run)
        known = None if tracked is None else tracked.tasks.get(task.id)
        return known is not None and known.state is TaskState.QUEUED and known.epoch == task.epoch

    def _admit(self, changes: Changes) -> None:
        """Queue the best candidates that every limit has room for."""
        owned = self._owned

        def closed(lane: Lane) -> bool:
            # What waits may be decided against: its decision has not been written down yet.
            return self._progress.is_postponed(lane.run) or self._calendar.is_held(owned.running[lane.run].facts)

        bound = self._executor.parallelism
        if self._executor.backlog:
            bound += min(self._executor.backlog, self._pace.ahead(self._clock.monotonic()))
        for task_id, lane in owned.admissions.pick(owned.occupancy, self._pools, bound, closed):
            tracked = owned.running[lane.run]
            task = tracked.tasks[task_id]
            admission = tracked.admission(task, lane, self._rng.key(), self._rng.token(), self._settings.executor)
            changes.admissions.append(admission)
            changes.generations[lane.run] = tracked.facts.generation
            owned.put(tracked, task, tracked.moved(task, TaskState.QUEUED, epoch=task.epoch + 1))
            tracked.plan.update(task.task_id, task.map_index, TaskState.QUEUED)

    def _commit(self, changes: Changes) -> None:
        """Write the step, correct memory by what was refused, and hand out the work."""
        committed = self._store.commit(changes)
        self._progress.committed()
        conflicts = sorted(committed.conflicts)
        for run in conflicts:
            self._progress.forget(run)
        self._adopt(conflicts)
        for task in committed.expanded:
            self._progress.take_expansion(task)
        workloads = []
        for admission in changes.admissions:
            tracked = self._owned.running.get(admission.run)
            if tracked is None or admission.run in committed.conflicts:
                continue
            task = tracked.tasks[admission.task]
            if admission.task in committed.refused:
                self._owned.put(tracked, task, tracked.moved(task, TaskState.SCHEDULED, epoch=admission.epoch))
                tracked.plan.update(task.task_id, task.map_index, TaskState.SCHEDULED)
            else:
                workloads.append(tracked.workload(task, admission.ticket))
        if workloads:
            self._executor.submit(workloads)
        stops = [stop for stop in changes.stops if stop.run not in committed.conflicts]
        if stops:
            self._executor.stop(stops)
