"""The open backfills as the scheduler knows them, and the next runs of each.

A backfill is looked at when something happened to it: it was created or cancelled, a run of it ended, its DAG changed.
Its row says how far it has come and how many of its runs are open, and is read anew at each look, so that nothing here
can be wrong for long. It goes with its DAG: the scheduler that holds that makes the next step.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import datetime

from windlass.errors import StoreError
from windlass.planning import backfill as planning
from windlass.planning.calendar import is_asked
from windlass.planning.runs import BackfillLimit
from windlass.ports import BackfillFacts, DagFacts, RunFacts, StorePort
from windlass.scheduler.sharing import Share
from windlass.scheduler.timetables import Timetables
from windlass.spec import DagSpec

log = logging.getLogger(__name__)


class Backfills:
    """A cache over the store, made anew when everything is read again.

    ``spec`` and ``dag`` answer from what is known of DAGs; a DAG that is in no file any more is None.
    """

    def __init__(
        self,
        store: StorePort,
        spec: Callable[[str, str], DagSpec | None],
        dag: Callable[[str], DagFacts | None],
        timetables: Timetables,
        share: Share,
    ) -> None:
        self._store = store
        self._spec = spec
        self._dag = dag
        self._timetables = timetables
        self._share = share
        self._known: dict[int, BackfillFacts] = {}
        self._due: dict[int, None] = {}
        self.reload()

    @property
    def is_idle(self) -> bool:
        """Whether no backfill is waiting to be looked at."""
        return not self._due

    def reload(self) -> None:
        """Look at every open backfill in the share: there is a new one, or a DAG that came with some."""
        for facts in self._store.backfills():
            if self._share.holds(facts.dag_id):
                self._known[facts.id] = facts
                self.look_at(facts.id)

    def dag_changed(self, dag_id: str) -> None:
        """Look at the backfills of a DAG: it may have come back."""
        for facts in self._known.values():
            if facts.dag_id == dag_id:
                self.look_at(facts.id)

    def look_at(self, backfill: int | None) -> None:
        """Let a backfill be looked at in this step or the next; None is none."""
        if backfill is not None:
            self._due[backfill] = None

    def limits(self, runs: Iterable[RunFacts]) -> dict[int, BackfillLimit]:
        """Return what bounds the backfills that these runs belong to, completed ones too: a run may be cleared."""
        limits: dict[int, BackfillLimit] = {}
        for backfill in {run.backfill_id: None for run in runs if run.backfill_id is not None}:
            facts = self._known.get(backfill) or self._store.backfill(backfill)
            if facts is not None:
                self._known[backfill] = facts
                limits[backfill] = planning.limit_of(facts)
        return limits

    def advance(self, now: datetime) -> None:
        """Make the next runs of the backfills that something happened to, and note those that are done."""
        due, self._due = list(self._due), {}
        for backfill in due:
            facts = self._store.backfill(backfill)
            if facts is None or facts.completed_at is not None or not self._share.holds(facts.dag_id):
                self._known.pop(backfill, None)
                continue
            self._known[backfill] = facts
            try:
                self._advance(facts, now)
            except StoreError:
                raise
            except Exception:
                # It stands still alone, until something happens to it.
                log.exception("backfill %d of DAG %s cannot go on", backfill, facts.dag_id)

    def _advance(self, facts: BackfillFacts, now: datetime) -> None:
        if not planning.has_more(facts):
            if not facts.open_runs:
                self._store.complete_backfill(facts.id)
            return
        dag = self._dag(facts.dag_id)
        spec = None if dag is None else self._spec(facts.dag_id, facts.spec_version)
        if dag is None or spec is None:
            return
        number = planning.room(facts, len(spec.tasks))
        if not number:
            return
        page = None
        if is_asked(spec):
            page = self._timetables.page(facts, dag, spec, now)
            if page is None:  # its answer, or a timer, brings the backfill back
                return
            wanted = planning.next_of_page(facts, page, number)
        else:
            wanted = planning.next_intervals(facts, spec, number)
        dates = [interval.logical_date for interval in wanted]
        names = [planning.backfill_run_id(interval) for interval in wanted]
        existing = self._store.runs_at(facts.dag_id, dates, names)
        self._store.advance_backfill(planning.next_step(facts, spec, wanted, existing, page))
        # Refused, or some were left alone, or it was the last step: there may be more to do at once.
        self.look_at(facts.id)
