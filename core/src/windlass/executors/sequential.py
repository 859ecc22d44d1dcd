"""The sequential executor: the local one, a task at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from windlass.executors.local import LocalExecutor


class SequentialExecutor(LocalExecutor):
    """Runs one task after the other; for debugging, and where two at once would disturb each other."""

    def __init__(self, path: Path, version: str, *, monotonic: Callable[[], float], code: Path | None = None) -> None:
        super().__init__(path, version, parallelism=1, monotonic=monotonic, code=code)
