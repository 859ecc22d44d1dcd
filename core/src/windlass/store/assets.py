"""Asset events: what tasks say they have updated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from windlass.interfaces.views import AssetUpdated
from windlass.protocol import AssetEvent
from windlass.store.database import Transaction
from windlass.store.facts import to_json
from windlass.store.instants import instant
from windlass.store.observations import ASSET_HOOK, owe_detail

_ASSET: Final = "INSERT INTO asset (uri, created_at) VALUES (:uri, :now) ON CONFLICT (uri) DO NOTHING"
_EVENT: Final = (
    "INSERT INTO asset_event (asset, extra, alias, run, ti_id, source_dag_id, source_run_id, source_task_id,"
    " source_map_index, at)"
    " SELECT id, :extra, :alias, :run, :task, :dag_id, :run_id, :task_id, :map_index, :now FROM asset WHERE uri = :uri"
)


def record_events(
    transaction: Transaction,
    events: Sequence[AssetEvent],
    *,
    run: int,
    task: int,
    source: tuple[str, str, str, int],
    now: int,
) -> None:
    """Record that a task instance updated these assets, in the transaction that ends or serves it."""
    dag_id, run_id, task_id, map_index = source
    transaction.many(_ASSET, [{"uri": event.uri, "now": now} for event in events])
    transaction.many(
        _EVENT,
        [
            {
                "uri": event.uri,
                "extra": to_json(event.extra),
                "alias": event.alias,
                "run": run,
                "task": task,
                "dag_id": dag_id,
                "run_id": run_id,
                "task_id": task_id,
                "map_index": map_index,
                "now": now,
            }
            for event in events
        ],
    )
    for event in events:
        update = AssetUpdated(
            uri=event.uri, dag_id=dag_id, run_id=run_id, task_id=task_id, map_index=map_index, at=instant(now)
        )
        owe_detail(transaction, ASSET_HOOK, update, now, run)
