"""A scheduler's process: the real scheduler in a loop, killed and started again."""

from __future__ import annotations

import functools
from collections.abc import Callable

from windlass.ports import ExecutorPort, Rng
from windlass.scheduler import Scheduler, SchedulerSettings
from windlass.store.database import Database
from windlass.store.scheduling import SqlStore
from windlass.store.specs import Specs
from windlass_testing.simulation.faults import Faults
from windlass_testing.simulation.interference import Watched
from windlass_testing.simulation.world import Actor, World


class SchedulerHost:
    """A machine that runs a scheduler under one owner name, life after life."""

    def __init__(
        self,
        world: World,
        settings: SchedulerSettings,
        database: Database,
        specs: Specs,
        rng: Rng,
        new_executor: Callable[[], ExecutorPort],
    ) -> None:
        self._world = world
        self._settings = settings
        self._database = database
        self._specs = specs
        self._rng = rng
        self._new_executor = new_executor
        self.actor: Actor
        self._start()

    def _start(self) -> None:
        self.actor = Actor(self._world, f"scheduler-{self._settings.owner}", self._run)

    def _run(self, actor: Actor) -> None:
        self._world.note("starts")
        try:
            store: SqlStore = Watched(SqlStore(self._database, self._specs))  # type: ignore[assignment]
            scheduler = Scheduler(store, self._new_executor(), self._world, self._rng, self._settings)
            while True:
                actor.wait(scheduler.step())
        finally:
            pause = 0.5 if self._world.calm else self._world.random.uniform(0.1, 30.0)
            self._world.at(pause, self._start)


class Bells:
    """The doorbell of every scheduler; a ring may get lost on its way to any of them."""

    def __init__(self, world: World, faults: Faults) -> None:
        self._world = world
        self._faults = faults
        self.hosts: list[SchedulerHost] = []

    def ring(self) -> None:
        """Wake whoever waits, a moment later."""
        for host in self.hosts:
            if not self._world.chance(self._faults.lose_ring):
                self._world.at(0.001, functools.partial(host.actor.ring))

    def wait(self, timeout: float) -> bool:
        """Never called: the schedulers' actors wait."""
        raise NotImplementedError
