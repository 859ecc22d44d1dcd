"""Assets as people see them: which there are, what was said about them, who listens; and events that people record.

An event from outside takes the same way as one of a task (``assets``), in a transaction that keeps its idempotency key.
"""

# ruff: noqa: S608 - statements are put together from constants; values are always parameters

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from windlass.protocol import AssetEvent
from windlass.store.assets import record_events
from windlass.store.database import Database, Row, Transaction
from windlass.store.facts import to_dict, to_json
from windlass.store.idempotency import once
from windlass.store.instants import instant
from windlass.store.queries import Page, decode_cursor, encode_cursor

_ASSETS: Final = (
    "SELECT a.uri, (SELECT e.at FROM asset_event e WHERE e.asset = a.id ORDER BY e.id DESC LIMIT 1) FROM asset a"
    " ORDER BY a.uri"
)
_EVENT_COLUMNS: Final = (
    "e.id, a.uri, e.alias, e.extra, e.source_dag_id, e.source_run_id, e.source_task_id, e.source_map_index, e.who, e.at"
)
_EVENTS: Final = f"SELECT {_EVENT_COLUMNS} FROM asset_event e JOIN asset a ON a.id = e.asset"
_BY_FILTER: Final = {
    "uri": "a.uri = :uri",
    "alias": "e.alias = :alias",
    "run": "e.id IN (SELECT d.event FROM asset_delivery d WHERE d.run = :run)",
}
_TAKEN: Final = (
    "SELECT d.event, d.dag_id, r.run_id FROM asset_delivery d LEFT JOIN run r ON r.id = d.run"
    " WHERE d.event IN IDS(:events) ORDER BY d.event, d.dag_id"
)


class AssetEventRow(msgspec.Struct, frozen=True, kw_only=True):
    """An event. The source is the task instance it came from; ``who`` recorded it where none did.

    ``consumed`` has the DAGs that it was delivered to, each with the run that consumed it, None while it waits.
    """

    id: int
    uri: str
    alias: str | None
    extra: dict[str, Any]
    source_dag_id: str | None
    source_run_id: str | None
    source_task_id: str | None
    source_map_index: int | None
    who: str
    at: datetime
    consumed: dict[str, str | None]


class Assets:
    """Queries and commands about assets."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create_event(
        self, uri: str, *, extra: Mapping[str, Any], alias: str | None = None, who: str, key: str | None = None
    ) -> AssetEventRow:
        """Record that an asset was updated, in the name of ``who``.

        Raises:
            Conflict: the key was used for something else.
        """
        now = self._database.now()
        event = AssetEvent(uri=uri, extra=dict(extra), alias=alias)

        def work(transaction: Transaction) -> int:
            return record_events(transaction, [event], now=now, who=who)[0]

        def write(transaction: Transaction) -> int:
            return once(
                transaction, key, "create_asset_event", [uri, event.extra, alias], lambda: work(transaction), int, now
            )

        return self._events({"id": self._database.write(write)}, "e.id = :id", "ASC")[0]

    def last_updates(self) -> dict[str, datetime | None]:
        """Return every asset that ever had an event, by URI, with the instant of its latest one."""
        return {uri: instant(at) for uri, at in self._database.rows(_ASSETS)}

    def events(
        self,
        *,
        uri: str | None = None,
        alias: str | None = None,
        run: int | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> Page[AssetEventRow]:
        """Return events, the newest first: of an asset, through an alias, or those that a run has consumed."""
        values: dict[str, Any] = {"uri": uri, "alias": alias, "run": run}
        given = {name: value for name, value in values.items() if value is not None}
        conditions = [_BY_FILTER[name] for name in given]
        if after is not None:
            conditions.append("e.id < :last")
            given["last"] = decode_cursor(after, int)
        found = self._events({**given, "limit": limit + 1}, " AND ".join(conditions) or "1 = 1", "DESC LIMIT :limit")
        items = tuple(found[:limit])
        return Page(items, encode_cursor(items[-1].id) if len(found) > limit else None)

    def _events(self, values: Mapping[str, Any], where: str, order: str) -> list[AssetEventRow]:
        rows = self._database.rows(f"{_EVENTS} WHERE {where} ORDER BY e.id {order}", values)
        consumed = self._consumed([row[0] for row in rows])
        return [_event(row, consumed[row[0]]) for row in rows]

    def _consumed(self, events: Sequence[int]) -> dict[int, dict[str, str | None]]:
        found: dict[int, dict[str, str | None]] = defaultdict(dict)
        for event, dag_id, run_id in self._database.rows(_TAKEN, {"events": to_json(list(events))}):
            found[event][dag_id] = run_id
        return found


def _event(row: Row, consumed: dict[str, str | None]) -> AssetEventRow:
    return AssetEventRow(
        id=row[0],
        uri=row[1],
        alias=row[2],
        extra=to_dict(row[3]),
        source_dag_id=row[4],
        source_run_id=row[5],
        source_task_id=row[6],
        source_map_index=row[7],
        who=row[8],
        at=instant(row[9]),
        consumed=consumed,
    )
