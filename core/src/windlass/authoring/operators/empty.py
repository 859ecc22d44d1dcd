"""A task that does nothing, to join and fork others."""

from __future__ import annotations

from windlass.authoring.operator import BaseOperator, Context


class EmptyOperator(BaseOperator):
    """Do nothing and succeed."""

    ui_color = "#e8f7e4"

    def execute(self, context: Context) -> None:
        """Do nothing."""
