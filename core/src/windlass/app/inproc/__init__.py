"""The engine inside the caller's process: ``dag.test()``, ``run_task`` and ``windlass tasks test``."""

from __future__ import annotations
