"""Who lives, by the locks of this home and the leases of all."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from windlass.control.alive import Alive, name_of
from windlass.store.schedulers import SchedulerRow
from windlass.supervisor import lock

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def scheduler(home: Path) -> SchedulerRow:
    return SchedulerRow(home=name_of(home), hostname="h", pid=1, started_at=NOW, lease_until=NOW, dags=3)


def test_this_homes_scheduler_is_dead_at_once_when_nobody_holds_its_lock_and_others_live_by_their_leases(
    tmp_path: Path,
) -> None:
    mine, other = scheduler(tmp_path / "home"), scheduler(tmp_path / "other")
    (tmp_path / "home" / "run").mkdir(parents=True)
    alive = Alive(tmp_path / "home" / "run")
    assert alive.of([mine, other]) == [other]
    held = lock.acquire(tmp_path / "home" / "run" / "scheduler.lock")
    assert alive.of([mine, other]) == [mine, other]
    os.close(held)
    assert alive.of([mine, other]) == [other]
