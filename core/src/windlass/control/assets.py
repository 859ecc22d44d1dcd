"""Assets: who produces and who awaits them, what was said about them, and saying that one was updated.

The assets are those that DAGs mention, as outlets, inlets or in their schedules, and those that events have named. A
schedule knows an asset by its URI alone; the name comes from the tasks that produce or read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from windlass.control.dags import Dags
from windlass.control.runs import Runs
from windlass.control.views import AssetDetails, AssetEventRow, AssetRow, AssetWait, Page, RunRow
from windlass.control.visibility import Visible, did_you_mean, everything
from windlass.errors import Conflict, NotFound, UsageError
from windlass.planning.assets import condition_of, names_in
from windlass.ports import AssetName
from windlass.spec import DagSpec
from windlass.store import AssetEventRow as StoredEvent
from windlass.store import Store

#: Bytes of an event's extra as JSON: a pointer to data, not the data.
_MOST_EXTRA: Final = 65_536
_LONGEST: Final = 250


class _Known(msgspec.Struct):
    """What DAGs say of an asset or an alias."""

    name: str
    group: str = "asset"
    #: DAG and task.
    producers: dict[tuple[str, str], None] = msgspec.field(default_factory=dict)
    consumers: dict[str, None] = msgspec.field(default_factory=dict)


class Assets:
    """Queries and commands about assets."""

    def __init__(self, store: Store, dags: Dags, runs: Runs) -> None:
        self._store = store
        self._dags = dags
        self._runs = runs

    # -- queries ------------------------------------------------------------------------------------------------

    def list(self, *, visible: Visible = everything) -> tuple[AssetRow, ...]:
        """Return all assets by URI, then all aliases by name."""
        updates = self._store.assets.last_updates()
        return tuple(
            AssetRow(
                uri=key.name,
                name=known.name,
                group=known.group,
                is_alias=key.is_alias,
                producers=tuple(f"{dag_id}.{task_id}" for dag_id, task_id in known.producers),
                consumers=tuple(known.consumers),
                updated_at=None if key.is_alias else updates.get(key.name),
            )
            for key, known in sorted(self._catalogue(visible).items(), key=lambda item: (item[0].is_alias, item[0]))
        )

    def details(self, asset: str, *, visible: Visible = everything) -> AssetDetails:
        """Return everything about an asset or alias, by its URI or name: also what each DAG that awaits it still lacks.

        :raises NotFound: if no DAG and no event has mentioned it.
        """
        key = self._find(asset, visible)
        row = next(row for row in self.list(visible=visible) if (row.uri, row.is_alias) == (key.name, key.is_alias))
        waits = []
        for dag_id in row.consumers:
            dag, spec = self._dags.find(dag_id, visible=visible)
            waits.append(AssetWait(dag_id=dag_id, paused=dag.paused, waits_for=self._dags.missing_assets(spec)))
        return AssetDetails(**{name: getattr(row, name) for name in row.__struct_fields__}, waits=tuple(waits))

    def events(
        self,
        *,
        asset: str | None = None,
        run: tuple[str, str] | None = None,
        cursor: str | None = None,
        limit: int = 100,
        visible: Visible = everything,
    ) -> Page[AssetEventRow]:
        """Return events, the newest first: of one asset or alias, or those that a run (DAG and run id) has consumed.

        :raises NotFound: if there is no such asset, DAG or run.
        """
        filters: dict[str, Any] = {}
        if asset is not None:
            key = self._find(asset, visible)
            filters["alias" if key.is_alias else "uri"] = key.name
        if run is not None:
            filters["run"] = self._runs.find(*run, visible=visible).id
        page = self._store.assets.events(**filters, after=cursor, limit=limit)
        seen = tuple(_row(event, visible) for event in page.items if _is_seen(event, visible))
        return Page(seen, page.cursor)

    def producers(self, name: AssetName, *, visible: Visible = everything) -> tuple[str, ...]:
        """Return the DAGs that have an asset or alias among their outlets."""
        known = self._catalogue(visible).get(name)
        return () if known is None else tuple(dict.fromkeys(dag_id for dag_id, _ in known.producers))

    def producer(self, asset: str, *, dag_id: str | None = None, visible: Visible = everything) -> str:
        """Return the DAG that :meth:`materialize` would run.

        :raises NotFound: if the asset is not known, or nothing (or not ``dag_id``) produces it.
        :raises Conflict: if several DAGs do and none is chosen.
        """
        key = self._find(asset, visible)
        dags = self.producers(key, visible=visible)
        if not dags:
            raise NotFound(
                f"no task has {key.name!r} among its outlets; `windlass assets create-event` says that it was updated"
            )
        if dag_id is None and len(dags) > 1:
            raise Conflict(f"{key.name!r} is produced by {', '.join(dags)}; choose one with --dag-id")
        if dag_id is not None and dag_id not in dags:
            raise NotFound(f"DAG {dag_id!r} does not produce {key.name!r}; {', '.join(dags)} does")
        return dag_id or dags[0]

    # -- commands -----------------------------------------------------------------------------------------------

    def create_event(
        self,
        asset: str,
        *,
        extra: Mapping[str, Any] | None = None,
        alias: str | None = None,
        actor: str,
        idempotency_key: str | None = None,
        visible: Visible = everything,
    ) -> AssetEventRow:
        """Record that an asset was updated, from outside, and so let the DAGs run that wait for it.

        Through an ``alias`` it may be an asset that no DAG has mentioned, as with tasks.

        :raises NotFound: if the asset (or the alias) is not known.
        :raises Conflict: if the key was used for something else.
        """
        uri = self.check_event(asset, extra=extra, alias=alias, visible=visible)
        values = dict(extra or {})
        event = self._store.assets.create_event(uri, extra=values, alias=alias, who=actor, key=idempotency_key)
        return _row(event, visible)

    def check_event(
        self,
        asset: str,
        *,
        extra: Mapping[str, Any] | None = None,
        alias: str | None = None,
        visible: Visible = everything,
    ) -> str:
        """Return the URI that :meth:`create_event` would record with the same arguments.

        :raises NotFound: if the asset (or the alias) is not known.
        :raises UsageError: if the extra is too large.
        """
        uri = self._uri(asset, alias, visible)
        size = len(msgspec.json.encode(dict(extra or {})))
        if size > _MOST_EXTRA:
            text = f"the extra of an event of {uri!r} takes {size:,} bytes, the limit is {_MOST_EXTRA:,}"
            raise UsageError(f"{text}; put the data where the asset is, and its address into the event")
        return uri

    def materialize(
        self,
        asset: str,
        *,
        dag_id: str | None = None,
        actor: str,
        idempotency_key: str | None = None,
        visible: Visible = everything,
    ) -> RunRow:
        """Create a manual run of the DAG that produces an asset. ``dag_id`` says which, where several do.

        :raises NotFound: if the asset is not known, or nothing produces it.
        :raises Conflict: if several DAGs do and none is chosen.
        """
        chosen = self.producer(asset, dag_id=dag_id, visible=visible)
        return self._runs.trigger(chosen, actor=actor, idempotency_key=idempotency_key, visible=visible)

    # -- details ------------------------------------------------------------------------------------------------

    def _catalogue(self, visible: Visible) -> dict[AssetName, _Known]:
        """Return what visible DAGs say, and the assets that only events have named."""
        found: dict[AssetName, _Known] = {}
        mentioned: set[str] = set()
        for dag_id in self._dags.ids():
            mine: dict[AssetName, _Known] = found if visible(dag_id) else {}
            _collect(self._store.queries.spec(dag_id), mine)
            mentioned |= {key.name for key in mine if not key.is_alias}
        for uri in self._store.assets.last_updates():
            if uri not in mentioned:
                found.setdefault(AssetName(name=uri), _Known(uri))
        return found

    def _find(self, asset: str, visible: Visible) -> AssetName:
        known = self._catalogue(visible)
        for key in (AssetName(name=asset), AssetName(name=asset, is_alias=True)):
            if key in known:
                return key
        named = [key for key, found in known.items() if found.name == asset]
        if named:
            return named[0]
        hint = did_you_mean(asset, {name for key, found in known.items() for name in (key.name, found.name)})
        raise NotFound(f"asset {asset!r} is not known.{hint} `windlass assets list` shows all")

    def _uri(self, asset: str, alias: str | None, visible: Visible) -> str:
        if alias is None:
            key = self._find(asset, visible)
            if key.is_alias:
                raise UsageError(f"{asset!r} is an alias; name the asset that was updated, and the alias with --alias")
            return key.name
        if AssetName(name=alias, is_alias=True) not in self._catalogue(visible):
            raise NotFound(f"alias {alias!r} is not known; `windlass assets list` shows all")
        if not asset.strip() or not asset.isascii() or len(asset) > _LONGEST:
            raise UsageError(f"an asset's URI needs 1 to {_LONGEST} ASCII characters, not {asset[:50]!r}")
        return asset


def _collect(spec: DagSpec, found: dict[AssetName, _Known]) -> None:
    for task in spec.tasks:
        for asset in (*task.outlets, *task.inlets):
            key = AssetName(name=asset.name if asset.is_alias else asset.uri, is_alias=asset.is_alias)
            known = found.setdefault(key, _Known(asset.name, asset.group))
            known.name, known.group = asset.name, asset.group
            if asset in task.outlets:
                known.producers[spec.dag_id, task.task_id] = None
    for key in names_in(condition_of(spec.schedule)):
        found.setdefault(key, _Known(key.name)).consumers[spec.dag_id] = None


def _is_seen(event: StoredEvent, visible: Visible) -> bool:
    return event.source_dag_id is None or visible(event.source_dag_id)


def _row(event: StoredEvent, visible: Visible) -> AssetEventRow:
    return AssetEventRow(
        id=event.id,
        uri=event.uri,
        alias=event.alias,
        extra=event.extra,
        source_dag_id=event.source_dag_id,
        source_run_id=event.source_run_id,
        source_task_id=event.source_task_id,
        source_map_index=event.source_map_index,
        created_by=event.who or None,
        timestamp=event.at,
        consumed={dag_id: run for dag_id, run in event.consumed.items() if visible(dag_id)},
    )
