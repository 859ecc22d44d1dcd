"""Once faults have stopped, everything that can end must end, soon (invariants 15 and 20)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from windlass.spec import DagSpec
from windlass.states import TERMINAL_RUN_STATES
from windlass.store.instants import instant
from windlass_testing.simulation import evaluator
from windlass_testing.simulation.observer import Observer, Run
from windlass_testing.simulation.processes import Register
from windlass_testing.simulation.timetables import grid_seconds
from windlass_testing.simulation.world import START, InvariantBroken, World

#: Nothing may move for this long: a hanging task, an expired lease, a reaper's pause and a retry, one after the other.
STILL: Final = 300.0
#: Nothing that may move waits for longer than this when no process runs and no delay is kept.
_SETTLED: Final = 45.0
#: A timetable that has failed often is asked again after ten minutes at the latest, and then answers.
_ANSWERED: Final = 900.0
_ENDED: Final = frozenset(state.value for state in TERMINAL_RUN_STATES)
_OF_TIME: Final = frozenset({"scheduled", "queued", "running", "up_for_retry", "up_for_reschedule", "deferred"})
_WELL: Final = frozenset({"success", "skipped"})
#: How long a process may live on after its lease was closed or a stop was asked for: a few heartbeats and the grace.
_ORPHAN: Final = 45.0


class Liveness:
    """Decides when a run is over, and whether it may be."""

    def __init__(self, world: World, observer: Observer, register: Register, specs: dict[str, DagSpec]) -> None:
        self._world = world
        self._observer = observer
        self._register = register
        self._specs = specs
        self._begun_at = 0.0
        self._next_look = 0.0
        self._orphans: dict[str, float] = {}
        self._triggers: dict[tuple[int, int, int], float] = {}

    def is_time(self, end: float) -> bool:
        """Return whether ``end`` has come; until then look after orphans now and then."""
        if self._world.time >= self._next_look:
            self._next_look = self._world.time + 5.0
            self._check_orphans()
        return self._world.time >= end

    def begin(self) -> None:
        """Note that the world is calm from now on."""
        self._begun_at = self._world.time

    def is_over(self) -> bool:
        """Return whether everything has ended that can; raise if something stands still."""
        world = self._world
        if world.time < self._next_look:
            return False
        self._next_look = world.time + 5.0
        if world.time < max(world.thawed_at, world.last_jump, self._begun_at) + 15.0:
            return False
        self._check_orphans()
        open_runs = [run for run in self._observer.runs.values() if run.state not in _ENDED]
        if not self._is_schedule_over():
            return False
        if self._observer.time.is_asking() and world.time < self._begun_at + _ANSWERED:
            return False
        filling = self._observer.filling
        still_for = world.time - max(self._observer.moved_at, filling.moved_at, self._begun_at, world.thawed_at)
        stuck = filling.stuck()
        if stuck is not None:
            if still_for > STILL:
                raise InvariantBroken("20 liveness", stuck)
            return False
        if not open_runs:
            # An ended run may make room for the next, and a timetable's answer call for one.
            return world.time > max(self._observer.moved_at, self._observer.time.moved_at) + 10.0
        busy = any(ti.state in _OF_TIME for ti in self._observer.instances())
        if still_for < (STILL if busy else _SETTLED):
            return False
        self._check_still(open_runs)
        return True

    def _check_still(self, open_runs: Sequence[Run]) -> None:
        """Raise if a run stands still that nothing holds."""
        for run in open_runs:
            if self._observer.time.is_paused(run.dag_id):
                continue  # the DAG has paused itself since everybody went home
            if run.state == "running" and not self._waits_for_past(run):
                raise InvariantBroken("20 liveness", f"run {run.id} stands still: {self._observer.board(run.id)}")
            if run.state == "queued" and not self._is_held_up(run):
                raise InvariantBroken("20 liveness", f"run {run.id} of {run.dag_id} is never started")

    def check_end(self, triggered: Sequence[str]) -> None:
        """Check what can only be known at the end: one effect per key, one run per interval, no event left over."""
        self._observer.assets.check_end()
        keys = [msgspec.json.decode(run.conf).get("key") for run in self._observer.runs.values()]
        for key in triggered:
            if keys.count(key) > 1:
                raise InvariantBroken("19 one effect per key", f"{keys.count(key)} runs were triggered by one command")
        for dag_id, spec in self._specs.items():
            seconds = grid_seconds(spec)
            if seconds is not None and spec.catchup and spec.end_date is not None:
                wanted = int((spec.end_date - START).total_seconds() / seconds) + 1
                found = sum(self._is_of_schedule(run, spec) for run in self._observer.runs.values())
                stuck = any(r.dag_id == dag_id and r.state not in _ENDED for r in self._observer.runs.values())
                stuck = stuck or self._observer.time.is_paused(dag_id)
                if found > wanted or (found < wanted and not stuck):
                    raise InvariantBroken("17 one run per interval", f"{found} runs of {dag_id} instead of {wanted}")

    def _is_of_schedule(self, run: Run, spec: DagSpec) -> bool:
        """Return whether a run stands for an interval of the schedule: made by it, or by a backfill that was first."""
        if run.dag_id != spec.dag_id or spec.end_date is None:
            return False
        in_time = START <= instant(run.logical_date) <= spec.end_date
        return run.run_type == "scheduled" or (run.run_type == "backfill" and in_time)

    def _is_schedule_over(self) -> bool:
        """Return whether every scheduled run has been due for a while."""
        last = max(
            (
                (spec.end_date - START).total_seconds() + seconds
                for spec in self._specs.values()
                if (seconds := grid_seconds(spec)) is not None and spec.end_date is not None
            ),
            default=0.0,
        )
        return (self._world.now() - START).total_seconds() > last + 15.0

    def _check_orphans(self) -> None:
        """No process survives its lease, or a stop that was asked for, by much (15)."""
        now = self._world.time
        if now < self._world.thawed_at + 15.0:
            return
        orphans = {}
        for lease, process in self._register.by_lease.items():
            if not process.alive or process.reported:
                continue
            ti = self._observer.instance(process.workload.id)
            if ti is None or ti.lease_id != lease or ti.stop_kind is not None:
                orphans[lease] = self._orphans.get(lease, now)
                if now - orphans[lease] > _ORPHAN:
                    raise InvariantBroken("15 orphan", f"{process.name} runs on, though it was stopped or has no lease")
        self._orphans = orphans
        self._check_triggers(now)

    def _check_triggers(self, now: float) -> None:
        """No trigger goes on for long when nobody waits for it any more."""
        left = {}
        for host in self._register.hosts:
            for task, epoch in host.running if host.alive else ():
                ti = self._observer.instance(task)
                if ti is None or ti.state != "deferred" or ti.epoch != epoch:
                    key = (id(host), task, epoch)
                    left[key] = self._triggers.get(key, now)
                    if now - left[key] > _ORPHAN:
                        raise InvariantBroken(
                            "15 orphan", f"the trigger of task instance {task}, epoch {epoch}, goes on"
                        )
        self._triggers = left

    def _waits_for_past(self, run: Run) -> bool:
        """Return whether what stands still in a run waits for an earlier run, as it was told to."""
        spec = self._specs[run.dag_id]
        board = self._observer.board(run.id)
        for task_id, instances in board.items():
            task = spec.by_id[task_id]
            if not task.depends_on_past:
                continue
            for index, state in instances.items():
                if state == "none" and evaluator.verdict(spec, board, task, index) == evaluator.RUN:
                    return not self._past_allows(run, spec, task_id, index)
        return False

    def _past_allows(self, run: Run, spec: DagSpec, task_id: str, index: int) -> bool:
        earlier = [
            other
            for other in self._observer.runs.values()
            if other.dag_id == run.dag_id
            and other.logical_date < run.logical_date
            and (not spec.catchup or other.run_type != "manual")
        ]
        if not earlier or (run.backfill_id is not None and self._observer.filling.is_first(run.id)):
            return True
        board = self._observer.board(max(earlier, key=lambda other: other.logical_date).id)
        state = board.get(task_id, {}).get(index)
        if state is None or state not in _WELL:
            return False
        if spec.by_id[task_id].wait_for_downstream:
            below = [s for name in spec.downstream[task_id] for s in board.get(name, {}).values()]
            return all(s in _WELL for s in below)
        return True

    def _is_held_up(self, run: Run) -> bool:
        if run.backfill_id is not None:
            return self._observer.filling.is_full(run.backfill_id)
        return self._observer.active(run.dag_id) >= self._specs[run.dag_id].max_active_runs
