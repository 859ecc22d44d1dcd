"""Asset events: what was updated, which DAGs hear of it, and what their runs consume.

An event is delivered to every DAG that listens to its asset, or to the alias it came through, in the transaction that
records it: one row per DAG, and one signal. The row waits until a run of that DAG consumes it, in the transaction that
creates the run, and never waits again; so no crash loses an event or gives it to two runs of a DAG. Its cost is that
of the DAGs which listen to the asset, and of nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from windlass.interfaces.views import AssetUpdated
from windlass.planning.assets import condition_of, names_in
from windlass.ports import AssetName, WaitingEvent
from windlass.protocol import AssetEvent
from windlass.spec import DagSpec
from windlass.store.database import Database, Transaction
from windlass.store.facts import to_json
from windlass.store.instants import instant
from windlass.store.observations import ASSET_HOOK, owe_detail

_ASSET: Final = "INSERT INTO asset (uri, created_at) VALUES (:uri, :now) ON CONFLICT (uri) DO NOTHING"
_EVENT: Final = (
    "INSERT INTO asset_event (asset, extra, alias, run, ti_id, source_dag_id, source_run_id, source_task_id,"
    " source_map_index, who, at)"
    " SELECT id, :extra, :alias, :run, :task, :dag_id, :run_id, :task_id, :map_index, :who, :now"
    " FROM asset WHERE uri = :uri"
)
_DELIVER: Final = (
    "INSERT INTO asset_delivery (event, dag_id, asset, alias, counts)"
    " SELECT :event, l.dag_id, a.id, :alias, 1 - d.paused FROM asset a"
    " JOIN asset_listener l ON l.is_alias = :is_alias AND l.name = :name JOIN dag d ON d.dag_id = l.dag_id"
    # A DAG that stops listening waits until this is written, and then forgets it.
    " WHERE a.uri = :uri FOR_SHARE OF l ON CONFLICT (event, dag_id) DO NOTHING"
)
_TELL: Final = (
    "INSERT INTO \"signal\" (kind, dag_id) SELECT DISTINCT 'asset', dag_id FROM asset_delivery"
    " WHERE event IN IDS(:events) AND counts = 1"
)
_CONSUME: Final = (
    "UPDATE asset_delivery SET run = :run WHERE event IN IDS(:events) AND dag_id = :dag_id AND run IS NULL"
)
_HEARD: Final = "SELECT dag_id, is_alias, name FROM asset_listener WHERE dag_id IN NAMES(:dags)"
_LISTEN: Final = "INSERT INTO asset_listener (is_alias, name, dag_id) VALUES (:is_alias, :name, :dag_id)"
_UNLISTEN: Final = "DELETE FROM asset_listener WHERE dag_id = :dag_id"
#: What a new version of a DAG does not wait for any more would wait for ever.
_FORGET: Final = (
    "DELETE FROM asset_delivery WHERE dag_id = :dag_id AND run IS NULL AND NOT EXISTS"
    " (SELECT 1 FROM asset_listener l WHERE l.dag_id = :dag_id AND ("
    "(l.is_alias = 0 AND l.name = (SELECT a.uri FROM asset a WHERE a.id = asset_delivery.asset))"
    " OR (l.is_alias = 1 AND l.name = asset_delivery.alias)))"
)
_UPDATED: Final = (
    "SELECT l.is_alias, l.name FROM asset_listener l WHERE l.dag_id = :dag_id AND CASE l.is_alias"
    " WHEN 0 THEN EXISTS (SELECT 1 FROM asset a JOIN asset_delivery w ON w.dag_id = :dag_id AND w.asset = a.id"
    " AND w.run IS NULL WHERE a.uri = l.name AND w.counts = 1)"
    " ELSE EXISTS (SELECT 1 FROM asset_delivery w WHERE w.dag_id = :dag_id AND w.alias = l.name"
    " AND w.alias IS NOT NULL AND w.run IS NULL AND w.counts = 1) END ORDER BY l.is_alias, l.name"
)
_WAITING: Final = (
    "SELECT e.id, a.uri, e.alias, e.at, w.counts FROM asset_delivery w JOIN asset_event e ON e.id = w.event"
    " JOIN asset a ON a.id = w.asset WHERE w.dag_id = :dag_id AND w.run IS NULL ORDER BY e.id"
)


def record_events(
    transaction: Transaction,
    events: Sequence[AssetEvent],
    *,
    now: int,
    run: int | None = None,
    task: int | None = None,
    source: tuple[str | None, str | None, str | None, int | None] = (None, None, None, None),
    who: str = "",
) -> list[int]:
    """Record that a task instance, or ``who`` from outside, updated these assets, and deliver it to who listens.

    Return the ids of the events.
    """
    dag_id, run_id, task_id, map_index = source
    transaction.send(_ASSET, [{"uri": event.uri, "now": now} for event in events])
    by: dict[str, Any] = {
        "run": run, "task": task, "dag_id": dag_id, "run_id": run_id, "task_id": task_id, "map_index": map_index,
        "who": who, "now": now,
    }  # fmt: skip
    ids: list[int] = []
    for event in events:
        values = {**by, "uri": event.uri, "extra": to_json(event.extra), "alias": event.alias}
        ids.append(transaction.insert(_EVENT, values) or 0)
        update = AssetUpdated(
            uri=event.uri,
            dag_id=dag_id,
            run_id=run_id,
            task_id=task_id,
            map_index=-1 if map_index is None else map_index,
            at=instant(now),
        )
        owe_detail(transaction, ASSET_HOOK, update, now, run)
    _deliver(transaction, list(zip(ids, events, strict=True)))
    return ids


def _deliver(transaction: Transaction, events: Sequence[tuple[int, AssetEvent]]) -> None:
    rows: list[dict[str, Any]] = []
    for number, event in events:
        row = {"event": number, "uri": event.uri, "alias": event.alias}
        rows.append({**row, "is_alias": 0, "name": event.uri})
        if event.alias is not None:
            rows.append({**row, "is_alias": 1, "name": event.alias})
    if transaction.many(_DELIVER, rows) > 0:
        transaction.run(_TELL, {"events": to_json([number for number, _ in events])})
        transaction.ring()


def consume_events(transaction: Transaction, dag_id: str, run: int, events: Sequence[int]) -> bool:
    """Give waiting events to the run; False, and the caller must undo, if one of them does not wait any more."""
    values = {"run": run, "dag_id": dag_id, "events": to_json(list(events))}
    return transaction.run(_CONSUME, values) == len(events)


def listen(transaction: Transaction, specs: Iterable[DagSpec]) -> None:
    """Let these DAGs, as they are now, hear of what their schedules wait for, and of nothing else."""
    wanted = {spec.dag_id: set(names_in(condition_of(spec.schedule))) for spec in specs}
    if not wanted:
        return
    heard: dict[str, set[AssetName]] = {}
    for dag_id, is_alias, name in transaction.rows(_HEARD, {"dags": to_json(list(wanted))}):
        heard.setdefault(dag_id, set()).add(AssetName(name=name, is_alias=bool(is_alias)))
    for dag_id, names in wanted.items():
        if names == heard.get(dag_id, set()):
            continue
        transaction.run(_UNLISTEN, {"dag_id": dag_id})
        transaction.many(
            _LISTEN, [{"is_alias": int(n.is_alias), "name": n.name, "dag_id": dag_id} for n in sorted(names)]
        )
        transaction.run(_FORGET, {"dag_id": dag_id})


def unlisten(transaction: Transaction, dag_ids: Iterable[str]) -> None:
    """Let DAGs that are in no file any more hear of nothing; what waits for them stays, should they come back."""
    transaction.many(_UNLISTEN, [{"dag_id": dag_id} for dag_id in dag_ids])


def updated_assets(database: Database, dag_id: str) -> list[AssetName]:
    """Return the assets and aliases of a DAG that have a waiting event which counts: a seek for each it listens to."""
    rows = database.rows(_UPDATED, {"dag_id": dag_id})
    return [AssetName(name=name, is_alias=bool(is_alias)) for is_alias, name in rows]


def waiting_events(database: Database, dag_id: str) -> list[WaitingEvent]:
    """Return the events that wait for the next asset-triggered run of a DAG, oldest first."""
    return [
        WaitingEvent(id=number, uri=uri, alias=alias, at=instant(at), counts=bool(counts))
        for number, uri, alias, at, counts in database.rows(_WAITING, {"dag_id": dag_id})
    ]
