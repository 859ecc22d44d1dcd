"""The database: every table, every SQL statement and every state transition of the engine.

One :class:`Store` joins the services over one :class:`Database`; ``app`` opens it and hands each process its part::

    store = open_store(url, clock=…, rng=…, doorbell=…, keys=[…])   # url: sqlite:////home/windlass.db
    store.scheduler, store.gateway      the ports of the scheduler and of supervisors
    store.runs, store.backfills         create, clear, mark, cancel: what people command
    store.queries                       DAGs, runs, tasks, attempts, XComs, a page at a time
    store.dags, store.pools             what parsing found; slots
    store.credentials                   connections and variables, encrypted
    store.assets                        events, and when each asset was last updated
    store.outbox, store.cleaning, store.jobs
    store.db.checkpoint(), store.close()

    migrate(url) -> str    check(url) -> SchemaState    reset(url)    current_revision(url) -> str | None
    invariant_violations(db) -> list[Violation]

Everywhere ``who`` is the person or service of the audit row, and ``key`` an idempotency key: the same key gives the
same reply and one effect. Cursors are opaque strings: ``page.cursor`` of one page is ``after`` of the next, None at the
end.
"""

from __future__ import annotations

from windlass.store.backfills import Backfills as Backfills
from windlass.store.backfills import Cancelled as Cancelled
from windlass.store.catalogue import AssetEventRow as AssetEventRow
from windlass.store.catalogue import Assets as Assets
from windlass.store.commands import Affected as Affected
from windlass.store.commands import RunCommands as RunCommands
from windlass.store.credentials import Credentials as Credentials
from windlass.store.dags import Dags as Dags
from windlass.store.dags import ParsedFile as ParsedFile
from windlass.store.dags import ParsedFileRow as ParsedFileRow
from windlass.store.database import Database as Database
from windlass.store.doorbell import DatagramBell as DatagramBell
from windlass.store.gateway import SqlGateway as SqlGateway
from windlass.store.invariants import Violation as Violation
from windlass.store.invariants import invariant_violations as invariant_violations
from windlass.store.migrating import check as check
from windlass.store.migrating import current_revision as current_revision
from windlass.store.migrating import migrate as migrate
from windlass.store.migrating import reset as reset
from windlass.store.outbox import Outbox as Outbox
from windlass.store.outbox import OutboxRow as OutboxRow
from windlass.store.pools import Pools as Pools
from windlass.store.queries import Page as Page
from windlass.store.queries import Queries as Queries
from windlass.store.revision import SchemaState as SchemaState
from windlass.store.scheduling import SqlStore as SqlStore
from windlass.store.selection import Selection as Selection
from windlass.store.selection import TaskRow as TaskRow
from windlass.store.store import Store as Store
from windlass.store.store import open_store as open_store
