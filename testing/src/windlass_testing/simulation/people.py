"""Operators: they trigger, clear, mark and pause at random moments, and send again what was not answered."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

from windlass.errors import Conflict, StoreError
from windlass.planning.calendar import is_asked
from windlass.ports import NewRun, Rng
from windlass.spec import DagSpec
from windlass.states import RunState, RunType, TaskState
from windlass.store import Store
from windlass_testing.simulation.assets import Updates
from windlass_testing.simulation.dags import POOLS
from windlass_testing.simulation.interference import Watched
from windlass_testing.simulation.observer import Observer
from windlass_testing.simulation.world import Actor, World

_TRIES = 5


class Operator:
    """One person at a time, with a few commands in mind."""

    def __init__(
        self,
        world: World,
        store: Store,
        rng: Rng,
        observer: Observer,
        specs: Mapping[str, DagSpec],
        updates: Updates,
    ) -> None:
        self._world = world
        self._runs = Watched(store.runs, allowed=(Conflict,))
        self._dags = Watched(store.dags)
        self._pools = Watched(store.pools)
        self._assets = Watched(store.assets, allowed=(Conflict,))
        self._updates = updates
        self._rng = rng
        self._observer = observer
        self._specs = specs
        self._dag_ids = tuple(specs)
        self._actor: Actor | None = None
        #: Keys of the triggers that were sent.
        self.triggered: list[str] = []
        self._commands: tuple[Callable[[str], Callable[[], object] | None], ...] = (
            self._trigger,
            self._clear,
            self._clear,
            self._clear,
            self._mark,
            self._mark,
            self._mark_run,
        )
        if updates.any_at_all:
            self._commands += (self._update, self._update, self._update)
        self._commands += (self._pause, self._pool)

    def start(self) -> None:
        """Go to work."""
        self._actor = Actor(self._world, "operator", self._work)

    def calm_down(self) -> None:
        """Go home, and undo what would keep runs from ending."""
        if self._actor is not None:
            self._actor.kill()
        for dag_id in self._dag_ids:
            self._dags.set_paused(dag_id, False)
        for name, slots in POOLS.items():
            self._pools.set(name, slots)

    def _work(self, actor: Actor) -> None:
        for _ in range(self._world.random.randint(1, 8)):
            actor.sleep(self._world.random.expovariate(1 / 12))
            if self._world.calm:
                return
            key = self._rng.token()
            command = self._world.random.choice(self._commands)(key)
            for _ in range(_TRIES if command is not None else 0):
                try:
                    command()  # type: ignore[misc]
                except StoreError:
                    actor.sleep(0.1)
                except Conflict:
                    break
                else:
                    break

    def _trigger(self, key: str) -> Callable[[], object]:
        dag_id = self._world.random.choice(self._dag_ids)
        now = self._world.now()
        new = NewRun(
            dag_id=dag_id,
            run_type=RunType.MANUAL,
            logical_date=now,
            data_interval_start=now,
            data_interval_end=now,
            run_after=now,
            bump=True,
            conf={"key": key},
            interval_pending=is_asked(self._specs[dag_id]),
        )
        self._world.note(f"triggers {dag_id}")
        self.triggered.append(key)
        return lambda: self._runs.create(new, key=key)

    def _update(self, key: str) -> Callable[[], object]:
        event = self._updates.draw()
        self._world.note(f"updates {event.uri}")
        return lambda: self._assets.create_event(event.uri, extra={}, alias=event.alias, who="ann", key=key)

    def _some(self) -> list[int]:
        rows = list(self._observer.instances())
        if not rows:
            return []
        run = self._world.random.choice(rows).run
        mine = [row.id for row in rows if row.run == run]
        some = self._world.random.randint(1, len(mine)) if self._world.random.random() < 0.7 else len(mine)
        return sorted(self._world.random.sample(mine, some))

    def _clear(self, key: str) -> Callable[[], object] | None:
        tasks = self._some()
        if not tasks:
            return None
        self._world.note(f"clears {tasks}")
        return functools.partial(self._runs.clear, tasks, who="ann", key=key)

    def _mark(self, key: str) -> Callable[[], object] | None:
        tasks = self._some()[:2]
        if not tasks:
            return None
        state = self._world.random.choice((TaskState.SUCCESS, TaskState.FAILED))
        self._world.note(f"marks {tasks} {state}")
        return functools.partial(self._runs.mark, tasks, state, who="ann", key=key)

    def _mark_run(self, key: str) -> Callable[[], object] | None:
        runs = list(self._observer.runs.values())
        if not runs:
            return None
        run = self._world.random.choice(runs)
        state = self._world.random.choice((RunState.SUCCESS, RunState.FAILED))
        self._world.note(f"marks run {run.id} {state}")
        return functools.partial(self._runs.mark_run, run.dag_id, run.run_id, state, who="ann", key=key)

    def _pause(self, _key: str) -> Callable[[], object]:
        dag_id = self._world.random.choice(self._dag_ids)
        paused = self._world.random.random() < 0.6
        self._world.note(f"{'pauses' if paused else 'unpauses'} {dag_id}")
        return lambda: self._dags.set_paused(dag_id, paused)

    def _pool(self, _key: str) -> Callable[[], object]:
        name = self._world.random.choice(tuple(POOLS))
        slots = self._world.random.randint(0, 4)
        self._world.note(f"gives pool {name} {slots} slots")
        return lambda: self._pools.set(name, slots)
