"""Which assets a DAG still waits for, and the fewest updates that would make it run."""

from __future__ import annotations

from collections.abc import Sequence

from windlass.control.assets import Assets
from windlass.control.explain.commands import windlass
from windlass.control.views import Cause
from windlass.control.visibility import Visible
from windlass.planning.assets import cheapest, condition_of, describe, describe_name, still_missing
from windlass.planning.calendar import active_runs_limit
from windlass.ports import AssetName, RunFacts
from windlass.spec import AssetCondition, DagSpec
from windlass.states import RunType
from windlass.store import Store


class Awaited:
    """Explains the asset schedules of one store."""

    def __init__(self, store: Store, assets: Assets) -> None:
        self._store = store
        self._assets = assets

    def explain(self, spec: DagSpec, open_runs: Sequence[RunFacts], visible: Visible) -> Cause | None:
        """Return what a DAG still lacks; None if it waits for no asset."""
        condition = condition_of(spec.schedule)
        if condition is None:
            return None
        rest = still_missing(condition, self._store.scheduler.updated_assets(spec.dag_id))
        return self._ready(spec, open_runs) if rest is None else self._waiting(spec, rest, visible)

    def _waiting(self, spec: DagSpec, rest: AssetCondition, visible: Visible) -> Cause:
        causes = [self._missing(name, visible) for name in cheapest(rest)]
        ignored = sum(not event.counts for event in self._store.scheduler.waiting_events(spec.dag_id))
        if ignored:
            fact = f"{ignored} event(s) came while the DAG was paused: they call for no run, and go to the next one"
            causes.append(Cause(fact=fact, kind="asset_while_paused"))
        return Cause(fact=f"it waits for an update of {describe(rest)}", kind="assets", causes=tuple(causes))

    def _ready(self, spec: DagSpec, open_runs: Sequence[RunFacts]) -> Cause:
        fact, limit = "its assets have been updated", active_runs_limit(spec)
        mine = sum(run.run_type is RunType.ASSET_TRIGGERED for run in open_runs)
        if 0 <= limit <= mine:
            full = f"max_active_runs ({limit}) is reached; one run takes all the events when one has ended"
            return Cause(fact=fact, kind="assets", causes=(Cause(fact=full, kind="max_active_runs"),))
        return Cause(fact=f"{fact}; the scheduler is about to create its run", kind="undecided")

    def _missing(self, name: AssetName, visible: Visible) -> Cause:
        producers = self._assets.producers(name, visible=visible)
        fact = f"{describe_name(name)} has had no event since this DAG's last asset-triggered run"
        if producers:
            choice = ("--dag-id", producers[0]) if len(producers) > 1 else ()
            remedy = windlass("assets", "materialize", name.name, *choice)
        elif name.is_alias:
            remedy = windlass("assets", "create-event", "ASSET", "--alias", name.name)
        else:
            remedy = windlass("assets", "create-event", name.name)
        return Cause(fact=fact, kind="asset", remedy=remedy)
