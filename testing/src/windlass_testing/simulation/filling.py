"""Backfills in the simulation: who asks for them, and what is checked about them after every commit.

They are drawn apart from everything else and only for some of the DAGs that have a schedule of time, so that most seeds
are the same runs with and without them.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from windlass.errors import Conflict, StoreError
from windlass.planning.backfill import count_intervals
from windlass.ports import NewBackfill, Reprocess, Rng
from windlass.spec import DagSpec
from windlass.store import Store
from windlass.store.database import Database
from windlass.store.instants import micros
from windlass_testing.simulation.interference import Watched
from windlass_testing.simulation.timetables import grid_seconds
from windlass_testing.simulation.world import START, Actor, InvariantBroken, World

_TRIES: Final = 5
_ENDED: Final = ("success", "failed")


class RunRow(NamedTuple):
    """A run as the checks need it."""

    id: int
    dag_id: str
    state: str
    ending: str | None
    logical_date: int
    backfill_id: int | None


class BackfillRow(NamedTuple):
    """A backfill as its row says."""

    id: int
    dag_id: str
    from_date: int
    to_date: int
    max_active_runs: int
    backwards: int
    intervals: int
    dealt: int
    created_at: int
    cancelled_at: int | None
    completed_at: int | None


_BACKFILLS: Final = f"SELECT {', '.join(BackfillRow._fields)} FROM backfill"  # noqa: S608 - constants
_RUNS: Final = f"SELECT {', '.join(RunRow._fields)} FROM run"  # noqa: S608 - constants


class Filler:
    """Somebody who fills the past of a DAG, changes his mind, and fills it again."""

    def __init__(self, world: World, store: Store, rng: Rng, specs: dict[str, DagSpec], seed: int) -> None:
        self._world = world
        self._store = store
        self._backfills = Watched(store.backfills, allowed=(Conflict,))
        self._commands = Watched(store.runs, allowed=(Conflict,))
        self._rng = rng
        self._specs = specs
        self._random = random.Random(f"backfills {seed}")  # noqa: S311 - repeatable
        self._actors: list[Actor] = []
        self.made: list[str] = []
        self._last_dates: dict[str, tuple[datetime, datetime]] = {}

    def start(self) -> bool:
        """Go to work on some DAGs, in a quarter of the seeds; return whether there is anything to do."""
        if self._random.random() > 0.25:
            return False
        for dag_id, spec in self._specs.items():
            if grid_seconds(spec) is not None:
                self._actors.append(Actor(self._world, f"filler of {dag_id}", lambda me, s=spec: self._work(me, s)))  # type: ignore[misc]
        return bool(self._actors)

    def calm_down(self) -> None:
        """Ask for no more."""
        for actor in self._actors:
            actor.kill()

    def _work(self, me: Actor, spec: DagSpec) -> None:
        for _ in range(self._random.randint(2, 6)):
            me.sleep(self._random.uniform(0.0, 20.0))
            self._insist(me, self._create(spec))
            if self._random.random() < 0.5:
                me.sleep(self._random.uniform(0.0, 4.0))
                self._insist(me, self._touch(spec.dag_id))
            if self._random.random() < 0.25:
                me.sleep(self._random.expovariate(1 / 8))
                self._insist(me, self._cancel(spec.dag_id))

    def _insist(self, me: Actor, command: Callable[[], object] | None) -> None:
        for _ in range(_TRIES if command is not None else 0):
            try:
                command()  # type: ignore[misc]
            except StoreError:
                me.sleep(0.1)
            except Conflict:
                return
            else:
                return

    def _create(self, spec: DagSpec) -> Callable[[], object] | None:
        source, seconds = self._random, grid_seconds(spec)
        if seconds is None:
            return None
        length = timedelta(seconds=seconds)
        first, last = self._last_dates.get(spec.dag_id, (START, START))
        again = first < last and source.random() < 0.6
        if not again:
            first = START - length * source.randint(1, 6)
            last = first + length * source.randint(0, 6)
        self._last_dates[spec.dag_id] = first, last
        now = self._world.now()
        dag = self._store.queries.dag(spec.dag_id)
        past = any(task.depends_on_past or task.wait_for_downstream for task in spec.tasks)
        new = NewBackfill(
            dag_id=spec.dag_id,
            from_date=first,
            to_date=last,
            spec_version=dag.spec_version,
            code_version=dag.code_version,
            intervals=count_intervals(spec, first, last, now=now),
            max_active_runs=source.choice((1, 1, 2, 3)),
            reprocess=Reprocess.NONE if again else source.choice(tuple(Reprocess)),
            backwards=not past and source.random() < 0.4,
            task_regex=source.choice((None, None, "[01]", "t[0-3]$")),
            created_by="bea",
            created_at=now,
        )
        key = self._rng.token()
        self.made.append(key)
        self._world.note(f"fills {spec.dag_id}: {new.intervals} intervals, {new.reprocess}")
        return lambda: self._backfills.create(new, key=key)

    def _touch(self, dag_id: str) -> Callable[[], object] | None:
        """Clear an ended run, which the backfill may just be about to run again."""
        ended = [run for run in self._store.queries.runs(dag_id).items if run.state.is_terminal]
        if not ended:
            return None
        run = self._random.choice(ended)
        tasks = [task.id for task in self._store.scheduler.tasks_of(run.id)]
        self._world.note(f"clears run {run.id}")
        key = self._rng.token()
        return lambda: self._commands.clear(tasks, who="bea", key=key)

    def _cancel(self, dag_id: str) -> Callable[[], object] | None:
        mine = [facts.id for facts in self._store.backfills.list(dag_id).items]
        if not mine:
            return None
        backfill = self._random.choice(mine)
        self._world.note(f"cancels backfill {backfill}")
        return lambda: self._backfills.cancel(backfill, who="bea")


class FillingChecks:
    """What holds of backfills after every commit, and at the end."""

    def __init__(self, world: World, database: Database, specs: dict[str, DagSpec]) -> None:
        self._world = world
        self._database = database
        self._specs = specs
        self.backfills: dict[int, BackfillRow] = {}
        self._runs: dict[int, RunRow] = {}
        self._rows: tuple[list[tuple[object, ...]], list[tuple[object, ...]]] = ([], [])
        #: When a backfill changed last.
        self.moved_at = 0.0

    def look(self) -> None:
        """Compare the backfills and their runs with what they were at the commit before."""
        rows = self._database.rows(_BACKFILLS), self._database.rows(_RUNS)
        if rows == self._rows:
            return
        self._rows = rows
        before, self.backfills = self.backfills, {row[0]: BackfillRow(*row) for row in rows[0]}
        runs_before, self._runs = self._runs, {row[0]: RunRow(*row) for row in rows[1]}
        if before != self.backfills:
            self.moved_at = self._world.time
        for now in self.backfills.values():
            mine = [run for run in self._runs.values() if run.backfill_id == now.id]
            fresh = [run for run in mine if (old := runs_before.get(run.id)) is None or old.backfill_id != now.id]
            self._check(before.get(now.id), now, mine, fresh)
            for run in fresh:
                old = runs_before.get(run.id)
                if old is not None and old.state not in _ENDED:
                    raise InvariantBroken("backfill", f"{now.id} takes run {run.id}, which is {old.state}")
        self._check_active(runs_before)

    def _check(self, old: BackfillRow | None, now: BackfillRow, mine: list[RunRow], fresh: list[RunRow]) -> None:
        dealt = 0 if old is None else old.dealt
        if not dealt <= now.dealt <= now.intervals:
            raise InvariantBroken("backfill", f"{now.id} has dealt with {now.dealt} of {now.intervals}, before {dealt}")
        if len(fresh) > now.dealt - dealt:
            raise InvariantBroken("backfill", f"{now.id} has {len(fresh)} new runs for {now.dealt - dealt} intervals")
        if any(not now.from_date <= run.logical_date <= now.to_date for run in fresh):
            raise InvariantBroken("backfill", f"{now.id} has a run outside of its dates")
        was_cancelled = old is not None and old.cancelled_at is not None
        if was_cancelled and (fresh or now.dealt != dealt):
            raise InvariantBroken("backfill", f"{now.id} goes on though it was cancelled")
        waiting = [run for run in mine if run.state == "queued" and run.ending is None]
        if now.cancelled_at is not None and not was_cancelled and waiting:
            raise InvariantBroken("backfill", f"{now.id} was cancelled and a run of it still waits for its start")
        if now.completed_at is not None and any(run.state not in _ENDED for run in mine):
            raise InvariantBroken("backfill", f"{now.id} is completed and has an open run")
        if now.completed_at is not None and now.cancelled_at is None and now.dealt < now.intervals:
            raise InvariantBroken("backfill", f"{now.id} is completed after {now.dealt} of {now.intervals} intervals")

    def _check_active(self, before: dict[int, RunRow]) -> None:
        for run in self._runs.values():
            old = before.get(run.id)
            if run.backfill_id is None or run.state != "running" or (old is not None and old.state == "running"):
                continue
            active = self.active(run.backfill_id)
            if active > self.backfills[run.backfill_id].max_active_runs:
                raise InvariantBroken("12 max_active_runs", f"{active} runs of backfill {run.backfill_id} are running")

    def active(self, backfill: int) -> int:
        """Return how many runs of a backfill are running."""
        return sum(run.backfill_id == backfill and run.state == "running" for run in self._runs.values())

    def open_runs(self, backfill: int) -> int:
        """Return how many runs of a backfill have not ended."""
        return sum(run.backfill_id == backfill and run.state not in _ENDED for run in self._runs.values())

    def is_full(self, backfill: int) -> bool:
        """Return whether as many runs of a backfill are running as may."""
        return self.active(backfill) >= self.backfills[backfill].max_active_runs

    def is_first(self, run: int) -> bool:
        """Return whether a run is the first of its backfill."""
        mine = self._runs[run]
        return mine.backfill_id is not None and not any(
            other.backfill_id == mine.backfill_id and other.logical_date < mine.logical_date
            for other in self._runs.values()
        )

    def stuck(self) -> str | None:
        """Return what should have been completed; None if every backfill is, or waits for a run of its own."""
        for backfill in self.backfills.values():
            if backfill.completed_at is None and not self.open_runs(backfill.id):
                return f"backfill {backfill.id} stands still after {backfill.dealt} of {backfill.intervals} intervals"
        return None

    def check_end(self, keys: int) -> None:
        """Check that every interval of a completed backfill has its run, and that one command made one backfill."""
        if len(self.backfills) > keys:
            raise InvariantBroken("19 one effect per key", f"{len(self.backfills)} backfills by {keys} commands")
        for backfill in self.backfills.values():
            spec = self._specs[backfill.dag_id]
            if backfill.completed_at is None or backfill.cancelled_at is not None:
                continue
            seconds = grid_seconds(spec)
            if seconds is None:
                raise TypeError(spec.schedule)
            length = int(seconds * 1_000_000)
            complete = min(backfill.to_date, backfill.created_at - length)
            if backfill.intervals != max(0, (complete - backfill.from_date) // length + 1):
                raise InvariantBroken("backfill", f"{backfill.id} is completed after {backfill.intervals} intervals")
            there = {run.logical_date for run in self._runs.values() if run.dag_id == backfill.dag_id}
            for number in range(backfill.intervals):
                date = backfill.from_date + number * length
                if date not in there:
                    raise InvariantBroken("17 one run per interval", f"backfill {backfill.id} left out {_when(date)}")


def _when(date: int) -> datetime:
    return START + timedelta(microseconds=date - micros(START))
