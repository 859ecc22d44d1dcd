"""The days that a comparison over time is about."""

from __future__ import annotations

from datetime import date, timedelta

from windlass.errors import UsageError
from windlass.operators import Context


def day_and_before(context: Context, days_back: int) -> tuple[str, str]:
    """Return the run's day (``ds``) and the one ``days_back`` days from it, as YYYY-MM-DD.

    :raises UsageError: if the run has no logical date.
    """
    if "ds" not in context:
        raise UsageError("a comparison with an earlier day needs a run with a logical date; give the run one")
    day = date.fromisoformat(context["ds"])
    return day.isoformat(), (day + timedelta(days=days_back)).isoformat()
