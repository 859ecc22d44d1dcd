"""W3: independent tasks that do nothing, as many as the name of the copy of this file ends with (fan_out_200.py)."""

from __future__ import annotations

from pathlib import Path

from windlass import DAG, task

NAME = Path(__file__).stem
WIDTH = int(NAME.rpartition("_")[2])


@task
def noop() -> None:
    """Do nothing."""


with DAG(NAME, schedule=None, max_active_tasks=WIDTH):
    for i in range(WIDTH):
        noop.override(task_id=f"noop_{i:05d}")()
