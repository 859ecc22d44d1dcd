"""W5: one task that does nothing; the DAG is called like the copy of this file, so each copy is a DAG of its own."""

from __future__ import annotations

from pathlib import Path

from windlass import DAG, task


@task
def noop() -> None:
    """Do nothing."""


with DAG(Path(__file__).stem, schedule=None):
    noop()
