from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def dag_folder() -> Path:
    return Path(__file__).parents[1] / "dags"
