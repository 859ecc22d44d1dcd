"""A scheduler's process: the real scheduler in a loop, killed and started again."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable

from windlass.errors import StoreError
from windlass.ports import ExecutorPort, Rng
from windlass.scheduler import Scheduler, SchedulerSettings
from windlass.store.database import Database
from windlass.store.scheduling import SqlStore
from windlass.store.sharing import Leases, SharedStore
from windlass.store.specs import Specs
from windlass_testing.simulation.faults import Faults
from windlass_testing.simulation.interference import Watched
from windlass_testing.simulation.world import Actor, World


class SchedulerHost:
    """A machine that runs a scheduler in one home, life after life; one of several if it ``shares`` the database."""

    def __init__(
        self,
        world: World,
        home: str,
        settings: SchedulerSettings,
        database: Database,
        specs: Specs,
        rng: Rng,
        new_executor: Callable[[], ExecutorPort],
        *,
        shares: bool,
        leaves: Callable[[], bool] = lambda: False,
    ) -> None:
        self._world = world
        self._home = home
        self._shares = shares
        self._leaves = leaves
        #: What the scheduler of this life holds DAGs by.
        self.leases: Leases | None = None
        self._settings = settings
        self._database = database
        self._specs = specs
        self._rng = rng
        self._new_executor = new_executor
        self.actor: Actor
        self._start()

    def _start(self) -> None:
        self.actor = Actor(self._world, f"scheduler-{self._home}", self._run)

    def _run(self, actor: Actor) -> None:
        self._world.note("starts")
        try:
            scheduler = self._scheduler()
            while not self._leaves():
                actor.wait(scheduler.step())
            self._world.note("leaves")
            with contextlib.suppress(StoreError):
                scheduler.leave()
        finally:
            pause = 0.5 if self._world.calm else self._world.random.uniform(0.1, 30.0)
            self._world.at(pause, self._start)

    def _scheduler(self) -> Scheduler:
        leases = None
        view = SqlStore(self._database, self._specs)
        if self._shares:
            self.leases = Leases(self._database, self._home, lease=self._settings.lease)
            view = SharedStore(self._database, self.leases, self._specs)
            leases = Watched(self.leases)
        store: SqlStore = Watched(view)  # type: ignore[assignment]
        return Scheduler(store, self._new_executor(), self._world, self._rng, self._settings, leases)


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

    def owner_of(self, actor: str) -> str | None:
        """Return the name under which the scheduler of an actor is registered, None if it is not."""
        owners = (host.leases.owner for host in self.hosts if host.actor.name == actor and host.leases is not None)
        return next(owners, None)

    def wait(self, timeout: float) -> bool:
        """Never called: the schedulers' actors wait."""
        raise NotImplementedError
