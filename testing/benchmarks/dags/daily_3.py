"""A backfill of a thousand days: three tasks in a row that do nothing."""

from __future__ import annotations

from datetime import UTC, datetime

from windlass import DAG, chain, task


@task
def noop() -> None:
    """Do nothing."""


with DAG("daily_3", schedule="@daily", start_date=datetime(2026, 1, 1, tzinfo=UTC), is_paused_upon_creation=True):
    chain(*(noop.override(task_id=f"noop_{i}")() for i in range(3)))
