"""The database: every table, every SQL statement and every state transition of the engine.

One :class:`Store` joins the services over one :class:`Database`; ``app`` opens it and hands each process its part::

    store = open_store(url, clock=…, rng=…, doorbell=…, keys=[…])   # url: sqlite:////home/windlass.db
    store.scheduler     SqlStore: ports.StorePort            store.gateway      SqlGateway: ports.Gateway
    store.runs          RunCommands                          store.queries      Queries
    store.dags          Dags                                 store.credentials  Credentials
    store.pools         Pools                                store.assets       Assets
    store.outbox        Outbox
    store.db.checkpoint(), store.close()

    RunCommands   create(new: NewRun, *, key=None) -> RunFacts          RunExists names the run; DagNotFound
                  select(Selection(dag_id, run_ids, task_ids, map_indexes, states, since, until)) -> list[TaskRow]
                  clear(task_ids: Sequence[int], *, who, latest=False, key=None) -> Affected(tasks, stopping, runs)
                  mark(task_ids: Sequence[int], state: TaskState, *, who, key=None) -> Affected
                  mark_run(dag_id, run_id, state: RunState, *, who, key=None) -> Affected
    Dags          store_parse_results(Sequence[ParsedFile], *, paused: bool) -> list[str]   (dag ids that changed)
                  forget_files(bundle, files) -> list[str]     parsed_files(bundle=None) -> list[ParsedFileRow]
                  request_reparse([(bundle, file)])
                  set_paused(dag_id, paused: bool, *, who) -> bool      delete(dag_id, *, who) -> None
    Queries       dags(*, after=None, limit=100, …) -> Page[DagRow]    dag(dag_id) -> DagRow
                  runs(dag_id=None, *, states=(), after=None, limit=100) -> Page[RunFacts]
                  run(dag_id, run_id) -> RunFacts    count_runs(dag_id)
                  tasks(dag_id, run_id, *, after=None, limit=1000) -> Page[TaskRow]
                  task(dag_id, run_id, task_id, map_index=-1) -> TaskRow
                  attempts(task: int) -> list[AttemptRow]    transitions(task: int) -> list[TransitionRow]
                  import_errors() -> list[ImportErrorRow]    xcoms(task: int) -> list[XComRow]
                  spec(dag_id, spec_version=None) -> DagSpec
    Assets        create_event(uri, *, extra, alias=None, who, key=None) -> AssetEventRow
                  events(*, uri=None, alias=None, run=None, after=None, limit=100) -> Page[AssetEventRow]
                  last_updates() -> {uri: datetime | None}
    Cleaning      runs(before) outbox(before) specs(before) … -> how many went; artifact_references()
    Jobs          start(kind, hostname, pid) end(job) list(kind)
    Pools         list() get(name) set(name, slots, description, include_deferred) delete(name)
    Credentials   connection(conn_id) -> dict | None, connections(), set_connection(fields, overwrite),
                  delete_connection(conn_id)
                  variable(key) -> str | None, variables(), set_variable(key, value, description),
                  delete_variable(key), rotate()

    migrate(url) -> str    check(url) -> SchemaState    reset(url)    current_revision(url) -> str | None
    invariant_violations(db) -> list[Violation]

``who`` is the person or service of the audit row; ``key`` an idempotency key: the same key gives the same reply and one
effect. Cursors are opaque strings: ``page.cursor`` of one page is ``after`` of the next, None at the end.
"""

from __future__ import annotations

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
