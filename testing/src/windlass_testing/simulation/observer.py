"""Watches every commit: what changed, and whether it may have.

After each commit the few rows of the tables that were written are read and compared with what they were before, so
nothing that is written escapes, with or without an audit row. Each change is checked against the law of states and
against the processes that really live (``processes``). Now and then every table is read, whoever says he wrote to it,
and the queries of ``windlass.store.invariants`` run.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

import msgspec

from windlass.spec import DagSpec
from windlass.states import TASK_TRANSITIONS, TERMINAL_RUN_STATES, TERMINAL_TASK_STATES, TaskState
from windlass.states import Actor as Who
from windlass.store import invariant_violations
from windlass.store.database import Database
from windlass_testing.simulation import evaluator
from windlass_testing.simulation.assets import AssetWatch
from windlass_testing.simulation.filling import FillingChecks
from windlass_testing.simulation.processes import Register, read_mark
from windlass_testing.simulation.sharing import ShareWatch
from windlass_testing.simulation.time_watch import TimeWatch
from windlass_testing.simulation.world import InvariantBroken, World


class Ti(NamedTuple):
    """A task instance as its row says."""

    id: int
    run: int
    task_id: str
    map_index: int
    state: str
    try_number: int
    max_tries: int
    retries: int
    epoch: int
    ticket: str | None
    lease_id: str | None
    pool: str
    pool_slots: int
    stop_kind: str | None
    skip_targets: str | None
    queued_at: int | None


class Run(NamedTuple):
    """A run as its row says."""

    id: int
    dag_id: str
    run_id: str
    run_type: str
    state: str
    ending: str | None
    logical_date: int
    conf: str
    backfill_id: int | None


class Step(NamedTuple):
    """A row of the transition log."""

    seq: int
    task: int
    before: str
    after: str
    epoch: int
    actor: str
    op_id: str


_TIS: Final = f"SELECT {', '.join(Ti._fields)} FROM ti"  # noqa: S608 - constants
_RUNS: Final = f"SELECT {', '.join(Run._fields)} FROM run"  # noqa: S608 - constants
_STEPS: Final = (
    "SELECT seq, ti_id, from_state, to_state, epoch, actor, op_id FROM transition WHERE seq > :seq ORDER BY seq"
)
_OPEN: Final = "SELECT lease_id, ti_id, epoch FROM attempt WHERE ended_at IS NULL"
_UNREAD: Final = "SELECT task FROM signal WHERE kind = 'task' AND run = :run"
_XCOMS: Final = "SELECT epoch, data FROM xcom WHERE ti_id = :task"
_LEGAL: Final = {(b.value, a.value): {w.value for w in who} for (b, a), who in TASK_TRANSITIONS.items()}
_TERMINAL: Final = frozenset(state.value for state in TERMINAL_TASK_STATES)
_RUN_TERMINAL: Final = frozenset(state.value for state in TERMINAL_RUN_STATES)
_STOPPED: Final = {"clear": "none", "mark_success": "success", "mark_failed": "failed"}
_OCCUPYING: Final = ("queued", "running")
#: Those as whom a run's scheduler writes.
_DECIDERS: Final = (Who.SCHEDULER, Who.TIMEOUT)
_TASK_TABLES: Final = frozenset({"ti", "attempt", "transition"})
_ASSET_TABLES: Final = frozenset({"asset_event", "asset_delivery"})
_FILLING_TABLES: Final = frozenset({"run", "backfill"})
_SHARING_TABLES: Final = frozenset({"dag", "scheduler", "signal"})
#: All that is looked at.
_TABLES: Final = (
    frozenset({"run", "timetable_question"}) | _TASK_TABLES | _ASSET_TABLES | _FILLING_TABLES | _SHARING_TABLES
)
#: Commits between two rounds of all tables and queries.
_ALL_EVERY: Final = 50


class Observer:
    """What the database held after the last commit, and the checks."""

    def __init__(self, world: World, database: Database, register: Register, specs: dict[str, DagSpec]) -> None:
        #: Whether a queued instance has no excuse to wait for its timeout.
        self.nothing_gets_lost = False
        self._world = world
        self._database = database
        self._register = register
        self._specs = specs
        self.assets = AssetWatch(world, database, specs)
        self.sharing = ShareWatch(world, database)
        self._rows: list[tuple[object, ...]] = []
        self._tis: dict[int, Ti] = {}
        self._open: dict[str, tuple[int, int]] = {}
        self._run_rows: list[tuple[object, ...]] = []
        self._seq = 0
        self.runs: dict[int, Run] = {}
        self.time = TimeWatch(world, database, specs)
        #: Whether there are backfills to watch.
        self.fills = False
        self.filling = FillingChecks(world, database, specs)
        self.commits = 0
        #: When a task instance or a run changed its state last.
        self.moved_at = 0.0

    def instances(self) -> Iterable[Ti]:
        """Return all task instances as of the last commit."""
        return self._tis.values()

    def instance(self, task: int) -> Ti | None:
        """Return one task instance as of the last commit."""
        return self._tis.get(task)

    # --- At every commit

    def look(self, written: Collection[str]) -> None:
        """Read what was committed to these tables and check it."""
        self.commits += 1
        if self.commits % _ALL_EVERY == 0:
            self.check_all()
        else:
            self._look_at(_TABLES.intersection(written))

    def _look_at(self, tables: frozenset[str]) -> None:
        if tables & _SHARING_TABLES:
            self.sharing.look()
        if "run" in tables:
            self._look_at_runs()
        if tables & _ASSET_TABLES:
            self.assets.look()
        if "timetable_question" in tables:
            self.time.look()
        if self.fills and tables & _FILLING_TABLES:
            self.filling.look()
        if tables & _TASK_TABLES:
            self._look_at_tasks()

    def check_all(self, *, liveness: bool = False) -> None:
        """Look at every table, and run every query of the store's invariants."""
        self._look_at(_TABLES)
        for violation in invariant_violations(self._database, liveness=liveness, grace=30.0):
            raise InvariantBroken(violation.name, f"{violation.promise}: {violation.row}")

    def _look_at_runs(self) -> None:
        rows = self._database.rows(_RUNS)
        if rows == self._run_rows:
            return
        before, self.runs = self.runs, {row[0]: Run(*row) for row in rows}
        self._run_rows = rows
        self.moved_at = self._world.time
        for run in self.runs.values():
            old = before.get(run.id)
            if old is not None and old.state == run.state:
                continue
            self._world.note(f"run {run.id} ({run.dag_id}): {'created' if old is None else old.state} -> {run.state}")
            # What a person cancels with its backfill before it has started has not failed.
            if run.state != "failed" or old is None or old.state != "queued" or run.backfill_id is None:
                self.time.moved(run, self.runs)
            self.sharing.acts(run.dag_id, f"let run {run.id} be {run.state}")
            if run.state == "running":
                active = self.active(run.dag_id)
                if run.backfill_id is None and active > self._specs[run.dag_id].max_active_runs:
                    raise InvariantBroken("12 max_active_runs", f"{active} runs of {run.dag_id} are running")

    def _look_at_tasks(self) -> None:
        rows = self._database.rows(_TIS)
        opened = {lease: (task, epoch) for lease, task, epoch in self._database.rows(_OPEN)}
        if rows == self._rows and opened == self._open:
            return
        steps: dict[int, list[Step]] = defaultdict(list)
        for row in self._database.rows(_STEPS, {"seq": self._seq}):
            step = Step(*row)
            steps[step.task].append(step)
            self._seq = step.seq
        self._compare(rows, opened, steps)

    def _compare(
        self, rows: list[tuple[object, ...]], opened: dict[str, tuple[int, int]], steps: dict[int, list[Step]]
    ) -> None:
        before_open, self._open = self._open, opened
        known = set(self._rows)
        self._rows = rows
        changed = [Ti(*row) for row in rows if row not in known]  # type: ignore[arg-type]
        holders = {task: (lease, epoch) for lease, (task, epoch) in opened.items()}
        before = {ti.id: self._tis.get(ti.id) for ti in changed}
        for ti in changed:
            self._tis[ti.id] = ti
        for ti in changed:
            old = before[ti.id]
            self._check_steps(old, ti, steps.pop(ti.id, []))
            self._check_lease(ti, holders.get(ti.id))
        for task in steps:
            raise InvariantBroken("2 last", f"the log says that task instance {task} moved, its row does not")
        for lease in before_open.keys() - opened.keys():
            self._check_closed(lease)
        for lease, (task, _) in opened.items():
            if self._tis[task].lease_id != lease:
                raise InvariantBroken("3 lease-is-running", f"attempt {lease[:6]} of task instance {task} is open")
        self._check_room([ti for ti in changed if ti.state == "queued"])

    # --- One change

    def _check_steps(self, old: Ti | None, ti: Ti, steps: list[Step]) -> None:
        state, epoch, tries = ("none", 0, 0) if old is None else (old.state, old.epoch, old.try_number)
        for step in steps:
            self.moved_at = self._world.time
            what = f"{self._name(ti)}: {step.before} -> {step.after} by {step.actor}"
            self._world.note(what)
            if step.before != state:
                raise InvariantBroken("2 chain", f"{what}, but it was {state}")
            if step.actor not in _LEGAL.get((step.before, step.after), ()):
                raise InvariantBroken("2 legal", what)
            if step.after == "queued":
                epoch += 1
            if step.epoch != epoch:
                raise InvariantBroken("5 epochs", f"{what}: epoch {step.epoch}, expected {epoch}")
            if step.after == "scheduled" and step.before in {"none", "up_for_retry"}:
                tries += 1
            state = step.after
            self._check_step(old, ti, step, what)
        if ti.state != state:
            raise InvariantBroken("2 last", f"{self._name(ti)} is {ti.state}, its log ends with {state}")
        if ti.epoch != epoch:
            raise InvariantBroken("5 epochs", f"{self._name(ti)} has epoch {ti.epoch}, expected {epoch}")
        if ti.try_number != tries or tries > ti.max_tries + 1:
            raise InvariantBroken(
                "7 tries", f"{self._name(ti)} is in try {ti.try_number} of {ti.max_tries + 1}, expected {tries}"
            )

    def _check_step(self, old: Ti | None, ti: Ti, step: Step, what: str) -> None:
        if step.actor in _DECIDERS and step.before != "running":  # that is a report's to say, or the reaper's
            self.sharing.acts(self.runs[ti.run].dag_id, f"moved {what}")
        self._note_deferral(ti, step)
        if step.before == "running" and old is not None:
            self._check_end(old, ti, step, what)
        elif step.op_id.startswith("unqueue:") and self.nothing_gets_lost:
            raise InvariantBroken("10 queued", f"{what}, though only supervisors were started again")
        elif step.before == "none" and step.actor == Who.SCHEDULER:
            self._check_rule(ti, step, what)
        if step.after == "none" and step.actor == Who.CLEAR and ti.max_tries != ti.try_number + ti.retries:
            raise InvariantBroken("7 tries", f"{what}: cleared in try {ti.try_number}, max_tries {ti.max_tries}")

    def _note_deferral(self, ti: Ti, step: Step) -> None:
        deferrals = self._register.deferrals
        if step.after == "deferred":
            deferrals[ti.id] = step.epoch
        elif step.after == "running" and ti.lease_id is not None:
            self._register.resumptions[ti.lease_id] = deferrals.get(ti.id)
        elif step.after not in {"scheduled", "queued"}:
            deferrals.pop(ti.id, None)

    def _check_end(self, old: Ti, ti: Ti, step: Step, what: str) -> None:
        wanted = _STOPPED.get(old.stop_kind or "")
        if wanted is not None and step.after != wanted:
            raise InvariantBroken("6 a stop decides", f"{what}, though {old.stop_kind} was asked for")
        process = self._register.reports.get(step.op_id)
        if process is None:
            if not step.op_id.startswith("lost:"):
                raise InvariantBroken("13 stale-result", f"{what}: nobody reported that")
            return
        if process.claimed is None or process.claimed.lease_id != old.lease_id or process.workload.epoch != old.epoch:
            raise InvariantBroken("13 stale-result", f"{what} by a report of {process.name}")
        if step.actor == Who.TASK:
            self._register.winners.add((ti.id, ti.epoch))
            for epoch, data in self._database.rows(_XCOMS, {"task": ti.id}):
                if epoch != ti.epoch or read_mark(data) != (ti.id, ti.epoch):
                    raise InvariantBroken("16 xcom-epoch", f"{what}: its XCom is of epoch {epoch}")

    def _check_rule(self, ti: Ti, step: Step, what: str) -> None:
        """Judge the instance again on the states of this very commit (9)."""
        spec = self._specs[self.runs[ti.run].dag_id]
        task = spec.by_id[ti.task_id]
        board = self.board(ti.run)
        index = ti.map_index
        mapped = task.map is not None or spec.mapped_group_of(ti.task_id) is not None
        verdict = evaluator.verdict(spec, board, task, index)
        deciders = self._deciders(ti.run)
        if step.after == "scheduled":
            # A rule that does not wait for a branch may be fulfilled while the branch's end is still in the inbox.
            unread = {row[0] for row in self._database.rows(_UNREAD, {"run": ti.run})}
            deciders = [decider for decider in deciders if decider[3] not in unread]
        decided = [decider[:3] for decider in deciders]
        skipped = not task.is_teardown and evaluator.is_decided_against(spec, decided, ti.task_id, index)
        if step.after == "scheduled":
            # One that had to wait for an expansion may be written with the branch's end, and with the skip after it.
            taken_back = ti.state == "skipped"
            if verdict != evaluator.RUN or (skipped and not taken_back) or (mapped and index < 0):
                raise InvariantBroken("9 rule", f"{what}, but {task.trigger_rule} says {verdict} on {board}")
        elif not (mapped or skipped or spec.fail_fast) and verdict not in {evaluator.SKIP, evaluator.UPSTREAM_FAILED}:
            raise InvariantBroken("9 rule", f"{what}, but {task.trigger_rule} says {verdict} on {board}")

    def _check_lease(self, ti: Ti, held: tuple[str, int] | None) -> None:
        if ti.state == "running":
            if held is None or held != (ti.lease_id, ti.epoch):
                raise InvariantBroken("3 running-has-attempt", f"{self._name(ti)}: open attempt {held}")
        elif ti.lease_id is not None or held is not None:
            raise InvariantBroken("3 lease-is-running", f"{self._name(ti)} is {ti.state}")
        run = self.runs[ti.run]
        if run.state in _RUN_TERMINAL and ti.state not in _TERMINAL:
            raise InvariantBroken("8 ended-run", f"{self._name(ti)} is {ti.state}, its run {run.state}")

    def _check_closed(self, lease: str) -> None:
        """A lease that somebody else than its holder ended must have expired, or its process be dead (14)."""
        process = self._register.by_lease.get(lease)
        world = self._world
        if process is None or process.reported or not process.believes(world.time):
            return
        actor = world.current
        # A reaper that has not seen the clocks before a jump cannot know of it; it looks every 5 s, lingering up to 15.
        seen_since = 0.0 if actor is None else max(actor.born_at, actor.thawed_at)
        if world.time - world.last_jump < 70.0 and seen_since > world.last_jump - 20.0:
            process.betrayed = True
            return
        raise InvariantBroken("14 a living lease was closed", process.name)

    def _check_room(self, queued: list[Ti]) -> None:
        if not queued:
            return
        busy = [ti for ti in self._tis.values() if ti.state in _OCCUPYING]
        slots: dict[str, int] = dict(self._database.rows("SELECT name, slots FROM pool"))
        used: Counter[str] = Counter()
        for ti in busy:
            used[ti.pool] += ti.pool_slots
        for ti in queued:
            run = self.runs[ti.run]
            spec = self._specs[run.dag_id]
            task = spec.by_id[ti.task_id]
            same = [b for b in busy if b.task_id == ti.task_id and self.runs[b.run].dag_id == run.dag_id]
            for limit, count in (
                (slots[ti.pool], used[ti.pool]),
                (spec.max_active_tasks, sum(b.run == ti.run for b in busy)),
                (task.max_active_tis_per_dag, len(same)),
                (task.max_active_tis_per_dagrun, sum(b.run == ti.run for b in same)),
            ):
                if limit is not None and 0 <= limit < count:
                    raise InvariantBroken("12 limits", f"{self._name(ti)} was queued: {count} where {limit} may be")

    # --- Views

    def active(self, dag_id: str) -> int:
        """Return how many runs of a DAG are running, those of backfills apart."""
        mine = (run for run in self.runs.values() if run.dag_id == dag_id and run.backfill_id is None)
        return sum(run.state == "running" for run in mine)

    def board(self, run: int) -> dict[str, dict[int, str]]:
        """Return the states of a run's instances by task and map index."""
        board: dict[str, dict[int, str]] = defaultdict(dict)
        for ti in self._tis.values():
            if ti.run == run:
                board[ti.task_id][ti.map_index] = ti.state
        return dict(board)

    def _deciders(self, run: int) -> list[tuple[str, int, list[str], int]]:
        """Return task, map index, skip targets and id of each instance that has decided against others."""
        return [
            (ti.task_id, ti.map_index, msgspec.json.decode(ti.skip_targets, type=list[str]), ti.id)
            for ti in self._tis.values()
            if ti.run == run and ti.state == TaskState.SUCCESS and ti.skip_targets
        ]

    def _name(self, ti: Ti) -> str:
        index = "" if ti.map_index < 0 else f"[{ti.map_index}]"
        return f"run {ti.run} {ti.task_id}{index} #{ti.id}"
