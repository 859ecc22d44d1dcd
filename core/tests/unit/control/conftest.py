from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from windlass_testing.installation import Installation


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Installation]:
    made = Installation(tmp_path / "home")
    yield made
    made.close()
