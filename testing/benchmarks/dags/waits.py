"""Deferred tasks that wait for the clock, as many as the name of the copy of this file ends with (waits_1000.py)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from windlass import DAG
from windlass.sensors import TimeDeltaSensorAsync

NAME = Path(__file__).stem
WIDTH = int(NAME.rpartition("_")[2])

with DAG(NAME, schedule=None, max_active_tasks=WIDTH, max_active_runs=1):
    for i in range(WIDTH):
        TimeDeltaSensorAsync(task_id=f"wait_{i:05d}", delta=timedelta(hours=6))
