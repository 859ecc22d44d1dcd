"""The scripted engine over the real database: the same tests, with the invariants checked at every commit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from windlass.ports import BackfillFacts, NewBackfill, PoolFacts, RunFacts
from windlass.protocol import AssetEvent
from windlass.scheduler import Scheduler, SchedulerSettings
from windlass.spec import DagSpec
from windlass.store import Database, ParsedFile, SqlStore, Store, invariant_violations, open_store
from windlass.store.sharing import Leases
from windlass_testing.scripted import ScriptedEngine, ScriptedExecutor
from windlass_testing.stores import new_store

#: Seconds; whoever lets days pass is not to watch leases being renewed.
_LONG: Final = 1e9
#: How often an idle scheduler looks by itself where each look is several trips to a server: hours pass in these tests,
#: and what happens wakes it anyway.
_RARELY: Final = SchedulerSettings(poll_interval=10.0)


class SqlScriptedStore(SqlStore):
    """A SQL store with what tests need besides the port."""

    def __init__(self, services: Store) -> None:
        super().__init__(services.db)
        self.services = services

    def add_dag(self, spec: DagSpec, *, paused: bool = False, file: str = "") -> None:
        """Store a DAG, or its next version."""
        parsed = ParsedFile(bundle="main", file=file or f"{spec.dag_id}.py", code_version="code", specs=(spec,))
        self.services.dags.store_parse_results([parsed], paused=paused)
        if self.services.queries.dag(spec.dag_id).paused is not paused:
            self.services.dags.set_paused(spec.dag_id, paused, who="test")

    def record_asset_event(self, event: AssetEvent) -> None:
        """Record an event of an asset from outside."""
        self.services.assets.create_event(event.uri, extra=event.extra, alias=event.alias, who="test")

    def add_backfill(self, new: NewBackfill) -> BackfillFacts:
        """Record a backfill."""
        return self.services.backfills.create(new)

    def cancel_backfill(self, backfill: int) -> None:
        """Make no more runs of a backfill; those that wait for their start fail."""
        self.services.backfills.cancel(backfill, who="ann")

    def set_pool(self, pool: PoolFacts) -> None:
        """Create or change a pool."""
        self.services.pools.set(pool.name, pool.slots, include_deferred=pool.include_deferred)

    def runs(self) -> list[RunFacts]:
        """Return all runs, oldest first."""
        return list(reversed(self.services.queries.runs(limit=10_000).items))


class InvariantsAtCommit:
    """Checks the promises whenever something was committed; where each query is a trip to a server, once at the end."""

    def __init__(self, database: Database) -> None:
        self._database = database
        if database.dialect.serial:
            database.probe = self

    def statement(self, sql: str, *, writing: bool) -> None:
        """Let it run."""

    def committed(self) -> None:
        """Find what is broken now."""
        self._database.probe = None
        try:
            self._check()
        finally:
            self._database.probe = self

    def close(self) -> None:
        """Watch no longer."""
        self._database.probe = None
        if not self._database.dialect.serial:
            self._check()

    def _check(self) -> None:
        if broken := invariant_violations(self._database, liveness=False):
            raise AssertionError(f"invariants broken: {broken}")


class _InTurns:
    """Several schedulers, each of which takes a step when one is asked for."""

    def __init__(self, schedulers: Sequence[Scheduler]) -> None:
        self._schedulers = schedulers

    def step(self) -> float:
        """Let each take a step; return when the first wants another."""
        return min(scheduler.step() for scheduler in self._schedulers)

    def can_spare(self, seconds: float) -> bool:
        """Return whether any of them can."""
        return any(scheduler.can_spare(seconds) for scheduler in self._schedulers)


class SqlScriptedEngine(ScriptedEngine):
    """The scripted engine over a fresh store, or over the database at ``url``, which is current and empty.

    With ``schedulers`` that many share the DAGs, and what a test calls the scheduler are all of them, one step after
    the other.
    """

    def __init__(self, url: str | None = None, *, schedulers: int = 1) -> None:
        self._schedulers = 1
        super().__init__()
        self._schedulers = schedulers
        if url is not None:
            self.settings = _RARELY
        services = new_store(self.clock, self.rng) if url is None else open_store(url, clock=self.clock, rng=self.rng)
        self.services = services
        self._invariants = InvariantsAtCommit(services.db)
        self.store = SqlScriptedStore(services)  # type: ignore[assignment]
        self.executor = ScriptedExecutor(services.gateway, self.clock)
        self.scheduler = self.new_scheduler()

    def new_scheduler(self) -> Scheduler:
        """Return a scheduler that knows nothing yet, or as many as there are, as after a restart."""
        if self._schedulers == 1:
            return super().new_scheduler()
        return _InTurns([self._one_of_several(f"home {number}") for number in range(self._schedulers)])  # type: ignore[return-value]

    def _one_of_several(self, home: str) -> Scheduler:
        leases = Leases(self.services.db, home, lease=_LONG)
        view = self.services.scheduler_with(leases)
        settings = msgspec.structs.replace(self.settings, lease=_LONG)
        return Scheduler(view, self.executor, self.clock, self.rng, settings, leases)

    def close(self) -> None:
        """Close the database."""
        self._invariants.close()
        self.services.close()
