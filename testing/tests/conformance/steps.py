"""Tasks that most of these tests are made of: one of each way to end."""

from __future__ import annotations

from datetime import UTC, datetime

from windlass import task
from windlass.errors import TaskSkipped

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


@task
def good() -> str:
    return "good"


@task
def bad() -> None:
    raise ValueError("it is bad")


@task
def skip() -> None:
    raise TaskSkipped("nothing to do")
