from __future__ import annotations

import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[1]
sys.path.insert(0, str(EXAMPLE / "src"))


@pytest.fixture(scope="session")
def dag_folder() -> Path:
    return EXAMPLE / "dags"
