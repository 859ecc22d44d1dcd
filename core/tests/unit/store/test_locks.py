from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from windlass.app.clocks import SystemClock, SystemRng
from windlass.store import Store, migrate, open_store

VISIT = """
import sys
from windlass.app.clocks import SystemClock, SystemRng
from windlass.store import open_store
open_store(sys.argv[1], clock=SystemClock(), rng=SystemRng()).close()
"""


def opened(url: str) -> Store:
    return open_store(url, clock=SystemClock(), rng=SystemRng())


@pytest.mark.sqlite_only("it is about the file")
def test_a_visitor_that_closes_the_database_does_not_delete_the_log_of_those_who_stay(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/windlass.db"
    migrate(url)
    store = opened(url)
    store.pools.set("before", 1)
    # A second thread has a connection of its own: opening it must not cost the first one its locks.
    thread = threading.Thread(target=store.pools.list)
    thread.start()
    thread.join()
    log = (tmp_path / "windlass.db-wal").stat().st_ino
    subprocess.run([sys.executable, "-c", VISIT, url], check=True)
    assert (tmp_path / "windlass.db-wal").stat().st_ino == log
    other = opened(url)
    other.pools.set("after", 1)
    assert "after" in [pool.name for pool in store.pools.list()]
    other.close()
    store.close()
