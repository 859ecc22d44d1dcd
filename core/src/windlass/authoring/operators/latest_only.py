"""A task that lets only the newest run go on."""

from __future__ import annotations

from windlass.authoring.branching import descendant_skips
from windlass.authoring.operator import BaseOperator, Context


class LatestOnlyOperator(BaseOperator):
    """Skip the direct downstream tasks of a run that is not the newest: whose next interval has ended, or not begun.

    A run that somebody triggered by hand goes on.
    """

    is_brancher = True
    ui_color = "#e9ffdb"

    def execute(self, context: Context) -> None:
        """Compare the clock with the next interval."""
        from windlass.ports import instant_now

        run = context["dag_run"]
        if run.run_type == "manual":
            return
        start, end = context["data_interval_start"], context["data_interval_end"]
        if end == start:  # a run for a point in time has no next interval to compare with
            return
        if not end < instant_now() <= end + (end - start):
            context["ti"].skip_downstream(descendant_skips(context["task"], direct_only=True))
