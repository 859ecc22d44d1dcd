"""The installation that a test of whole processes has to itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from windlass_testing.databases import emptied_server
from windlass_testing.live import LiveInstallation

Installation = LiveInstallation


@pytest.fixture
def database(request: pytest.FixtureRequest) -> str:
    """The kind of database: SQLite, unless a test is parametrised with others (``indirect``)."""
    return str(getattr(request, "param", "sqlite"))


@pytest.fixture
def installation(tmp_path: Path, database: str, request: pytest.FixtureRequest) -> Iterator[Installation]:
    url = None if database == "sqlite" else emptied_server(database, request.getfixturevalue)
    made = Installation(tmp_path, database=url)
    yield made
    made.close()
