"""Ten tasks in a row, of which the first takes longer than any measurement."""

from __future__ import annotations

import time

from windlass import DAG, chain, task


@task
def sleep() -> None:
    """Take an hour."""
    time.sleep(3600)


@task
def noop() -> None:
    """Do nothing."""


with DAG("asleep", schedule=None, max_active_runs=1000):
    chain(sleep(), *(noop.override(task_id=f"noop_{i}")() for i in range(9)))
