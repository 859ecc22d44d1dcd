"""The installation that a test of whole processes has to itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from windlass_testing.live import LiveInstallation

Installation = LiveInstallation


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    made = Installation(tmp_path)
    yield made
    made.close()
