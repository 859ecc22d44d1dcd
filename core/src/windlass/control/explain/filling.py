"""Where a backfill stands, and why no more runs are made of it now."""

from __future__ import annotations

from windlass.control.explain.commands import windlass
from windlass.control.views import Cause
from windlass.planning.backfill import has_more
from windlass.ports import UNCOUNTED, BackfillFacts


def standing(facts: BackfillFacts, *, stale: bool, error: str | None = None) -> Cause:
    """Return the node of a backfill; ``stale``: its DAG is in no file; ``error``: what is wrong with its timetable."""
    of = f" of {facts.intervals}" if facts.intervals != UNCOUNTED else ""
    fact = f"backfill {facts.id} has dealt with {facts.dealt}{of} intervals"
    unfinished = f"{facts.open_runs} of its runs have not ended"
    if facts.cancelled_at is not None:
        fact += f" and was cancelled; {unfinished}"
    elif not has_more(facts):
        fact += f"; {unfinished}"
    elif stale:
        fact += "; no more runs are made while its DAG is in no file"
    elif error is not None:
        fact += f"; no more runs are made: {error}"
    else:
        fact += f"; {unfinished} ({facts.max_active_runs} may be active at once), and the next are made as these end"
    return Cause(fact=fact, kind="backfill", remedy=windlass("backfill", "show", str(facts.id)))
