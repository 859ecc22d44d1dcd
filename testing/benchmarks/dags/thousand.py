"""A thousand tasks in ten layers of a hundred, each waiting for two of the layer before."""

from __future__ import annotations

from pathlib import Path

from windlass import DAG, task


@task
def noop() -> None:
    """Do nothing."""


with DAG(Path(__file__).stem, schedule=None):
    before = [noop.override(task_id=f"noop_0_{i:02d}")() for i in range(100)]
    for layer in range(1, 10):
        after = [noop.override(task_id=f"noop_{layer}_{i:02d}")() for i in range(100)]
        for i, each in enumerate(after):
            [before[i], before[(i + 1) % 100]] >> each
        before = after
