"""What the built-in executors are called: Airflow's names, and ours."""

from __future__ import annotations

from typing import Final

EXECUTORS: Final = {"LocalExecutor": "local", "SequentialExecutor": "sequential"}


def spellings(configured: str) -> tuple[str, ...]:
    """Return every name by which a task may ask for the ``configured`` executor, Airflow's first."""
    kind = EXECUTORS.get(configured, configured)
    return (*(name for name, ours in EXECUTORS.items() if ours == kind), kind)
