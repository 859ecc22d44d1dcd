"""W4: five tasks in a row that do nothing, for many runs at once."""

from __future__ import annotations

from windlass import DAG, chain, task


@task
def noop() -> None:
    """Do nothing."""


with DAG("chain_5", schedule=None, max_active_runs=16):
    chain(*(noop.override(task_id=f"noop_{i}")() for i in range(5)))
