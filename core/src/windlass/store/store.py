"""All services over one database, as ``app`` opens them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

from windlass.ports import Clock, Doorbell, Rng
from windlass.store.backfills import Backfills
from windlass.store.catalogue import Assets
from windlass.store.cleaning import Cleaning
from windlass.store.commands import RunCommands
from windlass.store.credentials import Credentials
from windlass.store.dags import Dags
from windlass.store.database import Database
from windlass.store.gateway import SqlGateway
from windlass.store.history import TaskHistory
from windlass.store.jobs import Jobs
from windlass.store.migrating import require_current
from windlass.store.observations import Observations
from windlass.store.outbox import Outbox
from windlass.store.pools import Pools
from windlass.store.queries import Queries
from windlass.store.questions import Questions
from windlass.store.schedulers import Schedulers
from windlass.store.scheduling import SqlStore
from windlass.store.sharing import Leases, SharedStore
from windlass.store.specs import Specs
from windlass.store.waits import Waits

Keys = Sequence[str] | Callable[[], Sequence[str]]


class Store:
    """The services, sharing one database and one cache of specs."""

    def __init__(self, database: Database, *, keys: Keys = ()) -> None:
        specs = Specs(database)
        self.db = database
        self._on_close: list[Callable[[], None]] = []
        self.credentials = Credentials(database, keys)
        self.scheduler = SqlStore(database, specs)
        self._specs = specs
        self.gateway = SqlGateway(database, specs, self.credentials)
        self.runs = RunCommands(database, specs)
        self.backfills = Backfills(database)
        self.queries = Queries(database, specs)
        self.history = TaskHistory(database)
        self.dags = Dags(database)
        self.pools = Pools(database)
        self.assets = Assets(database)
        self.questions = Questions(database)
        self.outbox = Outbox(database)
        self.cleaning = Cleaning(database)
        self.jobs = Jobs(database)
        self.schedulers = Schedulers(database)
        self.waits = Waits(database)
        self.observations = Observations(database, self.outbox)

    @classmethod
    def memory(cls, clock: Clock, rng: Rng, doorbell: Doorbell | None = None, *, keys: Keys = ()) -> Self:
        """Return a fresh store in memory."""
        return cls(Database.memory(clock, rng, doorbell), keys=keys)

    def scheduler_with(self, leases: Leases) -> SqlStore:
        """Return what one of several schedulers sees and may write."""
        return SharedStore(self.db, leases, self._specs)

    def on_close(self, callback: Callable[[], None]) -> None:
        """Have ``callback`` called when the store has been closed."""
        self._on_close.append(callback)

    def close(self) -> None:
        """Close the database."""
        self.db.close()
        while self._on_close:
            self._on_close.pop()()


def open_store(
    url: str,
    *,
    clock: Clock | None,
    rng: Rng,
    doorbell: Doorbell | None = None,
    keys: Keys = (),
    synchronous: str = "FULL",
    checkpoints: bool = False,
) -> Store:
    """Open the store at ``url``; its commits ring ``doorbell``.

    Without a ``clock`` it goes by the database's own. ``keys`` open the stored secrets, newest first; a function is
    asked only when a secret is. ``checkpoints`` is for the scheduler's process alone.

    Raises:
        StoreTooOld: the schema is missing, older or newer than this release.
    """
    database = Database.open(url, clock, rng, doorbell, synchronous=synchronous, checkpoints=checkpoints)
    try:
        require_current(database)
    except BaseException:
        database.close()
        raise
    return Store(database, keys=keys)
