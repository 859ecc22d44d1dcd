"""W8: ten tasks in a row; the DAG is called like the copy of this file."""

from __future__ import annotations

from pathlib import Path

from windlass import DAG, chain, task


@task
def noop() -> None:
    """Do nothing."""


with DAG(Path(__file__).stem, schedule=None):
    chain(*(noop.override(task_id=f"noop_{i}")() for i in range(10)))
