"""The scripted engine over the real database: the same tests, with the invariants checked at every commit."""

from __future__ import annotations

from windlass.ports import BackfillFacts, NewBackfill, PoolFacts, RunFacts
from windlass.protocol import AssetEvent
from windlass.spec import DagSpec
from windlass.store import Database, ParsedFile, SqlStore, Store, invariant_violations, open_store
from windlass_testing.scripted import ScriptedEngine, ScriptedExecutor
from windlass_testing.stores import new_store


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


class SqlScriptedEngine(ScriptedEngine):
    """The scripted engine over a fresh store, or over the database at ``url``, which is current and empty."""

    def __init__(self, url: str | None = None) -> None:
        super().__init__()
        services = new_store(self.clock, self.rng) if url is None else open_store(url, clock=self.clock, rng=self.rng)
        self.services = services
        self._invariants = InvariantsAtCommit(services.db)
        self.store = SqlScriptedStore(services)  # type: ignore[assignment]
        self.executor = ScriptedExecutor(services.gateway, self.clock)
        self.scheduler = self.new_scheduler()

    def close(self) -> None:
        """Close the database."""
        self._invariants.close()
        self.services.close()
