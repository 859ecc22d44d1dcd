"""Where other hosts use the same database, a supervisor stops its tasks before their leases end."""

from __future__ import annotations

from pathlib import Path

from windlass.app.supervisor_process import supervisor_settings
from windlass.config import Settings
from windlass.store.reaping import LEASE


def test_a_supervisor_fences_itself_well_before_its_leases_end_and_only_with_a_shared_database(tmp_path: Path) -> None:
    settings = Settings.load(environ={"WINDLASS_HOME": str(tmp_path)}, cwd=tmp_path)
    assert supervisor_settings(settings, shared=False).fence_after is None
    shared = supervisor_settings(settings, shared=True)
    assert shared.fence_after is not None
    assert shared.fence_after + shared.heartbeat < LEASE
